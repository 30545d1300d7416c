//! What a study would cost, without training it.

use std::time::{Duration, Instant};

use super::{Generation, Study, StudyError};
use crate::engine::WaveSetup;
use crate::plan::Wave;
use crate::train::Member;

/// How long a probe of each shape may take.
const PROBE: Duration = Duration::from_millis(100);
/// Waves that are probed at most; the others are taken to be like them.
const PROBED_WAVES: usize = 8;

/// Generations that are laid out for an estimate; a larger study is extrapolated from them.
const LAID_OUT_GENERATIONS: usize = 256;

/// What `--dry-run` prints.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Estimate {
    /// Trials.
    pub trials: u64,
    /// Members: trials x folds x repeats.
    pub members: u64,
    /// Shapes of networks.
    pub cohorts: u64,
    /// Groups that are trained at once.
    pub waves: u64,
    /// The counts are of the first trials, scaled up: there are too many to lay out for an estimate.
    pub extrapolated: bool,
    /// What the members of the largest wave take, in bytes: parameters and moments, on a GPU also
    /// activations.
    pub wave_bytes: u64,
    /// The rows, stored once, in bytes.
    pub data_bytes: u64,
    /// Training rows that all members will see.
    pub trial_samples: u64,
    /// Useful floating-point operations of the training.
    pub flops: f64,
    /// Time to train all members, in seconds, from a probe of a few steps; evaluation and the
    /// refit come on top.
    pub train_s: f64,
}

/// Lays the study out and times a few steps of networks that are thrown away.
///
/// # Errors
/// When a network does not fit the adapter.
pub fn estimate(study: &Study<'_>) -> Result<Estimate, StudyError> {
    let (mut cost, mut laid_out) = (Cost::new(study), 0);
    for generation in study
        .generations(study.engine.limits())
        .take(LAID_OUT_GENERATIONS)
    {
        cost.add(study, &generation)?;
        laid_out += generation.proposals.len() as u64;
    }
    let trials = study.trials();
    cost.scale(trials as f64 / laid_out as f64);
    let train_s = cost.flops / (cost.probed_flops / cost.probed_s);
    Ok(Estimate {
        trials,
        members: trials.saturating_mul(study.members_per_trial().count()),
        cohorts: study.shapes().len() as u64,
        waves: cost.waves,
        extrapolated: laid_out < trials,
        wave_bytes: cost.wave_bytes,
        data_bytes: study.dataset.features.bytes(),
        trial_samples: cost.samples,
        flops: cost.flops,
        train_s,
    })
}

/// What the trials that were laid out cost.
struct Cost {
    shapes: std::collections::BTreeSet<crate::train::Shape>,
    waves: u64,
    wave_bytes: u64,
    samples: u64,
    flops: f64,
    probed_waves: usize,
    probed_flops: f64,
    probed_s: f64,
    rows: Vec<u64>,
    epochs: u64,
}

impl Cost {
    fn new(study: &Study<'_>) -> Self {
        let rows = study.splits.folds.iter().map(|f| f.train.len() as u64);
        Self {
            shapes: std::collections::BTreeSet::new(),
            waves: 0,
            wave_bytes: 0,
            samples: 0,
            flops: 0.0,
            probed_waves: 0,
            probed_flops: 0.0,
            probed_s: 0.0,
            rows: rows.collect(),
            epochs: u64::from(study.sweep.train.epochs),
        }
    }

    fn add(&mut self, study: &Study<'_>, generation: &Generation) -> Result<(), StudyError> {
        for wave in &generation.waves {
            let known = self.shapes.len();
            self.shapes.extend(wave.shapes.iter().cloned());
            self.waves += 1;
            let bytes = wave.bytes(study.engine.limits().layout);
            self.wave_bytes = self.wave_bytes.max(bytes);
            for member in &wave.members {
                let samples = self.rows[member.id.fold as usize] * self.epochs;
                self.samples += samples;
                self.flops += samples as f64 * wave.shape_of(member).flops_per_sample() as f64;
            }
            if self.shapes.len() > known && self.probed_waves < PROBED_WAVES {
                self.probed_waves += 1;
                self.probe(study, wave)?;
            }
        }
        Ok(())
    }

    /// Takes the trials that were laid out for a sample of all.
    fn scale(&mut self, factor: f64) {
        let scaled = |count: u64| (count as f64 * factor).round() as u64;
        self.waves = scaled(self.waves);
        self.samples = scaled(self.samples);
        self.flops *= factor;
    }

    /// Times members from all over the wave, so that every batch size and optimizer has its part.
    fn probe(&mut self, study: &Study<'_>, wave: &Wave) -> Result<(), StudyError> {
        let every = wave.members.len().div_ceil(16).max(1);
        // An odd stride, so that a grid's fastest parameters are not always at the same value.
        let every = every + usize::from(every.is_multiple_of(2));
        let members: Vec<Member> = wave.members.iter().copied().step_by(every).collect();
        let mut running = study.engine.start(WaveSetup {
            members: &members,
            ..study.setup(wave)
        })?;
        let begin = Instant::now();
        running.train(1, &|| begin.elapsed() >= PROBE)?;
        self.probed_s += begin.elapsed().as_secs_f64();
        for (member, status) in members.iter().zip(running.status()) {
            let flops = wave.shape_of(member).flops_per_sample();
            self.probed_flops += status.samples as f64 * flops as f64;
        }
        Ok(())
    }
}
