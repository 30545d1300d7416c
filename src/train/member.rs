//! A member: one network that is trained.

use serde::{Deserialize, Serialize};

use super::Hyperparameters;

/// The fold number of a refit on all training rows.
pub const REFIT: u32 = u32::MAX;

/// Which network of a study a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MemberId {
    /// Trial, from 0.
    pub trial: u64,
    /// Repeat, from 0: one seed of the same trial.
    pub repeat: u32,
    /// Fold, from 0; [`REFIT`] for all training rows.
    pub fold: u32,
}

/// One network: trial x fold x repeat.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Which one it is.
    pub id: MemberId,
    /// Its network's shape, by its place among the shapes of its wave.
    pub shape: usize,
    /// How it is trained.
    pub hyperparameters: Hyperparameters,
}
