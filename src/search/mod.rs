//! Samplers: which trials are trained. They get records, return values, and hold no study.

mod grid;
#[cfg(test)]
mod tests;

pub use grid::Grid;

use crate::space::ParameterValue;

/// One proposed trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// Its number, from 0, in the order of proposal.
    pub trial: u64,
    /// The swept parameters that apply to it, in the order of the space.
    pub params: Vec<(String, ParameterValue)>,
}

/// Proposes trials.
pub trait Sampler {
    /// The next trials, at most `most`, numbered on from the last; none when the sampler is done
    /// (or `most` is 0).
    fn propose(&mut self, most: usize) -> Vec<Proposal>;

    /// How many trials it proposes in all, if that is known beforehand.
    fn total(&self) -> Option<u64>;
}
