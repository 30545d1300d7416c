//! A run on disk. No other module touches the files of a run.
//!
//! `run.json` is written once, when the run begins. `waves.jsonl` and `trials.jsonl` grow by whole
//! lines; a line that a crash or a full disk tore is cut off. Whole files are written beside their
//! place and renamed. `checkpoint/` holds the wave that is being trained.

mod atomic;
mod checkpoint;
mod error;
mod jsonl;
mod network;
mod records;
mod run;

#[cfg(test)]
mod tests;

pub use checkpoint::{Checkpoint, CheckpointHeader, MemberHistory};
pub use error::StoreError;
pub use network::NetworkFile;
pub use records::*;
pub use run::{
    Opened, Run, RunReader, create, default_folder, is_taken, latest, open, resume, write_text,
};
