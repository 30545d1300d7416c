//! What a member takes of an adapter's memory.

use serde::{Deserialize, Serialize};

use super::resident::{ScratchLayout, arena_layout};
use crate::train::{Hyperparameters, Shape};

/// How a GPU engine lays members out, as far as memory goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BufferLayout {
    /// Bytes that one buffer never exceeds.
    pub most_buffer_bytes: u64,
    /// Batches are padded to a multiple of this many rows.
    pub row_tile: u64,
    /// Gradients have buffers of their own.
    pub gradients: bool,
    /// A shape is trained by the resident engine if its parameters take at most so many bytes, as they would lie
    /// in a workgroup's memory; 0: none is.
    #[serde(default)]
    pub most_resident_bytes: u64,
    /// Members of different shapes share waves if their parameters take at most so many of these bytes; 0: none do.
    #[serde(default)]
    pub most_mixed_bytes: u64,
    /// The resident engine may keep the rows of a batch in its scratch.
    #[serde(default)]
    pub gathers: bool,
}

/// Bytes that a member adds to each buffer of its wave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// One entry a buffer, in an order that all members of a wave share.
    pub buffers: Vec<u64>,
}

impl Footprint {
    /// Of a member of this shape. Without a layout, parameters and moments in one buffer.
    pub fn new(
        shape: &Shape,
        hyperparameters: &Hyperparameters,
        layout: Option<BufferLayout>,
    ) -> Self {
        let buffers = match layout {
            None => vec![super::member_bytes(shape, hyperparameters)],
            Some(layout) if layout.is_resident(shape) => layout.resident(shape, hyperparameters),
            Some(layout) => layout
                .member(shape, hyperparameters)
                .iter()
                .flat_map(LayerBytes::all)
                .collect(),
        };
        Self { buffers }
    }

    /// Bytes in all buffers.
    pub fn total(&self) -> u64 {
        self.buffers.iter().sum()
    }

    /// Adds `members` times another member of the same wave.
    pub fn add(&mut self, other: &Self, members: u64) {
        if self.buffers.is_empty() {
            self.buffers = vec![0; other.buffers.len()];
        }
        for (sum, bytes) in self.buffers.iter_mut().zip(&other.buffers) {
            *sum = sum.saturating_add(bytes.saturating_mul(members));
        }
    }

    /// The largest buffer.
    pub fn largest(&self) -> u64 {
        self.buffers.iter().copied().max().unwrap_or(0)
    }
}

fn arena_bytes(shape: &Shape) -> u64 {
    arena_layout(shape).1.saturating_mul(16)
}

/// Bytes of one member in the buffers of one dense layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayerBytes {
    /// Weights and biases.
    pub weights: u64,
    /// The optimizer's moments.
    pub moments: u64,
    /// Outputs of a batch; for the last layer logits, then their gradient.
    pub outputs: u64,
    /// Gradient of a batch's outputs; none for the last layer.
    pub output_gradients: u64,
    /// Gradients of weights and biases, where they have a buffer of their own.
    pub gradients: u64,
    /// Those of the batch norm that follows the layer.
    pub norm: NormBytes,
}

/// Bytes of one member in the buffers of one batch norm; 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NormBytes {
    /// Outputs of the dense layer, before they are normalized.
    pub inputs: u64,
    /// Gamma and beta; as large are running statistics.
    pub scale: u64,
    /// Statistics of the batch.
    pub statistics: u64,
    /// The optimizer's moments of gamma and beta.
    pub moments: u64,
    /// Sums of the backward pass.
    pub sums: u64,
    /// Gradients of gamma and beta, where they have a buffer of their own.
    pub gradients: u64,
}

impl LayerBytes {
    fn all(&self) -> [u64; 12] {
        let norm = self.norm;
        [
            self.weights,
            self.moments,
            self.outputs,
            self.output_gradients,
            self.gradients,
            norm.inputs,
            norm.scale,
            norm.scale,
            norm.statistics,
            norm.moments,
            norm.sums,
            norm.gradients,
        ]
    }

    /// Adds another member's bytes.
    pub fn add(&mut self, other: &Self) {
        self.weights += other.weights;
        self.moments += other.moments;
        self.outputs += other.outputs;
        self.output_gradients += other.output_gradients;
        self.gradients += other.gradients;
        self.norm.inputs += other.norm.inputs;
        self.norm.scale += other.norm.scale;
        self.norm.statistics += other.norm.statistics;
        self.norm.moments += other.norm.moments;
        self.norm.sums += other.norm.sums;
        self.norm.gradients += other.norm.gradients;
    }
}

impl BufferLayout {
    /// Rows that a batch takes in the buffers of activations.
    pub fn padded_rows(self, batch_size: usize) -> u64 {
        (batch_size as u64).next_multiple_of(self.row_tile)
    }

    /// The same where the layered engine trains all shapes.
    pub fn without_resident(self) -> Self {
        Self {
            most_resident_bytes: 0,
            most_mixed_bytes: 0,
            ..self
        }
    }

    /// Whether the resident engine trains networks of this shape.
    pub fn is_resident(self, shape: &Shape) -> bool {
        arena_bytes(shape) <= self.most_resident_bytes
    }

    /// Whether members of this shape share waves with members of others.
    pub fn is_mixed(self, shape: &Shape) -> bool {
        self.is_resident(shape) && arena_bytes(shape) <= self.most_mixed_bytes
    }

    /// Bytes of a member's scratch in the resident engine; 0 where another trains the shape.
    pub fn scratch(self, shape: &Shape, batch_size: usize) -> u64 {
        if !self.is_resident(shape) {
            return 0;
        }
        ScratchLayout::new(shape, self.gathers).bytes(self.padded_rows(batch_size))
    }

    /// Bytes of a member in each buffer of the resident engine: parameters and running statistics,
    /// moments, scratch.
    fn resident(self, shape: &Shape, hyperparameters: &Hyperparameters) -> Vec<u64> {
        let layers = self.member(shape, hyperparameters);
        let values = layers.iter().map(|l| l.weights + 2 * l.norm.scale).sum();
        let moments = layers.iter().map(|l| l.moments + l.norm.moments).sum();
        let scratch = self.scratch(shape, hyperparameters.batch_size);
        vec![values, moments, scratch]
    }

    /// Bytes of a member, layer by layer. Rows of values are padded to 16 bytes.
    pub fn member(self, shape: &Shape, hyperparameters: &Hyperparameters) -> Vec<LayerBytes> {
        let moments = hyperparameters.optimizer.moments() as u64;
        // The resident engine has these in its scratch, or nowhere.
        let layered = u64::from(!self.is_resident(shape));
        let rows = self.padded_rows(hyperparameters.batch_size);
        let layers = shape.layers();
        let last = layers.len() - 1;
        let bytes = layers.iter().enumerate().map(|(l, layer)| {
            let row = 4 * (layer.outputs as u64).next_multiple_of(4);
            let bias = u64::from(!layer.bias.is_empty());
            let weights = (layer.inputs as u64 + bias).saturating_mul(row);
            let outputs = layered * rows.saturating_mul(row);
            let arena = layered * u64::from(self.gradients);
            let norm = |bytes: u64| if layer.batch_norm() { bytes } else { 0 };
            LayerBytes {
                weights,
                moments: weights.saturating_mul(moments),
                outputs,
                output_gradients: if l == last { 0 } else { outputs },
                gradients: weights * arena,
                norm: NormBytes {
                    inputs: norm(outputs),
                    scale: norm(2 * row),
                    statistics: norm(layered * 2 * row),
                    moments: norm(2 * row * moments),
                    sums: norm(layered * 3 * row),
                    gradients: norm(2 * row * arena),
                },
            }
        });
        bytes.collect()
    }
}
