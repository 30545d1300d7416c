//! What a wave has, whichever engine trains it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::gpu::GpuDevice;
use crate::engine::gpu::evaluated::Evaluated;
use crate::engine::gpu::layered::WaveBuffers;
#[cfg(test)]
use crate::engine::gpu::layered::pace::Pace;
use crate::engine::gpu::layered::placement::Placement;
use crate::engine::gpu::layered::snapshots::{Cohort, read_parameters};
use crate::engine::gpu::layout::State;
use crate::engine::gpu::timing::Timer;
use crate::engine::gpu::transfer::{self, Wanted};
use crate::engine::{EngineError, Evaluation, Part, TrainingData};
use crate::seed::Seed;
use crate::train::{MemberId, Shape, row_order};

/// The members of a wave and their buffers.
pub struct Shared<'r> {
    pub gpu: Arc<GpuDevice>,
    pub data: TrainingData<'r>,
    pub shapes: Vec<Shape>,
    pub seed: Seed,
    pub placement: Placement,
    pub buffers: WaveBuffers,
    /// Kept slots, in the order of the setup.
    pub kept: Vec<u32>,
    /// The same, ascending: those with more steps an epoch come first.
    pub live: Vec<u32>,
    /// How far each slot is, as last read.
    pub states: Vec<State>,
    /// The epoch whose row orders are on the device.
    pub orders_of: Option<u32>,
    /// Rows of each class in each fold's parts, as they are asked for.
    pub actual: BTreeMap<(u32, Part), Vec<u64>>,
    /// Measures passes, where that was asked for.
    pub timer: Option<Timer>,
}

/// What trains and evaluates the members of a wave.
pub trait Trainer: Send {
    /// Software adapters compile a kernel at its first dispatch: this is one in which no member does
    /// anything.
    fn compile(&mut self, wave: &Shared<'_>) -> Result<(), EngineError>;

    /// The kept members are others than before.
    fn keep(&mut self, wave: &mut Shared<'_>);

    /// Trains the members that are in this epoch to its end, and reads the states; `false` when `pause`
    /// stopped it, which is asked after each submission: however often it says so, training goes on.
    fn train_epoch(
        &mut self,
        wave: &mut Shared<'_>,
        epoch: u32,
        pause: &(dyn Fn() -> bool + Sync),
    ) -> Result<bool, EngineError>;

    /// The epoch that it is in, although the states may say that it has ended.
    fn unfinished(&self) -> Option<u32> {
        None
    }

    /// What is counted of each live slot over a part of its rows.
    fn evaluate(
        &mut self,
        wave: &Shared<'_>,
        part: Part,
    ) -> Result<BTreeMap<u32, Evaluated>, EngineError>;

    /// See [`Running::is_ahead`](crate::engine::Running::is_ahead).
    fn is_ahead(&self) -> bool {
        false
    }

    /// See [`Running::train_ahead`](crate::engine::Running::train_ahead).
    fn train_ahead(&mut self, _until: u32, _part: Part) {}

    /// Nothing is trained any more that was not asked for; reads the states, where something was.
    fn settle(&mut self, _wave: &mut Shared<'_>) -> Result<(), EngineError> {
        Ok(())
    }

    /// The states of these slots were written: they are as sound as what was written.
    fn written(&self, _wave: &Shared<'_>, _slots: std::ops::Range<u32>) {}

    /// The next submissions are as long as this says.
    #[cfg(test)]
    fn set_pace(&mut self, pace: Pace);

    /// The layered engine's, if it is that.
    #[cfg(test)]
    fn layered(&self) -> Option<&super::layered::LayeredTrainer> {
        None
    }
}

impl Shared<'_> {
    /// The kept slots have changed.
    pub fn sort_live(&mut self) {
        self.live = self.kept.clone();
        self.live.sort_unstable();
    }

    /// The earliest unfinished epoch below `epoch` that a live member is in.
    pub fn behind(&self, epoch: u32) -> Option<u32> {
        let states = self.live.iter().map(|&slot| &self.states[slot as usize]);
        let live = states.filter(|state| state.diverged == 0);
        live.map(|state| state.epoch).min().filter(|&at| at < epoch)
    }

    /// Writes the row orders of an epoch, unless they are there from before a pause.
    pub fn bring_orders(&mut self, epoch: u32) {
        if self.orders_of == Some(epoch) {
            return;
        }
        let mut orders = Vec::with_capacity(self.placement.order_rows as usize);
        for order in &self.placement.orders {
            let MemberId { repeat, fold, .. } = order.id;
            let rows = &self.data.fold(order.id).train;
            orders.extend(row_order(rows, self.seed, repeat, fold, epoch));
        }
        transfer::write(&self.gpu, &self.buffers.orders, &orders);
        self.orders_of = Some(epoch);
    }

    /// The states on the device.
    pub fn wanted_states(&self) -> Wanted<'_> {
        let bytes = (self.states.len() * size_of::<State>()) as u64;
        Wanted::beginning(&self.buffers.states, bytes)
    }

    /// How far each slot is, once all that was submitted is done.
    pub fn read_states(&self) -> Result<Vec<State>, EngineError> {
        let read = transfer::read(&self.gpu, &[self.wanted_states()])?;
        Ok(transfer::values(&read[0]))
    }

    /// Takes states that were read; those that left since are released in them too.
    pub fn take_states(&mut self, states: Vec<State>) {
        self.states = states;
        for (slot, state) in (0..).zip(&mut self.states) {
            state.released |= u32::from(self.live.binary_search(&slot).is_err());
        }
    }

    /// The members of each shape, with their buffers.
    pub fn cohorts(&self) -> impl Iterator<Item = Cohort<'_>> {
        (0..self.shapes.len()).map(|shape| self.cohort(shape))
    }

    fn cohort(&self, shape: usize) -> Cohort<'_> {
        Cohort {
            shape: &self.shapes[shape],
            state: &self.buffers.state[shape],
            slots: &self.placement.cohorts[shape],
        }
    }

    /// The members of a slot's shape.
    pub fn cohort_of(&self, slot: u32) -> Cohort<'_> {
        self.cohort(self.placement.members[slot as usize].shape)
    }

    /// Classes that all networks tell apart.
    pub fn classes(&self) -> usize {
        self.shapes[0].outputs()
    }

    /// Parameters of a kept member.
    pub fn parameters(&self, slot: usize) -> Result<Vec<f32>, EngineError> {
        let slot = self.kept[slot];
        let index = self.placement.data[slot as usize].index;
        read_parameters(&self.gpu, self.cohort_of(slot), index)
    }

    /// The counts of a slot as an evaluation; `None` where it diverged.
    pub fn evaluation(&mut self, slot: u32, part: Part, counted: Evaluated) -> Option<Evaluation> {
        if self.states[slot as usize].diverged != 0 {
            return None;
        }
        let id = self.placement.members[slot as usize].id;
        let (rows, targets) = (part.rows(self.data.fold(id)), &self.data.dataset.targets);
        let classes = self.classes();
        let actual = self.actual.entry((id.fold, part)).or_insert_with(|| {
            let mut actual = vec![0; classes];
            for &row in rows {
                actual[targets[row as usize] as usize] += 1;
            }
            actual
        });
        Some(Evaluation {
            rows: rows.len() as u64,
            loss_sum: counted.loss_sum,
            true_positives: counted.true_positives,
            predicted: counted.predicted,
            actual: actual.clone(),
        })
    }
}
