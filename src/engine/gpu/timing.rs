//! What training costs the device and the host: timestamps at the boundaries of passes, and the
//! time that encoding takes.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use super::GpuDevice;
use super::transfer::{self, Wanted};
use crate::engine::{EngineError, Timing};

/// Passes between two readings of their timestamps.
const MOST_PASSES: u32 = 512;
/// Bytes of a timestamp.
const TICK_BYTES: u64 = 8;

/// Measures the passes of one wave. It is written to while a wave is borrowed, hence the cells.
#[derive(Debug)]
pub struct Timer {
    gpu: Arc<GpuDevice>,
    /// `None` where the device has no timestamps.
    timestamps: Option<Timestamps>,
    spent: Cell<Timing>,
}

/// A pair of timestamps a pass.
#[derive(Debug)]
struct Timestamps {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    /// Passes that were encoded since the last reading.
    passes: Cell<u32>,
}

/// A pass that is being encoded.
#[derive(Debug)]
pub struct TimedPass<'t> {
    begun: Instant,
    writes: Option<wgpu::ComputePassTimestampWrites<'t>>,
}

impl TimedPass<'_> {
    /// What the pass's descriptor says of timestamps.
    pub fn writes(&self) -> Option<wgpu::ComputePassTimestampWrites<'_>> {
        self.writes.clone()
    }
}

impl Timer {
    /// A timer on this device; without the feature it measures the host alone.
    pub fn new(gpu: Arc<GpuDevice>) -> Self {
        let has_timestamps = gpu.features.contains(wgpu::Features::TIMESTAMP_QUERY);
        let device_s = has_timestamps.then_some(0.0);
        Self {
            timestamps: has_timestamps.then(|| Timestamps::new(&gpu.device)),
            gpu,
            spent: Cell::new(Timing {
                device_s,
                ..Timing::default()
            }),
        }
    }

    /// Begins the encoding of a pass.
    ///
    /// # Errors
    /// When the device fails: earlier timestamps are read where there is no room for more.
    pub fn begin(&self) -> Result<TimedPass<'_>, EngineError> {
        if let Some(timestamps) = &self.timestamps
            && timestamps.passes.get() == MOST_PASSES
        {
            self.read(timestamps)?;
        }
        Ok(TimedPass {
            begun: Instant::now(),
            writes: self.timestamps.as_ref().map(Timestamps::next),
        })
    }

    /// The pass was encoded, with so many dispatches. It must be submitted.
    pub fn end(&self, pass: &TimedPass<'_>, dispatches: u64) {
        let spent = self.spent.get();
        self.spent.set(Timing {
            encode_s: spent.encode_s + pass.begun.elapsed().as_secs_f64(),
            dispatches: spent.dispatches + dispatches,
            ..spent
        });
    }

    /// What all passes so far have cost. Waits for them.
    ///
    /// # Errors
    /// When the device fails.
    pub fn spent(&self) -> Result<Timing, EngineError> {
        if let Some(timestamps) = &self.timestamps {
            self.read(timestamps)?;
        }
        Ok(self.spent.get())
    }

    fn read(&self, timestamps: &Timestamps) -> Result<(), EngineError> {
        let ticks = timestamps.read(&self.gpu)?;
        let period_s = f64::from(self.gpu.queue.get_timestamp_period()) * 1e-9;
        let spent = self.spent.get();
        self.spent.set(Timing {
            device_s: spent.device_s.map(|s| s + ticks as f64 * period_s),
            ..spent
        });
        Ok(())
    }
}

impl Timestamps {
    fn new(device: &wgpu::Device) -> Self {
        let count = 2 * MOST_PASSES;
        let queries = device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("regatta.timestamps"),
            ty: wgpu::QueryType::Timestamp,
            count,
        });
        let resolved = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("regatta.timestamps"),
            size: TICK_BYTES * u64::from(count),
            usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        Self {
            queries,
            resolved,
            passes: Cell::new(0),
        }
    }

    /// The places of the next pass's two timestamps.
    fn next(&self) -> wgpu::ComputePassTimestampWrites<'_> {
        let first = 2 * self.passes.get();
        self.passes.set(self.passes.get() + 1);
        wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(first),
            end_of_pass_write_index: Some(first + 1),
        }
    }

    /// Ticks that the passes since the last reading took, summed.
    fn read(&self, gpu: &GpuDevice) -> Result<u64, EngineError> {
        let count = 2 * self.passes.replace(0);
        if count == 0 {
            return Ok(0);
        }
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        encoder.resolve_query_set(&self.queries, 0..count, &self.resolved, 0);
        gpu.queue.submit([encoder.finish()]);
        let bytes = TICK_BYTES * u64::from(count);
        let read = transfer::read(gpu, &[Wanted::beginning(&self.resolved, bytes)])?;
        let ticks: Vec<u64> = transfer::values(&read[0]);
        // Drivers have been seen to give an end before its beginning.
        let took = ticks.chunks_exact(2).map(|t| t[1].saturating_sub(t[0]));
        Ok(took.sum())
    }
}
