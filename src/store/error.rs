//! What can go wrong with the files of a run.

use std::io;
use std::path::{Path, PathBuf};

/// Why a run cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The system refused to read or write.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// `--out` names something that exists and is not to be overwritten.
    #[error("{} exists already; nothing is overwritten: name another folder with --out, or go on with it by --resume", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// The folder exists but holds no run.
    #[error("{} is not the folder of a run: it has no run.json; name another with --out", path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// There is no such folder.
    #[error("there is no run at {}; name its folder, or make one with `regatta sweep`", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// Another process is writing this run.
    #[error("another process is at work on {}; wait for it to end, or stop it", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A file of the run is not what was written.
    #[error("{} is damaged: {reason}; restore it, or start anew with another --out", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The checkpoint is not what was written.
    #[error("the checkpoint {} is damaged: {reason}; remove it, and its wave is trained from the beginning", path.display())]
    DamagedCheckpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The run was made by a newer version.
    #[error("{} has schema version {found}, and this version of regatta reads up to {known}; use a newer regatta", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: u32,
        /// The newest that is known.
        known: u32,
    },
}

impl StoreError {
    /// The mistake is in what was asked for, not in the work.
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::Io { .. })
    }

    pub(super) fn io<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn damaged(path: &Path, reason: impl ToString) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}
