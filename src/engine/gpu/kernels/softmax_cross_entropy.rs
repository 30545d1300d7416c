//! `softmax_cross_entropy`: the loss, and its gradient in place of the logits.

use super::kernel::{Binding, kernel};

kernel! {
    /// Compiles the kernel; of the variant, the tile's rows count.
    "softmax_cross_entropy" {
        /// [`LayerData`](crate::engine::gpu::layout::LayerData), uniform.
        layer: Binding<'a> = 0,
        /// [`Cursor`](crate::engine::gpu::layout::Cursor) of each slot.
        cursors: Binding<'a> = 2,
        /// [`Tile`](crate::engine::gpu::layout::Tile)s, one a workgroup.
        tiles: Binding<'a> = 3,
        /// Class of each row of the dataset.
        targets: Binding<'a> = 4,
        /// `[rows][classes]`; becomes the gradient.
        logits: Binding<'a> = 5,
        /// Loss of each block of 16 rows, overwritten.
        partials: Binding<'a> = 6,
        /// Row numbers, in the order of their visit.
        orders: Binding<'a> = 7,
    }
}
