//! Backward pass of batch norm.

use pulp::Arch;

use super::batch_norm_forward::BatchNorm;
use super::real::Real;
use super::simd::dispatch;
use crate::train::DenseLayer;

/// `dgamma = sum of dy * n`, `dbeta = sum of dy` over the rows, written into the layer's place in
/// `gradients`; and in place of `dy`
/// `dz = gamma * inverse deviation * (dy - dbeta / rows - n * dgamma / rows)`, where `n` is the
/// normalized value: the gradient also through the batch's mean and variance.
///
/// `dy` is `[rows][outputs]`. Source: Ioffe and Szegedy 2015, section 3.
pub fn batch_norm_backward<T: Real>(
    arch: Arch,
    dy: &mut [T],
    gradients: &mut [T],
    parameters: &[T],
    layer: &DenseLayer,
    batch: &BatchNorm<T>,
) {
    let outputs = layer.outputs;
    let share = T::ONE / T::from_f64((dy.len() / outputs) as f64);
    let (dgamma, dbeta) = gradients[layer.gamma.start..layer.beta.end].split_at_mut(outputs);
    let gamma = &parameters[layer.gamma.clone()];
    let (inverse, normalized) = (&batch.inverse_deviation[..], &batch.normalized[..dy.len()]);
    dispatch(
        arch,
        #[inline(always)]
        || {
            dgamma.fill(T::ZERO);
            dbeta.fill(T::ZERO);
            for (dy, normalized) in dy
                .chunks_exact(outputs)
                .zip(normalized.chunks_exact(outputs))
            {
                let sums = dgamma.iter_mut().zip(dbeta.iter_mut());
                for ((dgamma, dbeta), (&dy, &n)) in sums.zip(dy.iter().zip(normalized)) {
                    *dgamma += dy * n;
                    *dbeta += dy;
                }
            }
            let rows = dy.chunks_exact_mut(outputs);
            for (dy, normalized) in rows.zip(normalized.chunks_exact(outputs)) {
                let sums = dgamma.iter().zip(dbeta.iter());
                let unit = gamma.iter().zip(inverse).zip(sums);
                let values = dy.iter_mut().zip(normalized);
                for ((dy, &n), ((&gamma, &inverse), (&dgamma, &dbeta))) in values.zip(unit) {
                    *dy = gamma * inverse * (*dy - (dbeta + n * dgamma) * share);
                }
            }
        },
    );
}
