//! What a step does behind its products, block after block.

use super::activation::ActivationBackward;
use super::dropout::dropout_backward;
use super::real::Real;
use super::simd::{Finish, Lanes, Shared};
use super::update::{Moments, Update};

/// Applies gradients that are there to a part of a network.
pub struct Updating<'p, T> {
    /// What is done to them.
    pub update: Update<T>,
    /// Those that the gradients are of.
    pub parameters: &'p mut [T],
    /// Theirs.
    pub moments: Moments<'p, T>,
    /// Values a row of the gradients.
    pub outputs: usize,
}

impl<T: Real> Finish<T> for Updating<'_, T> {
    const CONSUMES: bool = true;

    #[inline(always)]
    fn finish<L: Lanes<T>>(&mut self, lanes: L, row: usize, gradients: &mut [T]) {
        let (at, moments) = (row * self.outputs, &mut self.moments);
        self.update
            .apply(lanes, at, self.parameters, gradients, moments);
    }
}

impl<T: Real> Shared<T> for Updating<'_, T> {
    fn split(self, rows: usize) -> (Self, Self) {
        let at = rows * self.outputs;
        let (parameters, parameters_behind) = self.parameters.split_at_mut(at);
        let [a, b] = self.moments.map(|m| m.split_at_mut(at.min(m.len())));
        let first = Self {
            parameters,
            moments: [a.0, b.0],
            ..self
        };
        let second = Self {
            parameters: parameters_behind,
            moments: [a.1, b.1],
            ..self
        };
        (first, second)
    }
}

/// From the gradient of a hidden layer's output to that of its values before the activation.
pub struct InputGradient<'p, T> {
    /// Dropout's factors, `[rows][outputs]`, where there is dropout.
    pub factors: Option<&'p [T]>,
    /// The activation's derivative.
    pub activation: ActivationBackward<'p, T>,
}

impl<T: Real> Finish<T> for InputGradient<'_, T> {
    #[inline(always)]
    fn finish<L: Lanes<T>>(&mut self, lanes: L, row: usize, dh: &mut [T]) {
        if let Some(factors) = self.factors {
            let at = row * self.activation.outputs;
            dropout_backward(lanes, dh, &factors[at..at + dh.len()]);
        }
        self.activation.finish(lanes, row, dh);
    }
}

impl<T: Real> Shared<T> for InputGradient<'_, T> {
    fn split(self, rows: usize) -> (Self, Self) {
        let at = rows * self.activation.outputs;
        let behind = Self {
            factors: self.factors.map(|factors| &factors[at..]),
            activation: self.activation.behind(rows),
        };
        (self, behind)
    }
}
