//! `evaluate`: losses and confusion counts from logits.

use super::kernel::{Binding, kernel};

kernel! {
    /// Compiles the kernel; of the variant, the tile's rows count.
    "evaluate" {
        /// [`LayerData`](crate::engine::gpu::layout::LayerData), uniform.
        layer: Binding<'a> = 0,
        /// [`Cursor`](crate::engine::gpu::layout::Cursor) of each slot.
        cursors: Binding<'a> = 2,
        /// [`Tile`](crate::engine::gpu::layout::Tile)s, one a workgroup.
        tiles: Binding<'a> = 3,
        /// Class of each row of the dataset.
        targets: Binding<'a> = 4,
        /// `[rows][classes]`.
        logits: Binding<'a> = 5,
        /// Loss of each block of 16 rows, as bits, overwritten.
        partials: Binding<'a> = 6,
        /// Row numbers to evaluate.
        orders: Binding<'a> = 7,
        /// `[slots][2][classes]`: rightly given, given; added to.
        counts: Binding<'a> = 8,
    }
}
