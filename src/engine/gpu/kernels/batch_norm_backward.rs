//! `batch_norm_backward`: the gradient in front of the batch norm.

use super::kernel::{Binding, kernel};

kernel! {
    /// Compiles the kernel; of the variant, the tile's rows count.
    "batch_norm_backward" {
        /// [`LayerData`](crate::engine::gpu::layout::LayerData), uniform.
        layer: Binding<'a> = 0,
        /// [`Cursor`](crate::engine::gpu::layout::Cursor) of each slot.
        cursors: Binding<'a> = 2,
        /// [`Tile`](crate::engine::gpu::layout::Tile)s, one a workgroup and group of columns.
        tiles: Binding<'a> = 3,
        /// `[slots][2][units]`: means, then variances of the batch.
        statistics: Binding<'a> = 4,
        /// The dense layer's outputs, `[rows][units]`.
        z: Binding<'a> = 5,
        /// `[slots][3][units]`: dbeta, dgamma, gamma / deviation.
        sums: Binding<'a> = 6,
        /// Gradient behind the batch norm, `[rows][units]`; becomes that in front of it.
        dy: Binding<'a> = 7,
    }
}
