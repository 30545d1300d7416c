//! The table of `update`.

use std::ops::Range;

use super::bounded::Bounded;
use super::dense::Dense;
use super::numbers::Numbers;
use super::oracle::convert;
use super::stage::Stage;
use super::table::{Case, Native, Run, Subject, Table, one_variant};
use super::tally::{Expected, KernelReport};
use crate::engine::EngineError;
use crate::engine::gpu::kernels::update::{self, Bindings, workgroups_a_member};
use crate::engine::gpu::layout::pad_rows;
use crate::engine::gpu::shader::Source;

/// Nothing of the variant counts.
pub const TABLE: Table = Table {
    kernel: "update",
    compile: update::compile,
    variants: one_variant,
    cases: |_| {
        let cases = Dense::all(Source::Activations).into_iter();
        cases.map(|case| Box::new(Update(case)) as _).collect()
    },
};

struct Update(Dense);

impl Update {
    /// Gradients of a slot's parameters, among them 0, one whose square is no normal number, and a
    /// huge one.
    fn gradients(&self, slot: usize, changed: Option<usize>) -> Vec<f32> {
        let count = self.0.parameter_count();
        let changed = u64::from(changed == Some(slot));
        let mut values = Numbers::of(&[8, slot as u64, changed]).symmetric(count, 1.0);
        for (at, special) in [(3, 0.0), (5, 1e-20), (11, 1e10), (12, -1e-16)] {
            if let Some(value) = values.get_mut(at) {
                *value = special;
            }
        }
        values
    }

    fn padded_gradients(&self, changed: Option<usize>) -> Vec<f32> {
        let slots = 0..self.0.scene.members.len();
        let padded = |slot| pad_rows(&self.gradients(slot, changed), self.0.layer.outputs);
        slots.flat_map(padded).collect()
    }
}

impl Case for Update {
    fn name(&self) -> String {
        self.0.name()
    }

    fn run(&self, on: Subject<'_>, changed: Option<usize>) -> Result<Run, EngineError> {
        let (case, mut stage) = (&self.0, Stage::new(on.gpu));
        let (scene, data) = (&case.scene, case.data());
        let layer = stage.uniform(&data)?;
        let members = stage.read("members", &scene.members)?;
        let cursors = stage.read("cursors", &scene.cursors(changed))?;
        let live = stage.read("live", &scene.live)?;
        let gradients = stage.read("gradients", &self.padded_gradients(changed))?;
        let weights = stage.write("weights", &case.padded_parameters(changed))?;
        let moments = stage.write("moments", &case.padded_moments())?;
        let bindings = Bindings {
            layer: layer.as_entire_buffer_binding(),
            members: stage.bind(members),
            cursors: stage.bind(cursors),
            live: stage.bind(live),
            gradients: stage.bind(gradients),
            weights: stage.bind(weights),
            moments: stage.bind(moments),
        };
        let bindings = bindings.bind(&on.gpu.device, on.kernel);
        let workgroups = scene.live.len() as u32 * workgroups_a_member(data.member_stride);
        let left = stage.dispatch(on.kernel, &bindings, workgroups)?;
        Ok(Run::new(
            left,
            &[("weights", weights), ("moments", moments)],
        ))
    }

    fn expected(&self) -> Vec<Vec<Expected>> {
        self.0
            .expected_update(|slot| convert(&self.gradients(slot, None)))
    }

    fn changeable(&self) -> Option<(usize, Vec<Range<usize>>)> {
        let slot = self.0.scene.changeable()?;
        Some((slot, self.0.own_words(slot)))
    }

    fn check_native(&self, report: &mut KernelReport) -> Native {
        for slot in self.0.scene.training() {
            let gradients = self.gradients(slot, None);
            let (actual, moments) = self.0.updated::<f32>(slot, &gradients);
            let (right, right_moments) = self.0.updated::<Bounded>(slot, &convert(&gradients));
            report.native(&self.name(), "weights", &actual, &right);
            for (actual, right) in moments.iter().zip(&right_moments) {
                report.native(&self.name(), "moments", actual, right);
            }
        }
        Native::Checked
    }
}
