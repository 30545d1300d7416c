//! `batch_norm_forward`: normalized values, then activation and dropout.

use super::kernel::{Binding, kernel};

kernel! {
    /// Compiles the kernel; of the variant, the tile's rows count.
    "batch_norm_forward" {
        /// [`LayerData`](crate::engine::gpu::layout::LayerData), uniform.
        layer: Binding<'a> = 0,
        /// [`MemberData`](crate::engine::gpu::layout::MemberData) of each slot.
        members: Binding<'a> = 1,
        /// [`Cursor`](crate::engine::gpu::layout::Cursor) of each slot.
        cursors: Binding<'a> = 2,
        /// [`Tile`](crate::engine::gpu::layout::Tile)s, one a workgroup and group of columns.
        tiles: Binding<'a> = 3,
        /// `[slots][2][units]`: gamma, then beta.
        scale: Binding<'a> = 4,
        /// `[slots][2][units]`: means, then variances of the batch, or the running ones.
        statistics: Binding<'a> = 5,
        /// The dense layer's outputs, `[rows][units]`.
        z: Binding<'a> = 6,
        /// `[rows][units]`, overwritten.
        outputs: Binding<'a> = 7,
    }
}

/// Units that a workgroup takes.
pub const WORKGROUP_UNITS: u32 = 64;
