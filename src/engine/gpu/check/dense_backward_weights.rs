//! The table of `dense_backward_weights`.

use std::ops::Range;

use super::bounded::Bounded;
use super::dense::Dense;
use super::oracle::{backward_weights, convert};
use super::stage::{POISON, Place, Stage};
use super::table::{Case, Native, Run, Subject, Table};
use super::tally::{Expected, KernelReport};
use crate::engine::EngineError;
use crate::engine::cpu::Real;
use crate::engine::gpu::kernels::WeightsResult;
use crate::engine::gpu::kernels::dense_backward_weights::{self, Bindings};
use crate::engine::gpu::layout::LayerData;
use crate::engine::gpu::shader::Tiles;
use crate::engine::gpu::shader::{Source, Variant};

/// All sources in the first tile, activations in all; each with the update behind it and without.
pub const TABLE: Table = Table {
    kernel: "dense_backward_weights",
    compile: dense_backward_weights::compile,
    variants,
    cases: |variant| {
        let arena = variant.arena;
        let cases = Dense::all(variant.source).into_iter();
        cases
            .map(|dense| Box::new(BackwardWeights { dense, arena }) as _)
            .collect()
    },
};

fn variants(tiles: &[Tiles]) -> Vec<Variant> {
    let both = |tiles: &Tiles, source| {
        let tile = tiles.weights;
        [false, true].map(|arena| Variant {
            tile,
            source,
            arena,
        })
    };
    let features = [Source::FeaturesF32, Source::FeaturesU8];
    let features = features.into_iter().flat_map(|s| both(&tiles[0], s));
    let activations = tiles.iter().flat_map(|t| both(t, Source::Activations));
    activations.chain(features).collect()
}

struct BackwardWeights {
    dense: Dense,
    /// Gradients are written; no update follows.
    arena: bool,
}

/// Where the results are.
enum Results {
    Gradients(Place),
    Updated { weights: Place, moments: Place },
}

impl BackwardWeights {
    fn gradients<T: Real>(&self, slot: usize) -> Vec<T> {
        let dy = convert(&self.dense.output_gradients(slot, None));
        backward_weights(&self.dense.batch(slot), &dy, &self.dense.layer)
    }

    fn place_results(
        &self,
        stage: &mut Stage<'_>,
        changed: Option<usize>,
    ) -> Result<Results, EngineError> {
        let case = &self.dense;
        if self.arena {
            let words = case.scene.members.len() * case.member_words();
            return Ok(Results::Gradients(stage.output("gradients", words)?));
        }
        Ok(Results::Updated {
            weights: stage.write("weights", &case.padded_parameters(changed))?,
            moments: stage.write("moments", &case.padded_moments())?,
        })
    }
}

impl Results {
    fn bind<'s>(&self, stage: &'s Stage<'_>) -> WeightsResult<'s> {
        match *self {
            Self::Gradients(gradients) => WeightsResult::Gradients(stage.bind(gradients)),
            Self::Updated { weights, moments } => WeightsResult::Updated {
                weights: stage.bind(weights),
                moments: stage.bind(moments),
            },
        }
    }

    fn named(&self) -> Vec<(&'static str, Place)> {
        match *self {
            Self::Gradients(gradients) => vec![("gradients", gradients)],
            Self::Updated { weights, moments } => {
                vec![("weights", weights), ("moments", moments)]
            }
        }
    }
}

impl Case for BackwardWeights {
    fn name(&self) -> String {
        let result = if self.arena { "gradients" } else { "update" };
        format!("{result}, {}", self.dense.name())
    }

    fn run(&self, on: Subject<'_>, changed: Option<usize>) -> Result<Run, EngineError> {
        let (case, mut stage) = (&self.dense, Stage::new(on.gpu));
        let (scene, tile) = (&case.scene, on.variant.tile);
        let data = case.data();
        let data = LayerData {
            column_tiles: data.output_stride.div_ceil(tile.columns / 4),
            row_tiles: data.inputs.div_ceil(tile.rows),
            ..data
        };
        let dy = scene.placed(case.layer.outputs, |slot| {
            case.output_gradients(slot, changed)
        });
        let layer = stage.uniform(&data)?;
        let members = stage.read("members", &scene.members)?;
        let cursors = stage.read("cursors", &scene.cursors(changed))?;
        let live = stage.read("live", &scene.live)?;
        let dy = stage.read("dy", &dy)?;
        let inputs = case.place_inputs(&mut stage, changed)?;
        let results = self.place_results(&mut stage, changed)?;
        let bindings = Bindings {
            layer: layer.as_entire_buffer_binding(),
            members: stage.bind(members),
            cursors: stage.bind(cursors),
            live: stage.bind(live),
            dy: stage.bind(dy),
            inputs: inputs.bind(&stage),
            result: results.bind(&stage),
        };
        let bindings = bindings.bind(&on.gpu.device, on.kernel);
        let workgroups = scene.live.len() as u32 * data.column_tiles * data.row_tiles;
        let left = stage.dispatch(on.kernel, &bindings, workgroups)?;
        Ok(Run::new(left, &results.named()))
    }

    fn expected(&self) -> Vec<Vec<Expected>> {
        let case = &self.dense;
        if !self.arena {
            return case.expected_update(|slot| self.gradients(slot));
        }
        let words = case.scene.members.len() * case.member_words();
        let mut gradients = vec![Expected::Bits(POISON); words];
        for slot in case.scene.training() {
            case.put(&mut gradients, slot, &self.gradients::<Bounded>(slot));
        }
        vec![gradients]
    }

    fn changeable(&self) -> Option<(usize, Vec<Range<usize>>)> {
        let slot = self.dense.scene.changeable()?;
        Some((slot, self.dense.own_words(slot)))
    }

    fn check_native(&self, report: &mut KernelReport) -> Native {
        for slot in self.dense.scene.training() {
            let (actual, right) = (self.gradients::<f32>(slot), self.gradients(slot));
            report.native(&self.name(), "gradients", &actual, &right);
        }
        Native::Checked
    }
}
