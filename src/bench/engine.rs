//! An engine on this machine as an executor.

use std::collections::BTreeSet;
use std::time::Instant;

use super::work::{AllRows, SEED, members};
use super::workload::Workload;
use super::{BenchError, Case, Executor, Run, Sample};
use crate::engine::cpu::CpuEngine;
use crate::engine::gpu::{GpuEngine, StepCost};
use crate::engine::{Engine, Progress, Running, Timing};

/// Seconds that one call of [`Run::train`] may take.
const LONGEST_SAMPLE_S: f64 = 20.0;

/// Trains cases on one engine.
pub struct EngineExecutor<'e> {
    engine: &'e dyn Engine,
    /// The same engine, if it is a GPU's.
    gpu: Option<&'e GpuEngine>,
    oracle: CpuEngine<f64>,
    rows: AllRows,
}

impl<'e> EngineExecutor<'e> {
    /// On the native engine, or any other without a model of its costs.
    ///
    /// # Errors
    /// When the oracle's threads cannot be started.
    pub fn new(engine: &'e dyn Engine) -> Result<Self, BenchError> {
        Ok(Self {
            engine,
            gpu: None,
            oracle: CpuEngine::new(None)?,
            rows: AllRows::load()?,
        })
    }

    /// On a GPU's engine, which should measure ([`GpuEngine::with_timing`]).
    ///
    /// # Errors
    /// When the oracle's threads cannot be started.
    pub fn on_gpu(engine: &'e GpuEngine) -> Result<Self, BenchError> {
        Ok(Self {
            gpu: Some(engine),
            ..Self::new(engine)?
        })
    }

    fn workload(&self, case: &Case) -> Workload<'_> {
        let data = self.rows.of(case);
        Workload {
            dataset: &data.dataset,
            splits: data.splits(case.rows),
            shapes: vec![case.shape.clone()],
            members: members(case),
            seed: SEED,
        }
    }

    fn check_capacity(&self, case: &Case) -> Result<(), BenchError> {
        let largest = case.groups.iter().map(|group| group.batch_size).max();
        let capacity = self.engine.capacity(&case.shape, largest.unwrap_or(1))?;
        let members = case.members();
        // The native engine closes its waves early, and could hold more.
        if self.gpu.is_some() && members as u64 > capacity {
            return Err(BenchError::TooMany { members, capacity });
        }
        Ok(())
    }
}

impl Executor for EngineExecutor<'_> {
    fn engine(&self) -> String {
        self.engine.adapter().engine
    }

    fn verify(&self, case: &Case) -> Result<f64, BenchError> {
        self.check_capacity(case)?;
        self.engine
            .will_train(&BTreeSet::from([case.shape.clone()]));
        self.workload(case).verify(self.engine, &self.oracle)
    }

    fn run(
        &self,
        case: &Case,
        drive: &mut dyn FnMut(&mut dyn Run) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        let workload = self.workload(case);
        let wave = self.engine.start(workload.setup())?;
        let mut run = EngineRun {
            wave,
            epoch: 0,
            trial_samples: 0,
            timing: None,
        };
        drive(&mut run)
    }

    fn step_cost(&self, case: &Case) -> Option<StepCost> {
        let members: Vec<_> = members(case).iter().map(|m| m.hyperparameters).collect();
        let features = &self.rows.of(case).dataset.features;
        Some(self.gpu?.step_cost(&case.shape, &members, features))
    }
}

/// A wave on an engine, and what it had done when it was last looked at.
struct EngineRun<'r> {
    wave: Box<dyn Running + 'r>,
    epoch: u32,
    trial_samples: u64,
    timing: Option<Timing>,
}

impl Run for EngineRun<'_> {
    fn compile_s(&self) -> f64 {
        self.wave.compile_s()
    }

    fn train(&mut self, epochs: u32) -> Result<Sample, BenchError> {
        self.epoch += epochs;
        let begun = Instant::now();
        let too_long = || begun.elapsed().as_secs_f64() > LONGEST_SAMPLE_S;
        let progress = self.wave.train(self.epoch, &too_long)?;
        let wall_s = begun.elapsed().as_secs_f64();
        if progress == Progress::Paused {
            let limit_s = LONGEST_SAMPLE_S;
            return Err(BenchError::TooSlow { limit_s });
        }
        self.sample(wall_s)
    }
}

impl EngineRun<'_> {
    /// What was done since the last look.
    fn sample(&mut self, wall_s: f64) -> Result<Sample, BenchError> {
        let status = self.wave.status();
        let diverged = status.iter().filter(|member| member.diverged).count();
        if diverged > 0 {
            let members = status.len();
            return Err(BenchError::Diverged { diverged, members });
        }
        let trial_samples = status.iter().map(|member| member.samples).sum();
        let timing = self.wave.timing()?;
        let before = self.timing.unwrap_or_default();
        let sample = Sample {
            wall_s,
            device_s: timing
                .and_then(|t| t.device_s)
                .map(|s| s - before.device_s.unwrap_or(0.0)),
            trial_samples: trial_samples - self.trial_samples,
            encode_s: timing.map(|t| t.encode_s - before.encode_s),
            dispatches: timing.map_or(0, |t| t.dispatches - before.dispatches),
        };
        self.trial_samples = trial_samples;
        self.timing = timing;
        Ok(sample)
    }
}
