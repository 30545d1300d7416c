//! The layered engine: one dispatch a layer, each over all members of a wave.

mod buffers;
mod cost;
pub(super) mod evaluation;
pub(super) mod lists;
pub(super) mod pace;
pub(super) mod placement;
pub(super) mod recording;
pub(super) mod snapshots;

use super::GpuDevice;
use super::kernels::{
    Checks, Kernel, batch_norm_backward, batch_norm_backward_statistics, batch_norm_forward,
    batch_norm_statistics, dense_backward_input, dense_backward_weights, dense_forward,
    end_of_epoch, evaluate, find_non_finite, softmax_cross_entropy, step, update,
};
use super::options::Options;
use super::shader::{Source, TileShape, Tiles, Variant};
use super::side_by_side::side_by_side;
use crate::engine::EngineError;

pub use buffers::{
    LayeredBuffers, OwnBuffers, ResidentBuffers, WaveBuffers, feature_bytes, predicted_bytes,
};
pub use cost::StepCost;

/// A product kernel with what it was compiled for.
#[derive(Debug)]
struct Product {
    variant: Variant,
    kernel: Kernel,
}

/// The kernels of the engine, compiled for one way of storing features.
#[derive(Debug)]
pub struct Kernels {
    tiles: Tiles,
    forward: Vec<Product>,
    backward_weights: Vec<Product>,
    backward_input: Vec<Product>,
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
    /// Compiles them for features that are stored like this.
    ///
    /// # Errors
    /// When one cannot be compiled.
    pub fn compile(
        gpu: &GpuDevice,
        options: &Options,
        features: Source,
    ) -> Result<Self, EngineError> {
        let Options {
            checks,
            tiles,
            arena,
            ..
        } = *options;
        let plain = Variant {
            tile: tiles.rows,
            source: Source::Activations,
            arena,
        };
        let products = |sources: &[Source], widths: [TileShape; 2], compile: Compile| {
            let mut wanted: Vec<(Compile, Variant)> = Vec::new();
            for (tile, &source) in widths
                .iter()
                .flat_map(|t| sources.iter().map(move |s| (*t, s)))
            {
                let variant = Variant {
                    tile,
                    source,
                    arena,
                };
                // Both widths may be the same.
                if !wanted.iter().any(|&(_, there)| there == variant) {
                    wanted.push((compile, variant));
                }
            }
            wanted
        };
        let sources = [features, Source::Activations];
        let rows = [tiles.rows, tiles.rows_for(1)];
        let weights = [tiles.weights, tiles.weights_for(1)];
        let forward = products(&sources, rows, dense_forward::compile);
        let backward_weights = products(&sources, weights, dense_backward_weights::compile);
        let backward_input = products(&sources[1..], rows, dense_backward_input::compile);
        let others = OTHERS.map(|compile| (compile, plain));
        let wanted = [&forward[..], &backward_weights, &backward_input, &others].concat();
        let compiled = side_by_side(gpu, wanted, |(compile, variant)| {
            let kernel = gpu.compiled(|| compile(gpu, checks, variant))?;
            Ok(Product { variant, kernel })
        });
        let compiled: Vec<Product> = compiled.into_iter().collect::<Result<_, EngineError>>()?;
        let mut compiled = compiled.into_iter();
        let [forward, backward_weights, backward_input] =
            [forward, backward_weights, backward_input]
                .map(|wanted| compiled.by_ref().take(wanted.len()).collect());
        let mut one = || compiled.next().expect("one of each").kernel;
        // In the order of `OTHERS`.
        Ok(Self {
            tiles,
            forward,
            backward_weights,
            backward_input,
            batch_norm_statistics: one(),
            batch_norm_forward: one(),
            batch_norm_backward_statistics: one(),
            batch_norm_backward: one(),
            softmax_cross_entropy: one(),
            evaluate: one(),
            step: one(),
            update: one(),
            find_non_finite: one(),
            end_of_epoch: one(),
        })
    }

    /// Rows of a tile of a batch.
    pub fn tile_rows(&self) -> u32 {
        self.tiles.rows.rows
    }

    /// For inputs from there, and a result of so many columns.
    fn dense_forward(&self, source: Source, columns: u32) -> &Kernel {
        find(&self.forward, source, self.tiles.rows_for(columns))
    }

    /// For a result of so many columns.
    fn dense_backward_input(&self, columns: u32) -> &Kernel {
        let tile = self.tiles.rows_for(columns);
        find(&self.backward_input, Source::Activations, tile)
    }

    /// For inputs from there, and a result of so many columns.
    fn dense_backward_weights(&self, source: Source, columns: u32) -> &Kernel {
        let tile = self.tiles.weights_for(columns);
        find(&self.backward_weights, source, tile)
    }
}

/// How a kernel is compiled.
type Compile = fn(&GpuDevice, Checks, Variant) -> Kernel;

/// Those that there is one of.
const OTHERS: [Compile; 10] = [
    batch_norm_statistics::compile,
    batch_norm_forward::compile,
    batch_norm_backward_statistics::compile,
    batch_norm_backward::compile,
    softmax_cross_entropy::compile,
    evaluate::compile,
    step::compile,
    update::compile,
    find_non_finite::compile,
    end_of_epoch::compile,
];

fn find(products: &[Product], source: Source, tile: TileShape) -> &Kernel {
    let found = products
        .iter()
        .find(|p| p.variant.source == source && p.variant.tile == tile);
    &found
        .expect("compiled for the dataset and both widths")
        .kernel
}
