//! What is known of GPUs: the adapters that wgpu finds, and a device opened on one of them.
//!
//! Everything that names wgpu lives below this module.

mod adapter;
mod device;

pub use adapter::{AdapterKind, GpuAdapter, enumerate};
pub use device::GpuDevice;
