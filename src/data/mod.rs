//! Datasets: where they come from, how their rows are divided, how their columns are scaled.
//!
//! [`load`] turns the `[data]` table of a sweep file ([`DataConfig`]) into a [`Dataset`];
//! [`split()`] divides its rows into folds and a test part ([`Splits`]). Nothing here knows a GPU.

mod builtin;
mod classes;
mod config;
mod dataset;
mod error;
mod idx;
mod npy;
mod scaling;
mod shuffle;
mod source;
mod split;
mod tabular;
#[cfg(test)]
mod tests;

pub use config::{DataConfig, Scale, SplitKind, TestPart};
pub use dataset::{Dataset, FeatureValues, Features};
pub use error::DataError;
pub use scaling::Scaling;
pub use shuffle::shuffle;
pub use source::load;
pub use split::{Fold, Splits, split};
