//! An engine whose results are scripted: nothing is trained.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::engine::{
    AdapterDescription, Engine, EngineError, Evaluation, MemberSnapshot, MemberStatus, Part,
    Progress, Running, WaveSetup,
};
use crate::plan::Limits;
use crate::train::{Member, REFIT, Shape};

/// Its members are right in as many of 100 rows as their trial's script says.
pub struct Scripted {
    pub limits: Limits,
    /// Correct rows of a trial's members; `None` diverges in the second epoch.
    pub correct: fn(u64) -> Option<u64>,
    /// Pauses that `stop` is set after.
    pub stop_after: usize,
    pub trained: AtomicUsize,
    pub stop: AtomicBool,
    /// Waves may be started beside others; or that fails.
    pub beside: Option<Result<(), ()>>,
    /// Waves are on the adapter in pieces.
    pub in_pieces: bool,
    /// Waves whose first trial is this or a later one are refused.
    pub refuses_from: u64,
    /// A folder that training makes.
    pub makes_folder: Option<PathBuf>,
    /// How waves began, `start` or `beside`, and their first trials.
    pub begun: Mutex<Vec<(&'static str, u64)>>,
}

struct ScriptedWave<'e> {
    engine: &'e Scripted,
    members: Vec<MemberSnapshot>,
    kept: Vec<Member>,
}

pub fn scripted(correct: fn(u64) -> Option<u64>, wave_members: u64) -> Scripted {
    Scripted {
        limits: Limits {
            most_bytes: u64::MAX,
            most_members: wave_members,
            enough_bytes: u64::MAX,
            enough_members: 1,
            layout: None,
        },
        correct,
        stop_after: usize::MAX,
        trained: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
        beside: None,
        in_pieces: false,
        refuses_from: u64::MAX,
        makes_folder: None,
        begun: Mutex::default(),
    }
}

impl Scripted {
    fn begin<'r>(&'r self, how: &'static str, wave: &WaveSetup<'r, '_>) -> Box<dyn Running + 'r> {
        let trial = wave.members[0].id.trial;
        self.begun.lock().unwrap().push((how, trial));
        let snapshot = |member: &Member| MemberSnapshot {
            id: member.id,
            parameters: vec![0.0; wave.shapes[0].parameters()],
            moments: Vec::new(),
            running: vec![0.0; wave.shapes[0].running()],
            steps: 0,
            samples: 0,
            epoch: 0,
            cursor: 0,
            loss_sum: 0.0,
            train_loss: f64::NAN,
            diverged: false,
        };
        Box::new(ScriptedWave {
            engine: self,
            members: wave.members.iter().map(snapshot).collect(),
            kept: wave.members.to_vec(),
        })
    }
}

fn refusal(reason: &str) -> EngineError {
    EngineError::Threads {
        threads: 0,
        reason: reason.to_owned(),
    }
}

impl Engine for Scripted {
    fn adapter(&self) -> AdapterDescription {
        AdapterDescription {
            name: "scripted".to_owned(),
            backend: "none".to_owned(),
            driver: "none".to_owned(),
            engine: "cpu".to_owned(),
            limits: BTreeMap::new(),
            variants: BTreeMap::new(),
        }
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn capacity(&self, _shape: &Shape, _batch: usize) -> Result<u64, EngineError> {
        Ok(self.limits.most_members)
    }

    fn start<'r>(&'r self, wave: WaveSetup<'r, '_>) -> Result<Box<dyn Running + 'r>, EngineError> {
        match wave.members[0].id.trial < self.refuses_from {
            true => Ok(self.begin("start", &wave)),
            false => Err(refusal("there is no room")),
        }
    }

    fn start_beside<'r>(
        &'r self,
        wave: WaveSetup<'r, '_>,
    ) -> Option<Result<Box<dyn Running + 'r>, EngineError>> {
        let beside = self.beside?.map(|()| self.begin("beside", &wave));
        Some(beside.map_err(|()| refusal("there is no room beside")))
    }
}

impl Running for ScriptedWave<'_> {
    fn train(
        &mut self,
        epoch: u32,
        _pause: &(dyn Fn() -> bool + Sync),
    ) -> Result<Progress, EngineError> {
        if self.engine.trained.fetch_add(1, Ordering::Relaxed) >= self.engine.stop_after {
            self.engine.stop.store(true, Ordering::Relaxed);
            return Ok(Progress::Paused);
        }
        if let Some(folder) = &self.engine.makes_folder {
            std::fs::create_dir_all(folder).unwrap();
        }
        for member in self.members.iter_mut().filter(|m| !m.diverged) {
            member.samples += u64::from(epoch - member.epoch) * 10;
            member.steps += u64::from(epoch - member.epoch);
            member.epoch = epoch;
            member.train_loss = 1.0 / f64::from(epoch);
            member.diverged = epoch == 2 && (self.engine.correct)(member.id.trial).is_none();
        }
        Ok(Progress::Reached)
    }

    fn status(&self) -> Vec<MemberStatus> {
        let status = |m: &MemberSnapshot| MemberStatus {
            epoch: m.epoch,
            train_loss: m.train_loss,
            samples: m.samples,
            steps: m.steps,
            diverged: m.diverged,
        };
        self.members.iter().map(status).collect()
    }

    fn evaluate(&mut self, part: Part) -> Result<Vec<Option<Evaluation>>, EngineError> {
        let evaluate = |m: &MemberSnapshot| {
            let correct = (self.engine.correct)(m.id.trial)?;
            let refit_bonus = u64::from(m.id.fold == REFIT);
            (!m.diverged).then(|| Evaluation {
                rows: 100,
                loss_sum: if part == Part::Training { 10.0 } else { 50.0 },
                true_positives: vec![correct + refit_bonus, 0],
                predicted: vec![100, 0],
                actual: vec![correct + refit_bonus, 100 - correct - refit_bonus],
            })
        };
        // A diverging trial is still evaluated in its first epoch.
        let or_empty = |m: &MemberSnapshot| match evaluate(m) {
            None if !m.diverged => Some(Evaluation {
                rows: 100,
                true_positives: vec![0, 0],
                predicted: vec![100, 0],
                actual: vec![0, 100],
                loss_sum: 1.0,
            }),
            evaluation => evaluation,
        };
        Ok(self.members.iter().map(or_empty).collect())
    }

    fn keep(&mut self, slots: &[usize]) {
        self.members = slots
            .iter()
            .map(|&slot| self.members[slot].clone())
            .collect();
        self.kept = slots.iter().map(|&slot| self.kept[slot]).collect();
    }

    fn copy(&mut self, _from: usize, _to: usize) -> Result<(), EngineError> {
        unreachable!("no scheduler copies")
    }

    fn is_whole(&self) -> bool {
        !self.engine.in_pieces
    }

    fn save(&self) -> Result<Vec<MemberSnapshot>, EngineError> {
        Ok(self.members.clone())
    }

    fn load(&mut self, snapshots: &[MemberSnapshot]) -> Result<(), EngineError> {
        self.kept
            .retain(|member| snapshots.iter().any(|s| s.id == member.id));
        self.members = snapshots.to_vec();
        Ok(())
    }

    fn members(&self) -> Vec<Member> {
        self.kept.clone()
    }

    fn weights(&self, slot: usize) -> Result<Vec<f32>, EngineError> {
        Ok(self.members[slot].parameters.clone())
    }
}
