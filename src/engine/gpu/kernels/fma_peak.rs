//! `fma_peak`: independent chains of fma in registers, to measure what a device can do at most.

use bytemuck::{Pod, Zeroable};

use super::kernel::{Binding, kernel};

kernel! {
    /// Compiles the kernel; nothing of the variant counts.
    "fma_peak" {
        /// [`Chains`], uniform.
        chains: Binding<'a> = 0,
        /// Sums of the chains of the first invocations, a `vec4` each.
        sums: Binding<'a> = 6,
    }
}

/// How long the chains are, and of what.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct Chains {
    /// Passes of the loop; each makes a chain [`LINKS`] fma longer.
    pub iterations: u32,
    /// What a link multiplies by.
    pub factor: f32,
    /// What it adds.
    pub addend: f32,
    /// Padding.
    pub unused: u32,
}

/// Chains of `vec4`s that an invocation holds.
pub const CHAINS: u32 = 8;
/// Fma of each chain in a pass of the loop.
pub const LINKS: u32 = 8;
/// Invocations of a workgroup.
pub const WORKGROUP: u32 = 256;

/// Floating-point operations of a workgroup: an fma is two.
pub fn workgroup_flops(iterations: u32) -> u64 {
    const VALUES: u64 = 4;
    let links = u64::from(CHAINS * LINKS) * VALUES * u64::from(iterations);
    2 * links * u64::from(WORKGROUP)
}
