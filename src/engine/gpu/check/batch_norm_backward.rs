//! The table of `batch_norm_backward`.

use std::ops::Range;

use super::bounded::Bounded;
use super::norm::Norm;
use super::stage::Stage;
use super::table::{Case, Native, Run, Subject, Table, row_counts};
use super::tally::{Expected, KernelReport};
use crate::engine::EngineError;
use crate::engine::cpu::Real;
use crate::engine::gpu::kernels::batch_norm_backward::{self, Bindings};
use crate::engine::gpu::kernels::batch_norm_forward::WORKGROUP_UNITS;

/// All tiles.
pub const TABLE: Table = Table {
    kernel: "batch_norm_backward",
    compile: batch_norm_backward::compile,
    variants: row_counts,
    cases: |_| {
        let cases = Norm::all().into_iter();
        cases.map(|case| Box::new(Backward(case)) as _).collect()
    },
};

struct Backward(Norm);

impl Backward {
    /// The sums of a slot, as the oracle has them, rounded.
    fn sums(&self, slot: usize) -> Vec<f32> {
        let sums = self.0.backward::<Bounded>(slot).sums().into_iter();
        sums.map(Real::to_f32).collect()
    }
}

impl Case for Backward {
    fn name(&self) -> String {
        self.0.name()
    }

    fn run(&self, on: Subject<'_>, changed: Option<usize>) -> Result<Run, EngineError> {
        let (case, mut stage) = (&self.0, Stage::new(on.gpu));
        let (scene, data) = (case.scene(), case.data(WORKGROUP_UNITS));
        let tiles = scene.tiles(on.variant.tile.rows);
        let statistics = case.vectors(2, |slot| case.statistics(slot).concat());
        let sums = case.vectors(3, |slot| self.sums(slot));
        let layer = stage.uniform(&data)?;
        let cursors = stage.read("cursors", &scene.cursors(changed))?;
        let tile_list = stage.read("tiles", &tiles)?;
        let statistics = stage.read("statistics", &statistics)?;
        let z = stage.read("z", &case.placed_units(changed))?;
        let sums = stage.read("sums", &sums)?;
        let dy = stage.write("dy", &case.placed_gradients(changed))?;
        let bindings = Bindings {
            layer: layer.as_entire_buffer_binding(),
            cursors: stage.bind(cursors),
            tiles: stage.bind(tile_list),
            statistics: stage.bind(statistics),
            z: stage.bind(z),
            sums: stage.bind(sums),
            dy: stage.bind(dy),
        };
        let bindings = bindings.bind(&on.gpu.device, on.kernel);
        let left = stage.dispatch(on.kernel, &bindings, tiles.len() as u32 * data.column_tiles)?;
        Ok(Run::new(left, &[("dy", dy)]))
    }

    fn expected(&self) -> Vec<Vec<Expected>> {
        let right = |slot| self.0.backward::<Bounded>(slot).dz;
        vec![self.0.scene().expected_rows(self.0.units(), right)]
    }

    fn changeable(&self) -> Option<(usize, Vec<Range<usize>>)> {
        let slot = self.0.scene().changeable()?;
        let own = self.0.scene().place_words(slot, self.0.row_words());
        Some((slot, vec![own]))
    }

    fn check_native(&self, report: &mut KernelReport) -> Native {
        for slot in self.0.scene().training() {
            let (actual, right) = (
                self.0.backward::<f32>(slot),
                self.0.backward::<Bounded>(slot),
            );
            report.native(&self.name(), "dz", &actual.dz, &right.dz);
        }
        Native::Checked
    }
}
