//! A wave that the layered kernels train, a dispatch a layer.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::shared::{Shared, Trainer};
use crate::engine::gpu::evaluated::Evaluated;
use crate::engine::gpu::layered::evaluation::Evaluator;
use crate::engine::gpu::layered::lists::{Rows, active_prefix, training_tiles};
use crate::engine::gpu::layered::pace::Pace;
use crate::engine::gpu::layered::recording::{Recorder, Recording};
use crate::engine::gpu::layered::{Kernels, LayeredBuffers};
use crate::engine::gpu::layout::Cursor;
use crate::engine::gpu::resident::rows_left;
use crate::engine::gpu::timing::{Encoding, PassKind};
use crate::engine::gpu::transfer;
use crate::engine::{EngineError, Part};

/// What a step costs beside its tiles, in tiles: dispatches have a price of their own.
const STEP_TILES: u32 = 16;

/// Trains and evaluates a wave by the layered kernels.
pub struct LayeredTrainer {
    kernels: Arc<Kernels>,
    /// Its buffers.
    pub own: LayeredBuffers,
    /// Tiles that the first so many of the live members have.
    tiles: Vec<u32>,
    evaluators: BTreeMap<Part, Evaluator>,
    pace: Pace,
    evaluation_pace: Pace,
}

impl LayeredTrainer {
    /// Makes the lists of training and of both parts: a wave whose evaluations have no room is refused when
    /// it can still be halved.
    pub fn new(
        kernels: Arc<Kernels>,
        own: LayeredBuffers,
        wave: &Shared<'_>,
    ) -> Result<Self, EngineError> {
        let mut trainer = Self {
            kernels,
            own,
            tiles: Vec::new(),
            evaluators: BTreeMap::new(),
            pace: Pace::default(),
            evaluation_pace: Pace::default(),
        };
        trainer.write_lists(wave);
        for part in [Part::Training, Part::Validation] {
            let evaluator = trainer.evaluator(wave, part, rows_of(wave, part))?;
            trainer.evaluators.insert(part, evaluator);
        }
        Ok(trainer)
    }

    /// Rewrites the lists of kept members; nothing else moves.
    fn write_lists(&mut self, wave: &Shared<'_>) {
        let rows: Vec<Rows> = wave
            .live
            .iter()
            .map(|&slot| {
                let data = &wave.placement.data[slot as usize];
                Rows {
                    slot,
                    rows: data.batch_size.min(data.rows),
                    first_row: data.first_row,
                }
            })
            .collect();
        let (tiles, prefix) = training_tiles(&rows, self.kernels.tile_rows());
        transfer::write(&wave.gpu, &self.own.live, &wave.live);
        transfer::write(&wave.gpu, &self.own.tiles, &tiles);
        self.tiles = prefix;
        self.evaluators.clear();
    }

    fn recorder<'w>(&'w self, wave: &'w Shared<'_>) -> Recorder<'w, 'w> {
        Recorder {
            gpu: &wave.gpu,
            kernels: &self.kernels,
            wave: &wave.buffers,
            buffers: &self.own,
            members: count(wave.live.len()),
            tiles: self.tiles[wave.live.len()],
        }
    }

    fn evaluator(
        &self,
        wave: &Shared<'_>,
        part: Part,
        rows: Vec<Rows>,
    ) -> Result<Evaluator, EngineError> {
        Evaluator::new(
            &wave.gpu,
            &wave.placement,
            wave.data,
            part,
            rows,
            self.kernels.tile_rows(),
            self.own.rows,
        )
    }

    /// Writes the next batch of every member that is in the epoch.
    fn write_cursors(&self, wave: &Shared<'_>, epoch: u32) {
        let members = wave.placement.data.iter().zip(&wave.states);
        let cursor = members.map(|(data, state)| {
            let rows = data.batch_size.min(rows_left(data, state, epoch));
            Cursor {
                first: data.order_start + state.position,
                rows,
                steps: state.steps,
                scaling: data.scaling,
                inverse_rows: 1.0 / rows.max(1) as f32,
                ..Cursor::default()
            }
        });
        let cursors: Vec<Cursor> = cursor.collect();
        transfer::write(&wave.gpu, &self.own.forward, &cursors);
    }

    /// The submissions of an epoch; `false` when `pause` stopped them.
    fn submit_epoch(
        &self,
        wave: &Shared<'_>,
        epoch: u32,
        pause: &(dyn Fn() -> bool + Sync),
        pace: &mut Pace,
    ) -> Result<bool, EngineError> {
        let remaining = remaining(wave, epoch);
        let steps = remaining.iter().copied().max().unwrap_or(0);
        let recorder = self.recorder(wave);
        let (recorded, end) = (recorder.step(), recorder.end_of_epoch());
        pace.begin();
        let mut step = 0;
        while step < steps {
            if step > 0 && pause() {
                return Ok(false);
            }
            let (until, work) = self.next_steps(&remaining, step..steps, pace.budget());
            let commands = self.encode(wave, &recorded, &remaining, step..until)?;
            pace.submit(&wave.gpu, commands, work)?;
            step = until;
        }
        let mut encoding = Encoding::new(&wave.gpu, wave.timer.as_ref())?;
        encoding.pass(PassKind::Train, end.commands.len(), |pass| {
            end.play(pass, recorder.members, recorder.tiles);
        });
        wave.gpu.queue.submit([encoding.finish()]);
        Ok(true)
    }

    /// How many of these steps the next submission takes, at least one, and their work.
    fn next_steps(&self, remaining: &[u32], steps: Range<u32>, budget: f64) -> (u32, f64) {
        let (mut until, mut work) = (steps.start, 0.0);
        while until == steps.start || until < steps.end && work < budget {
            let tiles = self.tiles[active_prefix(remaining, until)];
            work += f64::from(tiles + STEP_TILES);
            until += 1;
        }
        (until, work)
    }

    fn encode(
        &self,
        wave: &Shared<'_>,
        recorded: &Recording<'_>,
        remaining: &[u32],
        steps: Range<u32>,
    ) -> Result<wgpu::CommandBuffer, EngineError> {
        let dispatches = steps.len() * recorded.commands.len();
        let mut encoding = Encoding::new(&wave.gpu, wave.timer.as_ref())?;
        encoding.pass(PassKind::Train, dispatches, |pass| {
            for step in steps {
                let members = active_prefix(remaining, step);
                recorded.play(pass, count(members), self.tiles[members]);
            }
        });
        Ok(encoding.finish())
    }

    /// Dispatches that a step takes, however many members there are.
    #[cfg(test)]
    pub fn dispatches_a_step(&self, wave: &Shared<'_>) -> usize {
        self.recorder(wave).step().commands.len()
    }
}

fn count(rows_or_members: usize) -> u32 {
    u32::try_from(rows_or_members).expect("both are limited by memory")
}

/// Rows of a part that each live slot is evaluated on.
fn rows_of(wave: &Shared<'_>, part: Part) -> Vec<Rows> {
    let rows = |&slot: &u32| {
        let id = wave.placement.members[slot as usize].id;
        let rows = match wave.states[slot as usize].diverged {
            0 => part.rows(wave.data.fold(id)).len(),
            _ => 0,
        };
        Rows {
            slot,
            rows: count(rows),
            first_row: 0,
        }
    };
    wave.live.iter().map(rows).collect()
}

/// Steps that each live member has left in the epoch.
fn remaining(wave: &Shared<'_>, epoch: u32) -> Vec<u32> {
    let remaining = |&slot: &u32| {
        let slot = slot as usize;
        let (data, state) = (&wave.placement.data[slot], &wave.states[slot]);
        rows_left(data, state, epoch).div_ceil(data.batch_size)
    };
    wave.live.iter().map(remaining).collect()
}

impl Trainer for LayeredTrainer {
    /// All cursors are still 0.
    fn compile(&mut self, wave: &Shared<'_>) -> Result<(), EngineError> {
        let recorder = self.recorder(wave);
        let evaluation = recorder.evaluation(&recorder.nothing());
        let mut encoding = Encoding::new(&wave.gpu, None)?;
        encoding.pass(PassKind::Train, 0, |pass| {
            recorder.step().play(pass, 1, 1);
            recorder.end_of_epoch().play(pass, 1, 1);
            evaluation.play(pass, 1, 1);
        });
        let submission = wave.gpu.queue.submit([encoding.finish()]);
        transfer::wait(&wave.gpu, Some(submission))
    }

    fn keep(&mut self, wave: &mut Shared<'_>) {
        self.write_lists(wave);
    }

    fn train_epoch(
        &mut self,
        wave: &mut Shared<'_>,
        epoch: u32,
        pause: &(dyn Fn() -> bool + Sync),
    ) -> Result<bool, EngineError> {
        wave.bring_orders(epoch);
        self.write_cursors(wave, epoch);
        let mut pace = std::mem::take(&mut self.pace);
        let reached = self.submit_epoch(wave, epoch, pause, &mut pace);
        self.pace = pace;
        let reached = reached?;
        wave.states = wave.read_states()?;
        Ok(reached)
    }

    fn evaluate(
        &mut self,
        wave: &Shared<'_>,
        part: Part,
    ) -> Result<BTreeMap<u32, Evaluated>, EngineError> {
        let rows = rows_of(wave, part);
        let evaluator = match self.evaluators.remove(&part) {
            // Members that diverged since are no longer in the list.
            Some(evaluator) if evaluator.rows() == rows => evaluator,
            _ => self.evaluator(wave, part, rows)?,
        };
        let mut pace = std::mem::take(&mut self.evaluation_pace);
        let timer = wave.timer.as_ref();
        let counted = evaluator.evaluate(&self.recorder(wave), &mut pace, timer)?;
        self.evaluation_pace = pace;
        self.evaluators.insert(part, evaluator);
        Ok(counted)
    }

    fn written(&self, wave: &Shared<'_>, slots: Range<u32>) {
        let (at, zeros) = (4 * u64::from(slots.start), vec![0; 4 * slots.len()]);
        wave.gpu.queue.write_buffer(&self.own.marks, at, &zeros);
    }

    #[cfg(test)]
    fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    #[cfg(test)]
    fn layered(&self) -> Option<&LayeredTrainer> {
        Some(self)
    }
}
