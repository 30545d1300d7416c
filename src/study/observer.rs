//! What a study tells those who watch it.

use crate::store::TrialRecord;

/// Something that happened.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'e> {
    /// A wave begins, or goes on from a checkpoint.
    WaveStarted {
        /// Number of the wave, from 0.
        wave: u64,
        /// Members in it.
        members: usize,
        /// Training rows its members have seen in earlier processes.
        samples: u64,
        /// It goes on from a checkpoint.
        resumed: bool,
    },
    /// Training went on.
    Trained {
        /// Training rows that all members of the wave have seen.
        samples: u64,
        /// Epochs that every member of the wave has finished.
        epoch: u32,
        /// Members of the wave that are still trained.
        live: usize,
    },
    /// A trial is finished, and its record is being written.
    TrialFinished(&'e TrialRecord),
    /// The best trial is trained on all training rows.
    RefitStarted {
        /// The trial.
        trial: u64,
        /// Epochs it is trained for.
        epochs: u32,
    },
    /// Something worth a warning.
    Warning(&'e str),
}

/// Hears events. Called from the thread that runs the study.
pub trait Observer {
    /// Something happened.
    fn on(&mut self, event: Event<'_>);
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn on(&mut self, _event: Event<'_>) {}
}
