//! Measures one case: verify, warm up, sample.

use super::stats::{Spread, median};
use super::{
    BenchError, BenchRecord, Budget, Case, CaseRecord, Executor, Figures, GroupRecord, MixedRecord,
    Run, Sample,
};

/// Epochs that a sample never exceeds, however short they are.
const MOST_EPOCHS: u32 = 1000;
/// Samples that a case never exceeds.
const MOST_SAMPLES: usize = 100;

/// Measures a case on the adapter that was added to the record last, and adds it; a case that fails
/// is added with its error.
pub fn measure(executor: &dyn Executor, case: &Case, budget: Budget, record: &mut BenchRecord) {
    let verified = executor.verify(case);
    let is_verified = verified.is_ok();
    let measured = verified.and_then(|compile_s| {
        let measured = sampled(executor, case, budget)?;
        Ok(measured.after_compiling(compile_s))
    });
    let (figures, error) = match measured {
        Ok(measured) => (Some(measured.figures(executor, case, record)), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let mut entry = described(executor, case, record.adapters.len() - 1);
    entry.verified = is_verified;
    entry.error = error;
    entry.figures = figures;
    record.cases.push(entry);
}

/// The case without its figures.
fn described(executor: &dyn Executor, case: &Case, adapter: usize) -> CaseRecord {
    let uniform = case.uniform();
    let groups = case.groups.iter().map(|group| GroupRecord {
        batch_size: group.batch_size,
        optimizer: group.optimizer.name().to_owned(),
        members: group.members,
    });
    CaseRecord {
        adapter,
        engine: executor.engine(),
        data: case.data.name().to_owned(),
        shape: case.shape.widths().to_vec(),
        rows: case.rows,
        batch_size: uniform.map(|group| group.batch_size),
        members: case.members(),
        optimizer: uniform.map(|group| group.optimizer.name().to_owned()),
        groups: groups.filter(|_| uniform.is_none()).collect(),
        verified: false,
        error: None,
        figures: None,
    }
}

/// Raw samples of a case.
#[derive(Debug, Default)]
struct Measured {
    epochs: u32,
    compile_s: f64,
    samples: Vec<Sample>,
}

fn sampled(executor: &dyn Executor, case: &Case, budget: Budget) -> Result<Measured, BenchError> {
    let mut measured = Measured::default();
    executor.run(case, &mut |run| {
        measured.compile_s = run.compile_s();
        measured.epochs = warmed_up(run, budget)?;
        let mut spent_s = 0.0;
        while measured.wants_more(spent_s, budget) {
            let sample = run.train(measured.epochs)?;
            spent_s += sample.wall_s;
            measured.samples.push(sample);
        }
        Ok(())
    })?;
    Ok(measured)
}

/// Trains until the engine has found its pace, and says how many epochs make a sample.
fn warmed_up(run: &mut dyn Run, budget: Budget) -> Result<u32, BenchError> {
    let first = run.train(1)?;
    let epochs = epochs_in(budget.sample_s, first.wall_s);
    if epochs == 1 {
        return Ok(1);
    }
    let second = run.train(epochs)?;
    Ok(epochs_in(
        budget.sample_s,
        second.wall_s / f64::from(epochs),
    ))
}

fn epochs_in(seconds: f64, epoch_s: f64) -> u32 {
    ((seconds / epoch_s.max(1e-9)).ceil() as u32).clamp(1, MOST_EPOCHS)
}

impl Measured {
    /// Verifying compiles what sampling then finds.
    fn after_compiling(mut self, seconds: f64) -> Self {
        self.compile_s += seconds;
        self
    }

    fn wants_more(&self, spent_s: f64, budget: Budget) -> bool {
        let count = self.samples.len();
        count < budget.least_samples || spent_s < budget.case_s && count < MOST_SAMPLES
    }

    /// The median of something of each sample; `None` unless all have it.
    fn median(&self, of: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
        let values: Option<Vec<f64>> = self.samples.iter().map(of).collect();
        median(&values?)
    }

    fn figures(&self, executor: &dyn Executor, case: &Case, record: &BenchRecord) -> Figures {
        let rates: Vec<f64> = self
            .samples
            .iter()
            .map(|s| s.trial_samples as f64 / s.wall_s)
            .collect();
        let rate = Spread::of(&rates).expect("a case has samples");
        let steps = case.steps_an_epoch() as u64 * u64::from(self.epochs);
        let trial_samples = self.samples[0].trial_samples;
        let gflops = rate.median * case.shape.flops_per_sample() as f64 * 1e-9;
        let adapter = &record.adapters[record.adapters.len() - 1];
        let encode_us = |s: &Sample| {
            let encode_s = s.encode_s.filter(|_| s.dispatches > 0)?;
            Some(encode_s * 1e6 / s.dispatches as f64)
        };
        Figures {
            epochs: self.epochs,
            steps,
            trial_samples,
            samples_s: self.samples.iter().map(|s| s.wall_s).collect(),
            device_samples_s: self.samples.iter().map(|s| s.device_s).collect(),
            compile_s: self.compile_s,
            trial_samples_per_s: rate,
            steps_per_s: steps as f64 * rate.median / trial_samples as f64,
            gflops,
            share_of_fma_peak: adapter.fma_peak_gflops.map(|peak| gflops / peak),
            device_share: self.median(|s| s.device_s.map(|device_s| device_s / s.wall_s)),
            encode_us_per_dispatch: self.median(encode_us),
            step_cost: executor.step_cost(case),
            mixed: mixed(case, rate.median, record),
        }
    }
}

/// The mixed case beside the uniform ones of the same adapter; `None` unless all have figures.
fn mixed(case: &Case, rate: f64, record: &BenchRecord) -> Option<MixedRecord> {
    let compared_with = case.compared_with?;
    let adapter = record.adapters.len() - 1;
    let uniform = |group: &super::Group| {
        let same = |entry: &&CaseRecord| {
            entry.adapter == adapter
                && entry.members == compared_with
                && entry.rows == case.rows
                && entry.shape == case.shape.widths()
                && entry.batch_size == Some(group.batch_size)
                && entry.optimizer.as_deref() == Some(group.optimizer.name())
        };
        let figures = record.cases.iter().find(same)?.figures.as_ref()?;
        Some(group.members as f64 / figures.trial_samples_per_s.median)
    };
    // Every member sees the same rows, so that a group's share of the rows is its share of members.
    let seconds: Option<f64> = case.groups.iter().map(uniform).sum();
    let uniform_rate = case.members() as f64 / seconds?;
    Some(MixedRecord {
        compared_with,
        uniform_trial_samples_per_s: uniform_rate,
        ratio: rate / uniform_rate,
    })
}
