//! A wave on a GPU: its members are trained and evaluated by the resident kernels or by the layered ones.

mod layered;
mod resident;
mod shared;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use layered::LayeredTrainer;
use resident::ResidentTrainer;
use shared::{Shared, Trainer};

#[cfg(test)]
use super::layered::pace::Pace;
use super::layered::placement::Placement;
use super::layered::{Kernels, OwnBuffers, WaveBuffers};
use crate::engine::gpu::GpuDevice;
use crate::engine::gpu::layout::State;
use crate::engine::gpu::options::Options;
use crate::engine::gpu::resident::Resident;
use crate::engine::gpu::timing::Timer;
use crate::engine::{
    EngineError, Evaluation, MemberSnapshot, MemberStatus, Part, Progress, Running, Timing,
    WaveSetup,
};
use crate::plan::BufferLayout;
use crate::train::Member;

/// Members that are trained together.
pub struct GpuWave<'r> {
    shared: Shared<'r>,
    trainer: Box<dyn Trainer + 'r>,
    compile_s: f64,
}

/// The kernels that train a wave.
pub enum WaveKernels {
    /// A dispatch a layer.
    Layered(Arc<Kernels>),
    /// A workgroup a member.
    Resident(Resident),
}

impl<'r> GpuWave<'r> {
    /// Puts the members on the device with their initial weights, and has kernels compiled that are not yet.
    ///
    /// # Errors
    /// When the device has no room for them, or fails.
    ///
    /// # Panics
    /// When the layout is that of the other engine than the kernels.
    pub fn new(
        gpu: Arc<GpuDevice>,
        kernels: WaveKernels,
        setup: WaveSetup<'r, '_>,
        layout: BufferLayout,
        options: Options,
    ) -> Result<Self, EngineError> {
        let placement = Placement::new(&setup, layout);
        let (buffers, own) = WaveBuffers::new(&gpu, &setup, &placement, layout, &options)?;
        let fresh = State {
            train_loss: f32::NAN,
            ..State::default()
        };
        let mut shared = Shared {
            gpu,
            data: setup.data,
            shapes: setup.shapes.to_vec(),
            seed: setup.seed,
            kept: placement.slots.clone(),
            live: Vec::new(),
            states: vec![fresh; placement.members.len()],
            placement,
            buffers,
            orders_of: None,
            actual: BTreeMap::new(),
            timer: None,
        };
        shared.sort_live();
        shared.write_initial();
        let trainer: Box<dyn Trainer> = match (kernels, own) {
            (WaveKernels::Layered(kernels), OwnBuffers::Layered(own)) => {
                Box::new(LayeredTrainer::new(kernels, own, &shared)?)
            }
            (WaveKernels::Resident(kernels), OwnBuffers::Resident(own)) => {
                let row_tile = options.tiles.rows.rows;
                Box::new(ResidentTrainer::new(kernels, own, &shared, row_tile)?)
            }
            _ => panic!("a wave is laid out for the engine that trains it"),
        };
        let mut wave = Self {
            shared,
            trainer,
            compile_s: 0.0,
        };
        if !wave.shared.live.is_empty() {
            let begin = Instant::now();
            wave.trainer.compile(&wave.shared)?;
            wave.compile_s = begin.elapsed().as_secs_f64();
        }
        Ok(wave)
    }

    /// Bytes of the wave's buffers.
    #[cfg(test)]
    pub fn bytes(&self) -> u64 {
        self.shared.buffers.bytes
    }

    /// Dispatches that a step of the layered engine takes, however many members there are.
    #[cfg(test)]
    pub fn dispatches_a_step(&self) -> usize {
        let layered = self.trainer.layered().expect("the layered engine");
        layered.dispatches_a_step(&self.shared)
    }

    /// The next submission is one step.
    #[cfg(test)]
    pub fn forget_pace(&mut self) {
        self.trainer.set_pace(Pace::default());
    }

    /// The next submissions are as short as can be, until it shows that they take no time.
    #[cfg(test)]
    pub fn crawl(&mut self) {
        self.trainer.set_pace(Pace::of(1.0));
    }

    /// Gradients of a kept member from its last step, where they have a buffer of their own.
    #[cfg(test)]
    pub fn gradients(&self, slot: usize) -> Result<Vec<f32>, EngineError> {
        let slot = self.shared.kept[slot];
        let layered = self.trainer.layered().expect("the layered engine");
        let (cohort, own) = (self.shared.cohort_of(slot), &layered.own);
        let index = self.shared.placement.data[slot as usize].index;
        super::layered::snapshots::read_gradients(&self.shared.gpu, cohort, own, index)
    }

    /// The same wave, for which kernels were compiled in so many seconds before it was made.
    pub fn compiled_in(mut self, seconds: f64) -> Self {
        self.compile_s += seconds;
        self
    }

    /// The same wave, measured by this timer.
    pub fn with_timer(mut self, timer: Option<Timer>) -> Self {
        self.shared.timer = timer;
        self
    }

    /// The epoch to go on with, if there is one below this.
    fn epoch_below(&self, epoch: u32) -> Option<u32> {
        let unfinished = self.trainer.unfinished().filter(|&at| at < epoch);
        unfinished.or_else(|| self.shared.behind(epoch))
    }

    fn keep_slots(&mut self, kept: Vec<u32>) {
        self.shared.kept = kept;
        self.shared.sort_live();
        self.trainer.keep(&mut self.shared);
    }
}

impl Running for GpuWave<'_> {
    fn train(
        &mut self,
        epoch: u32,
        pause: &(dyn Fn() -> bool + Sync),
    ) -> Result<Progress, EngineError> {
        let mut first = true;
        while let Some(at) = self.epoch_below(epoch) {
            let pauses = !first && pause();
            if pauses || !self.trainer.train_epoch(&mut self.shared, at, pause)? {
                return Ok(Progress::Paused);
            }
            first = false;
        }
        Ok(Progress::Reached)
    }

    fn train_ahead(&mut self, until: u32, part: Part) {
        self.trainer.train_ahead(until, part);
    }

    fn is_ahead(&self) -> bool {
        self.trainer.is_ahead()
    }

    fn status(&self) -> Vec<MemberStatus> {
        let status = |&slot: &u32| {
            let state = &self.shared.states[slot as usize];
            MemberStatus {
                epoch: state.epoch,
                train_loss: f64::from(state.train_loss),
                samples: state.samples(),
                steps: u64::from(state.steps),
                diverged: state.diverged != 0,
            }
        };
        self.shared.kept.iter().map(status).collect()
    }

    fn compile_s(&self) -> f64 {
        self.compile_s
    }

    fn timing(&self) -> Result<Option<Timing>, EngineError> {
        self.shared.timer.as_ref().map(Timer::spent).transpose()
    }

    fn evaluate(&mut self, part: Part) -> Result<Vec<Option<Evaluation>>, EngineError> {
        if self.shared.live.is_empty() {
            return Ok(Vec::new());
        }
        let mut counted = self.trainer.evaluate(&self.shared, part)?;
        let kept = self.shared.kept.clone();
        let evaluations = kept.into_iter().map(|slot| {
            let counted = counted.remove(&slot)?;
            self.shared.evaluation(slot, part, counted)
        });
        Ok(evaluations.collect())
    }

    fn keep(&mut self, slots: &[usize]) {
        assert!(slots.is_sorted(), "slots to keep ascend");
        let kept = slots.iter().map(|&slot| self.shared.kept[slot]).collect();
        self.keep_slots(kept);
    }

    fn copy(&mut self, from: usize, to: usize) -> Result<(), EngineError> {
        self.trainer.settle(&mut self.shared)?;
        let slots = [from, to].map(|slot| self.shared.kept[slot]);
        let mut snapshots = self.shared.snapshots(&slots)?;
        let mut copied = snapshots.swap_remove(0);
        let member = self.shared.placement.members[slots[1] as usize];
        copied.id = member.id;
        let shapes = slots.map(|slot| self.shared.cohort_of(slot).shape);
        if shapes[0] != shapes[1] {
            return Err(MemberSnapshot::of_other_shape(member.id, shapes));
        }
        let moments = member.hyperparameters.optimizer.moments();
        let rows = self.shared.data.fold(member.id).train.len();
        copied.check(member.id, shapes[1], moments, rows)?;
        self.shared.write_slot(slots[1], &copied);
        self.trainer.written(&self.shared, slots[1]..slots[1] + 1);
        Ok(())
    }

    fn save(&self) -> Result<Vec<MemberSnapshot>, EngineError> {
        self.shared.snapshots(&self.shared.kept)
    }

    fn load(&mut self, snapshots: &[MemberSnapshot]) -> Result<(), EngineError> {
        let mut slots = BTreeMap::new();
        for &slot in &self.shared.kept {
            slots.insert(self.shared.placement.members[slot as usize].id, slot);
        }
        let mut kept = Vec::with_capacity(snapshots.len());
        for snapshot in snapshots {
            let slot = *slots
                .get(&snapshot.id)
                .ok_or_else(|| MemberSnapshot::of_no_member(snapshot.id))?;
            let member = &self.shared.placement.members[slot as usize];
            let moments = member.hyperparameters.optimizer.moments();
            let rows = self.shared.data.fold(member.id).train.len();
            let shape = &self.shared.shapes[member.shape];
            snapshot.check(member.id, shape, moments, rows)?;
            kept.push(slot);
        }
        self.trainer.settle(&mut self.shared)?;
        self.shared.kept.clone_from(&kept);
        self.shared.write_snapshots(snapshots);
        let all = u32::try_from(self.shared.states.len()).expect("members are limited by memory");
        self.trainer.written(&self.shared, 0..all);
        self.keep_slots(kept);
        Ok(())
    }

    fn members(&self) -> Vec<Member> {
        let member = |&slot: &u32| self.shared.placement.members[slot as usize];
        self.shared.kept.iter().map(member).collect()
    }

    fn weights(&self, slot: usize) -> Result<Vec<f32>, EngineError> {
        self.shared.parameters(slot)
    }
}
