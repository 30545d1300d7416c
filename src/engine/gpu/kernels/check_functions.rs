//! `check_functions`: the elementary functions of the kernels, for checks alone.

use super::kernel::{Binding, kernel};

kernel! {
    /// Compiles the kernel; nothing of the variant counts.
    "check_functions" {
        /// Arguments.
        x: Binding<'a> = 0,
        /// For each argument e^x, tanh x, ln |x|, 1 - e^-|x|, relu, sigmoid, tanh, identity;
        /// overwritten.
        values: Binding<'a> = 1,
        /// Counters of Philox, 4 words each.
        counters: Binding<'a> = 2,
        /// Their keys, 2 words each.
        keys: Binding<'a> = 3,
        /// 4 random words of each counter, overwritten.
        words: Binding<'a> = 4,
    }
}
