//! The layered engine: one dispatch a layer, each over all members of a wave.

mod buffers;
mod cost;
mod evaluation;
mod lists;
mod placement;
mod recording;
mod snapshots;
mod wave;

use super::GpuDevice;
use super::engine::Options;
use super::kernels::{
    Kernel, batch_norm_backward, batch_norm_backward_statistics, batch_norm_forward,
    batch_norm_statistics, dense_backward_input, dense_backward_weights, dense_forward,
    end_of_epoch, evaluate, find_non_finite, softmax_cross_entropy, step, update,
};
use super::shader::{Source, Variant};

pub use buffers::{Tiles, feature_bytes, predicted_bytes};
pub use cost::StepCost;
pub use wave::LayeredWave;

/// The kernels of the engine, compiled for one way of storing features.
#[derive(Debug)]
pub struct Kernels {
    tiles: Tiles,
    forward: [(Source, Kernel); 2],
    backward_weights: [(Source, Kernel); 2],
    dense_backward_input: Kernel,
    batch_norm_statistics: Kernel,
    batch_norm_forward: Kernel,
    batch_norm_backward_statistics: Kernel,
    batch_norm_backward: Kernel,
    softmax_cross_entropy: Kernel,
    evaluate: Kernel,
    step: Kernel,
    update: Kernel,
    find_non_finite: Kernel,
    end_of_epoch: Kernel,
}

impl Kernels {
    /// Compiles them for features that are stored like this. Errors reach the device's error scope.
    pub fn compile(gpu: &GpuDevice, options: &Options, features: Source) -> Self {
        let Options {
            checks,
            tiles,
            arena,
            ..
        } = *options;
        let rows = |source| Variant {
            tile: tiles.rows,
            source,
            arena: false,
        };
        let weights = |source| Variant {
            tile: tiles.weights,
            source,
            arena,
        };
        let plain = rows(Source::Activations);
        let sources = [features, Source::Activations];
        let forward = |source| dense_forward::compile(gpu, checks, rows(source));
        let backward = |source| dense_backward_weights::compile(gpu, checks, weights(source));
        Self {
            tiles,
            forward: sources.map(|source| (source, forward(source))),
            backward_weights: sources.map(|source| (source, backward(source))),
            dense_backward_input: dense_backward_input::compile(gpu, checks, plain),
            batch_norm_statistics: batch_norm_statistics::compile(gpu, checks, plain),
            batch_norm_forward: batch_norm_forward::compile(gpu, checks, plain),
            batch_norm_backward_statistics: batch_norm_backward_statistics::compile(
                gpu,
                checks,
                weights(Source::Activations),
            ),
            batch_norm_backward: batch_norm_backward::compile(gpu, checks, plain),
            softmax_cross_entropy: softmax_cross_entropy::compile(gpu, checks, plain),
            evaluate: evaluate::compile(gpu, checks, plain),
            step: step::compile(gpu, checks, plain),
            update: update::compile(gpu, checks, plain),
            find_non_finite: find_non_finite::compile(gpu, checks, plain),
            end_of_epoch: end_of_epoch::compile(gpu, checks, plain),
        }
    }

    /// Rows of a tile of a batch.
    fn tile_rows(&self) -> u32 {
        self.tiles.rows.rows
    }

    fn dense_forward(&self, source: Source) -> &Kernel {
        by_source(&self.forward, source)
    }

    fn dense_backward_weights(&self, source: Source) -> &Kernel {
        by_source(&self.backward_weights, source)
    }
}

fn by_source(kernels: &[(Source, Kernel)], source: Source) -> &Kernel {
    let found = kernels.iter().find(|(s, _)| *s == source);
    &found.expect("compiled for the dataset").1
}
