//! How much work a submission holds.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::engine::EngineError;
use crate::engine::gpu::GpuDevice;
use crate::engine::gpu::transfer;

/// How long the work of one submission shall take: long enough that submitting costs nothing, short
/// enough for the drivers' watchdogs and for Ctrl-C.
const SUBMISSION: Duration = Duration::from_millis(40);
/// Submissions that the device has before it: one runs, one waits.
const IN_FLIGHT: usize = 2;

/// Submissions of about the right length, with one always waiting behind the one that runs. Work is
/// counted in tiles, not in steps: late in an epoch only members with small batches make any.
#[derive(Debug)]
pub struct Pace {
    /// Seconds that a unit of work takes, once that is known.
    seconds: Option<f64>,
    in_flight: VecDeque<(wgpu::SubmissionIndex, f64)>,
    last: Instant,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            seconds: None,
            in_flight: VecDeque::new(),
            last: Instant::now(),
        }
    }
}

impl Pace {
    /// A unit of work is taken to last so many seconds.
    #[cfg(test)]
    pub fn of(seconds: f64) -> Self {
        Self {
            seconds: Some(seconds),
            ..Self::default()
        }
    }

    /// Work begins after the device was idle.
    pub fn begin(&mut self) {
        self.in_flight.clear();
        self.last = Instant::now();
    }

    /// The host was away while the device worked: how long the work in flight took is not known.
    pub fn host_was_away(&mut self) {
        for (_, work) in &mut self.in_flight {
            *work = 0.0;
        }
    }

    /// Work that the next submission shall hold; 0, for the least that can be, before any is known.
    pub fn budget(&self) -> f64 {
        self.seconds
            .map_or(0.0, |seconds| SUBMISSION.as_secs_f64() / seconds)
    }

    /// Submits, waits for the submission before the last, and learns from how long it took. Gives the
    /// submission.
    ///
    /// # Errors
    /// When the device is lost or fails.
    pub fn submit(
        &mut self,
        gpu: &GpuDevice,
        commands: wgpu::CommandBuffer,
        work: f64,
    ) -> Result<wgpu::SubmissionIndex, EngineError> {
        let submitted = gpu.queue.submit([commands]);
        self.in_flight.push_back((submitted.clone(), work));
        if self.in_flight.len() < IN_FLIGHT {
            return Ok(submitted);
        }
        if let Some((submission, work)) = self.in_flight.pop_front() {
            transfer::wait(gpu, Some(submission))?;
            self.learn(work, self.last.elapsed());
            self.last = Instant::now();
        }
        Ok(submitted)
    }

    /// A single slow or quick submission changes little.
    fn learn(&mut self, work: f64, took: Duration) {
        // Nothing was to be done, or it is not known how long it took.
        if work == 0.0 {
            return;
        }
        let seconds = took.as_secs_f64().max(1e-6) / work;
        self.seconds = Some(match self.seconds {
            None => seconds,
            Some(before) => seconds.clamp(before / 2.0, before * 2.0),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submission_holds_what_takes_forty_milliseconds() {
        let mut pace = Pace::default();
        assert_eq!(pace.budget(), 0.0);
        pace.learn(10.0, Duration::from_millis(20));
        assert_eq!(pace.budget(), 20.0);
        // A hiccup, then as before.
        pace.learn(10.0, Duration::from_secs(2));
        assert_eq!(pace.budget(), 10.0);
        pace.learn(10.0, Duration::from_millis(20));
        assert_eq!(pace.budget(), 20.0);
        pace.learn(10.0, Duration::ZERO);
        assert_eq!(pace.budget(), 40.0);
    }
}
