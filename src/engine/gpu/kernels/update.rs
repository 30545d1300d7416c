//! `update`: the optimizer's update from gradients in an arena.

use super::kernel::{Binding, kernel};

kernel! {
    /// Compiles the kernel; nothing of the variant counts.
    "update" {
        /// [`LayerData`](crate::engine::gpu::layout::LayerData), uniform.
        layer: Binding<'a> = 0,
        /// [`MemberData`](crate::engine::gpu::layout::MemberData) of each slot.
        members: Binding<'a> = 1,
        /// [`Cursor`](crate::engine::gpu::layout::Cursor) of each slot.
        cursors: Binding<'a> = 2,
        /// Slots that are trained.
        live: Binding<'a> = 3,
        /// Gradients, in the layout of the weights.
        gradients: Binding<'a> = 4,
        /// Parameters, slot after slot, updated in place.
        weights: Binding<'a> = 6,
        /// Their moment vectors.
        moments: Binding<'a> = 9,
    }
}

/// `vec4`s of parameters that a workgroup updates.
const WORKGROUP_VEC4S: u32 = 256;

/// Workgroups for the parameters of one member.
pub fn workgroups_a_member(member_stride: u32) -> u32 {
    member_stride.div_ceil(WORKGROUP_VEC4S)
}
