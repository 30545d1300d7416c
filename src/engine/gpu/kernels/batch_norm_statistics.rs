//! `batch_norm_statistics`: mean and variance of each unit over the batch.

use super::kernel::{Binding, kernel};

kernel! {
    /// Compiles the kernel; nothing of the variant counts.
    "batch_norm_statistics" {
        /// [`LayerData`](crate::engine::gpu::layout::LayerData), uniform.
        layer: Binding<'a> = 0,
        /// [`MemberData`](crate::engine::gpu::layout::MemberData) of each slot.
        members: Binding<'a> = 1,
        /// [`Cursor`](crate::engine::gpu::layout::Cursor) of each slot.
        cursors: Binding<'a> = 2,
        /// Slots that are trained.
        live: Binding<'a> = 3,
        /// The dense layer's outputs, `[rows][units]`.
        z: Binding<'a> = 4,
        /// `[slots][2][units]`: means, then variances, overwritten.
        statistics: Binding<'a> = 5,
    }
}

/// Units that a workgroup takes.
pub const WORKGROUP_UNITS: u32 = 32;
