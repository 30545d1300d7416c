//! The seam between measuring and what is measured.

use super::{BenchError, Case};
use crate::engine::gpu::StepCost;

/// One measurement of a case: so many whole epochs of all its members.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Seconds by the host's clock.
    pub wall_s: f64,
    /// Seconds by the device's timestamps, where it has them.
    pub device_s: Option<f64>,
    /// Training rows seen, summed over members.
    pub trial_samples: u64,
    /// Seconds that the host spent encoding, where that is measured.
    pub encode_s: Option<f64>,
    /// Dispatches that were encoded.
    pub dispatches: u64,
}

/// Trains cases: an engine on this machine, or a script of times in the tests.
pub trait Executor {
    /// Name of the engine.
    fn engine(&self) -> String;

    /// Makes one step of the case, and compares a few members with the oracle. Gives the seconds
    /// spent compiling kernels.
    ///
    /// # Errors
    /// [`BenchError::Wrong`], or what the engine says.
    fn verify(&self, case: &Case) -> Result<f64, BenchError>;

    /// Starts the wave of the case and hands it to `drive`.
    ///
    /// # Errors
    /// What the engine or `drive` says.
    fn run(
        &self,
        case: &Case,
        drive: &mut dyn FnMut(&mut dyn Run) -> Result<(), BenchError>,
    ) -> Result<(), BenchError>;

    /// Operations and bytes of a step of the case, where a model of the engine says.
    fn step_cost(&self, _case: &Case) -> Option<StepCost> {
        None
    }
}

/// A wave that is being measured.
pub trait Run {
    /// Seconds spent compiling kernels for it.
    fn compile_s(&self) -> f64;

    /// Trains all members for so many epochs more.
    ///
    /// # Errors
    /// [`BenchError::TooSlow`], [`BenchError::Diverged`], or what the engine says.
    fn train(&mut self, epochs: u32) -> Result<Sample, BenchError>;
}
