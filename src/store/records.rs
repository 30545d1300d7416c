//! Wire types of a run on disk: what `run.json`, `trials.jsonl`, `waves.jsonl` and `summary.json` hold.
//!
//! These types are the file format. They are apart from the types that train, so that a change
//! there does not change the files by accident. A number that is not finite is written as `null`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::plan::Limits;

/// Version of the files of a run. It grows when an old reader would misread a new file.
pub const SCHEMA_VERSION: u32 = 1;

/// How a trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialState {
    /// Trained to its end.
    Complete,
    /// Stopped early by a scheduler.
    Pruned,
    /// The loss or a weight of at least one member stopped being finite, or its cross-entropy passed
    /// a million nats.
    Diverged,
    /// Something else went wrong.
    Failed,
}

impl TrialState {
    /// The word that stands for the state in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Pruned => "pruned",
            Self::Diverged => "diverged",
            Self::Failed => "failed",
        }
    }
}

/// One metric of a trial over its members.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricRecord {
    /// Mean over the members; `None` when a member's value is not finite.
    pub mean: Option<f64>,
    /// Sample standard deviation (n - 1) over the members; 0 for a single one.
    pub std: Option<f64>,
    /// The value of each member: repeat after repeat, and in each fold after fold.
    pub folds: Vec<Option<f64>>,
}

/// One curve a member (repeat after repeat, and in each fold after fold), one value an epoch.
pub type Curves = Vec<Vec<Option<f64>>>;

/// A line of `trials.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialRecord {
    /// Number of the trial, from 0, in the order of proposal.
    pub trial: u64,
    /// How it ended.
    pub state: TrialState,
    /// The swept parameters that apply to this trial, in the order of the sweep.
    pub params: Map<String, Value>,
    /// Epochs trained: the largest count over the members.
    pub epochs: u32,
    /// Weights and biases of one member.
    pub parameters: u64,
    /// `{train,val}_{loss,accuracy,precision,recall,f1}` and their `_micro`, `_weighted` forms.
    pub metrics: BTreeMap<String, MetricRecord>,
    /// `train_loss`, `val_loss`, `val_accuracy`.
    pub curves: BTreeMap<String, Curves>,
    /// Training rows seen, summed over members and epochs.
    pub samples: u64,
    /// Optimizer updates, summed over members.
    pub steps: u64,
    /// Useful floating-point operations of the training, summed over members.
    pub flops: u64,
    /// Number of the wave that trained the trial's last member, from 0.
    pub wave: u64,
}

/// A line of `waves.jsonl`: what one wave cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WaveRecord {
    /// Number of the wave, from 0.
    pub wave: u64,
    /// Trials that ended in it.
    pub trials: u64,
    /// Members that it trained.
    pub members: u64,
    /// All members had the same hyperparameters but for the learning rate, so that
    /// the wave's time is a time of each of its trials too: they trained together.
    pub uniform: bool,
    /// Training rows seen by its members.
    pub samples: u64,
    /// Time spent compiling kernels, in seconds; 0 for `cpu`.
    pub compile_s: f64,
    /// Time spent training, in seconds.
    pub train_s: f64,
    /// Time spent evaluating, in seconds.
    pub evaluate_s: f64,
    /// Wall time from the end of the wave before to the end of this one, in seconds.
    pub wall_s: f64,
}

/// The adapter that trained a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdapterRecord {
    /// Name of the device.
    pub name: String,
    /// `native` for the cpu engine; else wgpu's name of the API.
    pub backend: String,
    /// Driver and its version.
    pub driver: String,
    /// `cpu`, `layered` or `resident`.
    pub engine: String,
    /// Limits that bound a wave, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, u64>,
    /// Kernel variants that were used, by operation.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variants: BTreeMap<String, String>,
}

/// What a run knows about its data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataRecord {
    /// Short name of the dataset.
    pub name: String,
    /// SHA-256 of the features, targets and names as loaded, in hexadecimal.
    pub fingerprint: String,
    /// Rows that are not held out for the test.
    pub rows: u64,
    /// Rows of the test part.
    pub test_rows: u64,
    /// Features a row, after one-hot encoding.
    pub features: u64,
    /// Names of the classes, in the order of their numbers.
    pub classes: Vec<String>,
}

/// `run.json`: all that is needed to repeat the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// See [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Version of Regatta that made the run.
    pub version: String,
    /// When the run was started: UTC, RFC 3339.
    pub created: String,
    /// The resolved sweep: every setting, with defaults filled in.
    pub sweep: Value,
    /// Seed of the study.
    pub seed: u64,
    /// The data that was read.
    pub data: DataRecord,
    /// What trained it.
    pub adapter: AdapterRecord,
    /// How trials were laid out in waves.
    pub plan: PlanRecord,
}

/// How trials were laid out in waves; resume uses the same layout again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanRecord {
    /// Number of trials.
    pub trials: u64,
    /// Members a trial: folds x repeats.
    pub members_per_trial: u64,
    /// What a wave may hold.
    pub limits: Limits,
}

/// Mean and spread of a metric, in the summary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricSummary {
    /// Mean over the members.
    pub mean: Option<f64>,
    /// Sample standard deviation over the members.
    pub std: Option<f64>,
}

/// The best trial, refitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestRecord {
    /// Number of the trial.
    pub trial: u64,
    /// Its swept parameters.
    pub params: Map<String, Value>,
    /// Its metrics over the folds; of the refitted network only when there is a test part (`test_*`).
    pub metrics: BTreeMap<String, MetricSummary>,
    /// Epochs of the refit; `None` without a refit.
    pub refit_epochs: Option<u32>,
    /// Accuracy of the refitted network on the test rows; `None` without a refit or without test rows.
    pub test_accuracy: Option<f64>,
    /// Loss of the refitted network on the test rows.
    pub test_loss: Option<f64>,
}

/// Where the time of a run went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TimingRecord {
    /// Wall time of the whole run, in seconds, summed over resumed parts.
    pub wall_s: f64,
    /// Time spent compiling kernels and measuring which are fast, in seconds; 0 for `cpu`.
    pub compile_s: f64,
    /// Time spent training, without compiling, evaluating and loading, in seconds.
    pub train_s: f64,
    /// Time spent evaluating, in seconds.
    pub evaluate_s: f64,
    /// Time spent on the refit of the best trial, which the other times leave out, in seconds.
    pub refit_s: f64,
    /// Training rows seen, summed over all members.
    pub trial_samples: u64,
    /// `trial_samples / train_s`.
    pub trial_samples_per_s: Option<f64>,
}

/// `summary.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SummaryRecord {
    /// See [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Trials of the study.
    pub trials: u64,
    /// Members of the study.
    pub members: u64,
    /// Number of trials in each state that occurred.
    pub states: BTreeMap<TrialState, u64>,
    /// Metric that ranks the trials.
    pub objective: String,
    /// The best trial; `None` when none is complete.
    pub best: Option<BestRecord>,
    /// What trained the run.
    pub adapter: AdapterRecord,
    /// Where the time went.
    pub timing: TimingRecord,
}
