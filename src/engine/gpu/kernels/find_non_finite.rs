//! `find_non_finite`: marks members one of whose values is infinite or NaN.

use super::kernel::{Binding, kernel};

kernel! {
    /// Compiles the kernel; nothing of the variant counts.
    "find_non_finite" {
        /// [`LayerData`](crate::engine::gpu::layout::LayerData), uniform.
        layer: Binding<'a> = 0,
        /// Slots that are trained.
        live: Binding<'a> = 3,
        /// Values, slot after slot.
        values: Binding<'a> = 4,
        /// A word a slot; set to 1.
        marks: Binding<'a> = 5,
    }
}
