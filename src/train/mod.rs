//! What a member is: the shape of its network, its hyperparameters, its initial weights and the
//! order of its training rows.
//!
//! Everything here is a value that every engine reads alike. Nothing here trains.

mod hyperparameters;
mod initial;
mod member;
mod row_order;
mod shape;

pub use hyperparameters::{Activation, Hyperparameters, Optimizer};
pub use initial::initial_parameters;
pub use member::{Member, MemberId, REFIT};
pub use row_order::row_order;
pub use shape::{DenseLayer, Shape};

/// A batch's mean cross-entropy above which a member counts as diverged, in nats.
///
/// In f32 an adaptive optimizer bounds its steps, so that a learning rate of 1e6 drives the loss
/// to 1e13 without ever reaching infinity. A million nats is a probability of e^-1000000 for the
/// right class: no run that gets there has a result worth ranking.
pub const DIVERGED_CROSS_ENTROPY: f64 = 1e6;
