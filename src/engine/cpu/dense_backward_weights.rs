//! Gradients of a dense layer's weights and biases.

use pulp::Arch;

use super::aligned::{Aligned, zeros};
use super::matrix::Matrix;
use super::real::Real;
use super::simd::{Finish, Lanes, Shared, Workers};
use crate::train::DenseLayer;

/// `dW = x^T dz` and, where the layer has a bias, `db = sum of dz over the rows`, written into the
/// layer's place in `gradients`.
///
/// `x` is `[rows][inputs]`, `dz` `[rows][outputs]`; the mean over the batch is already in `dz`.
pub fn dense_backward_weights<T: Real>(
    arch: Arch,
    gradients: &mut [T],
    x: &[T],
    dz: &[T],
    layer: &DenseLayer,
) {
    let packed = &mut zeros(0);
    dense_backward_weights_then(Workers::one(arch), gradients, x, dz, layer, packed, ());
}

/// [`dense_backward_weights`], each block of rows of `dW` handed to `finish` with the number of its
/// first row. The biases' gradients are there before. `packed` is room for `dz` in another layout.
pub fn dense_backward_weights_then<T: Real>(
    workers: Workers,
    gradients: &mut [T],
    x: &[T],
    dz: &[T],
    layer: &DenseLayer,
    packed: &mut Aligned<T>,
    finish: impl Shared<T>,
) {
    if !layer.bias.is_empty() {
        T::pass(
            workers.arch,
            &mut gradients[layer.bias.clone()],
            SumRows(dz),
        );
    }
    let rows = dz.len() / layer.outputs;
    let x = Matrix::new(x, rows, layer.inputs);
    let dz = Matrix::new(dz, rows, layer.outputs);
    let gradients = &mut gradients[layer.weights.clone()];
    T::product_then(workers, gradients, x.transposed(), dz, &[], packed, finish);
}

/// The sums of a matrix over its rows, `[rows][outputs]`.
struct SumRows<'p, T>(&'p [T]);

impl<T: Real> Finish<T> for SumRows<'_, T> {
    #[inline(always)]
    fn finish<L: Lanes<T>>(&mut self, lanes: L, _: usize, sums: &mut [T]) {
        lanes.sum_rows(sums, self.0);
    }
}
