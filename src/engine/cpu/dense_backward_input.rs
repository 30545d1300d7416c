//! Gradient of a dense layer's input.

use pulp::Arch;

use super::aligned::{Aligned, zeros};
use super::matrix::Matrix;
use super::real::Real;
use super::simd::{Shared, Workers};
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
    let packed = &mut zeros(0);
    let alone = Workers::one(arch);
    dense_backward_input_then(alone, dx, dz, parameters, layer, packed, ());
}

/// [`dense_backward_input`], each block of rows handed to `finish`; `packed` is room for the
/// weights in another layout.
pub fn dense_backward_input_then<T: Real>(
    workers: Workers,
    dx: &mut [T],
    dz: &[T],
    parameters: &[T],
    layer: &DenseLayer,
    packed: &mut Aligned<T>,
    finish: impl Shared<T>,
) {
    let dz = Matrix::new(dz, dz.len() / layer.outputs, layer.outputs);
    let weights = &parameters[layer.weights.clone()];
    let weights = Matrix::new(weights, layer.inputs, layer.outputs);
    T::product_then(workers, dx, dz, weights.transposed(), &[], packed, finish);
}
