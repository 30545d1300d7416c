//! Gradient of a dense layer's input.

use pulp::Arch;

use super::matrix::{Matrix, product};
use super::real::Real;
use crate::train::DenseLayer;

/// `dx = dz W^T`, overwritten.
///
/// `dx` is `[rows][inputs]`, `dz` `[rows][outputs]`. Reads the weights from before the update.
pub fn dense_backward_input<T: Real>(
    arch: Arch,
    dx: &mut [T],
    dz: &[T],
    parameters: &[T],
    layer: &DenseLayer,
) {
    let rows = dz.len() / layer.outputs;
    let weights = &parameters[layer.weights.clone()];
    product(
        arch,
        dx,
        Matrix::new(dz, rows, layer.outputs),
        Matrix::new(weights, layer.inputs, layer.outputs).transposed(),
    );
}
