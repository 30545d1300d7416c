//! Gradient of a dense layer's input.

use pulp::Arch;

use super::activation::activation_backward;
use super::matrix::{Matrix, product};
use super::real::Real;
use crate::train::{Activation, DenseLayer};

/// `dz = (dy W^T) * f'(z)`, overwritten, where `h = f(z)` is the layer's input.
///
/// `dz` and `h` are `[rows][inputs]`, `dy` is `[rows][outputs]`. Reads the weights from before the
/// update.
pub fn dense_backward_input<T: Real>(
    arch: Arch,
    dz: &mut [T],
    dy: &[T],
    parameters: &[T],
    layer: &DenseLayer,
    h: &[T],
    activation: Activation,
) {
    let rows = dy.len() / layer.outputs;
    let weights = &parameters[layer.weights.clone()];
    product(
        arch,
        dz,
        Matrix::new(dy, rows, layer.outputs),
        Matrix::new(weights, layer.inputs, layer.outputs).transposed(),
    );
    activation_backward(arch, dz, h, activation);
}
