//! The cpu engine's functions, as the tables call them: in f64 with limits they say what is right,
//! in f32 they are checked themselves.

use pulp::Arch;

use super::bounded::Bounded;
use super::scene::Scene;
use crate::engine::cpu::activation::{activation_backward, bias_activation};
use crate::engine::cpu::dense_backward_input::dense_backward_input;
use crate::engine::cpu::dense_backward_weights::dense_backward_weights;
use crate::engine::cpu::dense_forward::dense_forward;
use crate::engine::cpu::dropout::{Dropped, dropout_forward};
use crate::engine::cpu::softmax_cross_entropy::{cross_entropy, softmax_cross_entropy};
use crate::engine::cpu::{Dropout, Real, Workers, update, zeros};
use crate::train::{Activation, DenseLayer, Hyperparameters};

/// The same numbers in another type.
pub fn convert<T: Real>(values: &[f32]) -> Vec<T> {
    values.iter().map(|&v| T::from_f32(v)).collect()
}

/// `f(z + b)`, in place; a layer that batch norm follows has neither.
fn activated<T: Real>(mut z: Vec<T>, bias: &[T], activation: Activation) -> Vec<T> {
    if !bias.is_empty() {
        bias_activation(Arch::new(), &mut z, bias, activation);
    }
    z
}

/// [`activated`] with limits that hold where relu chooses, too: no activation is steeper than 1, so
/// that what it makes of an error is no larger than the error.
pub trait Activate: Real {
    /// `f(z + b)`.
    fn activate(z: Vec<Self>, bias: &[Self], activation: Activation) -> Vec<Self>;
}

impl Activate for f32 {
    fn activate(z: Vec<Self>, bias: &[Self], activation: Activation) -> Vec<Self> {
        activated(z, bias, activation)
    }
}

impl Activate for Bounded {
    fn activate(z: Vec<Self>, bias: &[Self], activation: Activation) -> Vec<Self> {
        let sums = activated(z.clone(), bias, Activation::Identity);
        let mut h = activated(z, bias, activation);
        for (h, sum) in h.iter_mut().zip(sums) {
            h.limit = h.limit.max(sum.limit);
        }
        h
    }
}

/// What a member's values are multiplied by behind hidden layer `layer`; `None` without dropout.
pub fn dropout_factors<T: Real>(
    scene: &Scene,
    slot: usize,
    units: usize,
    layer: u32,
) -> Option<Vec<T>> {
    let rate = scene.hyperparameters[slot].dropout;
    let key = scene.members[slot].dropout_key;
    let dropout = Dropout::new(rate, key, scene.cursors[slot].steps.into())?;
    let mut factors = vec![T::ONE; scene.rows(slot) * units];
    let mut dropped = Dropped::new();
    dropout_forward(
        Arch::new(),
        &mut factors,
        units,
        layer,
        dropout,
        &mut dropped,
    );
    Some(factors)
}

/// `values * factors`, where there are factors.
pub fn times<T: Real>(mut values: Vec<T>, factors: Option<Vec<T>>) -> Vec<T> {
    for (value, factor) in values.iter_mut().zip(factors.into_iter().flatten()) {
        *value = *value * factor;
    }
    values
}

/// `f(x W + b)`.
pub fn forward<T: Activate>(
    x: &[T],
    parameters: &[T],
    layer: &DenseLayer,
    activation: Activation,
) -> Vec<T> {
    let mut z = vec![T::ZERO; x.len() / layer.inputs * layer.outputs];
    let packed = &mut zeros(0);
    dense_forward(
        Workers::one(Arch::new()),
        &mut z,
        x,
        parameters,
        layer,
        packed,
    );
    T::activate(z, &parameters[layer.bias.clone()], activation)
}

/// `dy W^T`.
pub fn backward_input<T: Real>(dy: &[T], parameters: &[T], layer: &DenseLayer) -> Vec<T> {
    let mut dx = vec![T::ZERO; dy.len() / layer.outputs * layer.inputs];
    dense_backward_input(Arch::new(), &mut dx, dy, parameters, layer);
    dx
}

/// `dh * f'(z)`, from `h = f(z)`.
pub fn through_activation<T: Real>(mut dh: Vec<T>, h: &[T], activation: Activation) -> Vec<T> {
    activation_backward(Arch::new(), &mut dh, h, activation);
    dh
}

/// `dW = x^T dy` and behind it `db`.
pub fn backward_weights<T: Real>(x: &[T], dy: &[T], layer: &DenseLayer) -> Vec<T> {
    let mut gradients = vec![T::ZERO; layer.weights.len() + layer.bias.len()];
    dense_backward_weights(Arch::new(), &mut gradients, x, dy, layer);
    gradients
}

/// A member's parameters and moments after an optimizer's update, the `step`-th from 1.
pub fn updated<T: Real>(
    mut parameters: Vec<T>,
    gradients: &[T],
    mut moments: Vec<Vec<T>>,
    hyperparameters: &Hyperparameters,
    step: u64,
) -> (Vec<T>, Vec<Vec<T>>) {
    update(
        Arch::new(),
        &mut parameters,
        gradients,
        &mut moments,
        &hyperparameters.optimizer,
        hyperparameters.learning_rate,
        step,
    );
    (parameters, moments)
}

/// `(softmax - one hot) / rows`, and the cross-entropy summed over the rows.
pub fn loss_gradient<T: Real>(
    mut logits: Vec<T>,
    targets: &[u32],
    classes: usize,
) -> (Vec<T>, f64) {
    let loss = softmax_cross_entropy(Arch::new(), &mut logits, targets, classes);
    (logits, loss)
}

/// The cross-entropy of rows, summed, and the class that each is given.
pub fn loss_and_classes(logits: &[f32], targets: &[u32], classes: usize) -> (Bounded, Vec<u32>) {
    let mut predicted = Vec::new();
    let values: Vec<f64> = convert(logits);
    let value = cross_entropy(Arch::new(), &values, targets, classes, |_, class| {
        predicted.push(class);
    });
    let mut sum = Bounded::ZERO;
    for (row, &target) in logits.chunks_exact(classes).zip(targets) {
        sum += row_loss(row, target);
    }
    // The oracle's value, with the limit of a sum in the order of the kernels.
    (Bounded { value, ..sum }, predicted)
}

/// `ln(sum of e^(logit - top)) - (logit of the target - top)`.
fn row_loss(row: &[f32], target: u32) -> Bounded {
    let top = row.iter().fold(row[0], |top, &v| top.max(v));
    let shifted = |v: f32| Bounded::from_f32(v) - Bounded::from_f32(top);
    let mut sum = Bounded::ZERO;
    for &value in row {
        sum += shifted(value).exp();
    }
    sum.ln() - shifted(row[target as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_a_loss_belongs_to_its_value() {
        let logits = [0.5, -1.0, 2.0, 1e4, 0.0, -1e4];
        for targets in [[2, 0], [0, 2]] {
            let (loss, classes) = loss_and_classes(&logits, &targets, 3);
            let rows = logits.chunks_exact(3).zip(targets);
            let sum: f64 = rows.map(|(row, target)| row_loss(row, target).value).sum();
            assert!((loss.value - sum).abs() < 1e-9, "{loss:?} {sum}");
            assert!(loss.limit < 1e-5 * loss.value.max(1.0), "{loss:?}");
            assert_eq!(classes, [2, 0]);
        }
    }
}
