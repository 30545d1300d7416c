//! What training costs the device and the host: timestamps at the boundaries of passes, and the
//! time that encoding takes.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Instant;

use super::GpuDevice;
use super::transfer::{self, Wanted};
use crate::engine::{EngineError, Span, Timing, Trace, Track};

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
    /// Gets the passes as spans.
    trace: Trace,
}

/// A pair of timestamps a pass.
#[derive(Debug)]
struct Timestamps {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    /// Passes that were encoded since the last reading, and when they were.
    passes: RefCell<Vec<(PassKind, Instant)>>,
}

/// What a pass does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassKind {
    /// Steps, or the end of an epoch.
    Train,
    /// Forward passes over rows that are evaluated: no part of what training costs.
    Evaluate,
}

impl PassKind {
    fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Evaluate => "evaluate",
        }
    }

    /// For tools that show what a device does.
    fn label(self) -> &'static str {
        match self {
            Self::Train => "regatta.train",
            Self::Evaluate => "regatta.evaluate",
        }
    }
}

/// Passes of one submission, measured where that was asked for.
pub struct Encoding<'a> {
    encoder: wgpu::CommandEncoder,
    timer: Option<&'a Timer>,
}

/// Passes that an [`Encoding`] may have: their timestamps are read no earlier than they are submitted.
const PASSES_A_SUBMISSION: usize = 2;

impl<'a> Encoding<'a> {
    /// Nothing is encoded yet.
    ///
    /// # Errors
    /// When the device fails: earlier timestamps are read where there is no room for more.
    pub fn new(gpu: &GpuDevice, timer: Option<&'a Timer>) -> Result<Self, EngineError> {
        if let Some(timer) = timer {
            timer.make_room(PASSES_A_SUBMISSION)?;
        }
        Ok(Self {
            encoder: gpu.device.create_command_encoder(&Default::default()),
            timer,
        })
    }

    /// Adds a pass of so many dispatches.
    pub fn pass(
        &mut self,
        kind: PassKind,
        dispatches: usize,
        play: impl FnOnce(&mut wgpu::ComputePass<'_>),
    ) {
        let begun = Instant::now();
        let mut pass = self
            .encoder
            .begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: Some(kind.label()),
                timestamp_writes: self.timer.and_then(|timer| timer.writes(kind)),
            });
        play(&mut pass);
        drop(pass);
        if let Some(timer) = self.timer {
            timer.encoded(kind, begun, dispatches as u64);
        }
    }

    /// For what is no pass.
    pub fn encoder(&mut self) -> &mut wgpu::CommandEncoder {
        &mut self.encoder
    }

    /// What is to be submitted.
    pub fn finish(self) -> wgpu::CommandBuffer {
        self.encoder.finish()
    }
}

impl Timer {
    /// A timer on this device; without the feature it measures the host alone.
    pub fn new(gpu: Arc<GpuDevice>, trace: Trace) -> Self {
        let has_timestamps = gpu.features.contains(wgpu::Features::TIMESTAMP_QUERY);
        let device_s = has_timestamps.then_some(0.0);
        Self {
            timestamps: has_timestamps.then(|| Timestamps::new(&gpu.device)),
            gpu,
            spent: Cell::new(Timing {
                device_s,
                ..Timing::default()
            }),
            trace,
        }
    }

    /// Reads earlier timestamps where there is no room for so many passes more.
    fn make_room(&self, passes: usize) -> Result<(), EngineError> {
        if let Some(timestamps) = &self.timestamps
            && timestamps.passes.borrow().len() + passes > MOST_PASSES as usize
        {
            self.read(timestamps)?;
        }
        Ok(())
    }

    /// Where the next pass writes its timestamps.
    fn writes(&self, kind: PassKind) -> Option<wgpu::ComputePassTimestampWrites<'_>> {
        self.timestamps.as_ref().map(|t| t.next(kind))
    }

    /// A pass was encoded, with so many dispatches.
    fn encoded(&self, kind: PassKind, begun: Instant, dispatches: u64) {
        if kind == PassKind::Evaluate {
            return;
        }
        let spent = self.spent.get();
        self.spent.set(Timing {
            encode_s: spent.encode_s + begun.elapsed().as_secs_f64(),
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
        let passes = timestamps.read(&self.gpu)?;
        let period_s = f64::from(self.gpu.queue.get_timestamp_period()) * 1e-9;
        // Drivers have been seen to give an end before its beginning.
        let took_s = |pass: &Pass| pass.end.saturating_sub(pass.begin) as f64 * period_s;
        let training = passes.iter().filter(|pass| pass.kind == PassKind::Train);
        let training_s: f64 = training.map(took_s).sum();
        let spent = self.spent.get();
        self.spent.set(Timing {
            device_s: spent.device_s.map(|s| s + training_s),
            ..spent
        });
        if self.trace.is_on() {
            self.record(&passes, period_s);
        }
        Ok(())
    }

    /// The device's clock has a zero of its own: no pass begins before it was encoded, and those that the
    /// device was waiting for begin at once.
    fn record(&self, passes: &[Pass], period_s: f64) {
        let at = |ticks: u64| ticks as f64 * period_s;
        let encoded = passes
            .iter()
            .map(|pass| self.trace.seconds(pass.encoded) - at(pass.begin));
        let zero_s = encoded.fold(f64::MIN, f64::max);
        for pass in passes {
            self.trace.add(Span {
                name: pass.kind.name(),
                track: Track::Device,
                begin_s: zero_s + at(pass.begin),
                end_s: zero_s + at(pass.end.max(pass.begin)),
            });
        }
    }
}

/// A pass with its timestamps, in ticks.
#[derive(Clone, Copy, Debug)]
struct Pass {
    kind: PassKind,
    encoded: Instant,
    begin: u64,
    end: u64,
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
            passes: RefCell::default(),
        }
    }

    /// The places of the next pass's two timestamps.
    fn next(&self, kind: PassKind) -> wgpu::ComputePassTimestampWrites<'_> {
        let mut passes = self.passes.borrow_mut();
        let first = 2 * passes.len() as u32;
        passes.push((kind, Instant::now()));
        wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(first),
            end_of_pass_write_index: Some(first + 1),
        }
    }

    /// The passes since the last reading.
    fn read(&self, gpu: &GpuDevice) -> Result<Vec<Pass>, EngineError> {
        let passes = self.passes.take();
        let count = 2 * passes.len() as u32;
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        encoder.resolve_query_set(&self.queries, 0..count, &self.resolved, 0);
        gpu.queue.submit([encoder.finish()]);
        let bytes = TICK_BYTES * u64::from(count);
        let read = transfer::read(gpu, &[Wanted::beginning(&self.resolved, bytes)])?;
        let ticks: Vec<u64> = transfer::values(&read[0]);
        let pairs = passes.into_iter().zip(ticks.chunks_exact(2));
        let pass = |((kind, encoded), ticks): ((PassKind, Instant), &[u64])| Pass {
            kind,
            encoded,
            begin: ticks[0],
            end: ticks[1],
        };
        Ok(pairs.map(pass).collect())
    }
}
