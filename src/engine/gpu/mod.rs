//! GPUs: the adapters that wgpu finds, a device opened on one of them, and the engine on it.
//!
//! Everything that names wgpu lives below this module.

mod adapter;
pub mod check;
mod device;
mod engine;
mod evaluated;
mod forms;
mod kernels;
mod layered;
mod layout;
mod opened;
mod options;
mod peak;
mod quiet;
mod resident;
mod rows;
mod shader;
mod side_by_side;
mod split;
mod timing;
mod transfer;
#[cfg(not(target_vendor = "apple"))]
mod unchecked;
mod wave;

/// As it is built here, wgpu has no Vulkan on Apple's systems.
#[cfg(target_vendor = "apple")]
mod unchecked {
    pub fn open(
        _: &wgpu::Adapter,
        _: &wgpu::DeviceDescriptor<'_>,
    ) -> Option<(wgpu::Device, wgpu::Queue)> {
        None
    }

    pub fn unchecked<R>(make: impl FnOnce() -> R) -> R {
        make()
    }
}

#[cfg(test)]
mod tests;

pub use adapter::{AdapterKind, GpuAdapter, enumerate};
pub use device::GpuDevice;
pub use engine::GpuEngine;
pub use forms::{Form, Tuned, WaveClass, engine_of};
pub use kernels::Checks;
pub use layered::StepCost;
pub use options::{EngineKind, Options};
pub use peak::fma_peak;
pub use quiet::quiet_drivers;
pub use shader::{
    Rendered, ResidentKernel, ResidentTiles, ResidentVariant, TileShape, Tiles, every_text,
    shader_fingerprint,
};
