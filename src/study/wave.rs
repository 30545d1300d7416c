//! Trains one wave to its end, epoch by epoch.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::planner::Begin;
use super::session::Session;
use super::{Event, StudyError};
use crate::engine::{EngineError, MemberSnapshot, Part, Progress, Running, Trace};
use crate::metrics;
use crate::plan::Wave;
use crate::store::{Checkpoint, CheckpointHeader, MemberHistory, WaveRecord};
use crate::train::{Member, MemberId};

/// How often training pauses to say how far it is.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// Training goes on at least this long between two pauses, however often checkpoints are asked for.
const TRAIN_AT_LEAST: Duration = Duration::from_millis(10);

/// Devices that may be lost while one wave trains; a driver that fails again and again is given up.
const MOST_LOSSES: u32 = 3;

/// All metrics of one part of the rows, in the order of [`metrics::NAMES`].
pub type Metrics = [f64; metrics::NAMES.len()];

/// What became of a member.
#[derive(Clone, Debug)]
pub struct MemberOutcome {
    /// What it did, epoch by epoch.
    pub history: MemberHistory,
    /// Over the rows it was trained on; `None` when it diverged.
    pub training: Option<Metrics>,
    /// Over the rows of its fold that it was not trained on; `None` when it diverged, or when
    /// there are none.
    pub validation: Option<Metrics>,
    /// Its last state, where it is a refit that did not diverge.
    pub state: Option<MemberSnapshot>,
}

/// A wave that reached its end.
pub struct FinishedWave {
    /// What it cost.
    pub record: WaveRecord,
    /// What became of its members, in the order of the plan.
    pub outcomes: Vec<MemberOutcome>,
}

/// How training a wave ended.
pub enum WaveResult {
    /// All members are done.
    Finished(FinishedWave),
    /// The study was stopped; the wave is in the checkpoint.
    Interrupted,
}

/// How a list of waves ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaveEnd {
    /// All of them are done.
    Finished,
    /// The study was stopped.
    Interrupted,
}

/// A wave in training.
struct WaveRun<'w> {
    wave: &'w Wave,
    running: Box<dyn Running + 'w>,
    histories: BTreeMap<MemberId, MemberHistory>,
    header: CheckpointHeader,
    started: Instant,
    saved: Instant,
    trace: Trace,
    /// When the last call of `train` ended, where the device trains on.
    ahead_since: Option<Instant>,
    /// Scores of the kept members on their validation rows, as they are now; empty where these are not known.
    validated: BTreeMap<MemberId, Option<Metrics>>,
}

impl<'s> Session<'_, '_, 's> {
    /// Trains a wave, from `stored` if there is a checkpoint of it. When the device is lost on the
    /// way, it goes on from the last checkpoint on another.
    pub(super) fn train(
        &mut self,
        wave: &Wave,
        mut begin: Begin<'s>,
        epochs: u32,
        mut stored: Option<Checkpoint>,
    ) -> Result<WaveResult, StudyError> {
        let mut losses = 0;
        loop {
            let lost = match self.train_once(wave, &mut begin, epochs, stored) {
                Err(StudyError::Engine(lost @ EngineError::DeviceLost { .. })) => lost,
                ended => return ended,
            };
            losses += 1;
            if losses > MOST_LOSSES {
                return Err(lost.into());
            }
            let refit = is_refit(&wave.members);
            stored = self.checkpoint_of(wave.number, refit)?;
            self.recover(&lost, stored.is_some())?;
        }
    }

    /// Has the engine take another device, and says so.
    fn recover(&mut self, lost: &EngineError, stored: bool) -> Result<(), StudyError> {
        let now = self.study.engine.recover()?;
        self.losses.fetch_add(1, Ordering::SeqCst);
        let from = if stored {
            "its last checkpoint"
        } else {
            "its beginning"
        };
        let text = format!("{}; the wave goes on from {from} on {now}", lost.what());
        self.control.observer.on(Event::Warning(&text));
        Ok(())
    }

    fn train_once(
        &mut self,
        wave: &Wave,
        begin: &mut Begin<'s>,
        epochs: u32,
        stored: Option<Checkpoint>,
    ) -> Result<WaveResult, StudyError> {
        let study = self.study;
        let started = begin.started(self.losses.load(Ordering::SeqCst));
        // What was compiled beside another wave was not waited for.
        let beside = started.is_some();
        let running = match started {
            Some(started) => started,
            None => study.engine.start(study.setup(wave))?,
        };
        begin.is_there(running.as_ref());
        let trace = self.control.trace.clone();
        let mut run = WaveRun::new(wave, running, stored, trace)?;
        self.control.observer.on(run.started_event());
        if !run.header.refit {
            run.running.train_ahead(epochs, Part::Validation);
        }
        while run.epoch() < epochs {
            if self.train_epoch(&mut run)? == WaveEnd::Interrupted {
                run.read_clock()?;
                return Ok(WaveResult::Interrupted);
            }
            run.note_epoch()?;
            self.tell(&run);
            if self.save_when_due(&mut run)? == WaveEnd::Interrupted {
                run.read_clock()?;
                return Ok(WaveResult::Interrupted);
            }
        }
        let outcomes = run.outcomes()?;
        run.read_clock()?;
        let (mut header, uniform) = (run.header, is_uniform(wave));
        let before_s = std::mem::take(&mut self.control.compiled_s);
        let compiled_s = if beside { 0.0 } else { run.running.compile_s() };
        let compile_s = before_s + compiled_s;
        header.wall_s += self.lap();
        Ok(WaveResult::Finished(FinishedWave {
            record: wave_record(header, compile_s, uniform, &outcomes),
            outcomes,
        }))
    }

    /// Trains the wave's next epoch, pausing to tell, to save and to stop. Its end is noted before anything is
    /// saved: the engine may already be in the epoch behind it.
    fn train_epoch(&mut self, run: &mut WaveRun<'_>) -> Result<WaveEnd, StudyError> {
        let target = run.epoch() + 1;
        loop {
            let save_at = self.save_at(run);
            let now = Instant::now();
            let until = save_at.min(now + TELL_EVERY).max(now + TRAIN_AT_LEAST);
            let stop = self.control.stop;
            let pause = || stop.load(Ordering::Relaxed) || Instant::now() >= until;
            if run.train(target, &pause)? == Progress::Reached {
                return Ok(WaveEnd::Finished);
            }
            if self.save_when_due(run)? == WaveEnd::Interrupted {
                return Ok(WaveEnd::Interrupted);
            }
            self.tell(run);
        }
    }

    fn save_at(&self, run: &WaveRun<'_>) -> Instant {
        run.saved + self.control.checkpoint_every
    }

    /// Writes a checkpoint, if it is time or the study was stopped.
    fn save_when_due(&mut self, run: &mut WaveRun<'_>) -> Result<WaveEnd, StudyError> {
        self.run.check()?;
        if self.stopped() {
            self.save(run)?;
            return Ok(WaveEnd::Interrupted);
        }
        if Instant::now() >= self.save_at(run) {
            self.save(run)?;
        }
        Ok(WaveEnd::Finished)
    }

    fn save(&mut self, run: &mut WaveRun<'_>) -> Result<(), StudyError> {
        let trace = self.control.trace.clone();
        let _span = trace.host("write a checkpoint");
        let checkpoint = run.checkpoint()?;
        self.run.save_checkpoint(&checkpoint)?;
        run.saved = Instant::now();
        Ok(())
    }

    fn tell(&mut self, run: &WaveRun<'_>) {
        self.control.observer.on(Event::Trained {
            samples: run.samples(),
            epoch: run.epoch(),
            live: run.running.members().len(),
        });
    }
}

impl<'w> WaveRun<'w> {
    fn new(
        wave: &'w Wave,
        mut running: Box<dyn Running + 'w>,
        stored: Option<Checkpoint>,
        trace: Trace,
    ) -> Result<Self, EngineError> {
        let refit = is_refit(&wave.members);
        let mut header = CheckpointHeader {
            wave: wave.number,
            refit,
            ..CheckpointHeader::default()
        };
        let mut histories: BTreeMap<MemberId, MemberHistory> = wave
            .members
            .iter()
            .map(|member| (member.id, new_history(member.id)))
            .collect();
        if let Some(stored) = stored {
            running.load(&stored.members)?;
            header = stored.header;
            histories.extend(stored.histories.into_iter().map(|h| (h.id, h)));
        }
        Ok(Self {
            wave,
            running,
            histories,
            header,
            started: Instant::now(),
            saved: Instant::now(),
            trace,
            ahead_since: None,
            validated: BTreeMap::new(),
        })
    }

    /// Has the trace get what the device's clock has seen.
    fn read_clock(&self) -> Result<(), EngineError> {
        if self.trace.is_on() {
            self.running.timing()?;
        }
        Ok(())
    }

    fn started_event(&self) -> Event<'static> {
        Event::WaveStarted {
            wave: self.header.wave,
            members: self.wave.members.len(),
            samples: self.samples(),
            resumed: self.samples() > 0,
        }
    }

    /// Epochs that every kept member has been evaluated after; when none is left, all of them.
    fn epoch(&self) -> u32 {
        let members = self.running.members();
        let done = members.iter().map(|m| self.histories[&m.id].epochs.len());
        done.min().map_or(u32::MAX, |epochs| {
            u32::try_from(epochs).expect("epochs are u32")
        })
    }

    /// Training rows seen by all members, also by those that left.
    fn samples(&self) -> u64 {
        let left: u64 = self.histories.values().map(|h| h.samples).sum();
        let kept: u64 = self.running.status().iter().map(|s| s.samples).sum();
        left + kept
    }

    fn train(
        &mut self,
        epoch: u32,
        pause: &(dyn Fn() -> bool + Sync),
    ) -> Result<Progress, EngineError> {
        // What the device has trained since the last call counts, with what the host did meanwhile.
        let begin = self.ahead_since.take().unwrap_or_else(Instant::now);
        let _span = self.trace.host("train");
        self.validated.clear();
        let progress = self.running.train(epoch, pause);
        self.header.train_s += begin.elapsed().as_secs_f64();
        self.ahead_since = self.running.is_ahead().then(Instant::now);
        progress
    }

    /// After an epoch: evaluates, notes, and lets diverged members leave. A refit is not scored
    /// here: its other rows are the test rows, and these are looked at once.
    fn note_epoch(&mut self) -> Result<(), EngineError> {
        let members = self.running.members();
        let validation = if self.header.refit {
            vec![None; members.len()]
        } else {
            self.evaluate(Part::Validation)?
        };
        let status = self.running.status();
        if !self.header.refit {
            let scores = members
                .iter()
                .map(|member| member.id)
                .zip(validation.clone());
            self.validated.extend(scores);
        }
        let mut kept = Vec::with_capacity(members.len());
        for (slot, (member, status)) in members.iter().zip(status).enumerate() {
            let [loss, accuracy, ..] = validation[slot].unwrap_or([f64::NAN; _]);
            let history = self
                .histories
                .entry(member.id)
                .or_insert_with(|| new_history(member.id));
            history.epochs.push([status.train_loss, loss, accuracy]);
            // Finite weights can still give logits that are not, on rows that were not trained on.
            let unsound = !self.header.refit && validation[slot].is_none();
            if status.diverged || unsound {
                let last = history.epochs.len() - 1;
                history.epochs[last] = [f64::NAN; 3];
                history.diverged = true;
                history.samples = status.samples;
                history.steps = status.steps;
            } else {
                kept.push(slot);
            }
        }
        if kept.len() < members.len() {
            self.running.keep(&kept);
        }
        Ok(())
    }

    fn evaluate(&mut self, part: Part) -> Result<Vec<Option<Metrics>>, EngineError> {
        let begin = Instant::now();
        let _span = self.trace.host("evaluate");
        let evaluations = self.running.evaluate(part)?;
        if self.ahead_since.is_none() {
            self.header.evaluate_s += begin.elapsed().as_secs_f64();
        }
        // No rows, or a loss that is not finite, give no metrics.
        let with_rows = |e: crate::engine::Evaluation| {
            (e.rows > 0 && e.loss_sum.is_finite()).then(|| metrics::metrics(&e))
        };
        Ok(evaluations
            .into_par_iter()
            .map(|e| e.and_then(with_rows))
            .collect())
    }

    /// What became of every member, in the order of the plan.
    fn outcomes(&mut self) -> Result<Vec<MemberOutcome>, EngineError> {
        let (members, status) = (self.running.members(), self.running.status());
        let training = self.evaluate(Part::Training)?;
        // Nothing was trained since the last epoch was noted, unless that was in an earlier process.
        let known = members
            .iter()
            .map(|member| self.validated.get(&member.id).copied());
        let validation = match known.collect() {
            Some(known) => known,
            None => self.evaluate(Part::Validation)?,
        };
        let states = if self.header.refit {
            self.running.save()?
        } else {
            Vec::new()
        };
        let mut states = states.into_iter();
        let mut scores = BTreeMap::new();
        for (slot, member) in members.iter().enumerate() {
            let state = states.next();
            scores.insert(member.id, (training[slot], validation[slot], state));
            let history = self
                .histories
                .entry(member.id)
                .or_insert_with(|| new_history(member.id));
            history.samples = status[slot].samples;
            history.steps = status[slot].steps;
            history.diverged |= status[slot].diverged || training[slot].is_none();
        }
        let outcome = |member: &Member| {
            let (training, validation, state) = scores.remove(&member.id).unwrap_or_default();
            let history = self.histories.remove(&member.id);
            MemberOutcome {
                history: history.expect("every member has a history"),
                training,
                validation,
                state,
            }
        };
        Ok(self.wave.members.iter().map(outcome).collect())
    }

    fn checkpoint(&mut self) -> Result<Checkpoint, EngineError> {
        let mut header = self.header;
        header.wall_s += self.started.elapsed().as_secs_f64();
        let histories = self
            .wave
            .members
            .iter()
            .map(|m| self.histories[&m.id].clone());
        Ok(Checkpoint {
            header,
            members: self.running.save()?,
            histories: histories.collect(),
        })
    }
}

fn new_history(id: MemberId) -> MemberHistory {
    MemberHistory {
        id,
        epochs: Vec::new(),
        samples: 0,
        steps: 0,
        diverged: false,
    }
}

fn wave_record(
    header: CheckpointHeader,
    compile_s: f64,
    uniform: bool,
    outcomes: &[MemberOutcome],
) -> WaveRecord {
    WaveRecord {
        wave: header.wave,
        trials: 0,
        members: outcomes.len() as u64,
        uniform,
        samples: outcomes.iter().map(|outcome| outcome.history.samples).sum(),
        compile_s,
        train_s: header.train_s,
        evaluate_s: header.evaluate_s,
        wall_s: header.wall_s,
    }
}

fn is_refit(members: &[Member]) -> bool {
    members.iter().any(|m| m.id.fold == crate::train::REFIT)
}

/// All members do the same work: they differ in nothing but the learning rate.
fn is_uniform(wave: &Wave) -> bool {
    let work = |member: &Member| {
        let mut hyperparameters = member.hyperparameters;
        hyperparameters.learning_rate = 1.0;
        hyperparameters
    };
    let pairs = wave.members.windows(2);
    let mut alike = pairs.map(|pair| work(&pair[0]) == work(&pair[1]));
    wave.shapes.len() == 1 && alike.all(|alike| alike)
}
