//! The host half of each kernel: its bindings, by name. One file a kernel, named as its shader in
//! `shaders/` and its twin in `engine/cpu`.

mod kernel;
// Only where wgpu translates to SPIR-V too.
#[cfg(not(target_vendor = "apple"))]
mod spirv;

pub mod batch_norm_backward;
pub mod batch_norm_backward_statistics;
pub mod batch_norm_forward;
pub mod batch_norm_statistics;
pub mod check_functions;
pub mod dense_backward_input;
pub mod dense_backward_weights;
pub mod dense_forward;
pub mod end_of_epoch;
pub mod evaluate;
pub mod find_non_finite;
pub mod fma_peak;
pub mod resident;
pub mod resident_evaluate;
pub mod softmax_cross_entropy;
pub mod step;
pub mod update;

pub use kernel::{Binding, Checks, Inputs, Kernel, WeightsResult, whole};
