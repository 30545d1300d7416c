//! The table of `evaluate`.

use std::ops::Range;

use super::logits::Logits;
use super::oracle::loss_and_classes;
use super::stage::Stage;
use super::table::{Case, Run, Subject, Table, row_counts};
use super::tally::Expected;
use crate::engine::EngineError;
use crate::engine::gpu::kernels::evaluate::{self, Bindings};

/// All tiles.
pub const TABLE: Table = Table {
    kernel: "evaluate",
    compile: evaluate::compile,
    variants: row_counts,
    cases: |_| {
        let cases = Logits::all().into_iter();
        cases.map(|case| Box::new(Evaluate(case)) as _).collect()
    },
};

/// What a block's loss is where a logit is not finite.
const NOT_A_NUMBER: u32 = 0x7fc0_0000;

struct Evaluate(Logits);

impl Evaluate {
    /// Counts before the dispatch, which adds to them.
    fn initial_counts(&self) -> Vec<u32> {
        let words = 2 * self.0.classes * self.0.scene.members.len();
        (0..words as u32).map(|i| i % 11).collect()
    }

    fn own_counts(&self, slot: usize) -> Range<usize> {
        let words = 2 * self.0.classes;
        slot * words..(slot + 1) * words
    }

    /// The class of a row that has a NaN means nothing.
    fn expected_counts(&self) -> Vec<Expected> {
        let mut counts = self.initial_counts();
        let mut unsound = Vec::new();
        for slot in self.0.scene.training() {
            let own = &mut counts[self.own_counts(slot)];
            for (_, logits, targets, sound) in self.0.batch_blocks(slot) {
                let (_, classes) = loss_and_classes(&logits, &targets, self.0.classes);
                for (class, target) in classes.into_iter().zip(targets) {
                    own[target as usize] += u32::from(class == target);
                    own[self.0.classes + class as usize] += 1;
                }
                if !sound {
                    unsound.push(slot);
                }
            }
        }
        let mut expected: Vec<Expected> = counts.into_iter().map(Expected::Bits).collect();
        for slot in unsound {
            expected[self.own_counts(slot)].fill(Expected::Anything);
        }
        expected
    }
}

impl Case for Evaluate {
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
        let logits = stage.read("logits", &values)?;
        let partials = stage.output("partials", case.blocks())?;
        let orders = stage.read("orders", &case.scene.orders)?;
        let counts = stage.write("counts", &self.initial_counts())?;
        let bindings = Bindings {
            layer: layer.as_entire_buffer_binding(),
            cursors: stage.bind(cursors),
            tiles: stage.bind(tile_list),
            targets: stage.bind(targets),
            logits: stage.bind(logits),
            partials: stage.bind(partials),
            orders: stage.bind(orders),
            counts: stage.bind(counts),
        };
        let bindings = bindings.bind(&on.gpu.device, on.kernel);
        let left = stage.dispatch(on.kernel, &bindings, tiles.len() as u32)?;
        Ok(Run::new(
            left,
            &[("partials", partials), ("counts", counts)],
        ))
    }

    fn expected(&self) -> Vec<Vec<Expected>> {
        vec![
            self.0.expected_partials(Expected::Bits(NOT_A_NUMBER)),
            self.expected_counts(),
        ]
    }

    fn changeable(&self) -> Option<(usize, Vec<Range<usize>>)> {
        let slot = self.0.scene.changeable()?;
        let own = vec![self.0.place_blocks(slot), self.own_counts(slot)];
        Some((slot, own))
    }
}
