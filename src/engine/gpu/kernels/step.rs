//! `step`: counts a step, refuses an unsound one, and moves each member to its next batch.

use super::kernel::{Binding, kernel};

kernel! {
    /// Compiles the kernel; nothing of the variant counts.
    "step" {
        /// [`MemberData`](crate::engine::gpu::layout::MemberData) of each slot.
        members: Binding<'a> = 1,
        /// Slots that are trained.
        live: Binding<'a> = 3,
        /// Loss of each block of 16 rows.
        partials: Binding<'a> = 4,
        /// [`State`](crate::engine::gpu::layout::State) of each slot, moved on.
        states: Binding<'a> = 5,
        /// [`Cursor`](crate::engine::gpu::layout::Cursor) of each slot; becomes the next batch.
        forward: Binding<'a> = 6,
        /// [`Cursor`](crate::engine::gpu::layout::Cursor) of each slot; becomes this batch.
        backward: Binding<'a> = 7,
    }
}

/// Members that a workgroup does.
pub const WORKGROUP_MEMBERS: u32 = 64;
