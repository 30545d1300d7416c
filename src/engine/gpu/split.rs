//! A wave that the adapter has no room for: its halves take turns, epoch by epoch.
//!
//! The plan counts what a wave takes, but no adapter says how much memory is free. When a buffer
//! cannot be made, the wave is halved until its parts fit; each part trains an epoch, and is then
//! kept in the host's memory while the others train. Results are the same: a member's arithmetic
//! depends on nothing but the member.

use super::engine::GpuEngine;
use super::transfer;
use crate::engine::{
    EngineError, Evaluation, MemberSnapshot, MemberStatus, Part, Progress, Running, Timing,
    TrainingData, WaveSetup,
};
use crate::plan::with_own_shapes;
use crate::seed::Seed;
use crate::train::{Member, Shape};

/// Starts a wave, whole if there is room for it.
///
/// # Errors
/// [`EngineError::OutOfMemory`] when there is no room for a single member.
pub fn start<'r>(
    engine: &'r GpuEngine,
    setup: WaveSetup<'r, '_>,
) -> Result<Box<dyn Running + 'r>, EngineError> {
    match engine.whole(setup) {
        Err(error) if is_no_room(&error) && setup.members.len() > 1 => {
            Ok(Box::new(SplitWave::new(engine, setup)?))
        }
        started => started,
    }
}

/// Fewer members may have room where these have none: in the memory, or in a buffer for their lists.
fn is_no_room(error: &EngineError) -> bool {
    matches!(
        error,
        EngineError::OutOfMemory { .. } | EngineError::BufferTooLarge { .. }
    )
}

/// Some members of the wave, on the host while others are on the device.
struct Piece {
    /// All that it was begun with.
    members: Vec<Member>,
    /// The state of the kept members, in their order.
    kept: Vec<MemberSnapshot>,
}

/// The pieces of a wave, one of which is on the device.
struct SplitWave<'r> {
    engine: &'r GpuEngine,
    data: TrainingData<'r>,
    seed: Seed,
    shapes: Vec<Shape>,
    pieces: Vec<Piece>,
    /// The piece that was last on the device, by number, as it still is there: a pause needs no change.
    resident: Option<(usize, Box<dyn Running + 'r>)>,
    compile_s: f64,
}

impl<'r> SplitWave<'r> {
    fn new(engine: &'r GpuEngine, setup: WaveSetup<'r, '_>) -> Result<Self, EngineError> {
        let mut wave = Self {
            engine,
            data: setup.data,
            seed: setup.seed,
            shapes: setup.shapes.to_vec(),
            pieces: Vec::new(),
            resident: None,
            compile_s: 0.0,
        };
        wave.halve(setup.members)?;
        Ok(wave)
    }

    /// Puts some members on the device.
    fn whole(&self, members: &[Member]) -> Result<Box<dyn Running + 'r>, EngineError> {
        let (shapes, members) = with_own_shapes(&self.shapes, members.to_vec());
        self.engine.whole(WaveSetup {
            data: self.data,
            shapes: &shapes,
            members: &members,
            seed: self.seed,
        })
    }

    /// Adds these members, as one piece or as those of halves.
    fn halve(&mut self, members: &[Member]) -> Result<(), EngineError> {
        match self.whole(members) {
            Err(error) if is_no_room(&error) && members.len() > 1 => {
                // What the attempt has staged is freed when it was sent.
                let gpu = self.engine.device();
                gpu.queue.submit([]);
                transfer::wait(&gpu, None)?;
                let (first, second) = members.split_at(members.len() / 2);
                self.halve(first)?;
                self.halve(second)
            }
            started => {
                let started = started?;
                self.compile_s += started.compile_s();
                self.pieces.push(Piece {
                    members: members.to_vec(),
                    kept: started.save()?,
                });
                Ok(())
            }
        }
    }

    /// Puts a piece on the device for a while.
    fn with<T>(
        &mut self,
        piece: usize,
        work: impl FnOnce(&mut dyn Running) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let mut wave = match self.resident.take() {
            Some((resident, wave)) if resident == piece => wave,
            other => {
                // First room, then the piece.
                if let Some((_, other)) = other {
                    other.timing()?;
                }
                let Piece { members, kept } = &self.pieces[piece];
                let mut wave = self.whole(members)?;
                wave.load(kept)?;
                wave
            }
        };
        let done = work(wave.as_mut())?;
        self.pieces[piece].kept = wave.save()?;
        self.resident = Some((piece, wave));
        Ok(done)
    }

    /// The pieces that hold these slots, with the slots counted in each.
    fn places(&self) -> Vec<(usize, usize)> {
        let pieces = self.pieces.iter().enumerate();
        pieces
            .flat_map(|(piece, p)| (0..p.kept.len()).map(move |slot| (piece, slot)))
            .collect()
    }

    fn snapshots(&self) -> impl Iterator<Item = &MemberSnapshot> {
        self.pieces.iter().flat_map(|piece| &piece.kept)
    }
}

/// The earliest epoch that a live member of these is in, if it is below `epoch`.
fn behind(members: &[MemberSnapshot], epoch: u32) -> Option<u32> {
    let live = members.iter().filter(|m| !m.diverged);
    live.map(|m| m.epoch).min().filter(|&at| at < epoch)
}

impl Running for SplitWave<'_> {
    fn train(
        &mut self,
        epoch: u32,
        pause: &(dyn Fn() -> bool + Sync),
    ) -> Result<Progress, EngineError> {
        for piece in 0..self.pieces.len() {
            if behind(&self.pieces[piece].kept, epoch).is_none() {
                continue;
            }
            if self.with(piece, |wave| wave.train(epoch, pause))? == Progress::Paused {
                return Ok(Progress::Paused);
            }
        }
        Ok(Progress::Reached)
    }

    fn is_whole(&self) -> bool {
        false
    }

    fn compile_s(&self) -> f64 {
        self.compile_s
    }

    /// Pieces have clocks of their own, of which no sum is kept; what they have seen goes to the trace.
    fn timing(&self) -> Result<Option<Timing>, EngineError> {
        if let Some((_, wave)) = &self.resident {
            wave.timing()?;
        }
        Ok(None)
    }

    fn status(&self) -> Vec<MemberStatus> {
        let status = |m: &MemberSnapshot| MemberStatus {
            epoch: m.epoch,
            train_loss: m.train_loss,
            samples: m.samples,
            steps: m.steps,
            diverged: m.diverged,
        };
        self.snapshots().map(status).collect()
    }

    fn evaluate(&mut self, part: Part) -> Result<Vec<Option<Evaluation>>, EngineError> {
        let mut all = Vec::new();
        for piece in 0..self.pieces.len() {
            if !self.pieces[piece].kept.is_empty() {
                all.extend(self.with(piece, |wave| wave.evaluate(part))?);
            }
        }
        Ok(all)
    }

    fn keep(&mut self, slots: &[usize]) {
        assert!(slots.is_sorted(), "slots to keep ascend");
        self.resident = None;
        let mut at = 0;
        for piece in &mut self.pieces {
            piece.kept.retain(|_| {
                at += 1;
                slots.binary_search(&(at - 1)).is_ok()
            });
        }
    }

    fn copy(&mut self, from: usize, to: usize) -> Result<(), EngineError> {
        self.resident = None;
        let places = self.places();
        let members = self.members();
        let [of, member] = [members[from], members[to]];
        let mut copied = self.snapshots().nth(from).expect("a kept slot").clone();
        copied.id = member.id;
        let shapes = [of.shape, member.shape].map(|shape| &self.shapes[shape]);
        if shapes[0] != shapes[1] {
            return Err(MemberSnapshot::of_other_shape(member.id, shapes));
        }
        let (piece, slot) = places[to];
        let moments = member.hyperparameters.optimizer.moments();
        let rows = self.data.fold(member.id).train.len();
        copied.check(member.id, shapes[1], moments, rows)?;
        self.pieces[piece].kept[slot] = copied;
        Ok(())
    }

    fn save(&self) -> Result<Vec<MemberSnapshot>, EngineError> {
        Ok(self.snapshots().cloned().collect())
    }

    fn load(&mut self, snapshots: &[MemberSnapshot]) -> Result<(), EngineError> {
        self.resident = None;
        let mut left = snapshots.len();
        for piece in &mut self.pieces {
            let of_piece = |s: &&MemberSnapshot| piece.members.iter().any(|m| m.id == s.id);
            let kept: Vec<MemberSnapshot> = snapshots.iter().filter(of_piece).cloned().collect();
            left -= kept.len();
            piece.kept = kept;
        }
        if left > 0 {
            return Err(EngineError::StateMismatch {
                what: format!("{left} members"),
                reason: "the wave has no such members".to_owned(),
            });
        }
        // Checked as they are put on the device.
        for piece in 0..self.pieces.len() {
            self.with(piece, |_| Ok(()))?;
        }
        Ok(())
    }

    fn members(&self) -> Vec<Member> {
        let mut members = Vec::new();
        for piece in &self.pieces {
            for snapshot in &piece.kept {
                let member = piece.members.iter().find(|m| m.id == snapshot.id);
                members.push(*member.expect("a piece keeps its own members"));
            }
        }
        members
    }

    fn weights(&self, slot: usize) -> Result<Vec<f32>, EngineError> {
        let snapshot = self.snapshots().nth(slot);
        Ok(snapshot.expect("a kept slot").parameters.clone())
    }
}
