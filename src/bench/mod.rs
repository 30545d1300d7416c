//! Measures engines on real training work.
//!
//! A suite is a list of [`Case`]s. Each is verified, warmed up and sampled ([`measure()`]) by an
//! [`Executor`], which is an engine here and a script in the tests; what comes out is a
//! [`BenchRecord`], which keeps every sample, and a table made from it. A case that fails is a row
//! with its error, and never has a figure.

mod case;
mod engine;
mod error;
mod executor;
mod file;
mod machine;
mod measure;
mod record;
mod stats;
mod table;
mod verify;
mod work;
mod workload;

#[cfg(test)]
mod tests;

pub use case::{Budget, Case, Data, Group, Speed, Suite, TrainingPlan};
pub use engine::EngineExecutor;
pub use error::BenchError;
pub use executor::{Executor, Run, Sample};
pub use file::{check_place, write};
pub use machine::describe as describe_machine;
pub use measure::measure;
pub use record::{
    AdapterEntry, BenchRecord, CaseRecord, Figures, GroupRecord, MachineRecord, MixedRecord,
    SCHEMA_VERSION,
};
pub use stats::Spread;
pub use table::{line, table};
pub use workload::Workload;
