//! What a member is: the shape of its network, its hyperparameters, its initial weights, the order
//! of its training rows and its dropout masks.
//!
//! Everything here is a value that every engine reads alike. Nothing here trains.

mod dropout;
mod hyperparameters;
mod initial;
mod member;
mod philox;
mod row_order;
mod shape;

pub use dropout::{dropout_key, dropout_threshold};
pub use hyperparameters::{Activation, Hyperparameters, Optimizer};
pub use initial::{initial_parameters, initial_running};
pub use member::{Member, MemberId, REFIT};
pub use philox::philox4x32;
pub use row_order::row_order;
pub use shape::{DenseLayer, Shape};

/// Added to a variance before its root is taken: that of PyTorch's `BatchNorm1d`.
pub const BATCH_NORM_EPSILON: f64 = 1e-5;
/// Share of a batch in the running statistics: that of PyTorch's `BatchNorm1d`.
pub const BATCH_NORM_MOMENTUM: f64 = 0.1;
/// Rows whose mean and squared deviations are taken together before they are merged with those of
/// the rows before them. A fixed number, so that sums never depend on the engine's tiles.
pub const BATCH_NORM_ROWS: usize = 16;

/// A batch's mean cross-entropy above which a member counts as diverged, in nats.
///
/// In f32 an adaptive optimizer bounds its steps, so that a learning rate of 1e6 drives the loss
/// to 1e13 without ever reaching infinity. A million nats is a probability of e^-1000000 for the
/// right class: no run that gets there has a result worth ranking.
pub const DIVERGED_CROSS_ENTROPY: f64 = 1e6;
