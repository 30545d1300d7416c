//! Gradients of a dense layer's weights and biases.

use pulp::Arch;

use super::matrix::{Matrix, product};
use super::real::Real;
use crate::train::DenseLayer;

/// `dW = x^T dy` and `db = sum of dy over the rows`, written into the layer's place in `gradients`.
///
/// `x` is `[rows][inputs]`, `dy` `[rows][outputs]`; the mean over the batch is already in `dy`.
pub fn dense_backward_weights<T: Real>(
    arch: Arch,
    gradients: &mut [T],
    x: &[T],
    dy: &[T],
    layer: &DenseLayer,
) {
    let rows = dy.len() / layer.outputs;
    product(
        arch,
        &mut gradients[layer.weights.clone()],
        Matrix::new(x, rows, layer.inputs).transposed(),
        Matrix::new(dy, rows, layer.outputs),
    );
    let bias = &mut gradients[layer.bias.clone()];
    arch.dispatch(
        #[inline(always)]
        || {
            bias.fill(T::ZERO);
            for row in dy.chunks_exact(bias.len()) {
                for (sum, &d) in bias.iter_mut().zip(row) {
                    *sum += d;
                }
            }
        },
    );
}
