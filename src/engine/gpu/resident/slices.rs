//! Slices of time: what one submission of the resident kernel does.

use std::ops::Range;

use super::choice::ResidentForm;
use crate::engine::gpu::layered::placement::{Placement, STEP_ROWS};
use crate::engine::gpu::layout::{MemberData, State};

/// Rows that a member has left to train on in this epoch: none when it diverged or is in another.
pub fn rows_left(data: &MemberData, state: &State, epoch: u32) -> u32 {
    if state.diverged != 0 || state.released != 0 || state.epoch != epoch {
        return 0;
    }
    data.rows.saturating_sub(state.position)
}

/// A dispatch.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// A member begins no further step after so many rows.
    pub rows: u32,
    /// Slots that take part; those without rows in between have nothing to do.
    pub slots: Range<u32>,
    /// Rows of all of them, and what their steps cost besides, in rows of the network that costs most.
    pub work: f64,
}

/// A member's part of the epoch.
#[derive(Clone, Copy, Debug)]
struct Left {
    rows: u32,
    batch: u32,
    /// Of a row, in rows of the network that costs most.
    cost: f64,
}

impl Left {
    /// Trains on `rows`, in whole steps; gives the work.
    fn train(&mut self, rows: u32, most_steps: u32) -> f64 {
        let steps = rows.div_ceil(self.batch).clamp(1, most_steps);
        let trained = steps.saturating_mul(self.batch).min(self.rows);
        let steps = trained.div_ceil(self.batch);
        self.rows -= trained;
        self.cost * (f64::from(trained) + f64::from(steps * STEP_ROWS))
    }
}

/// Members of a dispatch before it is known how long one takes.
pub(super) const FIRST_MEMBERS: u32 = 1024;

/// The slices of an epoch: rounds, in each of which every member trains on about as many rows; a round that takes too
/// long is cut into several slices, between members. Of more members than keep the adapter busy each trains for
/// longer at a time, since its weights are loaded and stored by every dispatch. The device is not asked how far it is: what a slice
/// does follows from the members, but for those that diverge on the way and end early.
pub struct Slices {
    members: Vec<Left>,
    most_steps: u32,
    /// Members that keep the adapter busy: a slice need not have more.
    at_once: usize,
    /// Rows of this round, and the first slot that has not made it.
    round: (u32, usize),
}

impl Slices {
    /// What is left of an epoch, in dispatches of this form.
    pub fn new(placement: &Placement, states: &[State], epoch: u32, form: &ResidentForm) -> Self {
        let members = placement.data.iter().zip(&placement.row_costs).zip(states);
        let left = |((data, &cost), state): ((&MemberData, &f64), &State)| Left {
            rows: rows_left(data, state, epoch),
            batch: data.batch_size,
            cost,
        };
        Self {
            members: members.map(left).collect(),
            most_steps: form.most_steps,
            at_once: form.at_once,
            round: (0, 0),
        }
    }

    /// Nothing is left.
    pub fn are_over(&self) -> bool {
        self.members.iter().all(|m| m.rows == 0)
    }

    /// The next slice, of about this much work but of a step at least; `None` when nothing is left. No work is
    /// what is not known yet.
    pub fn next(&mut self, budget: f64) -> Option<Slice> {
        let end = self.members.iter().rposition(|m| m.rows > 0)? + 1;
        if self.round.1 == 0 || self.round.1 >= end {
            let active = self.members.iter().filter(|m| m.rows > 0);
            let cost: f64 = active.take(self.at_once).map(|m| m.cost).sum();
            // Too large a number becomes the largest.
            let rows = (budget / cost) as u32;
            self.round = (rows.max(1), 0);
        }
        let (rows, begin) = self.round;
        let (mut at, mut taken, mut work) = (begin, 0, 0.0);
        let goes_on = |taken, work| match budget {
            0.0 => taken < FIRST_MEMBERS,
            _ => taken == 0 || work < budget,
        };
        while at < end && goes_on(taken, work) {
            let member = &mut self.members[at];
            if member.rows > 0 {
                work += member.train(rows, self.most_steps);
                taken += 1;
            }
            at += 1;
        }
        self.round.1 = at;
        let slot = |at: usize| u32::try_from(at).expect("members are limited by memory");
        Some(Slice {
            rows,
            slots: slot(begin)..slot(at),
            work,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(batch: u32, rows: u32) -> Left {
        let cost = 1.0;
        Left { rows, batch, cost }
    }

    fn sliced(members: &[Left], most_steps: u32) -> Slices {
        Slices {
            members: members.to_vec(),
            most_steps,
            at_once: usize::MAX,
            round: (0, 0),
        }
    }

    #[test]
    fn an_epoch_is_cut_into_slices_of_whole_steps() {
        let members = [member(10, 95), member(40, 95), member(200, 95)];
        let mut slices = sliced(&members, 6);
        // The first, before anything is known, is a step of each.
        let first = slices.next(0.0).expect("all is left");
        assert_eq!((first.rows, first.slots), (1, 0..3));
        assert_eq!(first.work, f64::from(10 + 40 + 95 + 3 * STEP_ROWS));
        // 85 and 55 are left; 50 rows are five steps of 10 and two of 40, the last of them 15.
        let second = slices.next(100.0).expect("two have rows left");
        assert_eq!((second.rows, second.slots), (50, 0..2));
        assert_eq!(second.work, f64::from(50 + 55 + 7 * STEP_ROWS));
        // 35 are left: in 4 steps.
        assert!(!slices.are_over());
        let third = slices.next(1e12).expect("one has rows left");
        assert_eq!(
            (third.slots, third.work),
            (0..1, f64::from(35 + 4 * STEP_ROWS))
        );
        assert!(slices.are_over());
        assert_eq!(slices.next(1e12), None);
        let mut limited = sliced(&members, 6);
        let most = limited.next(1e12).expect("all is left");
        assert_eq!(most.work, f64::from(60 + 95 + 95 + 10 * STEP_ROWS));
    }

    #[test]
    fn a_round_that_takes_too_long_is_cut_between_members() {
        let mut members = [member(32, 64); 5];
        members[1].rows = 0;
        let mut slices = sliced(&members, 100);
        let step = f64::from(32 + STEP_ROWS);
        let mut seen = Vec::new();
        // Two members a slice; the second of the first is the third member, since one diverged.
        while let Some(slice) = slices.next(1.5 * step) {
            assert_eq!(slice.work, 2.0 * step);
            seen.push(slice.slots);
        }
        assert_eq!(seen, [0..3, 3..5, 0..3, 3..5]);
        // As many as there are rows for, once there is more room.
        let mut slices = sliced(&members, 100);
        assert_eq!(slices.next(step).map(|slice| slice.slots), Some(0..1));
        assert_eq!(slices.next(1e12).map(|slice| slice.slots), Some(1..5));
    }

    #[test]
    fn rows_of_smaller_networks_are_less_work() {
        let small = Left {
            cost: 0.25,
            ..member(40, 1000)
        };
        let mut slices = sliced(&[member(40, 1000), small, small], 100);
        // 40 rows of each.
        let slice = slices.next(61.0).expect("all is left");
        assert_eq!((slice.rows, slice.slots), (40, 0..3));
        assert_eq!(slice.work, 1.5 * f64::from(40 + STEP_ROWS));
        // A step of the large one is more than this; a step of both small ones is not.
        let steps =
            [slices.next(20.0), slices.next(20.0)].map(|slice| slice.expect("rows are left"));
        assert_eq!(steps.map(|slice| slice.slots), [0..1, 1..3]);
    }

    #[test]
    fn of_many_members_each_trains_for_longer() {
        let mut slices = Slices {
            at_once: 4,
            ..sliced(&[member(10, 100); 16], 100)
        };
        // 60 rows of four members, with what six steps cost besides: two members have had enough.
        let slice = slices.next(240.0).expect("all is left");
        assert_eq!((slice.rows, slice.slots), (60, 0..3));
        // Where fewer have rows left, these share the time.
        let mut few = slices;
        few.members[2..].iter_mut().for_each(|m| m.rows = 0);
        few.round = (0, 0);
        let slice = few.next(240.0).expect("two have rows left");
        assert_eq!((slice.rows, slice.slots), (120, 0..2));
    }

    #[test]
    fn the_first_slice_has_not_all_of_many_members() {
        let mut slices = sliced(&[member(1, 1); 3000], 100);
        assert_eq!(slices.next(0.0).map(|s| s.slots), Some(0..FIRST_MEMBERS));
    }

    #[test]
    fn frozen_and_released_members_and_other_epochs_have_no_rows() {
        let data = MemberData {
            batch_size: 4,
            rows: 9,
            ..MemberData::default()
        };
        let state = |epoch, diverged, released| State {
            position: 4,
            epoch,
            diverged,
            released,
            ..State::default()
        };
        let left = |state| rows_left(&data, &state, 2);
        assert_eq!(left(state(2, 0, 0)), 5);
        assert_eq!(left(state(2, 1, 0)), 0);
        assert_eq!(left(state(2, 0, 1)), 0);
        assert_eq!(left(state(1, 0, 0)), 0);
    }
}
