//! Why something could not be measured.

use std::path::PathBuf;

use crate::data::DataError;
use crate::engine::EngineError;
use crate::store::StoreError;

/// Why a case has no figure, or a record no file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// The engine computed something else than the oracle.
    #[error(
        "wrong result after one step of member {member}: {what} is off by {error:.3e}, more than {limit:.3e}; no figure is given (see `regatta check`)"
    )]
    Wrong {
        /// Number of the member in its wave.
        member: u64,
        /// Loss, or which tensor of which layer.
        what: String,
        /// How far it is off.
        error: f64,
        /// How far it may be off.
        limit: f64,
    },
    /// Members stopped being trained, so that the rest has less to do.
    #[error(
        "{diverged} of {members} members diverged, and a rate of the rest would say nothing; report this case, its learning rates are far from any limit"
    )]
    Diverged {
        /// How many.
        diverged: usize,
        /// Of how many.
        members: usize,
    },
    /// One sample would take too long.
    #[error(
        "one epoch takes more than the {limit_s} s that a sample may take; measure this case on a faster adapter"
    )]
    TooSlow {
        /// Seconds that a sample may take.
        limit_s: f64,
    },
    /// The wave does not fit.
    #[error(
        "{members} members need more than the adapter holds at once, which is {capacity}; measure this case on an adapter with more memory"
    )]
    TooMany {
        /// Members of the case.
        members: usize,
        /// Members that fit.
        capacity: u64,
    },
    /// `--out` names a file of another kind.
    #[error("{} exists and is no record of `regatta bench`; it is left as it is: name another file with --out", path.display())]
    NotARecord {
        /// The file.
        path: PathBuf,
    },
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The built-in data could not be loaded.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The record could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BenchError {
    /// The mistake is in what was asked for, not in the work.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::NotARecord { .. } => true,
            Self::Store(error) => error.is_usage(),
            _ => false,
        }
    }
}
