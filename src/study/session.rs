//! One process at work on a study: which waves it trains, what it writes of them, and where it goes on.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use super::assembly::Assembly;
use super::planner::Planned;
use super::tally::Tally;
use super::wave::{WaveEnd, WaveResult};
use super::{Control, Event, Study, StudyError};
use crate::plan::Wave;
use crate::store::{Checkpoint, Run, StoreError, TrialRecord, WaveRecord};

/// One process at work on a study.
pub struct Session<'a, 'c, 's> {
    pub study: Study<'s>,
    pub run: &'a mut Run,
    pub tally: Tally,
    /// Trials whose members are in several waves.
    pub assembly: Assembly,
    pub control: &'a mut Control<'c>,
    /// Devices that were lost so far.
    pub losses: &'a AtomicU32,
    /// The checkpoint that an earlier process left has been looked at.
    pub resumed: bool,
    /// When the last wave ended.
    pub marked: Option<Instant>,
}

impl<'s> Session<'_, '_, 's> {
    pub fn wave(&mut self, planned: Planned<'s>) -> Result<WaveEnd, StudyError> {
        let Planned {
            proposals,
            wave,
            begin,
        } = planned;
        self.begin_wave(&wave)?;
        let stored = self.stored_wave(wave.number, false)?;
        let epochs = self.study.sweep.train.epochs;
        match self.train(&wave, begin, epochs, stored)? {
            WaveResult::Interrupted => Ok(WaveEnd::Interrupted),
            WaveResult::Finished(done) => {
                let finished = self.assembly.add(&wave, &proposals, done.outcomes);
                self.write_wave(done.record, finished)?;
                Ok(WaveEnd::Finished)
            }
        }
    }

    /// Warns of records of an earlier wave that could not be written either.
    pub fn failed(&mut self, error: StudyError) -> StudyError {
        if let Err(unwritten) = self.run.settle() {
            let warning = Event::Warning(&unwritten.to_string());
            self.control.observer.on(warning);
        }
        error
    }

    /// The first wave that is trained in this process may be one that an earlier process did in
    /// part: what is on record of it and of later ones is forgotten.
    fn begin_wave(&mut self, wave: &Wave) -> Result<(), StudyError> {
        if !self.resumed {
            self.run.forget_waves_from(wave.number)?;
        }
        Ok(())
    }

    /// The checkpoint of this wave. Only the first wave of a process can have one.
    pub fn stored_wave(
        &mut self,
        wave: u64,
        refit: bool,
    ) -> Result<Option<Checkpoint>, StudyError> {
        if std::mem::replace(&mut self.resumed, true) {
            return Ok(None);
        }
        self.checkpoint_of(wave, refit)
    }

    /// The checkpoint on the disk, if it is of this wave.
    pub fn checkpoint_of(
        &mut self,
        wave: u64,
        refit: bool,
    ) -> Result<Option<Checkpoint>, StudyError> {
        let stored = match self.run.checkpoint() {
            // Its wave is trained from the beginning, to the same bits.
            Err(error @ StoreError::DamagedCheckpoint { .. }) => {
                self.control.observer.on(Event::Warning(&error.to_string()));
                None
            }
            stored => stored?,
        };
        Ok(stored.filter(|c| c.header.wave == wave && c.header.refit == refit))
    }

    /// Writes a wave's trials, but for those that an earlier process wrote before it was killed.
    fn write_wave(
        &mut self,
        mut wave: WaveRecord,
        finished: Vec<TrialRecord>,
    ) -> Result<(), StudyError> {
        wave.trials = finished.len() as u64;
        let new: Vec<TrialRecord> = finished
            .into_iter()
            .filter(|trial| !self.tally.holds(trial.trial))
            .collect();
        for trial in &new {
            self.control.observer.on(Event::TrialFinished(trial));
            self.tally
                .add(trial)
                .map_err(|trial| StudyError::UnknownTrial { trial })?;
        }
        // The next wave is trained meanwhile.
        let trace = self.control.trace.clone();
        Ok(self.run.append_behind(wave, new, trace)?)
    }

    pub fn stopped(&self) -> bool {
        self.control.stop.load(Ordering::Relaxed)
    }

    /// Seconds since the last call, or since the process began.
    pub fn lap(&mut self) -> f64 {
        let now = Instant::now();
        let since = self.marked.replace(now).unwrap_or(self.control.started);
        now.duration_since(since).as_secs_f64()
    }
}
