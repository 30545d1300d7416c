//! Which kernels are fast on this adapter: candidates are verified, timed, and remembered.
//!
//! What is fastest depends on the adapter, the networks and how many of them are trained at once, and on
//! nothing else that is known in advance. So the waves of a study are sorted into classes, the candidate
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

use choice::{fastest, measure_all};
use measurement::OnEngine;

use crate::engine::gpu::{AdapterKind, Form, GpuEngine, Tuned, WaveClass};
use crate::engine::{Engine, EngineError};

/// Seconds that a sweep must be expected to take for its kernels to be measured before it.
const WORTH_TUNING_S: f64 = 20.0;
/// Seconds that measuring may add to it.
const BUDGET_S: f64 = 2.0;
/// FLOP/s that any adapter of a kind makes: what takes too little time at this rate is not even probed.
const SLOW_SOFTWARE: f64 = 2e9;
const SLOW_HARDWARE: f64 = 50e9;

/// Hears of each measurement.
pub type Tell<'t> = &'t mut dyn FnMut(&Job<'_>, &Measurement);

/// Measures the forms of an engine's adapter, or knows them already.
pub struct Tuner<'e> {
    engine: &'e GpuEngine,
    kind: AdapterKind,
    forms: Vec<Form>,
    key: Key,
    cache: Cache,
    changed: bool,
}

impl<'e> Tuner<'e> {
    /// With what was known before.
    pub fn new(engine: &'e GpuEngine, cache: Cache) -> Self {
        let kind = engine.device().kind;
        Self {
            engine,
            kind,
            forms: Form::candidates(kind, engine.options().engine),
            key: Key::new(&engine.adapter()),
            cache,
            changed: false,
        }
    }

    /// What is known, to be written if it has [changed](Self::has_changed).
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Something was measured.
    pub fn has_changed(&self) -> bool {
        self.changed
    }

    /// What is known of the classes of these jobs.
    pub fn entries(&self, jobs: &[Job<'_>]) -> Vec<Entry> {
        let classes: Vec<String> = jobs.iter().map(|job| job.class.to_string()).collect();
        let all = self.cache.entries.iter();
        let wanted = |entry: &&Entry| entry.key == self.key && classes.contains(&entry.class);
        all.filter(wanted).cloned().collect()
    }

    /// All that is known of a class.
    fn known(&self, class: &WaveClass) -> Vec<Measurement> {
        self.cache.known(&self.key, class)
    }

    /// The form that is taken for a class; `None` where nothing is known.
    fn chosen(&self, class: &WaveClass) -> Option<Form> {
        let known = self.known(class);
        let allowed = self.forms.iter();
        let taken = fastest(allowed.filter_map(|&form| choice::of(&known, form)))?;
        Form::named(&taken.form, self.kind)
    }

    /// Where a form is known to be wrong and none to be right, the first that is not known to be wrong.
    fn spared(&self, class: &WaveClass) -> Option<Form> {
        let known = self.known(class);
        let wrong = |form: &&Form| choice::of(&known, **form).is_some_and(|m| m.error.is_some());
        let any_wrong = self.forms.iter().any(|form| wrong(&form));
        let mut forms = self.forms.iter();
        forms.find(|form| any_wrong && !wrong(form)).copied()
    }

    /// Measures every form of these jobs anew, and has the engine take the fastest.
    ///
    /// # Errors
    /// When the device is lost and no other is there.
    pub fn measure(&mut self, jobs: &[Job<'_>], tell: Tell<'_>) -> Result<(), EngineError> {
        for job in jobs {
            let on_engine = &mut OnEngine::new(self.engine, job)?;
            let forms = self.forms_of(on_engine);
            self.extend(on_engine, job, &forms, Vec::new(), None, tell)?;
        }
        self.take_known(jobs);
        Ok(())
    }

    /// Has the engine take what is known of these jobs; what is not known is measured, if the sweep that
    /// they are of is worth it, within a budget.
    ///
    /// # Errors
    /// As [`Self::measure`].
    pub fn prepare(&mut self, jobs: &[Job<'_>], tell: Tell<'_>) -> Result<(), EngineError> {
        if self.may_be_worth(jobs) {
            self.measure_within_budget(jobs, tell)?;
        }
        self.take_known(jobs);
        Ok(())
    }

    /// Whether the work would take long on a slow adapter of this kind.
    fn may_be_worth(&self, jobs: &[Job<'_>]) -> bool {
        let slow = match self.kind {
            AdapterKind::Software => SLOW_SOFTWARE,
            _ => SLOW_HARDWARE,
        };
        jobs.iter().map(|job| job.flops).sum::<f64>() / slow >= WORTH_TUNING_S
    }

    fn measure_within_budget(
        &mut self,
        jobs: &[Job<'_>],
        tell: Tell<'_>,
    ) -> Result<(), EngineError> {
        let mut left = Vec::new();
        let mut spent_s = 0.0;
        for job in jobs {
            let mut on_engine = OnEngine::new(self.engine, job)?;
            let (forms, known) = (self.forms_of(&on_engine), self.known(&job.class));
            // What would be taken unmeasured says how long the sweep will take.
            if forms
                .first()
                .is_some_and(|&form| choice::of(&known, form).is_none())
            {
                let budget_s = Some(BUDGET_S - spent_s);
                spent_s += self.extend(&mut on_engine, job, &forms[..1], known, budget_s, tell)?;
            }
            left.push((job, on_engine, forms));
        }
        if self.expected_s(jobs) < WORTH_TUNING_S {
            return Ok(());
        }
        for (job, on_engine, forms) in &mut left {
            let (known, budget_s) = (self.known(&job.class), Some(BUDGET_S - spent_s));
            spent_s += self.extend(on_engine, job, forms, known, budget_s, tell)?;
        }
        Ok(())
    }

    /// The candidates that train a job's networks.
    fn forms_of(&self, on_engine: &OnEngine<'_>) -> Vec<Form> {
        let all = self.forms.iter().copied();
        all.filter(|&form| on_engine.applies(form)).collect()
    }

    /// Seconds that the work of these jobs will take, as far as their classes are known.
    fn expected_s(&self, jobs: &[Job<'_>]) -> f64 {
        let rate = |job: &Job<'_>| {
            let known = self.known(&job.class);
            choice::of(&known, self.chosen(&job.class)?)?.rate()
        };
        let seconds = |job: &Job<'_>| {
            let samples = job.flops / job.workload.shape.flops_per_sample() as f64;
            rate(job).map_or(0.0, |rate| samples / rate)
        };
        jobs.iter().map(seconds).sum()
    }

    /// Measures forms of a job beside what is known of it, and gives the seconds that this took without
    /// what the sweep would have compiled too.
    fn extend(
        &mut self,
        on_engine: &mut OnEngine<'_>,
        job: &Job<'_>,
        forms: &[Form],
        known: Vec<Measurement>,
        budget_s: Option<f64>,
        tell: Tell<'_>,
    ) -> Result<f64, EngineError> {
        let first = forms.first().map(|form| form.name());
        let mut spent_s = 0.0;
        let mut count = |measurement: &Measurement| {
            let needed_anyway = first.as_ref() == Some(&measurement.form);
            let free_s = if needed_anyway {
                measurement.compile_s
            } else {
                0.0
            };
            spent_s += measurement.took_s - free_s;
            tell(job, measurement);
        };
        let found = measure_all(on_engine, forms, known, budget_s, &mut count)?;
        self.changed |= spent_s > 0.0;
        if !found.is_empty() {
            self.cache.put(&self.key, &job.class, found);
        }
        Ok(spent_s)
    }

    /// Has the engine take what is known of these jobs, and measures nothing.
    pub fn take_known(&self, jobs: &[Job<'_>]) {
        let mut tuned = Tuned::default();
        for job in jobs {
            if let Some(form) = self.chosen(&job.class).or_else(|| self.spared(&job.class)) {
                tuned.set(job.class.clone(), form);
            }
        }
        self.engine.set_tuned(tuned);
    }
}
