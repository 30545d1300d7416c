//! What a study remembers of its finished trials: which there are, their states, and the best.

use std::collections::BTreeMap;

use super::StudyError;
use crate::report::{Goal, Score};
use crate::store::{RunReader, TrialRecord, TrialState};

/// Which trials are finished, by number.
#[derive(Clone, Debug, Default)]
pub struct Held(Vec<bool>);

impl Held {
    /// Whether this one is.
    pub fn holds(&self, trial: u64) -> bool {
        usize::try_from(trial).is_ok_and(|trial| self.0.get(trial) == Some(&true))
    }

    fn add(&mut self, trial: u64) {
        let at = usize::try_from(trial).expect("trials are counted in memory");
        if self.0.len() <= at {
            self.0.resize(at + 1, false);
        }
        self.0[at] = true;
    }
}

/// Counts over the records of a run.
pub struct Tally {
    objective: String,
    goal: Goal,
    trials: u64,
    held: Held,
    states: BTreeMap<TrialState, u64>,
    best: Option<TrialRecord>,
}

impl Tally {
    /// Reads the records that a run holds so far.
    pub fn read(run: &RunReader, objective: &str, trials: u64) -> Result<Self, StudyError> {
        let mut tally = Self {
            objective: objective.to_owned(),
            goal: Goal::of_metric(objective),
            trials,
            held: Held::default(),
            states: BTreeMap::new(),
            best: None,
        };
        for trial in run.trials()? {
            tally
                .add(&trial?)
                .map_err(|trial| StudyError::UnknownTrial { trial })?;
        }
        Ok(tally)
    }

    /// Whether the trial is finished.
    pub fn holds(&self, trial: u64) -> bool {
        self.held.holds(trial)
    }

    /// Those that are finished so far.
    pub fn held(&self) -> Held {
        self.held.clone()
    }

    /// Counts a trial that is finished now. One that is none of the study's, or that is there
    /// already, is refused by its number.
    pub fn add(&mut self, trial: &TrialRecord) -> Result<(), u64> {
        if trial.trial >= self.trials || self.holds(trial.trial) {
            return Err(trial.trial);
        }
        self.held.add(trial.trial);
        *self.states.entry(trial.state).or_default() += 1;
        if self.is_better(trial) {
            self.best = Some(trial.clone());
        }
        Ok(())
    }

    /// Ties go to the earlier trial, in whatever order they finished.
    fn is_better(&self, trial: &TrialRecord) -> bool {
        let score = |trial: &TrialRecord| Score::of(trial, &self.objective);
        let Some(best) = &self.best else {
            return score(trial).value.is_some();
        };
        let mut pair = [score(best), score(trial)];
        crate::report::best_first(&mut pair, self.goal);
        pair[0].trial == trial.trial
    }

    /// Trials in each state that occurred.
    pub fn states(&self) -> &BTreeMap<TrialState, u64> {
        &self.states
    }

    /// The best trial; `None` when none is complete.
    pub fn best(&self) -> Option<&TrialRecord> {
        self.best.as_ref()
    }
}
