//! What is known of GPUs: the adapters that wgpu finds, and a device opened on one of them.
//!
//! Everything that names wgpu lives below this module.

mod adapter;
mod device;
mod engine;
mod kernels;
mod layered;
mod layout;
mod shader;
mod transfer;

pub use adapter::{AdapterKind, GpuAdapter, enumerate};
pub use device::GpuDevice;
pub use engine::{GpuEngine, Options};
