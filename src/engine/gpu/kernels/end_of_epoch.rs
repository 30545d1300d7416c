//! `end_of_epoch`: the epoch's mean loss, and the beginning of the next.

use super::kernel::{Binding, kernel};

kernel! {
    /// Compiles the kernel; nothing of the variant counts.
    "end_of_epoch" {
        /// [`MemberData`](crate::engine::gpu::layout::MemberData) of each slot.
        members: Binding<'a> = 1,
        /// Slots that are trained.
        live: Binding<'a> = 3,
        /// A word a slot: 1 where a value is not finite.
        marks: Binding<'a> = 4,
        /// [`State`](crate::engine::gpu::layout::State) of each slot, moved on.
        states: Binding<'a> = 5,
    }
}

/// Members that a workgroup does.
pub const WORKGROUP_MEMBERS: u32 = 64;
