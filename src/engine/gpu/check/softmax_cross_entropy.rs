//! The table of `softmax_cross_entropy`.

use std::ops::Range;

use super::bounded::Bounded;
use super::logits::Logits;
use super::oracle::{convert, loss_and_classes, loss_gradient};
use super::stage::Stage;
use super::table::{Case, Native, Run, Subject, Table, row_counts};
use super::tally::{Expected, KernelReport};
use crate::engine::EngineError;
use crate::engine::cpu::Real;
use crate::engine::gpu::kernels::softmax_cross_entropy::{self, Bindings};

/// All tiles.
pub const TABLE: Table = Table {
    kernel: "softmax_cross_entropy",
    compile: softmax_cross_entropy::compile,
    variants: row_counts,
    cases: |_| {
        let cases = Logits::all().into_iter();
        cases.map(|case| Box::new(Softmax(case)) as _).collect()
    },
};

/// Probabilities below this are 0 for the kernels, and not for the oracle.
const LEAST_PROBABILITY: f64 = 1e-18;
/// Less than what a block with a logit that is not finite counts, more than any other.
const UNSOUND: f32 = 1e38;

struct Softmax(Logits);

impl Softmax {
    fn gradient<T: Real>(&self, slot: usize) -> (Vec<T>, f64) {
        let (logits, targets) = (self.0.logits(slot, None), self.0.batch_targets(slot));
        loss_gradient(convert(&logits), &targets, self.0.classes)
    }

    fn right(&self, slot: usize) -> Vec<Bounded> {
        let gradient = self.gradient::<Bounded>(slot).0.into_iter();
        gradient.map(|v| v.widened(LEAST_PROBABILITY)).collect()
    }

    fn expected_logits(&self) -> Vec<Expected> {
        let (scene, classes) = (&self.0.scene, self.0.classes);
        let row_words = classes.next_multiple_of(4);
        let mut expected = scene.expected_rows(classes, |slot| self.right(slot));
        for slot in scene.training() {
            let place = scene.place_words(slot, row_words);
            let rows = expected[place].chunks_exact_mut(row_words);
            for (row, out) in rows.enumerate().take(scene.rows(slot)) {
                if self.0.is_unsound(slot, row) {
                    out[..classes].fill(Expected::Anything);
                }
            }
        }
        expected
    }
}

impl Case for Softmax {
    fn name(&self) -> String {
        self.0.name()
    }

    fn run(&self, on: Subject<'_>, changed: Option<usize>) -> Result<Run, EngineError> {
        let (case, mut stage) = (&self.0, Stage::new(on.gpu));
        let tiles = case.scene.tiles(on.variant.tile.rows);
        let values = case
            .scene
            .placed(case.classes, |slot| case.logits(slot, changed));
        let layer = stage.uniform(&case.data())?;
        let cursors = stage.read("cursors", &case.scene.cursors(changed))?;
        let tile_list = stage.read("tiles", &tiles)?;
        let targets = stage.read("targets", &case.targets())?;
        let logits = stage.write("logits", &values)?;
        let partials = stage.output("partials", case.blocks())?;
        let orders = stage.read("orders", &case.scene.orders)?;
        let bindings = Bindings {
            layer: layer.as_entire_buffer_binding(),
            cursors: stage.bind(cursors),
            tiles: stage.bind(tile_list),
            targets: stage.bind(targets),
            logits: stage.bind(logits),
            partials: stage.bind(partials),
            orders: stage.bind(orders),
        };
        let bindings = bindings.bind(&on.gpu.device, on.kernel);
        let left = stage.dispatch(on.kernel, &bindings, tiles.len() as u32)?;
        Ok(Run::new(
            left,
            &[("logits", logits), ("partials", partials)],
        ))
    }

    fn expected(&self) -> Vec<Vec<Expected>> {
        vec![
            self.expected_logits(),
            self.0.expected_partials(Expected::AtLeast(UNSOUND)),
        ]
    }

    fn changeable(&self) -> Option<(usize, Vec<Range<usize>>)> {
        let slot = self.0.scene.changeable()?;
        let row_words = self.0.classes.next_multiple_of(4);
        let rows = self.0.scene.place_words(slot, row_words);
        Some((slot, vec![rows, self.0.place_blocks(slot)]))
    }

    fn check_native(&self, report: &mut KernelReport) -> Native {
        for slot in self.0.scene.training() {
            let (actual, loss) = self.gradient::<f32>(slot);
            if (0..self.0.scene.rows(slot)).any(|row| self.0.is_unsound(slot, row)) {
                if loss.is_finite() {
                    report.fail(format!("{}: a loss that is finite", self.name()));
                }
                continue;
            }
            report.native(&self.name(), "gradient", &actual, &self.right(slot));
            let (logits, targets) = (self.0.logits(slot, None), self.0.batch_targets(slot));
            let right = loss_and_classes(&logits, &targets, self.0.classes).0;
            report.near(|| format!("{}, loss", self.name()), loss, right);
        }
        Native::Checked
    }
}
