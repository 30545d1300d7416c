//! The table of `dense_forward`.

use std::ops::Range;

use super::bounded::Bounded;
use super::dense::Dense;
use super::oracle::{Activate, convert, dropout_factors, forward, times};
use super::stage::Stage;
use super::table::{Case, Native, Run, Subject, Table};
use super::tally::{Expected, KernelReport};
use crate::engine::EngineError;
use crate::engine::gpu::kernels::dense_forward::{self, Bindings};
use crate::engine::gpu::layout::LayerData;
use crate::engine::gpu::shader::Tiles;
use crate::engine::gpu::shader::{Source, Variant};
use crate::train::Activation;

/// All sources in the first tile, activations in all.
pub const TABLE: Table = Table {
    kernel: "dense_forward",
    compile: dense_forward::compile,
    variants,
    cases: |variant| {
        let cases = Dense::all(variant.source).into_iter();
        cases.map(|case| Box::new(Forward(case)) as _).collect()
    },
};

fn variants(tiles: &[Tiles]) -> Vec<Variant> {
    let variant = |tiles: &Tiles, source| Variant {
        tile: tiles.rows,
        source,
        arena: false,
    };
    let features = [Source::FeaturesF32, Source::FeaturesU8];
    let features = features.map(|source| variant(&tiles[0], source));
    let activations = tiles.iter().map(|t| variant(t, Source::Activations));
    activations.chain(features).collect()
}

struct Forward(Dense);

impl Forward {
    fn activation(&self, slot: usize) -> Activation {
        if self.0.last {
            Activation::Identity
        } else {
            self.0.scene.hyperparameters[slot].activation
        }
    }

    fn result<T: Activate>(&self, slot: usize) -> Vec<T> {
        let (case, activation) = (&self.0, self.activation(slot));
        let parameters = convert::<T>(&case.parameters(slot, None));
        let h = forward(&case.batch(slot), &parameters, &case.layer, activation);
        let data = case.data();
        let factors = (data.dropped != 0)
            .then(|| dropout_factors(&case.scene, slot, case.layer.outputs, data.index));
        times(h, factors.flatten())
    }
}

impl Case for Forward {
    fn name(&self) -> String {
        self.0.name()
    }

    fn run(&self, on: Subject<'_>, changed: Option<usize>) -> Result<Run, EngineError> {
        let (case, mut stage) = (&self.0, Stage::new(on.gpu));
        let tile = on.variant.tile;
        let data = case.data();
        let data = LayerData {
            column_tiles: data.output_stride.div_ceil(tile.columns / 4),
            ..data
        };
        let tiles = case.scene.tiles(tile.rows);
        let words = case.scene.activation_rows * 4 * data.output_stride as usize;
        let layer = stage.uniform(&data)?;
        let members = stage.read("members", &case.scene.members)?;
        let cursors = stage.read("cursors", &case.scene.cursors(changed))?;
        let tile_list = stage.read("tiles", &tiles)?;
        let weights = stage.read("weights", &case.padded_parameters(changed))?;
        let inputs = case.place_inputs(&mut stage, changed)?;
        let outputs = stage.output("outputs", words)?;
        let bindings = Bindings {
            layer: layer.as_entire_buffer_binding(),
            members: stage.bind(members),
            cursors: stage.bind(cursors),
            tiles: stage.bind(tile_list),
            weights: stage.bind(weights),
            inputs: inputs.bind(&stage),
            outputs: stage.bind(outputs),
        };
        let bindings = bindings.bind(&on.gpu.device, on.kernel);
        let left = stage.dispatch(on.kernel, &bindings, tiles.len() as u32 * data.column_tiles)?;
        Ok(Run::new(left, &[("outputs", outputs)]))
    }

    fn expected(&self) -> Vec<Vec<Expected>> {
        let (scene, width) = (&self.0.scene, self.0.layer.outputs);
        vec![scene.expected_rows(width, |slot| self.result::<Bounded>(slot))]
    }

    fn changeable(&self) -> Option<(usize, Vec<Range<usize>>)> {
        let slot = self.0.scene.changeable()?;
        let words = 4 * self.0.data().output_stride as usize;
        Some((slot, vec![self.0.scene.place_words(slot, words)]))
    }

    fn check_native(&self, report: &mut KernelReport) -> Native {
        for slot in self.0.scene.training() {
            let (actual, right) = (self.result::<f32>(slot), self.result::<Bounded>(slot));
            report.native(&self.name(), "outputs", &actual, &right);
        }
        Native::Checked
    }
}
