//! Forward pass of a dense layer.

use pulp::Arch;

use super::activation::bias_activation;
use super::matrix::{Matrix, product};
use super::real::Real;
use crate::train::{Activation, DenseLayer};

/// `out = f(x W + b)`, overwritten.
///
/// `x` is `[rows][inputs]`, `parameters` the member's arena, `out` `[rows][outputs]`.
pub fn dense_forward<T: Real>(
    arch: Arch,
    out: &mut [T],
    x: &[T],
    parameters: &[T],
    layer: &DenseLayer,
    activation: Activation,
) {
    let rows = out.len() / layer.outputs;
    let weights = &parameters[layer.weights.clone()];
    product(
        arch,
        out,
        Matrix::new(x, rows, layer.inputs),
        Matrix::new(weights, layer.inputs, layer.outputs),
    );
    bias_activation(arch, out, &parameters[layer.bias.clone()], activation);
}
