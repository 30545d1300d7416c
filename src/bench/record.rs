//! Wire types of a bench record: what `regatta bench --out FILE` writes and `--json` prints.

use serde::{Deserialize, Serialize};

use crate::engine::gpu::StepCost;
use crate::store::AdapterRecord;

use super::Spread;

/// Version of the record. It grows when an old reader would misread a new file.
pub const SCHEMA_VERSION: u32 = 1;

/// One call of `regatta bench`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BenchRecord {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Of Regatta.
    pub version: String,
    /// The suite: `training`.
    pub suite: String,
    /// Begin, UTC, RFC 3339.
    pub date: String,
    /// `--quick` was given: fewer and shorter cases.
    pub quick: bool,
    /// The host.
    pub machine: MachineRecord,
    /// What was measured on.
    pub adapters: Vec<AdapterEntry>,
    /// In their order.
    pub cases: Vec<CaseRecord>,
}

/// The host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MachineRecord {
    /// The processor's name.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: u64,
    /// `linux x86_64` and the like.
    pub system: String,
    /// Processes that wanted to run in the minute before, on average; where the system says.
    pub load_average: Option<f64>,
}

/// An adapter with the engine on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdapterEntry {
    /// Name, backend, driver, engine, limits, kernel variants.
    #[serde(flatten)]
    pub adapter: AdapterRecord,
    /// GFLOP/s of independent fma chains in registers; null on the cpu adapter.
    pub fma_peak_gflops: Option<f64>,
    /// The device has timestamps.
    pub timestamps: bool,
}

/// One case: what was trained, and figures or an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseRecord {
    /// Index in `adapters`.
    pub adapter: usize,
    /// `cpu` or `layered`.
    pub engine: String,
    /// `digits` or `pixels`.
    pub data: String,
    /// Widths: inputs, hidden layers, outputs.
    pub shape: Vec<usize>,
    /// Training rows of an epoch.
    pub rows: usize,
    /// Rows a step; null in a mixed case.
    pub batch_size: Option<usize>,
    /// Networks in the wave.
    pub members: usize,
    /// Null in a mixed case.
    pub optimizer: Option<String>,
    /// What a mixed case is made of; absent from a uniform one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupRecord>,
    /// One step of a few members agreed with the f64 oracle.
    pub verified: bool,
    /// Why there are no figures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Absent where there is an error.
    #[serde(flatten)]
    pub figures: Option<Figures>,
}

/// Members of a mixed case that differ in nothing but the learning rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupRecord {
    /// Rows a step.
    pub batch_size: usize,
    /// Its name.
    pub optimizer: String,
    /// How many.
    pub members: usize,
}

/// What was measured of one case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Epochs of a sample.
    pub epochs: u32,
    /// Steps of the wave in a sample: those of the members that make the most.
    pub steps: u64,
    /// Training rows of a sample, summed over members.
    pub trial_samples: u64,
    /// Seconds of each sample by the host's clock.
    pub samples_s: Vec<f64>,
    /// The same by the device's timestamps; null where it has none.
    pub device_samples_s: Option<Vec<f64>>,
    /// Seconds spent compiling kernels, which no sample holds.
    pub compile_s: f64,
    /// By the host's clock.
    pub trial_samples_per_s: Spread,
    /// `steps` over the median sample.
    pub steps_per_s: f64,
    /// Useful GFLOP/s, of the median.
    pub gflops: f64,
    /// `gflops` over the adapter's `fma_peak_gflops`.
    pub share_of_fma_peak: Option<f64>,
    /// Median of device time over wall time.
    pub device_share: Option<f64>,
    /// Microseconds of the host for each dispatch it encodes: the median.
    pub encode_us_per_dispatch: Option<f64>,
    /// What a model says of a step in which all members take part.
    pub step_cost: Option<StepCost>,
    /// Of a mixed case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixed: Option<MixedRecord>,
}

/// A mixed case beside the uniform ones.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MixedRecord {
    /// Members of the uniform cases.
    pub compared_with: usize,
    /// Rate at which the same rows would be trained if each group had its uniform case's rate, one
    /// group after another.
    pub uniform_trial_samples_per_s: f64,
    /// Measured over that: 1 where mixing costs nothing.
    pub ratio: f64,
}
