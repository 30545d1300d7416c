//! `batch_norm_backward_statistics`: gradients of gamma and beta, their update, and the running statistics.

use super::kernel::{Binding, WeightsResult, kernel};

kernel! {
    /// Compiles the kernel; of the variant, `arena` counts.
    "batch_norm_backward_statistics" {
        /// [`LayerData`](crate::engine::gpu::layout::LayerData), uniform.
        layer: Binding<'a> = 0,
        /// [`MemberData`](crate::engine::gpu::layout::MemberData) of each slot.
        members: Binding<'a> = 1,
        /// [`Cursor`](crate::engine::gpu::layout::Cursor) of each slot.
        cursors: Binding<'a> = 2,
        /// Slots that are trained.
        live: Binding<'a> = 3,
        /// `[slots][2][units]`: means, then variances of the batch.
        statistics: Binding<'a> = 4,
        /// The dense layer's outputs, `[rows][units]`.
        z: Binding<'a> = 5,
        /// What becomes of the gradients of gamma and beta, `[slots][2][units]`.
        result: WeightsResult<'a> = 6,
        /// Gradient behind the batch norm, `[rows][units]`.
        dy: Binding<'a> = 7,
        /// `[slots][3][units]`: dbeta, dgamma, gamma / deviation, overwritten.
        sums: Binding<'a> = 8,
        /// `[slots][2][units]`: running means, then variances, moved on.
        running: Binding<'a> = 10,
    }
}
