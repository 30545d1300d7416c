//! One form on one engine: first right, then fast.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::job::Job;
use crate::bench::{BenchError, Workload};
use crate::engine::cpu::CpuEngine;
use crate::engine::gpu::{AdapterKind, Form, GpuEngine, Tuned, WaveClass};
use crate::engine::{Engine, EngineError, Progress, Running};

/// Epochs that are timed, after one that warms up.
const EPOCHS: u32 = 3;
/// What a form is measured by takes as long as so many epochs at most: these, the one before, and the step that
/// verifies it.
pub const SHARES: u32 = EPOCHS + 2;
/// Training rows of a member's epoch; more where a batch is larger.
const LEAST_ROWS: usize = 256;
/// Batches of an epoch that the member with the largest ones makes at least.
const LEAST_STEPS: usize = 2;
/// Members that a software adapter trains in an epoch: it is busy with these.
const SOFTWARE_MEMBERS: usize = 32;
/// Learning rates are at most this, so that none diverges.
const LEARNING_RATE: f64 = 1e-3;

/// What was found of a form. All times are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// The form's name.
    pub form: String,
    /// Training rows that all members see in an epoch.
    pub trial_samples: u64,
    /// Seconds of each epoch.
    pub epochs_s: Vec<f64>,
    /// Seconds of compiling; not of what was compiled beside other forms.
    pub compile_s: f64,
    /// Seconds of verifying and timing, with compiling.
    pub took_s: f64,
    /// Why it is not used: wrong results, hopelessly slow, or what the driver says.
    pub error: Option<String>,
    /// An epoch took longer than it was given.
    #[serde(skip)]
    pub gave_up: bool,
    /// The error says nothing about the form: another time it may be measured.
    #[serde(skip)]
    pub passing: bool,
}

impl Measurement {
    /// Trial-samples a second of the fastest epoch; `None` for a form that is not used.
    pub fn rate(&self) -> Option<f64> {
        let fastest = self.epochs_s.iter().copied().reduce(f64::min)?;
        let usable = self.error.is_none() && fastest > 0.0;
        usable.then(|| self.trial_samples as f64 / fastest)
    }

    /// Seconds without compiling.
    pub fn run_s(&self) -> f64 {
        self.took_s - self.compile_s
    }
}

/// Measures forms; a script of times in the tests.
pub trait Measure {
    /// Compiles forms side by side, which are then measured without compiling; gives the seconds that it took.
    ///
    /// # Errors
    /// As [`Self::measure`].
    fn compile(&mut self, forms: &[Form]) -> Result<f64, EngineError>;
    /// Verifies the form against the oracle, and times it; one whose epoch takes longer than so many
    /// seconds is given up.
    ///
    /// # Errors
    /// When the device is lost and no other is there. What a form does wrong is in its measurement.
    fn measure(&mut self, form: Form, epoch_s: f64) -> Result<Measurement, EngineError>;
}

/// Measures forms of one class on an adapter.
pub struct OnEngine<'e> {
    engine: &'e GpuEngine,
    oracle: CpuEngine<f64>,
    class: WaveClass,
    workload: Workload<'e>,
}

impl<'e> OnEngine<'e> {
    /// With a wave of the class, of which as much is trained as an epoch of a fraction of a second needs.
    ///
    /// # Errors
    /// When the oracle's threads cannot be started.
    pub fn new(engine: &'e GpuEngine, job: &Job<'e>) -> Result<Self, EngineError> {
        let (class, workload) = (job.class.clone(), &job.workload);
        let largest = workload
            .members
            .iter()
            .map(|m| m.hyperparameters.batch_size);
        let rows = LEAST_ROWS.max(LEAST_STEPS * largest.max().unwrap_or(1));
        let mut workload = workload.with_rows(rows);
        if engine.device().kind == AdapterKind::Software {
            workload = workload.with_members(&spread(workload.members.len(), SOFTWARE_MEMBERS));
        }
        for member in &mut workload.members {
            let rate = &mut member.hyperparameters.learning_rate;
            *rate = rate.min(LEARNING_RATE);
        }
        Ok(Self {
            engine,
            oracle: CpuEngine::new(None)?,
            class,
            workload,
        })
    }

    /// Operations that measuring a form takes, roughly.
    pub fn flops(&self) -> f64 {
        f64::from(SHARES) * self.workload.epoch_flops()
    }

    fn timed(&self, measurement: &mut Measurement, epoch_s: f64) -> Result<(), BenchError> {
        measurement.compile_s += self.workload.verify(self.engine, &self.oracle)?;
        let mut wave = self.engine.start(self.workload.setup())?;
        measurement.compile_s += wave.compile_s();
        train(wave.as_mut(), 1, epoch_s)?;
        let status = wave.status();
        measurement.trial_samples = status.iter().map(|member| member.samples).sum();
        for epoch in 2..2 + EPOCHS {
            measurement
                .epochs_s
                .push(train(wave.as_mut(), epoch, epoch_s)?);
        }
        let status = wave.status();
        let diverged = status.iter().filter(|member| member.diverged).count();
        match diverged {
            0 => Ok(()),
            _ => Err(BenchError::Diverged {
                diverged,
                members: status.len(),
            }),
        }
    }
}

impl Measure for OnEngine<'_> {
    fn compile(&mut self, forms: &[Form]) -> Result<f64, EngineError> {
        let begun = Instant::now();
        let compiled = self.engine.compile(forms, &self.workload.setup());
        if let Err(EngineError::DeviceLost { .. }) = compiled {
            self.engine.recover()?;
        }
        // Another error comes again where the form is measured.
        Ok(begun.elapsed().as_secs_f64())
    }

    fn measure(&mut self, form: Form, epoch_s: f64) -> Result<Measurement, EngineError> {
        self.engine.set_tuned(Tuned::only(&self.class, form));
        let begun = Instant::now();
        let mut measurement = Measurement {
            form: form.name(),
            trial_samples: 0,
            epochs_s: Vec::new(),
            compile_s: 0.0,
            took_s: 0.0,
            error: None,
            gave_up: false,
            passing: false,
        };
        if let Err(error) = self.timed(&mut measurement, epoch_s) {
            if matches!(error, BenchError::Engine(EngineError::DeviceLost { .. })) {
                self.engine.recover()?;
            }
            measurement.gave_up = matches!(error, BenchError::TooSlow { .. });
            // Where members diverge, it may be the data's doing.
            measurement.passing = !matches!(
                error,
                BenchError::Wrong { .. }
                    | BenchError::TooSlow { .. }
                    | BenchError::Engine(EngineError::NotCompiled { .. })
            );
            measurement.error = Some(match error {
                BenchError::TooSlow { limit_s } => {
                    format!("one epoch takes more than {limit_s:.2} s")
                }
                error => error.to_string(),
            });
        }
        measurement.took_s = begun.elapsed().as_secs_f64();
        Ok(measurement)
    }
}

/// Trains an epoch, and gives the seconds that it took.
fn train(wave: &mut dyn Running, epoch: u32, limit_s: f64) -> Result<f64, BenchError> {
    let begun = Instant::now();
    let too_long = || begun.elapsed().as_secs_f64() > limit_s;
    match wave.train(epoch, &too_long)? {
        Progress::Reached => Ok(begun.elapsed().as_secs_f64()),
        Progress::Paused => Err(BenchError::TooSlow { limit_s }),
    }
}

/// At most so many of `count` slots, evenly spread.
fn spread(count: usize, most: usize) -> Vec<usize> {
    let taken = count.min(most);
    (0..taken).map(|i| i * count / taken).collect()
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn few_slots_of_many_are_spread_over_all() {
        assert_eq!(spread(3, 32), [0, 1, 2]);
        assert_eq!(spread(252, 4), [0, 63, 126, 189]);
        assert_eq!(spread(0, 4), [0; 0]);
    }
}
