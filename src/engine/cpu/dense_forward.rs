//! Forward pass of a dense layer.

use super::matrix::Matrix;
use super::real::Real;
use super::simd::{Shared, Workers};
use crate::train::DenseLayer;

/// `z = x W`, overwritten, of a layer that batch norm follows; its beta is added by the activation's pass.
///
/// `x` is `[rows][inputs]`, `parameters` the member's arena, `z` `[rows][outputs]`.
pub fn dense_forward<T: Real>(
    workers: Workers,
    z: &mut [T],
    x: &[T],
    parameters: &[T],
    layer: &DenseLayer,
) {
    product(workers, z, x, parameters, layer, &[], ());
}

/// `z = x W + b`, each block of rows handed to `finish`.
pub fn dense_bias_forward<T: Real>(
    workers: Workers,
    z: &mut [T],
    x: &[T],
    parameters: &[T],
    layer: &DenseLayer,
    finish: impl Shared<T>,
) {
    let bias = &parameters[layer.bias.clone()];
    product(workers, z, x, parameters, layer, bias, finish);
}

fn product<T: Real>(
    workers: Workers,
    z: &mut [T],
    x: &[T],
    parameters: &[T],
    layer: &DenseLayer,
    bias: &[T],
    finish: impl Shared<T>,
) {
    let x = Matrix::new(x, z.len() / layer.outputs, layer.inputs);
    let weights = &parameters[layer.weights.clone()];
    let weights = Matrix::new(weights, layer.inputs, layer.outputs);
    T::product_then(workers, z, x, weights, bias, &mut Vec::new(), finish);
}
