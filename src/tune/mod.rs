//! Which kernels are fast on this adapter: candidates are verified, timed, and remembered.
//!
//! What is fastest depends above all on the adapter, the networks and how many of them are trained at once.
//! So the waves of a study are sorted into classes, the candidate
//! forms ([`Form`]) of each class are timed on a little of its work, those that do
//! not agree with the f64 oracle are struck out by name, and all times are kept in the user's cache folder.
//! Results never depend on the choice.

mod cache;
mod choice;
mod job;
mod measurement;
mod table;

#[cfg(test)]
mod tests;

pub use cache::{Cache, CacheError, Entry, FOLDER_VARIABLE, Key, place};
pub use job::{Job, jobs, recorded};
pub use measurement::{Measure, Measurement};
pub use table::{block, table};

use choice::{Budget, Found, fastest};
use measurement::OnEngine;

use std::path::Path;

use crate::engine::gpu::{AdapterKind, EngineKind, Form, GpuEngine, Tuned};
use crate::engine::{Engine, EngineError};

/// Seconds that a sweep must be expected to take for its kernels to be measured before it.
const WORTH_TUNING_S: f64 = 20.0;
/// Seconds that measuring may add to it.
const BUDGET_S: f64 = 2.0;
/// FLOP/s that a slow GPU makes, and seconds that a step takes at least, roughly: what takes too little time by
/// both is not even probed.
const SLOW_FLOPS: f64 = 50e9;
const SLOW_STEP_S: f64 = 1e-4;
/// Cores for each form that is compiled beside others: the resident engine has two kernels, the layered one more that
/// are smaller.
const CORES_A_FORM: usize = 4;

/// Hears of each measurement.
pub type Tell<'t> = &'t mut dyn FnMut(&Job<'_>, &Measurement);

/// Measures the forms of an engine's adapter, or knows them already.
pub struct Tuner<'e> {
    engine: &'e GpuEngine,
    kind: AdapterKind,
    forms: Vec<Form>,
    key: Key,
    cache: Cache,
    /// Seconds that measuring may add to a sweep.
    budget_s: f64,
    changed: bool,
}

impl<'e> Tuner<'e> {
    /// With what was known before.
    pub fn new(engine: &'e GpuEngine, cache: Cache) -> Self {
        let kind = engine.device().kind;
        Self {
            engine,
            kind,
            forms: engine.options().candidates(kind),
            key: Key::new(&engine.adapter()),
            cache,
            budget_s: BUDGET_S,
            changed: false,
        }
    }

    /// Something was measured, which is to be [saved](Self::save).
    pub fn has_changed(&self) -> bool {
        self.changed
    }

    /// Writes what is known of the classes of these jobs into the file, beside what others have written
    /// there since.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn save(&self, place: &Path, jobs: &[Job<'_>]) -> Result<(), CacheError> {
        let mut there = Cache::read(place)?;
        for entry in self.entries(jobs) {
            there.put(entry);
        }
        there.write(place)
    }

    /// What is known of the classes of these jobs.
    pub fn entries(&self, jobs: &[Job<'_>]) -> Vec<Entry> {
        let classes: Vec<String> = jobs.iter().map(|job| self.class(job)).collect();
        let all = self.cache.entries.iter();
        let wanted = |entry: &&Entry| entry.key == self.key && classes.contains(&entry.class);
        all.filter(wanted).cloned().collect()
    }

    /// The class of a job, as measurements are kept by it: with the shape written in, the same form is another
    /// kernel.
    fn class(&self, job: &Job<'_>) -> String {
        let written = self.engine.is_written_in(&job.workload.shapes);
        let suffix = if written { ", shape written in" } else { "" };
        format!("{}{suffix}", job.class)
    }

    /// All that is known of a job's class.
    fn known(&self, job: &Job<'_>) -> Vec<Measurement> {
        self.cache.known(&self.key, &self.class(job))
    }

    /// The form that is taken for a job: the fastest that is right; where none is known to be, one that is
    /// not known to be wrong. `None` where what is taken unmeasured was not measured: then nothing is known to
    /// be faster.
    fn taken(&self, job: &Job<'_>) -> Option<Form> {
        let (forms, known) = (self.forms_of(job), self.known(job));
        choice::of(&known, *forms.first()?)?;
        let measured = forms.iter().filter_map(|&form| choice::of(&known, form));
        match fastest(measured) {
            Some(fastest) => Form::named(&fastest.form, self.kind),
            None => {
                let unknown = |&&form: &&Form| choice::of(&known, form).is_none();
                forms.iter().find(unknown).copied()
            }
        }
    }

    /// Measures every form of these jobs anew, and has the engine take the fastest.
    ///
    /// # Errors
    /// When the device is lost and no other is there.
    pub fn measure(&mut self, jobs: &[Job<'_>], tell: Tell<'_>) -> Result<(), EngineError> {
        for job in jobs {
            let forms = self.forms_of(job);
            let mut known = self.known(job);
            known.retain(|measured| forms.iter().all(|form| form.name() != measured.form));
            self.keep(job, known);
            self.extend(job, &forms, None, tell, |found, on_engine| {
                found.measure_all(on_engine, &forms)?;
                Ok(0.0)
            })?;
        }
        self.take_known(jobs);
        Ok(())
    }

    /// Has the engine take what is known of these jobs; what is not known is measured, if the sweep that
    /// they are of is worth it, within a budget. Not on software adapters: there compiling one more form takes longer
    /// than all measuring may.
    ///
    /// # Errors
    /// As [`Self::measure`].
    pub fn prepare(&mut self, jobs: &[Job<'_>], tell: Tell<'_>) -> Result<(), EngineError> {
        if self.kind != AdapterKind::Software && may_be_worth(jobs) {
            self.measure_within_budget(jobs, tell)?;
        }
        self.take_known(jobs);
        Ok(())
    }

    fn measure_within_budget(
        &mut self,
        jobs: &[Job<'_>],
        tell: Tell<'_>,
    ) -> Result<(), EngineError> {
        let mut budget = Budget {
            left_s: self.budget_s,
            at_once: match std::thread::available_parallelism() {
                Ok(cores) if self.engine.compiles_side_by_side() => {
                    cores.get().div_ceil(CORES_A_FORM)
                }
                _ => 1,
            },
        };
        // What would be taken unmeasured says how long the sweep will take.
        for job in jobs {
            let Some(&first) = self.forms_of(job).first() else {
                continue;
            };
            budget.left_s -= self.extend(job, &[first], Some(budget), tell, |found, on| {
                found.measure_first(on, first, budget)
            })?;
        }
        if self.expected_s(jobs) < WORTH_TUNING_S {
            return Ok(());
        }
        for job in jobs {
            let forms = self.forms_of(job);
            budget.left_s -= self.extend(job, &forms, Some(budget), tell, |found, on| {
                found.measure_within(on, &forms, budget)
            })?;
        }
        Ok(())
    }

    /// The candidates that train a job's networks, what is taken unmeasured first.
    fn forms_of(&self, job: &Job<'_>) -> Vec<Form> {
        let wave = job.workload.setup();
        let applies = |form: &Form| self.engine.trains_in(*form, &wave);
        self.forms.iter().copied().filter(applies).collect()
    }

    /// Seconds that the work of these jobs will take by what is taken unmeasured, as far as that is known.
    fn expected_s(&self, jobs: &[Job<'_>]) -> f64 {
        let seconds = |job: &Job<'_>| {
            let known = self.known(job);
            let first = choice::of(&known, *self.forms_of(job).first()?)?;
            Some(job.trial_samples() / first.rate()?)
        };
        jobs.iter().filter_map(seconds).sum()
    }

    /// Measures forms of a job, if they are not all known, beside what is known of it; gives the seconds that `measure`
    /// says it took. With a budget, nothing of networks that are too large for it.
    fn extend(
        &mut self,
        job: &Job<'_>,
        forms: &[Form],
        budget: Option<Budget>,
        tell: Tell<'_>,
        measure: impl FnOnce(&mut Found<'_>, &mut OnEngine<'_>) -> Result<f64, EngineError>,
    ) -> Result<f64, EngineError> {
        let known = self.known(job);
        if forms.iter().all(|&form| choice::of(&known, form).is_some()) {
            return Ok(0.0);
        }
        let mut on_engine = OnEngine::new(self.engine, job)?;
        let slow_s = on_engine.flops() / SLOW_FLOPS;
        if budget.is_some_and(|budget| slow_s > budget.left_s) {
            return Ok(0.0);
        }
        let were = known.len();
        let mut found = Found {
            measured: known,
            tell: &mut |measured| tell(job, measured),
        };
        let spent_s = measure(&mut found, &mut on_engine)?;
        let mut measured = found.measured;
        self.changed |= measured.len() > were;
        measured.retain(|measured| !measured.passing);
        let order: Vec<String> = Form::candidates(self.kind, EngineKind::Auto)
            .iter()
            .map(|form| form.name())
            .collect();
        measured.sort_by_key(|measured| order.iter().position(|name| *name == measured.form));
        self.keep(job, measured);
        Ok(spent_s)
    }

    /// From now on this is known of a job's class.
    fn keep(&mut self, job: &Job<'_>, measured: Vec<Measurement>) {
        self.cache.put(Entry {
            key: self.key.clone(),
            class: self.class(job),
            measured,
        });
    }

    /// Has the engine take what is known of these jobs, and measures nothing.
    pub fn take_known(&self, jobs: &[Job<'_>]) {
        let mut tuned = Tuned::default();
        for job in jobs {
            if let Some(form) = self.taken(job) {
                tuned.set(job.class.clone(), form);
            }
        }
        self.engine.set_tuned(tuned);
    }
}

/// Whether the work would take long on a slow GPU.
fn may_be_worth(jobs: &[Job<'_>]) -> bool {
    let seconds = |job: &Job<'_>| (job.flops / SLOW_FLOPS).max(job.steps * SLOW_STEP_S);
    jobs.iter().map(seconds).sum::<f64>() >= WORTH_TUNING_S
}
