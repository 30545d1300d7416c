//! `dense_backward_weights`: `dW = x^T dy`, `db`, and behind them the optimizer's update.

use super::kernel::{Binding, Inputs, WeightsResult, kernel};

kernel! {
    /// Compiles the kernel; all of the variant counts.
    "dense_backward_weights" {
        /// [`LayerData`](crate::engine::gpu::layout::LayerData), uniform.
        layer: Binding<'a> = 0,
        /// [`MemberData`](crate::engine::gpu::layout::MemberData) of each slot.
        members: Binding<'a> = 1,
        /// [`Cursor`](crate::engine::gpu::layout::Cursor) of each slot.
        cursors: Binding<'a> = 2,
        /// Slots that are trained.
        live: Binding<'a> = 3,
        /// Gradient behind the layer, `[rows][outputs]`.
        dy: Binding<'a> = 4,
        /// The layer's inputs.
        inputs: Inputs<'a> = 5,
        /// What becomes of the gradients.
        result: WeightsResult<'a> = 6,
    }
}
