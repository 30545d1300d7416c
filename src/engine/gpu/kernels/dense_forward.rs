//! `dense_forward`: `h = dropout(f(x W + b))`.

use super::kernel::{Binding, Inputs, kernel};

kernel! {
    /// Compiles the kernel; of the variant, tile and source count.
    "dense_forward" {
        /// [`LayerData`](crate::engine::gpu::layout::LayerData), uniform.
        layer: Binding<'a> = 0,
        /// [`MemberData`](crate::engine::gpu::layout::MemberData) of each slot.
        members: Binding<'a> = 1,
        /// [`Cursor`](crate::engine::gpu::layout::Cursor) of each slot.
        cursors: Binding<'a> = 2,
        /// [`Tile`](crate::engine::gpu::layout::Tile)s, one a workgroup and column tile.
        tiles: Binding<'a> = 3,
        /// The layer's weights and biases, slot after slot.
        weights: Binding<'a> = 4,
        /// The layer's inputs.
        inputs: Inputs<'a> = 5,
        /// The layer's outputs, `[rows][outputs]`, overwritten.
        outputs: Binding<'a> = 6,
    }
}
