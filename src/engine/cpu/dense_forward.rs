//! Forward pass of a dense layer.

use super::aligned::Aligned;
use super::matrix::Matrix;
use super::real::Real;
use super::simd::{Shared, Workers};
use crate::train::DenseLayer;

/// `z = x W`, overwritten, of a layer that batch norm follows; its beta is added by the activation's pass.
///
/// `x` is `[rows][inputs]`, `parameters` the member's arena, `z` `[rows][outputs]`; `packed` is room for weights in
/// another layout.
pub fn dense_forward<T: Real>(
    workers: Workers,
    z: &mut [T],
    x: &[T],
    parameters: &[T],
    layer: &DenseLayer,
    packed: &mut Aligned<T>,
) {
    let (x, weights) = sides(z, x, parameters, layer);
    T::product_then(workers, z, x, weights, &[], packed, ());
}

/// `z = x W + b`, each block of rows handed to `finish`.
pub fn dense_bias_forward<T: Real>(
    workers: Workers,
    z: &mut [T],
    x: &[T],
    parameters: &[T],
    layer: &DenseLayer,
    packed: &mut Aligned<T>,
    finish: impl Shared<T>,
) {
    let bias = &parameters[layer.bias.clone()];
    let (x, weights) = sides(z, x, parameters, layer);
    T::product_then(workers, z, x, weights, bias, packed, finish);
}

/// Both sides of the product that is as large as `z`.
fn sides<'s, T: Real>(
    z: &[T],
    x: &'s [T],
    parameters: &'s [T],
    layer: &DenseLayer,
) -> (Matrix<'s, T>, Matrix<'s, T>) {
    let x = Matrix::new(x, z.len() / layer.outputs, layer.inputs);
    let weights = &parameters[layer.weights.clone()];
    (x, Matrix::new(weights, layer.inputs, layer.outputs))
}
