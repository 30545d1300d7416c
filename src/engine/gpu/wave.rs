//! A wave on a GPU: its members are trained by the resident kernel or by the layered ones, and evaluated
//! by the layered ones.

mod epoch;
mod evaluate;
mod evaluation;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use evaluation::Evaluator;

use super::layered::lists::{Rows, training_tiles};
use super::layered::pace::Pace;
use super::layered::placement::Placement;
use super::layered::recording::Recorder;
use super::layered::snapshots::read_parameters;
use super::layered::{Kernels, WaveBuffers};
use crate::engine::gpu::GpuDevice;
use crate::engine::gpu::layout::State;
use crate::engine::gpu::options::Options;
use crate::engine::gpu::resident::Resident;
use crate::engine::gpu::timing::Timer;
use crate::engine::gpu::transfer;
use crate::engine::{
    EngineError, Evaluation, MemberSnapshot, MemberStatus, Part, Progress, Running, Timing,
    TrainingData, WaveSetup,
};
use crate::plan::BufferLayout;
use crate::seed::Seed;
use crate::train::{Member, Shape};

/// Members that are trained together.
pub struct GpuWave<'r> {
    gpu: Arc<GpuDevice>,
    kernels: Arc<Kernels>,
    /// Trains the members, where the layered kernels do not.
    resident: Option<Resident>,
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

impl<'r> GpuWave<'r> {
    /// Puts the members on the device with their initial weights, and compiles what is not yet
    /// compiled.
    ///
    /// # Errors
    /// When the device has no room for them, or fails.
    pub fn new(
        gpu: Arc<GpuDevice>,
        kernels: Arc<Kernels>,
        resident: Option<Resident>,
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
            resident,
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
        wave.prepare_evaluations()?;
        wave.compile()?;
        Ok(wave)
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
        super::layered::snapshots::read_gradients(&self.gpu, &self.buffers, self.shape, slot)
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
        if self.resident.is_some() {
            self.release_others();
        }
        self.evaluators.clear();
    }

    /// Tells the resident kernel which members are kept.
    fn release_others(&mut self) {
        for (slot, state) in (0..).zip(&mut self.states) {
            let kept = self.lists.live.binary_search(&slot).is_ok();
            state.released = u32::from(!kept);
        }
        transfer::write(&self.gpu, &self.buffers.states, &self.states);
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
        let evaluation = recorder.evaluation(&recorder.nothing());
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        if let Some(resident) = &self.resident {
            // No member is in this epoch.
            resident.write_run(&self.gpu, &self.buffers, self.tile_rows(), u32::MAX, 0);
            let bindings = resident.bind(&self.gpu, &self.buffers);
            resident.kernel().dispatch(&mut pass, &bindings, 1);
        } else {
            recorder.step().play(&mut pass, 1, 1);
            recorder.end_of_epoch().play(&mut pass, 1, 1);
        }
        evaluation.play(&mut pass, 1, 1);
        drop(pass);
        let submission = self.gpu.queue.submit([encoder.finish()]);
        transfer::wait(&self.gpu, Some(submission))?;
        self.compile_s = begin.elapsed().as_secs_f64();
        Ok(())
    }

    /// Tile rows are those of the list that was written at the start.
    fn tile_rows(&self) -> u32 {
        self.kernels.tile_rows()
    }
}

impl Running for GpuWave<'_> {
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
        self.evaluate_part(part)
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
