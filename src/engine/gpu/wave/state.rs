//! The state of a wave's members: written, read back, exchanged as snapshots.

use std::collections::BTreeMap;

use super::shared::Shared;
use crate::engine::gpu::layered::snapshots::{
    ReadCohort, SlotValues, state_of, write_initial, write_slot, write_values,
};
use crate::engine::gpu::transfer;
use crate::engine::{EngineError, MemberSnapshot};
use crate::train::{initial_parameters, initial_running};

impl Shared<'_> {
    /// Gives all slots their initial weights and states.
    pub(super) fn write_initial(&self) {
        for cohort in self.cohorts() {
            let mut initial: BTreeMap<u32, Vec<f32>> = BTreeMap::new();
            for &slot in cohort.slots {
                let repeat = self.placement.members[slot as usize].id.repeat;
                initial
                    .entry(repeat)
                    .or_insert_with(|| initial_parameters(cohort.shape, self.seed, repeat));
            }
            let running = initial_running(cohort.shape);
            write_initial(&self.gpu, cohort, &self.placement, &initial, &running);
        }
        transfer::write(&self.gpu, &self.buffers.states, &self.states);
    }

    /// The whole state of these slots, once all that was submitted is done.
    pub(super) fn snapshots(&self, slots: &[u32]) -> Result<Vec<MemberSnapshot>, EngineError> {
        let (states, placement) = (self.read_states()?, &self.placement);
        let read = ReadCohort::read(&self.gpu, self.cohorts(), placement)?;
        let snapshot = |&slot: &u32| {
            let slot = slot as usize;
            let (member, data) = (&placement.members[slot], &placement.data[slot]);
            read[member.shape].snapshot(member, data, &states[slot])
        };
        Ok(slots.iter().map(snapshot).collect())
    }

    /// Writes the states of the kept slots, `snapshots[i]` to `kept[i]`.
    pub(super) fn write_snapshots(&mut self, snapshots: &[MemberSnapshot]) {
        let mut by_slot: BTreeMap<u32, &MemberSnapshot> = BTreeMap::new();
        for (&slot, snapshot) in self.kept.iter().zip(snapshots) {
            self.states[slot as usize] = state_of(snapshot);
            by_slot.insert(slot, snapshot);
        }
        for cohort in self.cohorts() {
            write_values(&self.gpu, cohort, &self.placement, |slot| {
                by_slot.get(&slot).copied().map(SlotValues::of)
            });
        }
        transfer::write(&self.gpu, &self.buffers.states, &self.states);
    }

    /// Writes the state of one slot.
    pub(super) fn write_slot(&mut self, slot: u32, snapshot: &MemberSnapshot) {
        self.states[slot as usize] = state_of(snapshot);
        let values = SlotValues::of(snapshot);
        write_slot(
            &self.gpu,
            self.cohort_of(slot),
            &self.placement,
            slot,
            values,
        );
        transfer::write(&self.gpu, &self.buffers.states, &self.states);
    }
}
