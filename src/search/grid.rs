//! Every combination of the space's values.

use super::{Proposal, Sampler};
use crate::space::{Axes, Position, Space};

/// Proposes every combination, the last parameter varying fastest.
///
/// A parameter whose condition does not hold is absent from a trial and multiplies nothing.
/// Memory does not grow with the number of trials: they are made when asked for.
#[derive(Clone, Debug)]
pub struct Grid {
    axes: Axes,
    /// Where the next trial is; `None` when all were proposed.
    next: Option<Position>,
    trial: u64,
    total: Option<u64>,
}

impl Grid {
    /// The grid of a space, at its beginning.
    pub fn new(space: &Space) -> Self {
        let axes = Axes::new(space);
        let next = axes.first();
        let total = axes.count();
        Self {
            axes,
            next,
            trial: 0,
            total,
        }
    }

    fn propose_one(&mut self) -> Option<Proposal> {
        let mut position = self.next.take()?;
        let proposal = Proposal {
            trial: self.trial,
            params: self.axes.values(&position),
        };
        self.trial += 1;
        self.next = self.axes.advance(&mut position).then_some(position);
        Some(proposal)
    }
}

impl Sampler for Grid {
    fn propose(&mut self, most: usize) -> Vec<Proposal> {
        std::iter::from_fn(|| self.propose_one())
            .take(most)
            .collect()
    }

    fn total(&self) -> Option<u64> {
        self.total
    }
}
