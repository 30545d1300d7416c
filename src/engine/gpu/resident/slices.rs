//! Slices of time: what one submission of the resident kernel does.

use crate::engine::gpu::layout::{MemberData, State};

/// What a step costs beside its rows, in rows.
const STEP_ROWS: u32 = 8;

/// Rows that a member has left to train on in this epoch: none when it diverged or is in another.
pub fn rows_left(data: &MemberData, state: &State, epoch: u32) -> u32 {
    if state.diverged != 0 || state.released != 0 || state.epoch != epoch {
        return 0;
    }
    data.rows.saturating_sub(state.position)
}

/// A dispatch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slice {
    /// A member begins no further step after so many rows.
    pub rows: u32,
    /// Members that may have something to do: those behind have nothing.
    pub members: u32,
    /// Rows of all of them, and what their steps cost besides.
    pub work: f64,
}

/// A member's part of the epoch.
#[derive(Clone, Copy, Debug)]
struct Left {
    rows: u32,
    batch: u32,
}

impl Left {
    /// Trains on `rows`, in whole steps; gives the work.
    fn train(&mut self, rows: u32, most_steps: u32) -> f64 {
        let steps = rows.div_ceil(self.batch).clamp(1, most_steps);
        let trained = steps.saturating_mul(self.batch).min(self.rows);
        let steps = trained.div_ceil(self.batch);
        self.rows -= trained;
        f64::from(trained) + f64::from(steps * STEP_ROWS)
    }
}

/// The slices of an epoch. The device is not asked how far it is: what a slice does follows from the
/// members, but for those that diverge on the way and end early.
pub struct Slices {
    members: Vec<Left>,
    most_steps: u32,
}

impl Slices {
    /// What is left of an epoch, in slices of at most so many steps.
    pub fn new(members: &[MemberData], states: &[State], epoch: u32, most_steps: u32) -> Self {
        let left = |(data, state): (&MemberData, &State)| Left {
            rows: rows_left(data, state, epoch),
            batch: data.batch_size,
        };
        Self {
            members: members.iter().zip(states).map(left).collect(),
            most_steps,
        }
    }

    /// Nothing is left.
    pub fn are_over(&self) -> bool {
        self.members.iter().all(|m| m.rows == 0)
    }

    /// The next slice, of about this much work but of a step at least; `None` when nothing is left.
    pub fn next(&mut self, budget: f64) -> Option<Slice> {
        let last = self.members.iter().rposition(|m| m.rows > 0)?;
        let active = self.members.iter().filter(|m| m.rows > 0).count();
        // Too large a number becomes the largest.
        let rows = (budget / active as f64) as u32;
        let rows = rows.max(1);
        let taking_part = self.members.iter_mut().filter(|m| m.rows > 0);
        let most_steps = self.most_steps;
        let work = taking_part.map(|m| m.train(rows, most_steps)).sum();
        let members = u32::try_from(last + 1).expect("members are limited by memory");
        Some(Slice {
            rows,
            members,
            work,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(batch_size: u32, rows: u32) -> MemberData {
        MemberData {
            batch_size,
            rows,
            ..MemberData::default()
        }
    }

    #[test]
    fn an_epoch_is_cut_into_slices_of_whole_steps() {
        let members = [member(10, 95), member(40, 95), member(200, 95)];
        let states = [State::default(); 3];
        let mut slices = Slices::new(&members, &states, 0, 6);
        // The first, before anything is known, is a step of each.
        let first = slices.next(0.0).expect("all is left");
        assert_eq!((first.rows, first.members), (1, 3));
        assert_eq!(first.work, f64::from(10 + 40 + 95 + 3 * STEP_ROWS));
        // 85 and 55 are left; 25 rows are three steps of 10 and one of 40.
        let second = slices.next(50.0).expect("two have rows left");
        assert_eq!((second.rows, second.members), (25, 2));
        assert_eq!(second.work, f64::from(30 + 40 + 4 * STEP_ROWS));
        // 55 and 15: all that is left, in 6 steps, the most, and one.
        let third = slices.next(1e12).expect("two have rows left");
        assert_eq!(third.work, f64::from(55 + 15 + 7 * STEP_ROWS));
        assert_eq!(slices.next(1e12), None);
    }

    #[test]
    fn frozen_and_released_members_and_other_epochs_have_no_rows() {
        let data = member(4, 9);
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
