//! The resident engine: a workgroup trains a member, for many steps in one dispatch.

mod choice;
mod evaluation;
mod slices;

use std::ops::Range;
use std::sync::Arc;

use super::GpuDevice;
use super::kernels::{Kernel, resident, resident_evaluate, whole};
use super::layered::{ResidentBuffers, WaveBuffers};
use super::layout::Run;
use super::transfer;

pub use choice::{Choice, ResidentForm};
pub use evaluation::{EvaluationSlice, EvaluationSlices, PartBuffers};
pub use slices::{Slice, Slices, rows_left};

/// The kernels of a wave.
#[derive(Debug)]
pub struct Resident {
    /// Trains.
    pub train: Arc<Kernel>,
    /// Counts and losses of rows.
    pub evaluate: Arc<Kernel>,
    /// What they were compiled for, and how much a dispatch may do.
    pub form: ResidentForm,
}

impl Resident {
    /// Names a wave's buffers for dispatches that train.
    pub fn bind_training(
        &self,
        gpu: &GpuDevice,
        wave: &WaveBuffers,
        own: &ResidentBuffers,
    ) -> wgpu::BindGroup {
        let bindings = resident::Bindings {
            run: whole(&own.run),
            members: whole(&wave.members),
            layers: whole(&own.layers),
            features: whole(&wave.data.rows.features),
            orders: whole(&wave.orders),
            scaling: whole(&wave.data.scaling),
            targets: whole(&wave.data.rows.targets),
            states: whole(&wave.states),
            values: whole(&own.values),
            moments: whole(&own.moments),
            scratch: whole(&own.scratch),
        };
        bindings.bind(&gpu.device, &self.train)
    }

    /// Names a wave's buffers for dispatches that evaluate a part.
    pub fn bind_evaluation(
        &self,
        gpu: &GpuDevice,
        wave: &WaveBuffers,
        own: &ResidentBuffers,
        part: &PartBuffers,
    ) -> wgpu::BindGroup {
        let bindings = resident_evaluate::Bindings {
            run: whole(&own.evaluation),
            members: whole(&wave.members),
            layers: whole(&own.layers),
            features: whole(&wave.data.rows.features),
            orders: whole(&part.rows),
            scaling: whole(&wave.data.scaling),
            targets: whole(&wave.data.rows.targets),
            states: whole(&wave.states),
            values: whole(&own.values),
            results: whole(&part.results),
            scratch: whole(&own.scratch),
        };
        bindings.bind(&gpu.device, &self.evaluate)
    }

    /// What the next submission trains: of these members those that are in the epoch.
    pub fn write_training(
        &self,
        gpu: &GpuDevice,
        own: &ResidentBuffers,
        row_tile: u32,
        epoch: u32,
        slice: &Slice,
    ) {
        let run = Run {
            epoch,
            rows: slice.rows,
            steps: self.form.most_steps,
            ..self.run_of(row_tile, &slice.slots)
        };
        transfer::write(gpu, &own.run, &[run]);
    }

    /// What the next submission evaluates.
    pub fn write_evaluation(
        &self,
        gpu: &GpuDevice,
        own: &ResidentBuffers,
        row_tile: u32,
        part: &PartBuffers,
        slice: &EvaluationSlice,
    ) {
        let run = Run {
            rows: slice.rows.end - slice.rows.start,
            first: slice.rows.start,
            results_stride: part.results_stride,
            ..self.run_of(row_tile, &slice.slots)
        };
        transfer::write(gpu, &own.evaluation, &[run]);
    }

    /// Who takes part.
    fn run_of(&self, row_tile: u32, slots: &Range<u32>) -> Run {
        Run {
            row_tile,
            first_slot: slots.start,
            end_slot: slots.end,
            chunks: self.form.chunks,
            ..Run::default()
        }
    }

    /// Workgroups of a dispatch for these members: whole chunks.
    pub fn workgroups(&self, slots: &Range<u32>) -> u32 {
        (slots.end - slots.start).next_multiple_of(self.form.chunks)
    }
}
