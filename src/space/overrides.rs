//! What is given to be resolved: the sweep file and the settings of the command line.

use std::path::PathBuf;

/// A sweep file as read by the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepFile {
    /// Its path, as messages show it.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// Settings of the command line. They win over the file; each is as typed and not checked yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// `--data D`.
    pub data: Option<String>,
    /// `--target COLUMN`.
    pub target: Option<String>,
    /// `--set NAME=SPEC`, in the order given.
    pub set: Vec<String>,
    /// `--hidden 64x64,128`.
    pub hidden: Option<String>,
    /// `--epochs N`.
    pub epochs: Option<u64>,
    /// `--folds K`; it takes the place of a file's `holdout`.
    pub folds: Option<u64>,
    /// `--holdout F`; it takes the place of `folds`.
    pub holdout: Option<f64>,
    /// `--test T`: a fraction, `given` or a file.
    pub test: Option<String>,
    /// `--strategy S`.
    pub strategy: Option<String>,
    /// `--trials N`.
    pub trials: Option<u64>,
    /// `--scheduler S`.
    pub scheduler: Option<String>,
    /// `--repeats R`.
    pub repeats: Option<u64>,
    /// `--seed N`.
    pub seed: Option<u64>,
    /// `--stop-at X`.
    pub stop_at: Option<f64>,
    /// `--timeout S`, in seconds.
    pub timeout: Option<f64>,
}
