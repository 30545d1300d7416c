//! What crosses to the device: the structs of `shaders/shared/member.wgsl`, field by field, and the
//! padding of rows.
//!
//! Every row of weights, activations and features is padded with zeros to whole `vec4`s, so that
//! kernels load four values at a time whatever the width.

use bytemuck::{Pod, Zeroable};

use crate::plan::{ScratchLayout, arena_layout};
use crate::train::{Activation, DenseLayer, Hyperparameters, Optimizer, Shape, dropout_threshold};

/// `vec4`s that a row of this many values takes.
pub fn vec4s(values: usize) -> u32 {
    u32::try_from(values.div_ceil(4)).expect("widths are limited by the space")
}

/// Hyperparameters of a member, and where its rows and moments are.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct MemberData {
    /// Step size.
    pub learning_rate: f32,
    /// Rows a step.
    pub batch_size: u32,
    /// Number of the optimizer, see `shaders/shared/optimizer.wgsl`.
    pub optimizer: u32,
    /// Number of the activation, see `shaders/shared/activation.wgsl`.
    pub activation: u32,
    /// Of sgd and rmsprop.
    pub momentum: f32,
    /// 1 - adam's beta_1.
    pub one_minus_beta_1: f32,
    /// Adam's beta_2, rmsprop's rho.
    pub beta_2: f32,
    /// 1 - `beta_2`, taken in f64.
    pub one_minus_beta_2: f32,
    /// Of adam and rmsprop.
    pub epsilon: f32,
    /// Natural logarithm of adam's beta_1; a large negative number for 0.
    pub ln_beta_1: f32,
    /// Natural logarithm of adam's beta_2.
    pub ln_beta_2: f32,
    /// Index of its first moment vector in the moments of each of its layers.
    pub first_moment: u32,
    /// A unit is kept when its random word is at least this.
    pub dropout_threshold: u32,
    /// 1 / (1 - rate).
    pub dropout_scale: f32,
    /// Key of its dropout masks.
    pub dropout_key: [u32; 2],
    /// Index in `orders` at which the row order of its epoch begins.
    pub order_start: u32,
    /// Training rows of its fold.
    pub rows: u32,
    /// Row of the activation buffers at which its batch begins.
    pub first_row: u32,
    /// Index of its fold's scaling.
    pub scaling: u32,
    /// Of the member among those of its shape.
    pub index: u32,
    /// Its network's first layer in the resident engine's table.
    pub first_layer: u32,
    /// Layers of its network.
    pub layers: u32,
    /// `vec4` of the resident engine's scratch at which its part begins.
    pub scratch: u32,
    /// `vec4`s of it that each row of a batch takes, over all layers.
    pub row_stride: u32,
}

/// The batch that a member works on.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Cursor {
    /// Index in `orders` of the batch's first row.
    pub first: u32,
    /// Rows of the batch; 0: the member does nothing in this step.
    pub rows: u32,
    /// Optimizer updates made before this one.
    pub steps: u32,
    /// Index of its fold's scaling.
    pub scaling: u32,
    /// The optimizer's step size of this update.
    pub step_size: f32,
    /// The optimizer's epsilon of this update.
    pub epsilon: f32,
    /// 1 / `rows`.
    pub inverse_rows: f32,
    /// Padding.
    pub unused: u32,
}

/// One work item: some rows of one member's batch.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Tile {
    /// The member.
    pub slot: u32,
    /// First row, counted in the batch.
    pub row: u32,
    /// The same row, counted in the activation buffers.
    pub activation_row: u32,
    /// Index of its first 16-row block in the loss partials.
    pub block: u32,
}

/// One dense layer; strides count `vec4`s.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct LayerData {
    /// Values a row that go in.
    pub inputs: u32,
    /// Values a row that come out.
    pub outputs: u32,
    /// From one row of inputs to the next.
    pub input_stride: u32,
    /// From one row of outputs, or of weights, to the next.
    pub output_stride: u32,
    /// From one member's weights and biases to the next.
    pub member_stride: u32,
    /// Tiles that the columns of the result are cut into.
    pub column_tiles: u32,
    /// Tiles that the rows of the result are cut into (weights only).
    pub row_tiles: u32,
    /// 1: a row of biases follows the weights.
    pub bias: u32,
    /// 1: the member's activation stands behind the layer.
    pub activated: u32,
    /// 1: dropout stands behind it.
    pub dropped: u32,
    /// Of the layer, from 0 at the input.
    pub index: u32,
    /// Padding.
    pub unused: u32,
}

/// How far a member is.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct State {
    /// Rows of the unfinished epoch that were trained on.
    pub position: u32,
    /// Optimizer updates made.
    pub steps: u32,
    /// Epochs trained to their end.
    pub epoch: u32,
    /// 1: the member is frozen.
    pub diverged: u32,
    /// Rows trained on, low word.
    pub samples_low: u32,
    /// Rows trained on, high word.
    pub samples_high: u32,
    /// Loss over `position` rows.
    pub loss_sum: f32,
    /// What rounding lost of it.
    pub loss_rest: f32,
    /// Mean loss of the last finished epoch.
    pub train_loss: f32,
    /// 1: no longer kept.
    pub released: u32,
    /// Padding.
    pub unused: [u32; 2],
}

/// What a dispatch of a resident kernel is to do.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Run {
    /// Training: members that are in this epoch take part.
    pub epoch: u32,
    /// A member begins no further step after so many rows; so many are evaluated.
    pub rows: u32,
    /// Batches are padded to a multiple of so many rows.
    pub row_tile: u32,
    /// Nor a step after so many.
    pub steps: u32,
    /// Evaluations: rows of the part that were done before.
    pub first: u32,
    /// Words from one member's results to the next.
    pub results_stride: u32,
    /// The first member that takes part.
    pub first_slot: u32,
    /// The first behind that does not.
    pub end_slot: u32,
    /// Workgroups are executed in so many chunks side by side.
    pub chunks: u32,
    /// Padding.
    pub unused: [u32; 3],
}

/// One dense layer and what follows it, for the resident kernel; places and strides count `vec4`s.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct ResidentLayer {
    /// Values a row that go in.
    pub inputs: u32,
    /// Values a row that come out.
    pub outputs: u32,
    /// From one row of inputs to the next.
    pub input_stride: u32,
    /// From one row of outputs, or of weights, to the next.
    pub output_stride: u32,
    /// 1: a row of biases follows the weights.
    pub bias: u32,
    /// 1: activation and dropout follow.
    pub hidden: u32,
    /// 1: batch norm stands before them.
    pub normalized: u32,
    /// Weights and biases in the values, member after member of the layer's shape.
    pub weights: u32,
    /// From one member's weights and biases to the next.
    pub weights_stride: u32,
    /// Moments of the weights.
    pub moments: u32,
    /// Gamma, then beta, in the values, member after member.
    pub scale: u32,
    /// Running means, then variances, in the values, member after member.
    pub running: u32,
    /// Moments of gamma and beta.
    pub scale_moments: u32,
    /// Weights and biases in the arena.
    pub in_arena: u32,
    /// Outputs in the scratch; logits and their gradient for the last layer.
    pub h: u32,
    /// Gradient of the outputs in the scratch; for the last layer the same as `h`.
    pub dy: u32,
    /// Outputs before batch norm, in the scratch.
    pub z: u32,
    /// Of the batch norm, in a member's part of the scratch beside its rows.
    pub statistics: u32,
    /// Inputs in the scratch.
    pub x: u32,
    /// Gradients of weights and biases, in a member's part of the scratch beside its rows.
    pub gradients: u32,
}

impl ResidentLayer {
    /// The layers of a shape, but for the places of their parameters, which depend on how many members a wave
    /// has. Places in the arena count from where its weights begin.
    pub fn of_shape(shape: &Shape, gathers: bool) -> Vec<Self> {
        let (in_arena, _) = arena_layout(shape);
        let scratch = ScratchLayout::new(shape, gathers);
        let place =
            |vec4s: u64| u32::try_from(vec4s).expect("bindings are smaller than 2^32 vec4s");
        let layers = shape.layers();
        let last = layers.len() - 1;
        let layer = |l: usize| {
            let (dense, at) = (&layers[l], &scratch.layers[l]);
            let data = LayerData::new(dense, l, l == last);
            Self {
                inputs: data.inputs,
                outputs: data.outputs,
                input_stride: data.input_stride,
                output_stride: data.output_stride,
                bias: data.bias,
                hidden: u32::from(l < last),
                normalized: u32::from(dense.batch_norm()),
                weights_stride: data.member_stride,
                in_arena: place(in_arena[l]),
                h: place(at.h),
                dy: place(at.dy),
                z: place(at.z),
                statistics: place(at.statistics),
                x: place(at.x),
                gradients: place(at.gradients),
                ..Self::default()
            }
        };
        (0..layers.len()).map(layer).collect()
    }
}

impl State {
    /// Rows trained on, counted again each time.
    pub fn samples(&self) -> u64 {
        u64::from(self.samples_high) << 32 | u64::from(self.samples_low)
    }

    /// The same state with this count of rows.
    pub fn with_samples(self, samples: u64) -> Self {
        Self {
            samples_low: samples as u32,
            samples_high: (samples >> 32) as u32,
            ..self
        }
    }
}

impl LayerData {
    /// A layer with its strides; `index` counts from the input, `last` gives the logits.
    pub fn new(layer: &DenseLayer, index: usize, last: bool) -> Self {
        let output_stride = vec4s(layer.outputs);
        let bias = u32::from(!layer.bias.is_empty());
        let inputs = u32::try_from(layer.inputs).expect("widths are u32");
        // Batch norm does what follows the product itself.
        let ends = u32::from(!last && !layer.batch_norm());
        Self {
            inputs,
            outputs: u32::try_from(layer.outputs).expect("widths are u32"),
            input_stride: vec4s(layer.inputs),
            output_stride,
            member_stride: (inputs + bias) * output_stride,
            bias,
            activated: ends,
            dropped: ends,
            index: u32::try_from(index).expect("layers are few"),
            ..Self::default()
        }
    }
}

impl MemberData {
    /// The hyperparameters as kernels read them, with the key of the member's dropout masks. Where
    /// the member's things are is still 0.
    pub fn new(hyperparameters: &Hyperparameters, dropout_key: [u32; 2]) -> Self {
        let shared = Self {
            learning_rate: hyperparameters.learning_rate as f32,
            batch_size: u32::try_from(hyperparameters.batch_size).expect("batches are u32"),
            activation: activation_number(hyperparameters.activation),
            dropout_threshold: dropout_threshold(hyperparameters.dropout),
            dropout_scale: (1.0 / (1.0 - hyperparameters.dropout)) as f32,
            dropout_key,
            ..Self::default()
        };
        match hyperparameters.optimizer {
            Optimizer::Sgd { momentum, nesterov } => Self {
                optimizer: match (momentum != 0.0, nesterov) {
                    (false, _) => 0,
                    (true, false) => 1,
                    (true, true) => 2,
                },
                momentum: momentum as f32,
                ..shared
            },
            Optimizer::Adam {
                beta_1,
                beta_2,
                epsilon,
            } => Self {
                optimizer: 3,
                one_minus_beta_1: (1.0 - beta_1) as f32,
                beta_2: beta_2 as f32,
                one_minus_beta_2: (1.0 - beta_2) as f32,
                epsilon: epsilon as f32,
                ln_beta_1: logarithm(beta_1),
                ln_beta_2: logarithm(beta_2),
                ..shared
            },
            Optimizer::Rmsprop {
                rho,
                epsilon,
                momentum,
            } => Self {
                optimizer: 4 + u32::from(momentum != 0.0),
                momentum: momentum as f32,
                beta_2: rho as f32,
                one_minus_beta_2: (1.0 - rho) as f32,
                epsilon: epsilon as f32,
                ..shared
            },
        }
    }
}

/// ln beta; for 0 a number whose exponential is 0, since infinity times 0 steps would be NaN.
fn logarithm(beta: f64) -> f32 {
    if beta > 0.0 { beta.ln() as f32 } else { -1e4 }
}

fn activation_number(activation: Activation) -> u32 {
    match activation {
        Activation::Relu => 0,
        Activation::Tanh => 1,
        Activation::Sigmoid => 2,
        Activation::Identity => 3,
    }
}

/// Copies rows of `width` values into rows of whole `vec4`s, zeros behind them.
pub fn pad_rows<T: Copy + Default>(values: &[T], width: usize) -> Vec<T> {
    let stride = width.next_multiple_of(4);
    let mut padded = vec![T::default(); values.len() / width * stride];
    for (out, row) in padded
        .chunks_exact_mut(stride)
        .zip(values.chunks_exact(width))
    {
        out[..width].copy_from_slice(row);
    }
    padded
}

/// The reverse of [`pad_rows`], appended to `out`.
pub fn unpad_rows(padded: &[f32], width: usize, out: &mut Vec<f32>) {
    let stride = width.next_multiple_of(4);
    for row in padded.chunks_exact(stride) {
        out.extend_from_slice(&row[..width]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_rows_and_back() {
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let padded = pad_rows(&values, 3);
        assert_eq!(padded, [1.0, 2.0, 3.0, 0.0, 4.0, 5.0, 6.0, 0.0]);
        let mut back = Vec::new();
        unpad_rows(&padded, 3, &mut back);
        assert_eq!(back, values);
    }

    #[test]
    fn samples_are_64_bits_in_two_words() {
        let state = State::default().with_samples(5_000_000_000);
        assert_eq!(state.samples(), 5_000_000_000);
    }
}
