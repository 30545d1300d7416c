//! The hyperparameters of a member, typed: what an engine reads.

use serde::{Deserialize, Serialize};

use crate::space::Assignment;

/// Activation behind every hidden layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// max(0, z); its derivative at 0 is 0, as PyTorch has it.
    Relu,
    /// Hyperbolic tangent.
    Tanh,
    /// 1 / (1 + e^-z).
    Sigmoid,
    /// z.
    Identity,
}

/// An optimizer and its settings, with PyTorch's formulas and defaults.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Optimizer {
    /// `torch.optim.SGD`.
    Sgd {
        /// In [0, 1); 0 keeps no velocity.
        momentum: f64,
        /// Nesterov's form; needs momentum.
        nesterov: bool,
    },
    /// `torch.optim.Adam`.
    Adam {
        /// Decay of the first moment, in [0, 1).
        beta_1: f64,
        /// Decay of the second moment, in [0, 1).
        beta_2: f64,
        /// Added to the root of the second moment.
        epsilon: f64,
    },
    /// `torch.optim.RMSprop`.
    Rmsprop {
        /// Decay of the mean square (PyTorch's alpha), in [0, 1).
        rho: f64,
        /// Added to the root of the mean square.
        epsilon: f64,
        /// In [0, 1); 0 keeps no velocity.
        momentum: f64,
    },
}

impl Optimizer {
    /// Values kept per parameter beside the parameter itself.
    pub fn moments(&self) -> usize {
        match *self {
            Self::Sgd { momentum, .. } => usize::from(momentum != 0.0),
            Self::Adam { .. } => 2,
            Self::Rmsprop { momentum, .. } => 1 + usize::from(momentum != 0.0),
        }
    }

    /// The word that names the optimizer in a sweep.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sgd { .. } => "sgd",
            Self::Adam { .. } => "adam",
            Self::Rmsprop { .. } => "rmsprop",
        }
    }
}

/// All hyperparameters of a member but the widths of its network.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hyperparameters {
    /// Step size, above 0.
    pub learning_rate: f64,
    /// Rows a step, at least 1.
    pub batch_size: usize,
    /// Optimizer and its settings.
    pub optimizer: Optimizer,
    /// Activation of the hidden layers.
    pub activation: Activation,
    /// Share of each hidden layer's units that a step drops, in [0, 1).
    pub dropout: f64,
}

impl Hyperparameters {
    /// Those that take the most memory with batches of this many rows.
    pub fn largest(batch_size: usize) -> Self {
        Self {
            learning_rate: 1.0,
            batch_size,
            optimizer: Optimizer::Adam {
                beta_1: 0.0,
                beta_2: 0.0,
                epsilon: 1.0,
            },
            activation: Activation::Identity,
            dropout: 0.0,
        }
    }

    /// The hyperparameters that a trial's assignment means.
    pub fn from_assignment(assignment: &Assignment) -> Self {
        let batch_size = usize::try_from(assignment.u64("batch_size"));
        Self {
            learning_rate: assignment.f64("learning_rate"),
            batch_size: batch_size.expect("batch sizes are limited by the training rows"),
            optimizer: optimizer(assignment),
            activation: activation(assignment.text("activation")),
            dropout: assignment.f64("dropout"),
        }
    }
}

fn optimizer(assignment: &Assignment) -> Optimizer {
    match assignment.text("optimizer") {
        "sgd" => Optimizer::Sgd {
            momentum: assignment.f64("momentum"),
            nesterov: assignment.bool("nesterov"),
        },
        "adam" => Optimizer::Adam {
            beta_1: assignment.f64("beta_1"),
            beta_2: assignment.f64("beta_2"),
            epsilon: assignment.f64("epsilon"),
        },
        "rmsprop" => Optimizer::Rmsprop {
            rho: assignment.f64("rho"),
            epsilon: assignment.f64("epsilon"),
            momentum: assignment.f64("momentum"),
        },
        other => unreachable!("the space refuses the optimizer `{other}`"),
    }
}

fn activation(name: &str) -> Activation {
    match name {
        "relu" => Activation::Relu,
        "tanh" => Activation::Tanh,
        "sigmoid" => Activation::Sigmoid,
        "identity" => Activation::Identity,
        other => unreachable!("the space refuses the activation `{other}`"),
    }
}
