//! The table of `batch_norm_backward_statistics`.

use std::ops::Range;

use super::bounded::Bounded;
use super::norm::Norm;
use super::stage::{POISON, Place, Stage};
use super::table::{Case, Native, Run, Subject, Table};
use super::tally::{Expected, KernelReport};
use crate::engine::EngineError;
use crate::engine::gpu::kernels::WeightsResult;
use crate::engine::gpu::kernels::batch_norm_backward_statistics::{self, Bindings};
use crate::engine::gpu::kernels::batch_norm_statistics::WORKGROUP_UNITS;
use crate::engine::gpu::shader::Tiles;
use crate::engine::gpu::shader::{Source, Variant};

/// With the update behind it and without.
pub const TABLE: Table = Table {
    kernel: "batch_norm_backward_statistics",
    compile: batch_norm_backward_statistics::compile,
    variants,
    cases: |variant| {
        let arena = variant.arena;
        let cases = Norm::all().into_iter();
        cases
            .map(|norm| Box::new(Sums { norm, arena }) as _)
            .collect()
    },
};

fn variants(tiles: &[Tiles]) -> Vec<Variant> {
    let both = [false, true].map(|arena| Variant {
        tile: tiles[0].rows,
        source: Source::Activations,
        arena,
    });
    both.to_vec()
}

struct Sums {
    norm: Norm,
    /// Gradients are written; no update follows.
    arena: bool,
}

/// Where the results are that depend on the variant.
enum Results {
    Gradients { gradients: Place, weights: Place },
    Updated { weights: Place, moments: Place },
}

impl Results {
    fn bind<'s>(&self, stage: &'s Stage<'_>) -> WeightsResult<'s> {
        match *self {
            Self::Gradients { gradients, weights } => WeightsResult::GradientsBeside {
                gradients: stage.bind(gradients),
                weights: stage.bind(weights),
            },
            Self::Updated { weights, moments } => WeightsResult::Updated {
                weights: stage.bind(weights),
                moments: stage.bind(moments),
            },
        }
    }

    fn named(&self) -> Vec<(&'static str, Place)> {
        match *self {
            Self::Gradients { gradients, .. } => vec![("gradients", gradients)],
            Self::Updated { weights, moments } => {
                vec![("weights", weights), ("moments", moments)]
            }
        }
    }
}

impl Sums {
    fn place_results(
        &self,
        stage: &mut Stage<'_>,
        changed: Option<usize>,
    ) -> Result<Results, EngineError> {
        let case = &self.norm.dense;
        let parameters = case.padded_parameters(changed);
        if self.arena {
            return Ok(Results::Gradients {
                gradients: stage.output("gradients", parameters.len())?,
                weights: stage.read("weights", &parameters)?,
            });
        }
        Ok(Results::Updated {
            weights: stage.write("weights", &parameters)?,
            moments: stage.write("moments", &case.padded_moments())?,
        })
    }

    fn expected_results(&self) -> Vec<Vec<Expected>> {
        let case = &self.norm.dense;
        let gradients = |slot| self.norm.backward::<Bounded>(slot).gradients();
        if !self.arena {
            return case.expected_update(gradients);
        }
        let words = case.scene.members.len() * case.member_words();
        let mut all = vec![Expected::Bits(POISON); words];
        for slot in case.scene.training() {
            case.put(&mut all, slot, &gradients(slot));
        }
        vec![all]
    }
}

impl Case for Sums {
    fn name(&self) -> String {
        let result = if self.arena { "gradients" } else { "update" };
        format!("{result}, {}", self.norm.name())
    }

    fn run(&self, on: Subject<'_>, changed: Option<usize>) -> Result<Run, EngineError> {
        let (case, mut stage) = (&self.norm, Stage::new(on.gpu));
        let (scene, data) = (case.scene(), case.data(WORKGROUP_UNITS));
        let statistics = case.vectors(2, |slot| case.statistics(slot).concat());
        let sums = 3 * scene.members.len() * case.row_words();
        let layer = stage.uniform(&data)?;
        let members = stage.read("members", &scene.members)?;
        let cursors = stage.read("cursors", &scene.cursors(changed))?;
        let live = stage.read("live", &scene.live)?;
        let statistics = stage.read("statistics", &statistics)?;
        let z = stage.read("z", &case.placed_units(changed))?;
        let dy = stage.read("dy", &case.placed_gradients(changed))?;
        let sums = stage.output("sums", sums)?;
        let running = stage.write("running", &case.vectors(2, |slot| case.running(slot)))?;
        let results = self.place_results(&mut stage, changed)?;
        let bindings = Bindings {
            layer: layer.as_entire_buffer_binding(),
            members: stage.bind(members),
            cursors: stage.bind(cursors),
            live: stage.bind(live),
            statistics: stage.bind(statistics),
            z: stage.bind(z),
            result: results.bind(&stage),
            dy: stage.bind(dy),
            sums: stage.bind(sums),
            running: stage.bind(running),
        };
        let bindings = bindings.bind(&on.gpu.device, on.kernel);
        let workgroups = scene.live.len() as u32 * data.column_tiles;
        let left = stage.dispatch(on.kernel, &bindings, workgroups)?;
        let outputs = [vec![("sums", sums), ("running", running)], results.named()];
        Ok(Run::new(left, &outputs.concat()))
    }

    fn expected(&self) -> Vec<Vec<Expected>> {
        let case = &self.norm;
        let mut expected = vec![
            case.expected_vectors(3, |slot| case.backward(slot).sums()),
            case.expected_vectors(2, |slot| case.backward(slot).running),
        ];
        expected.extend(self.expected_results());
        expected
    }

    fn changeable(&self) -> Option<(usize, Vec<Range<usize>>)> {
        let slot = self.norm.scene().changeable()?;
        let own = [3, 2].map(|count| self.norm.own_vectors(count, slot));
        let mut own = own.to_vec();
        own.extend(self.norm.dense.own_words(slot));
        Some((slot, own))
    }

    fn check_native(&self, report: &mut KernelReport) -> Native {
        for slot in self.norm.scene().training() {
            let actual = self.norm.backward::<f32>(slot);
            let right = self.norm.backward::<Bounded>(slot);
            report.native(&self.name(), "sums", &actual.sums(), &right.sums());
            report.native(&self.name(), "running", &actual.running, &right.running);
        }
        Native::Checked
    }
}
