//! The resident engine: a workgroup trains a member, for many steps in one dispatch.

mod choice;
mod slices;

use std::sync::Arc;

use super::GpuDevice;
use super::kernels::{Kernel, resident, whole};
use super::layered::WaveBuffers;
use super::layout::Run;
use super::transfer;

pub use choice::Choice;
pub use slices::{Slices, rows_left};

/// The kernel that trains a wave.
#[derive(Debug)]
pub struct Resident {
    kernel: Arc<Kernel>,
    /// Steps that a dispatch may make.
    pub most_steps: u32,
}

impl Resident {
    /// By this compiled kernel, in dispatches of at most so many steps.
    pub fn new(kernel: Arc<Kernel>, most_steps: u32) -> Self {
        Self { kernel, most_steps }
    }

    /// The kernel.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Names a wave's buffers for a dispatch.
    ///
    /// # Panics
    /// When the wave has none for the resident kernel.
    pub fn bind(&self, gpu: &GpuDevice, buffers: &WaveBuffers) -> wgpu::BindGroup {
        let own = own(buffers);
        let bindings = resident::Bindings {
            run: whole(&own.run),
            members: whole(&buffers.members),
            layers: whole(&own.layers),
            features: whole(&buffers.data.features),
            orders: whole(&buffers.orders),
            scaling: whole(&buffers.data.scaling),
            targets: whole(&buffers.data.targets),
            states: whole(&buffers.states),
            values: whole(&own.values),
            moments: whole(&own.moments),
            scratch: whole(&own.scratch),
        };
        bindings.bind(&gpu.device, &self.kernel)
    }

    /// What the next submission is to do: `rows` of each member that is in the epoch.
    pub fn write_run(
        &self,
        gpu: &GpuDevice,
        buffers: &WaveBuffers,
        row_tile: u32,
        epoch: u32,
        rows: u32,
    ) {
        let own = own(buffers);
        let run = Run {
            epoch,
            rows,
            row_stride: own.row_stride,
            member_stride: own.member_stride,
            row_tile,
            steps: self.most_steps,
            unused: [0; 2],
        };
        transfer::write(gpu, &own.run, &[run]);
    }
}

fn own(buffers: &WaveBuffers) -> &super::layered::ResidentBuffers {
    let own = buffers.resident.as_ref();
    own.expect("a wave of the resident engine has its buffers")
}
