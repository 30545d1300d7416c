//! Regatta trains every trial of a hyperparameter sweep at once, and measures what that costs.
//!
//! The modules stand in the order data flows; each uses only those above it
//! (`tests/module_order.rs` holds them to it). ARCHITECTURE.md is the map.

// The seed of a study and its random streams.
pub mod seed;

// Datasets, splits, scaling.
pub mod data;

// Parameters, search space, the sweep file.
pub mod space;

// Samplers: values in, values out.
pub mod search;

// What a member is: shape, hyperparameters, initial weights, row order.
pub mod train;

// Trials -> members -> cohorts -> waves.
pub mod plan;

// What trains a wave.
pub mod engine;

// Counts -> accuracy, precision, recall, F1.
pub mod metrics;

// A run on disk.
pub mod store;

// Tables, CSV and pages from records.
pub mod report;

// Ask -> plan -> train -> tell -> store.
pub mod study;

// Measures engines: cases, samples, records.
pub mod bench;

// Chooses kernels by measurement, and remembers.
pub mod tune;

// One file a command.
pub mod cli;
