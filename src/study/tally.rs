//! What a study remembers of its finished trials: which there are, their states, and the best.

use std::collections::BTreeMap;

use super::StudyError;
use crate::report::{Goal, Score};
use crate::store::{RunReader, TrialRecord, TrialState};

/// Counts over the records of a run.
pub struct Tally {
    objective: String,
    goal: Goal,
    trials: u64,
    held: Vec<bool>,
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
            held: Vec::new(),
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
        usize::try_from(trial).is_ok_and(|trial| self.held.get(trial) == Some(&true))
    }

    /// Whether trials are finished, by number; those behind the last are not.
    pub fn held(&self) -> &[bool] {
        &self.held
    }

    /// Counts a trial that is finished now. One that is none of the study's, or that is there
    /// already, is refused by its number.
    pub fn add(&mut self, trial: &TrialRecord) -> Result<(), u64> {
        if trial.trial >= self.trials || self.holds(trial.trial) {
            return Err(trial.trial);
        }
        let at = usize::try_from(trial.trial).expect("trials are counted in memory");
        if self.held.len() <= at {
            self.held.resize(at + 1, false);
        }
        self.held[at] = true;
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
