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
    /// Compiles them for features that are stored like this. Errors reach the device's error scope.
    pub fn compile(gpu: &GpuDevice, options: &Options, features: Source) -> Self {
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
            let mut products: Vec<Product> = Vec::new();
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
                if !products.iter().any(|p| p.variant == variant) {
                    let kernel = compile(gpu, checks, variant);
                    products.push(Product { variant, kernel });
                }
            }
            products
        };
        let sources = [features, Source::Activations];
        let rows = [tiles.rows, tiles.rows_for(1)];
        let weights = [tiles.weights, tiles.weights_for(1)];
        Self {
            tiles,
            forward: products(&sources, rows, dense_forward::compile),
            backward_weights: products(&sources, weights, dense_backward_weights::compile),
            backward_input: products(&sources[1..], rows, dense_backward_input::compile),
            batch_norm_statistics: batch_norm_statistics::compile(gpu, checks, plain),
            batch_norm_forward: batch_norm_forward::compile(gpu, checks, plain),
            batch_norm_backward_statistics: batch_norm_backward_statistics::compile(
                gpu, checks, plain,
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

fn find(products: &[Product], source: Source, tile: TileShape) -> &Kernel {
    let found = products
        .iter()
        .find(|p| p.variant.source == source && p.variant.tile == tile);
    &found
        .expect("compiled for the dataset and both widths")
        .kernel
}
