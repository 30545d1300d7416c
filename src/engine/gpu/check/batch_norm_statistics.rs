//! The table of `batch_norm_statistics`.

use std::ops::Range;

use super::bounded::Bounded;
use super::norm::Norm;
use super::stage::Stage;
use super::table::{Case, Native, Run, Subject, Table, one_variant};
use super::tally::{Expected, KernelReport};
use crate::engine::EngineError;
use crate::engine::cpu::Real;
use crate::engine::gpu::kernels::batch_norm_statistics::{self, Bindings, WORKGROUP_UNITS};

/// Nothing of the variant counts.
pub const TABLE: Table = Table {
    kernel: "batch_norm_statistics",
    compile: batch_norm_statistics::compile,
    variants: one_variant,
    cases: |_| {
        let cases = Norm::all().into_iter();
        cases.map(|case| Box::new(Statistics(case)) as _).collect()
    },
};

struct Statistics(Norm);

impl Statistics {
    fn result<T: Real>(&self, slot: usize) -> Vec<T> {
        let (mean, variance) = self.0.measured(slot);
        [mean, variance].concat()
    }
}

impl Case for Statistics {
    fn name(&self) -> String {
        self.0.name()
    }

    fn run(&self, on: Subject<'_>, changed: Option<usize>) -> Result<Run, EngineError> {
        let (case, mut stage) = (&self.0, Stage::new(on.gpu));
        let (scene, data) = (case.scene(), case.data(WORKGROUP_UNITS));
        let words = 2 * scene.members.len() * case.row_words();
        let layer = stage.uniform(&data)?;
        let members = stage.read("members", &scene.members)?;
        let cursors = stage.read("cursors", &scene.cursors(changed))?;
        let live = stage.read("live", &scene.live)?;
        let z = stage.read("z", &case.placed_units(changed))?;
        let statistics = stage.output("statistics", words)?;
        let bindings = Bindings {
            layer: layer.as_entire_buffer_binding(),
            members: stage.bind(members),
            cursors: stage.bind(cursors),
            live: stage.bind(live),
            z: stage.bind(z),
            statistics: stage.bind(statistics),
        };
        let bindings = bindings.bind(&on.gpu.device, on.kernel);
        let workgroups = scene.live.len() as u32 * data.column_tiles;
        let left = stage.dispatch(on.kernel, &bindings, workgroups)?;
        Ok(Run::new(left, &[("statistics", statistics)]))
    }

    fn expected(&self) -> Vec<Vec<Expected>> {
        vec![self.0.expected_vectors(2, |slot| self.result(slot))]
    }

    fn changeable(&self) -> Option<(usize, Vec<Range<usize>>)> {
        let slot = self.0.scene().changeable()?;
        Some((slot, vec![self.0.own_vectors(2, slot)]))
    }

    fn check_native(&self, report: &mut KernelReport) -> Native {
        for slot in self.0.scene().training() {
            let (actual, right) = (self.result::<f32>(slot), self.result::<Bounded>(slot));
            report.native(&self.name(), "statistics", &actual, &right);
        }
        Native::Checked
    }
}
