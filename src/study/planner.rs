//! Plans waves on a thread of its own, and has the engine start each while the one before is trained.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::tally::Held;
use super::{Generation, Study};
use crate::engine::{Engine, Running};
use crate::plan::{Limits, Wave};
use crate::search::Proposal;

/// A wave that is to be trained.
pub struct Planned<'r> {
    /// The trials that were proposed with its own, by number.
    pub proposals: Arc<BTreeMap<u64, Proposal>>,
    /// The wave.
    pub wave: Wave,
    /// How it begins.
    pub begin: Begin<'r>,
}

/// How a wave begins. By default it is not started yet, and nothing waits for it.
#[derive(Default)]
pub struct Begin<'r> {
    started: Option<Started<'r>>,
    /// The planner waits to hear whether there is room for the next wave beside this one.
    room: Option<SyncSender<bool>>,
}

/// A wave that was started beside another.
struct Started<'r> {
    running: Box<dyn Running + 'r>,
    /// Devices that had been lost before: it is on the device that is there since.
    losses: u32,
}

impl<'r> Begin<'r> {
    /// The wave, if it is on the adapter already, and that is whole still; only once.
    pub fn started(&mut self, losses: u32) -> Option<Box<dyn Running + 'r>> {
        let started = self.started.take()?;
        let usable = started.losses == losses && started.running.is_whole();
        usable.then_some(started.running)
    }

    /// The wave is on the adapter: the next may be started beside it, if it is there whole.
    pub fn is_there(&mut self, running: &dyn Running) {
        if let Some(room) = self.room.take() {
            // Nobody listens where there is no next wave.
            let _ = room.send(running.is_whole());
        }
    }
}

/// Plans a study's waves.
pub struct Planner<'p, 's> {
    pub study: Study<'s>,
    /// Those of the plan, which may have been made elsewhere.
    pub limits: Limits,
    /// Trials that are on record from before.
    pub held: Held,
    /// Devices that were lost so far.
    pub losses: &'p AtomicU32,
    /// The study is to stop: nothing is started any more.
    pub stop: &'p AtomicBool,
}

impl<'s> Planner<'_, 's> {
    /// Hands all waves over that are not on record, one by one. The next one is planned, and started, when the one
    /// before was taken. Ends early where nobody takes any.
    pub fn run(self, waves: &SyncSender<Planned<'s>>) {
        // The wave that was handed over, in bytes, and what is to be heard of it.
        let mut before: Option<(u64, Receiver<bool>)> = None;
        for Generation {
            proposals,
            waves: of_generation,
        } in self.study.generations(self.limits)
        {
            let proposals = proposals.into_iter().map(|p| (p.trial, p));
            let proposals: Arc<BTreeMap<u64, Proposal>> = Arc::new(proposals.collect());
            for wave in of_generation.into_iter().filter(|wave| !self.is_held(wave)) {
                let bytes = wave.bytes(self.limits.layout);
                let started = before.and_then(|(other, room)| {
                    // Both together are no more than a single wave may be.
                    let fits = bytes.saturating_add(other) <= self.engine().limits().enough_bytes;
                    let room = room.recv().unwrap_or(false);
                    let starts = room && fits && !self.stop.load(Ordering::Relaxed);
                    if starts { self.start(&wave) } else { None }
                });
                let (room, heard) = sync_channel(1);
                before = Some((bytes, heard));
                let planned = Planned {
                    proposals: Arc::clone(&proposals),
                    wave,
                    begin: Begin {
                        started,
                        room: Some(room),
                    },
                };
                if waves.send(planned).is_err() {
                    return;
                }
            }
        }
    }

    fn engine(&self) -> &'s dyn Engine {
        self.study.engine
    }

    fn is_held(&self, wave: &Wave) -> bool {
        let mut trials = wave.members.iter().map(|member| member.id.trial);
        trials.all(|trial| self.held.holds(trial))
    }

    /// Starts a wave; `None` where that fails: it is started anew when it is to be trained, and what is wrong then is
    /// said.
    fn start(&self, wave: &Wave) -> Option<Started<'s>> {
        let losses = self.losses.load(Ordering::SeqCst);
        let started = self.engine().start_beside(self.study.setup(wave))?;
        let running = started.ok()?;
        Some(Started { running, losses })
    }
}
