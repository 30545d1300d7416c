//! The table of `dense_backward_input`.

use std::ops::Range;

use super::bounded::Bounded;
use super::dense::Dense;
use super::oracle::{backward_input, convert, dropout_factors, through_activation, times};
use super::stage::Stage;
use super::table::{Case, Native, Run, Subject, Table, row_tiles};
use super::tally::{Expected, KernelReport};
use crate::engine::EngineError;
use crate::engine::cpu::Real;
use crate::engine::gpu::kernels::dense_backward_input::{self, Bindings};
use crate::engine::gpu::layout::LayerData;
use crate::engine::gpu::shader::Source;

/// All tiles.
pub const TABLE: Table = Table {
    kernel: "dense_backward_input",
    compile: dense_backward_input::compile,
    variants: row_tiles,
    cases: |_| {
        let cases = Dense::all(Source::Activations).into_iter();
        cases
            .map(|case| Box::new(BackwardInput(case)) as _)
            .collect()
    },
};

struct BackwardInput(Dense);

impl BackwardInput {
    /// The layer before the one whose input's gradient it is.
    fn layer_before(&self) -> u32 {
        self.0.data().index - 1
    }

    fn factors<T: Real>(&self, slot: usize) -> Option<Vec<T>> {
        let (scene, inputs) = (&self.0.scene, self.0.layer.inputs);
        dropout_factors(scene, slot, inputs, self.layer_before())
    }

    /// The layer's input: what dropout has left of the activations.
    fn h(&self, slot: usize, changed: Option<usize>) -> Vec<f32> {
        times(self.0.activations(slot, changed), self.factors(slot))
    }

    fn result<T: Real>(&self, slot: usize) -> Vec<T> {
        let case = &self.0;
        let hyperparameters = &case.scene.hyperparameters[slot];
        let dy = convert::<T>(&case.output_gradients(slot, None));
        let parameters = convert(&case.parameters(slot, None));
        let dh = backward_input(&dy, &parameters, &case.layer);
        // Back to what the activation gave; of a dropped unit nothing is left, in either.
        let scale = T::from_f64(1.0 / (1.0 - hyperparameters.dropout));
        let h = convert::<T>(&self.h(slot, None)).into_iter();
        let values: Vec<T> = match hyperparameters.dropout > 0.0 {
            true => h.map(|h| h / scale).collect(),
            false => h.collect(),
        };
        let dh = times(dh, self.factors(slot));
        through_activation(dh, &values, hyperparameters.activation)
    }
}

impl Case for BackwardInput {
    fn name(&self) -> String {
        self.0.name()
    }

    fn run(&self, on: Subject<'_>, changed: Option<usize>) -> Result<Run, EngineError> {
        let (case, mut stage) = (&self.0, Stage::new(on.gpu));
        let (scene, dense, tile) = (&case.scene, &case.layer, on.variant.tile);
        let data = case.data();
        let data = LayerData {
            column_tiles: data.input_stride.div_ceil(tile.columns / 4),
            ..data
        };
        let tiles = scene.tiles(tile.rows);
        let words = scene.activation_rows * 4 * data.input_stride as usize;
        let dy = scene.placed(dense.outputs, |slot| case.output_gradients(slot, changed));
        let h = scene.placed(dense.inputs, |slot| self.h(slot, changed));
        let layer = stage.uniform(&data)?;
        let members = stage.read("members", &scene.members)?;
        let cursors = stage.read("cursors", &scene.cursors(changed))?;
        let tile_list = stage.read("tiles", &tiles)?;
        let weights = stage.read("weights", &case.padded_parameters(changed))?;
        let (dy, h) = (stage.read("dy", &dy)?, stage.read("h", &h)?);
        let dz = stage.output("dz", words)?;
        let bindings = Bindings {
            layer: layer.as_entire_buffer_binding(),
            members: stage.bind(members),
            cursors: stage.bind(cursors),
            tiles: stage.bind(tile_list),
            weights: stage.bind(weights),
            dy: stage.bind(dy),
            h: stage.bind(h),
            dz: stage.bind(dz),
        };
        let bindings = bindings.bind(&on.gpu.device, on.kernel);
        let left = stage.dispatch(on.kernel, &bindings, tiles.len() as u32 * data.column_tiles)?;
        Ok(Run::new(left, &[("dz", dz)]))
    }

    fn expected(&self) -> Vec<Vec<Expected>> {
        let (scene, width) = (&self.0.scene, self.0.layer.inputs);
        vec![scene.expected_rows(width, |slot| self.result::<Bounded>(slot))]
    }

    fn changeable(&self) -> Option<(usize, Vec<Range<usize>>)> {
        let slot = self.0.scene.changeable()?;
        let words = 4 * self.0.data().input_stride as usize;
        Some((slot, vec![self.0.scene.place_words(slot, words)]))
    }

    fn check_native(&self, report: &mut KernelReport) -> Native {
        for slot in self.0.scene.training() {
            let (actual, right) = (self.result::<f32>(slot), self.result::<Bounded>(slot));
            report.native(&self.name(), "dz", &actual, &right);
        }
        Native::Checked
    }
}
