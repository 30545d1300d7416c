//! The state of a wave's members: written, read back, exchanged as snapshots.

use std::collections::BTreeMap;

use super::shared::Shared;
use crate::engine::gpu::layered::snapshots::{
    SlotValues, read_snapshots, state_of, write_initial, write_slot, write_values,
};
use crate::engine::gpu::transfer;
use crate::engine::{EngineError, MemberSnapshot};
use crate::train::{initial_parameters, initial_running};

impl Shared<'_> {
    /// Gives all slots their initial weights and states.
    pub(super) fn write_initial(&self) {
        let mut initial: BTreeMap<u32, Vec<f32>> = BTreeMap::new();
        for member in &self.placement.members {
            let repeat = member.id.repeat;
            initial
                .entry(repeat)
                .or_insert_with(|| initial_parameters(self.shape, self.seed, repeat));
        }
        let running = initial_running(self.shape);
        let (gpu, buffers) = (&self.gpu, &self.buffers);
        write_initial(
            gpu,
            buffers,
            &self.placement,
            self.shape,
            &initial,
            &running,
        );
        transfer::write(gpu, &self.buffers.states, &self.states);
    }

    /// The whole state of these slots, once all that was submitted is done.
    pub(super) fn snapshots(&self, slots: &[u32]) -> Result<Vec<MemberSnapshot>, EngineError> {
        read_snapshots(
            &self.gpu,
            &self.buffers,
            &self.placement,
            self.shape,
            slots,
            &self.read_states()?,
        )
    }

    /// Writes the states of the kept slots, `snapshots[i]` to `kept[i]`.
    pub(super) fn write_snapshots(&mut self, snapshots: &[MemberSnapshot]) {
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
    }

    /// Writes the state of one slot.
    pub(super) fn write_slot(&mut self, slot: u32, snapshot: &MemberSnapshot) {
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
    }
}
