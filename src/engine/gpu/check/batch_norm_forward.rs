//! The table of `batch_norm_forward`.

use std::ops::Range;

use super::bounded::Bounded;
use super::norm::Norm;
use super::stage::Stage;
use super::table::{Case, Native, Run, Subject, Table, row_counts};
use super::tally::{Expected, KernelReport};
use crate::engine::EngineError;
use crate::engine::gpu::kernels::batch_norm_forward::{self, Bindings, WORKGROUP_UNITS};

/// All tiles.
pub const TABLE: Table = Table {
    kernel: "batch_norm_forward",
    compile: batch_norm_forward::compile,
    variants: row_counts,
    cases: |_| {
        let cases = Norm::all().into_iter();
        cases.map(|case| Box::new(Forward(case)) as _).collect()
    },
};

struct Forward(Norm);

impl Case for Forward {
    fn name(&self) -> String {
        self.0.name()
    }

    fn run(&self, on: Subject<'_>, changed: Option<usize>) -> Result<Run, EngineError> {
        let (case, mut stage) = (&self.0, Stage::new(on.gpu));
        let (scene, data) = (case.scene(), case.data(WORKGROUP_UNITS));
        let tiles = scene.tiles(on.variant.tile.rows);
        let statistics = case.vectors(2, |slot| case.statistics(slot).concat());
        let layer = stage.uniform(&data)?;
        let members = stage.read("members", &scene.members)?;
        let cursors = stage.read("cursors", &scene.cursors(changed))?;
        let tile_list = stage.read("tiles", &tiles)?;
        let scale = stage.read("scale", &case.dense.padded_parameters(changed))?;
        let statistics = stage.read("statistics", &statistics)?;
        let z = stage.read("z", &case.placed_units(changed))?;
        let outputs = stage.output("outputs", scene.activation_rows * case.row_words())?;
        let bindings = Bindings {
            layer: layer.as_entire_buffer_binding(),
            members: stage.bind(members),
            cursors: stage.bind(cursors),
            tiles: stage.bind(tile_list),
            scale: stage.bind(scale),
            statistics: stage.bind(statistics),
            z: stage.bind(z),
            outputs: stage.bind(outputs),
        };
        let bindings = bindings.bind(&on.gpu.device, on.kernel);
        let left = stage.dispatch(on.kernel, &bindings, tiles.len() as u32 * data.column_tiles)?;
        Ok(Run::new(left, &[("outputs", outputs)]))
    }

    fn expected(&self) -> Vec<Vec<Expected>> {
        let right = |slot| self.0.forward::<Bounded>(slot);
        vec![self.0.scene().expected_rows(self.0.units(), right)]
    }

    fn changeable(&self) -> Option<(usize, Vec<Range<usize>>)> {
        let slot = self.0.scene().changeable()?;
        let own = self.0.scene().place_words(slot, self.0.row_words());
        Some((slot, vec![own]))
    }

    fn check_native(&self, report: &mut KernelReport) -> Native {
        for slot in self.0.scene().training() {
            let (actual, right) = (self.0.forward::<f32>(slot), self.0.forward::<Bounded>(slot));
            report.native(&self.name(), "outputs", &actual, &right);
        }
        Native::Checked
    }
}
