//! Is what is about to be timed right? One step of a few members, beside the f64 oracle.
//!
//! Adam and RMSprop divide a gradient by its own size, so that on a first step the rounding of a gradient
//! that almost vanishes decides where its parameter goes. Gradients are therefore compared with the
//! oracle's, and parameters with what the optimizer's formula makes of the engine's own gradients.

use std::ops::Range;

use super::BenchError;
use crate::engine::MemberSnapshot;
use crate::train::{Hyperparameters, Member, Optimizer, Shape};

/// Relative to the oracle's loss.
const LOSS: f64 = 1e-5;
/// In the 2-norm of each tensor. From zero moments, a moment after one step is the gradient, or its
/// square, times a constant.
const GRADIENTS: f64 = 1e-4;
/// Rounding of a parameter in its update: of the tensor, or of how far it moved if that is more.
const PARAMETERS: f64 = 2e-6;
/// Norms are taken for at least this.
const LEAST_LOSS: f64 = 1e-3;
const LEAST_GRADIENT: f64 = 1e-6;
const LEAST_PARAMETER: f64 = 1e-3;

/// A member after its first step, on the engine and on the oracle; both began at `initial`.
#[derive(Clone, Copy, Debug)]
pub struct FirstStep<'s> {
    /// Who it is.
    pub member: &'s Member,
    /// Shape of its network.
    pub shape: &'s Shape,
    /// Parameters before the step.
    pub initial: &'s [f32],
    /// What the engine made of them.
    pub actual: &'s MemberSnapshot,
    /// What the oracle made of them.
    pub oracle: &'s MemberSnapshot,
}

impl FirstStep<'_> {
    /// Compares the two.
    ///
    /// # Errors
    /// [`BenchError::Wrong`] names the first thing that is off.
    pub fn check(&self) -> Result<(), BenchError> {
        let (actual, oracle) = (self.actual, self.oracle);
        let steps = actual.steps.abs_diff(oracle.steps) as f64;
        self.within("the count of steps", steps, 0.0)?;
        let loss = (actual.train_loss - oracle.train_loss).abs();
        let limit = LOSS * oracle.train_loss.abs().max(LEAST_LOSS);
        self.within("the loss", loss, limit)?;
        for (l, layer) in self.shape.layers().into_iter().enumerate() {
            for (name, at) in [("weights", layer.weights), ("biases", layer.bias)] {
                let name = format!("{name} of layer {l}");
                self.check_gradients(&name, &at)?;
                self.check_parameters(&name, &at)?;
            }
        }
        Ok(())
    }

    fn within(&self, what: &str, error: f64, limit: f64) -> Result<(), BenchError> {
        // NaN is no good result.
        if error <= limit {
            return Ok(());
        }
        Err(BenchError::Wrong {
            member: self.member.id.trial,
            what: what.to_owned(),
            error,
            limit,
        })
    }

    /// The moments, which tell the gradients; sgd without momentum has none.
    fn check_gradients(&self, name: &str, at: &Range<usize>) -> Result<(), BenchError> {
        let pairs = self.actual.moments.iter().zip(&self.oracle.moments);
        for (number, (moment, exact)) in (1..).zip(pairs) {
            let limit = GRADIENTS * norm(values(exact, at)).max(LEAST_GRADIENT);
            let error = distance(values(moment, at), values(exact, at));
            self.within(&format!("moment {number} of the {name}"), error, limit)?;
        }
        if !matches!(self.hyperparameters().optimizer, Optimizer::Rmsprop { .. }) {
            return Ok(());
        }
        // A square has lost the gradient's sign, which the parameter's movement has.
        let signed = |snapshot: &MemberSnapshot| -> Vec<f64> {
            let moved = moved(self.initial, snapshot, at);
            let squares = values(&snapshot.moments[0], at);
            moved
                .zip(squares)
                .map(|(m, s)| s.sqrt().copysign(m))
                .collect()
        };
        let (actual, exact) = (signed(self.actual), signed(self.oracle));
        let limit = GRADIENTS * norm(exact.iter().copied()).max(LEAST_GRADIENT);
        let error = distance(actual.into_iter(), exact.into_iter());
        self.within(&format!("the gradient of the {name}"), error, limit)
    }

    fn check_parameters(&self, name: &str, at: &Range<usize>) -> Result<(), BenchError> {
        let expected: Vec<f64> = at.clone().map(|i| self.expected_move(i)).collect();
        let size = norm(expected.iter().copied());
        let error = distance(moved(self.initial, self.actual, at), expected.into_iter());
        let tensor = norm(values(self.initial, at));
        let rounding = PARAMETERS * tensor.max(size).max(LEAST_PARAMETER);
        let limit = match self.hyperparameters().optimizer {
            Optimizer::Sgd { .. } => rounding + GRADIENTS * size,
            Optimizer::Adam { .. } | Optimizer::Rmsprop { .. } => rounding,
        };
        self.within(&format!("the {name}"), error, limit)
    }

    /// How far the parameter goes down: by the first step's formula from the engine's own moments;
    /// for sgd, which is proportional to the gradient, as far as the oracle went.
    fn expected_move(&self, i: usize) -> f64 {
        let moment = |m: usize| f64::from(self.actual.moments[m][i]);
        let moved = |snapshot: &MemberSnapshot| difference(self.initial[i], snapshot.parameters[i]);
        let rate = self.hyperparameters().learning_rate;
        match self.hyperparameters().optimizer {
            Optimizer::Sgd { .. } => moved(self.oracle),
            Optimizer::Adam {
                beta_1,
                beta_2,
                epsilon,
            } => {
                let root = (moment(1) / (1.0 - beta_2)).sqrt();
                rate * moment(0) / (1.0 - beta_1) / (root + epsilon)
            }
            Optimizer::Rmsprop { rho, epsilon, .. } => {
                let gradient = (moment(0) / (1.0 - rho)).sqrt();
                let size = rate * gradient / (moment(0).sqrt() + epsilon);
                size.copysign(moved(self.actual))
            }
        }
    }

    fn hyperparameters(&self) -> &Hyperparameters {
        &self.member.hyperparameters
    }
}

fn difference(a: f32, b: f32) -> f64 {
    f64::from(a) - f64::from(b)
}

/// How far down the parameters went.
fn moved<'s>(
    initial: &'s [f32],
    snapshot: &'s MemberSnapshot,
    at: &Range<usize>,
) -> impl Iterator<Item = f64> + use<'s> {
    let pairs = initial[at.clone()]
        .iter()
        .zip(&snapshot.parameters[at.clone()]);
    pairs.map(|(&before, &after)| difference(before, after))
}

fn values<'s>(tensor: &'s [f32], at: &Range<usize>) -> impl Iterator<Item = f64> + use<'s> {
    tensor[at.clone()].iter().map(|&v| f64::from(v))
}

fn distance(a: impl Iterator<Item = f64>, b: impl Iterator<Item = f64>) -> f64 {
    norm(a.zip(b).map(|(a, b)| a - b))
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|v| v * v).sum::<f64>().sqrt()
}
