//! Gradients of a dense layer's weights and biases.

use pulp::Arch;

use super::matrix::{Matrix, product};
use super::real::Real;
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
    let rows = dz.len() / layer.outputs;
    product(
        arch,
        &mut gradients[layer.weights.clone()],
        Matrix::new(x, rows, layer.inputs).transposed(),
        Matrix::new(dz, rows, layer.outputs),
    );
    if !layer.bias.is_empty() {
        sum_rows(arch, &mut gradients[layer.bias.clone()], dz);
    }
}

/// `sums[i] = sum of dz[row][i] over the rows`.
fn sum_rows<T: Real>(arch: Arch, sums: &mut [T], dz: &[T]) {
    arch.dispatch(
        #[inline(always)]
        || {
            sums.fill(T::ZERO);
            for row in dz.chunks_exact(sums.len()) {
                for (sum, &d) in sums.iter_mut().zip(row) {
                    *sum += d;
                }
            }
        },
    );
}
