//! A wave on the layered engine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::Kernels;
use super::buffers::WaveBuffers;
use super::evaluation::{Evaluated, Evaluator};
use super::lists::{Rows, active_prefix, training_tiles};
use super::pace::Pace;
use super::placement::Placement;
use super::recording::{Recorder, Recording};
use super::snapshots::{
    SlotValues, read_parameters, read_snapshots, state_of, write_slot, write_values,
};
use crate::engine::gpu::GpuDevice;
use crate::engine::gpu::engine::Options;
use crate::engine::gpu::layout::{Cursor, State};
use crate::engine::gpu::timing::Timer;
use crate::engine::gpu::transfer::{self, Wanted};
use crate::engine::{
    EngineError, Evaluation, MemberSnapshot, MemberStatus, Part, Progress, Running, Timing,
    TrainingData, WaveSetup,
};
use crate::plan::BufferLayout;
use crate::seed::Seed;
use crate::train::{Member, MemberId, Shape, initial_parameters, initial_running, row_order};

/// What a step costs beside its tiles, in tiles: dispatches have a price of their own.
const STEP_TILES: u32 = 16;

/// Members that are trained together, a dispatch a layer.
pub struct LayeredWave<'r> {
    gpu: Arc<GpuDevice>,
    kernels: Arc<Kernels>,
    data: TrainingData<'r>,
    shape: &'r Shape,
    seed: Seed,
    placement: Placement,
    buffers: WaveBuffers,
    /// Slots that are kept, in the order of the setup.
    kept: Vec<u32>,
    /// How far each slot is, as last read.
    states: Vec<State>,
    lists: Lists,
    evaluators: BTreeMap<Part, Evaluator>,
    compile_s: f64,
    pace: Pace,
    evaluation_pace: Pace,
    /// The epoch whose row orders are on the device.
    orders_of: Option<u32>,
    /// Measures passes, where that was asked for.
    timer: Option<Timer>,
}

/// The kept members as kernels see them.
#[derive(Default)]
struct Lists {
    /// Kept slots, ascending: those with more steps an epoch come first.
    live: Vec<u32>,
    /// Tiles that the first so many of them have.
    tiles: Vec<u32>,
}

impl<'r> LayeredWave<'r> {
    /// Puts the members on the device with their initial weights, and compiles what is not yet
    /// compiled.
    ///
    /// # Errors
    /// When the device has no room for them, or fails.
    pub fn new(
        gpu: Arc<GpuDevice>,
        kernels: Arc<Kernels>,
        setup: WaveSetup<'r>,
        layout: BufferLayout,
        options: Options,
    ) -> Result<Self, EngineError> {
        let placement = Placement::new(&setup, layout);
        let buffers = WaveBuffers::new(&gpu, &setup, &placement, layout, &options)?;
        let fresh = State {
            train_loss: f32::NAN,
            ..State::default()
        };
        let mut wave = Self {
            gpu,
            kernels,
            data: setup.data,
            shape: setup.shape,
            seed: setup.seed,
            kept: placement.slots.clone(),
            states: vec![fresh; placement.members.len()],
            placement,
            buffers,
            lists: Lists::default(),
            evaluators: BTreeMap::new(),
            compile_s: 0.0,
            pace: Pace::default(),
            evaluation_pace: Pace::default(),
            orders_of: None,
            timer: None,
        };
        wave.write_initial();
        wave.write_lists(options.tiles.rows.rows);
        // A wave whose evaluations have no room is refused now, when it can still be halved.
        for part in [Part::Training, Part::Validation] {
            let evaluator = wave.evaluator(part, wave.slot_rows(part))?;
            wave.evaluators.insert(part, evaluator);
        }
        wave.compile()?;
        Ok(wave)
    }

    fn evaluator(&self, part: Part, rows: Vec<Rows>) -> Result<Evaluator, EngineError> {
        Evaluator::new(
            &self.gpu,
            &self.placement,
            self.data,
            part,
            rows,
            self.tile_rows(),
            self.buffers.rows,
        )
    }

    /// Bytes of the wave's buffers.
    #[cfg(test)]
    pub fn bytes(&self) -> u64 {
        self.buffers.bytes
    }

    /// Dispatches that a step takes, however many members there are.
    #[cfg(test)]
    pub fn dispatches_a_step(&self) -> usize {
        self.recorder().step().commands.len()
    }

    /// The next submission is one step.
    #[cfg(test)]
    pub fn forget_pace(&mut self) {
        self.pace = Pace::default();
    }

    /// Gradients of a kept member from its last step, where they have a buffer of their own.
    #[cfg(test)]
    pub fn gradients(&self, slot: usize) -> Result<Vec<f32>, EngineError> {
        let slot = self.kept[slot];
        super::snapshots::read_gradients(&self.gpu, &self.buffers, self.shape, slot)
    }

    /// The same wave, for which kernels were compiled in so many seconds before it was made.
    pub fn compiled_in(mut self, seconds: f64) -> Self {
        self.compile_s += seconds;
        self
    }

    /// The same wave, measured by this timer.
    pub fn with_timer(mut self, timer: Option<Timer>) -> Self {
        self.timer = timer;
        self
    }

    fn write_initial(&self) {
        let mut initial: BTreeMap<u32, Vec<f32>> = BTreeMap::new();
        for member in &self.placement.members {
            let repeat = member.id.repeat;
            initial
                .entry(repeat)
                .or_insert_with(|| initial_parameters(self.shape, self.seed, repeat));
        }
        let (gpu, members) = (&self.gpu, &self.placement.members);
        let running = initial_running(self.shape);
        write_values(gpu, &self.buffers, &self.placement, self.shape, |slot| {
            Some(SlotValues {
                parameters: &initial[&members[slot].id.repeat],
                running: &running,
                moments: &[],
            })
        });
        transfer::write(gpu, &self.buffers.states, &self.states);
    }

    /// Rewrites the lists of kept members; nothing else moves.
    fn write_lists(&mut self, tile_rows: u32) {
        let mut live = self.kept.clone();
        live.sort_unstable();
        let rows: Vec<Rows> = live
            .iter()
            .map(|&slot| {
                let data = &self.placement.data[slot as usize];
                Rows {
                    slot,
                    rows: data.batch_size.min(data.rows),
                    first_row: data.first_row,
                }
            })
            .collect();
        let (tiles, prefix) = training_tiles(&rows, tile_rows);
        transfer::write(&self.gpu, &self.buffers.live, &live);
        transfer::write(&self.gpu, &self.buffers.tiles, &tiles);
        self.lists = Lists {
            live,
            tiles: prefix,
        };
        self.evaluators.clear();
    }

    fn recorder(&self) -> Recorder<'_, '_> {
        Recorder {
            gpu: &self.gpu,
            kernels: &self.kernels,
            buffers: &self.buffers,
            members: self.live_count(self.lists.live.len()),
            tiles: self.lists.tiles[self.lists.live.len()],
        }
    }

    fn live_count(&self, members: usize) -> u32 {
        u32::try_from(members).expect("members are limited by memory")
    }

    /// Software adapters compile a kernel at its first dispatch. All cursors are still 0, so that
    /// no member does anything here.
    fn compile(&mut self) -> Result<(), EngineError> {
        if self.lists.live.is_empty() {
            return Ok(());
        }
        let begin = Instant::now();
        let recorder = self.recorder();
        let (step, end) = (recorder.step(), recorder.end_of_epoch());
        let evaluation = recorder.evaluation(&recorder.nothing());
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        step.play(&mut pass, 1, 1);
        end.play(&mut pass, 1, 1);
        evaluation.play(&mut pass, 1, 1);
        drop(pass);
        let submission = self.gpu.queue.submit([encoder.finish()]);
        transfer::wait(&self.gpu, Some(submission))?;
        self.compile_s = begin.elapsed().as_secs_f64();
        Ok(())
    }

    /// The earliest unfinished epoch below `epoch` that a live member is in.
    fn behind(&self, epoch: u32) -> Option<u32> {
        let states = self
            .lists
            .live
            .iter()
            .map(|&slot| &self.states[slot as usize]);
        let live = states.filter(|state| state.diverged == 0);
        live.map(|state| state.epoch).min().filter(|&at| at < epoch)
    }

    /// Writes what the epoch needs: row orders, unless they are there from before a pause, and the
    /// next batch of every member that is in it.
    fn begin_epoch(&mut self, epoch: u32) {
        if self.orders_of != Some(epoch) {
            self.write_orders(epoch);
            self.orders_of = Some(epoch);
        }
        let cursors: Vec<Cursor> = self
            .placement
            .data
            .iter()
            .zip(&self.states)
            .map(|(data, state)| {
                let trains = state.diverged == 0 && state.epoch == epoch;
                let left = data.rows.saturating_sub(state.position);
                let rows = if trains { data.batch_size.min(left) } else { 0 };
                Cursor {
                    first: data.order_start + state.position,
                    rows,
                    steps: state.steps,
                    scaling: data.scaling,
                    inverse_rows: 1.0 / rows.max(1) as f32,
                    ..Cursor::default()
                }
            })
            .collect();
        transfer::write(&self.gpu, &self.buffers.forward, &cursors);
    }

    fn write_orders(&self, epoch: u32) {
        let mut orders = Vec::with_capacity(self.placement.order_rows as usize);
        for order in &self.placement.orders {
            let MemberId { repeat, fold, .. } = order.id;
            let rows = &self.data.fold(order.id).train;
            orders.extend(row_order(rows, self.seed, repeat, fold, epoch));
        }
        transfer::write(&self.gpu, &self.buffers.orders, &orders);
    }

    /// Steps that each live member has left in the epoch.
    fn remaining(&self, epoch: u32) -> Vec<u32> {
        let remaining = |&slot: &u32| {
            let (data, state) = (
                &self.placement.data[slot as usize],
                &self.states[slot as usize],
            );
            let trains = state.diverged == 0 && state.epoch == epoch;
            let left = if trains {
                data.rows.saturating_sub(state.position)
            } else {
                0
            };
            left.div_ceil(data.batch_size)
        };
        self.lists.live.iter().map(remaining).collect()
    }

    /// Trains the members that are in this epoch to its end; `false` when `pause` stopped it, which
    /// is asked after each submission: however often it says so, training goes on.
    fn train_epoch(
        &mut self,
        epoch: u32,
        pause: &(dyn Fn() -> bool + Sync),
    ) -> Result<bool, EngineError> {
        self.begin_epoch(epoch);
        let mut pace = std::mem::take(&mut self.pace);
        let reached = self.submit_epoch(epoch, pause, &mut pace);
        self.pace = pace;
        let reached = reached?;
        self.read_states()?;
        Ok(reached)
    }

    fn submit_epoch(
        &self,
        epoch: u32,
        pause: &(dyn Fn() -> bool + Sync),
        pace: &mut Pace,
    ) -> Result<bool, EngineError> {
        let remaining = self.remaining(epoch);
        let steps = remaining.iter().copied().max().unwrap_or(0);
        let recorder = self.recorder();
        let (recorded, end) = (recorder.step(), recorder.end_of_epoch());
        pace.begin();
        let mut step = 0;
        while step < steps {
            if step > 0 && pause() {
                return Ok(false);
            }
            let (until, work) = self.next_steps(&remaining, step..steps, pace.budget());
            let commands = self.encode(&recorded, &remaining, step..until)?;
            pace.submit(&self.gpu, commands, work)?;
            step = until;
        }
        let play = |pass: &mut wgpu::ComputePass<'_>| {
            end.play(pass, recorder.members, recorder.tiles);
        };
        let commands = self.pass("regatta.end_of_epoch", end.commands.len(), play)?;
        self.gpu.queue.submit([commands]);
        Ok(true)
    }

    /// How many of these steps the next submission takes, at least one, and their work.
    fn next_steps(
        &self,
        remaining: &[u32],
        steps: std::ops::Range<u32>,
        budget: f64,
    ) -> (u32, f64) {
        let (mut until, mut work) = (steps.start, 0.0);
        while until == steps.start || until < steps.end && work < budget {
            let tiles = self.lists.tiles[active_prefix(remaining, until)];
            work += f64::from(tiles + STEP_TILES);
            until += 1;
        }
        (until, work)
    }

    fn encode(
        &self,
        recorded: &Recording<'_>,
        remaining: &[u32],
        steps: std::ops::Range<u32>,
    ) -> Result<wgpu::CommandBuffer, EngineError> {
        let dispatches = steps.len() * recorded.commands.len();
        self.pass("regatta.steps", dispatches, |pass| {
            for step in steps {
                let members = active_prefix(remaining, step);
                recorded.play(pass, self.live_count(members), self.lists.tiles[members]);
            }
        })
    }

    /// One pass of so many dispatches, measured where that was asked for.
    fn pass(
        &self,
        label: &str,
        dispatches: usize,
        play: impl FnOnce(&mut wgpu::ComputePass<'_>),
    ) -> Result<wgpu::CommandBuffer, EngineError> {
        let timed = self.timer.as_ref().map(Timer::begin).transpose()?;
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some(label),
            timestamp_writes: timed.as_ref().and_then(|timed| timed.writes()),
        });
        play(&mut pass);
        drop(pass);
        let commands = encoder.finish();
        if let (Some(timer), Some(timed)) = (&self.timer, &timed) {
            timer.end(timed, dispatches as u64);
        }
        Ok(commands)
    }

    fn read_states(&mut self) -> Result<(), EngineError> {
        let bytes = (self.states.len() * size_of::<State>()) as u64;
        let wanted = Wanted::beginning(&self.buffers.states, bytes);
        let read = transfer::read(&self.gpu, &[wanted])?;
        self.states = transfer::values(&read[0]);
        Ok(())
    }

    /// Tile rows are those of the list that was written at the start.
    fn tile_rows(&self) -> u32 {
        self.kernels.tile_rows()
    }

    fn slot_rows(&self, part: Part) -> Vec<Rows> {
        let rows = |&slot: &u32| {
            let member = &self.placement.members[slot as usize];
            let diverged = self.states[slot as usize].diverged != 0;
            let rows = if diverged {
                0
            } else {
                part.rows(self.data.fold(member.id)).len()
            };
            Rows {
                slot,
                rows: u32::try_from(rows).expect("rows are numbered in u32"),
                first_row: 0,
            }
        };
        self.lists.live.iter().map(rows).collect()
    }

    /// The counts of a slot as an evaluation; the rows of each class are counted here.
    fn evaluation(&self, slot: u32, part: Part, counted: &Evaluated) -> Evaluation {
        let member = &self.placement.members[slot as usize];
        let rows = part.rows(self.data.fold(member.id));
        let mut actual = vec![0; self.shape.outputs()];
        for &row in rows {
            actual[self.data.dataset.targets[row as usize] as usize] += 1;
        }
        Evaluation {
            rows: rows.len() as u64,
            loss_sum: counted.loss_sum,
            true_positives: counted.true_positives.clone(),
            predicted: counted.predicted.clone(),
            actual,
        }
    }
}

impl Running for LayeredWave<'_> {
    fn train(
        &mut self,
        epoch: u32,
        pause: &(dyn Fn() -> bool + Sync),
    ) -> Result<Progress, EngineError> {
        let mut first = true;
        while let Some(at) = self.behind(epoch) {
            let pauses = !first && pause();
            if pauses || !self.train_epoch(at, pause)? {
                return Ok(Progress::Paused);
            }
            first = false;
        }
        Ok(Progress::Reached)
    }

    fn status(&self) -> Vec<MemberStatus> {
        let status = |&slot: &u32| {
            let state = &self.states[slot as usize];
            MemberStatus {
                epoch: state.epoch,
                train_loss: f64::from(state.train_loss),
                samples: state.samples(),
                steps: u64::from(state.steps),
                diverged: state.diverged != 0,
            }
        };
        self.kept.iter().map(status).collect()
    }

    fn compile_s(&self) -> f64 {
        self.compile_s
    }

    fn timing(&self) -> Result<Option<Timing>, EngineError> {
        self.timer.as_ref().map(Timer::spent).transpose()
    }

    fn evaluate(&mut self, part: Part) -> Result<Vec<Option<Evaluation>>, EngineError> {
        if self.lists.live.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.slot_rows(part);
        let evaluator = match self.evaluators.remove(&part) {
            // Members that diverged since are no longer in the list.
            Some(evaluator) if evaluator.rows() == rows => evaluator,
            _ => self.evaluator(part, rows)?,
        };
        let mut pace = std::mem::take(&mut self.evaluation_pace);
        let counted = evaluator.evaluate(&self.recorder(), &mut pace)?;
        self.evaluation_pace = pace;
        self.evaluators.insert(part, evaluator);
        let evaluations = self.kept.iter().map(|&slot| {
            let diverged = self.states[slot as usize].diverged != 0;
            (!diverged).then(|| self.evaluation(slot, part, &counted[&slot]))
        });
        Ok(evaluations.collect())
    }

    fn keep(&mut self, slots: &[usize]) {
        assert!(slots.is_sorted(), "slots to keep ascend");
        self.kept = slots.iter().map(|&slot| self.kept[slot]).collect();
        self.write_lists(self.tile_rows());
    }

    fn copy(&mut self, from: usize, to: usize) -> Result<(), EngineError> {
        let slots = [self.kept[from], self.kept[to]];
        let mut snapshots = self.snapshots(&slots)?;
        let mut copied = snapshots.swap_remove(0);
        let member = self.placement.members[slots[1] as usize];
        copied.id = member.id;
        copied.check(
            member.id,
            self.shape,
            member.hyperparameters.optimizer.moments(),
        )?;
        self.write_slot(slots[1], &copied);
        Ok(())
    }

    fn save(&self) -> Result<Vec<MemberSnapshot>, EngineError> {
        self.snapshots(&self.kept)
    }

    fn load(&mut self, snapshots: &[MemberSnapshot]) -> Result<(), EngineError> {
        let mut slots = BTreeMap::new();
        for &slot in &self.kept {
            slots.insert(self.placement.members[slot as usize].id, slot);
        }
        let mut kept = Vec::with_capacity(snapshots.len());
        for snapshot in snapshots {
            let slot = *slots
                .get(&snapshot.id)
                .ok_or_else(|| EngineError::StateMismatch {
                    what: format!("trial {}", snapshot.id.trial),
                    reason: "the wave has no such member".to_owned(),
                })?;
            let member = &self.placement.members[slot as usize];
            let moments = member.hyperparameters.optimizer.moments();
            snapshot.check(member.id, self.shape, moments)?;
            kept.push(slot);
        }
        self.kept = kept;
        self.write_snapshots(snapshots);
        self.write_lists(self.tile_rows());
        Ok(())
    }

    fn members(&self) -> Vec<Member> {
        let member = |&slot: &u32| self.placement.members[slot as usize];
        self.kept.iter().map(member).collect()
    }

    fn weights(&self, slot: usize) -> Result<Vec<f32>, EngineError> {
        read_parameters(&self.gpu, &self.buffers, self.shape, self.kept[slot])
    }
}

impl LayeredWave<'_> {
    fn snapshots(&self, slots: &[u32]) -> Result<Vec<MemberSnapshot>, EngineError> {
        read_snapshots(
            &self.gpu,
            &self.buffers,
            &self.placement,
            self.shape,
            slots,
            &self.states,
        )
    }

    /// Writes the states of the kept slots, `snapshots[i]` to `kept[i]`.
    fn write_snapshots(&mut self, snapshots: &[MemberSnapshot]) {
        let mut by_slot: BTreeMap<usize, &MemberSnapshot> = BTreeMap::new();
        for (&slot, snapshot) in self.kept.iter().zip(snapshots) {
            self.states[slot as usize] = state_of(snapshot);
            by_slot.insert(slot as usize, snapshot);
        }
        write_values(
            &self.gpu,
            &self.buffers,
            &self.placement,
            self.shape,
            |slot| by_slot.get(&slot).copied().map(SlotValues::of),
        );
        transfer::write(&self.gpu, &self.buffers.states, &self.states);
        transfer::write(
            &self.gpu,
            &self.buffers.marks,
            &vec![0_u32; self.states.len()],
        );
    }

    fn write_slot(&mut self, slot: u32, snapshot: &MemberSnapshot) {
        self.states[slot as usize] = state_of(snapshot);
        write_slot(
            &self.gpu,
            &self.buffers,
            &self.placement,
            self.shape,
            slot,
            SlotValues::of(snapshot),
        );
        transfer::write(&self.gpu, &self.buffers.states, &self.states);
        // A member that had diverged is as sound as what was copied.
        let at = 4 * u64::from(slot);
        let mark = &self.buffers.marks;
        self.gpu.queue.write_buffer(mark, at, &[0; 4]);
    }
}
