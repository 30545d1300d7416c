//! `dense_backward_input`: `dz = dropout'(dy W^T) * f'(z)`.

use super::kernel::{Binding, kernel};

kernel! {
    /// Compiles the kernel; of the variant, the tile counts.
    "dense_backward_input" {
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
        /// Gradient behind the layer, `[rows][outputs]`.
        dy: Binding<'a> = 5,
        /// The layer's inputs, `[rows][inputs]`.
        h: Binding<'a> = 6,
        /// Gradient behind the layer before, `[rows][inputs]`, overwritten.
        dz: Binding<'a> = 7,
    }
}
