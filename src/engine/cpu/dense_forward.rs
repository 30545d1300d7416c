//! Forward pass of a dense layer.

use pulp::Arch;

use super::matrix::{Matrix, product};
use super::real::Real;
use crate::train::DenseLayer;

/// `z = x W`, overwritten; the bias, or batch norm's beta, is added by the activation's pass.
///
/// `x` is `[rows][inputs]`, `parameters` the member's arena, `z` `[rows][outputs]`.
pub fn dense_forward<T: Real>(
    arch: Arch,
    z: &mut [T],
    x: &[T],
    parameters: &[T],
    layer: &DenseLayer,
) {
    let rows = z.len() / layer.outputs;
    let weights = &parameters[layer.weights.clone()];
    product(
        arch,
        z,
        Matrix::new(x, rows, layer.inputs),
        Matrix::new(weights, layer.inputs, layer.outputs),
    );
}
