//! Forward pass of batch norm: the batch's statistics in training, the running ones in evaluation.

use pulp::Arch;

use super::aligned::{Aligned, zeros};
use super::real::Real;
use super::simd::dispatch;
use crate::train::{BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM, BATCH_NORM_ROWS};

/// What a training step's forward pass through one batch norm leaves for the rest of the step.
pub struct BatchNorm<T> {
    /// Rows of the batch.
    rows: usize,
    /// Mean of each unit, `[outputs]`.
    mean: Aligned<T>,
    /// Squared deviations from the mean, summed over the rows, `[outputs]`.
    squares: Aligned<T>,
    /// `1 / sqrt(variance + epsilon)`, `[outputs]`.
    pub inverse_deviation: Aligned<T>,
    /// `(z - mean) * inverse_deviation`, `[rows][outputs]`.
    pub normalized: Aligned<T>,
    /// Mean and squares of one block of rows.
    block: [Aligned<T>; 2],
}

impl<T: Real> BatchNorm<T> {
    /// Room for batches of up to `rows` rows of `outputs` units; for 0 units it takes none.
    pub fn new(rows: usize, outputs: usize) -> Self {
        let column = || zeros(outputs);
        Self {
            rows: 0,
            mean: column(),
            squares: column(),
            inverse_deviation: column(),
            normalized: zeros(rows * outputs),
            block: [column(), column()],
        }
    }

    /// What the forward pass would leave of `z`, `[rows][outputs]`, with mean and (biased) variance
    /// given: what a kernel is handed.
    pub fn with_statistics(z: &[T], mean: &[T], variance: &[T]) -> Self {
        let outputs = mean.len();
        let rows = z.len() / outputs;
        let count = T::from_f64(rows as f64);
        let mut batch = Self::new(rows, outputs);
        batch.rows = rows;
        batch.mean.copy_from_slice(mean);
        invert(&mut batch.inverse_deviation, variance, T::ONE);
        for (squares, &variance) in batch.squares.iter_mut().zip(variance) {
            *squares = variance * count;
        }
        let inverse = &batch.inverse_deviation;
        for (i, (out, &z)) in batch.normalized.iter_mut().zip(z).enumerate() {
            *out = (z - mean[i % outputs]) * inverse[i % outputs];
        }
        batch
    }

    /// Mean and (biased) variance of `z`, `[rows][outputs]`, as the forward pass measures them.
    pub fn statistics(arch: Arch, z: &[T], outputs: usize) -> (Vec<T>, Vec<T>) {
        let mut batch = Self::new(0, outputs);
        batch.measure(arch, z);
        let share = T::ONE / T::from_f64(batch.rows as f64);
        let variance = batch.squares.iter().map(|&squares| squares * share);
        (batch.mean.to_vec(), variance.collect())
    }

    /// Mean and squares of `z`, `[rows][outputs]`: two passes over each block of
    /// [`BATCH_NORM_ROWS`], merged block after block.
    fn measure(&mut self, arch: Arch, z: &[T]) {
        let outputs = self.mean.len();
        self.rows = 0;
        self.mean.fill(T::ZERO);
        self.squares.fill(T::ZERO);
        dispatch(
            arch,
            #[inline(always)]
            || {
                for block in z.chunks(BATCH_NORM_ROWS * outputs) {
                    self.measure_block(block);
                    self.merge_block(block.len() / outputs);
                }
            },
        );
    }

    #[inline(always)]
    fn measure_block(&mut self, z: &[T]) {
        let [mean, squares] = &mut self.block;
        let outputs = mean.len();
        let share = T::ONE / T::from_f64((z.len() / outputs) as f64);
        mean.fill(T::ZERO);
        squares.fill(T::ZERO);
        for row in z.chunks_exact(outputs) {
            for (sum, &z) in mean.iter_mut().zip(row) {
                *sum += z;
            }
        }
        for sum in mean.iter_mut() {
            *sum = *sum * share;
        }
        for row in z.chunks_exact(outputs) {
            for ((sum, &mean), &z) in squares.iter_mut().zip(mean.iter()).zip(row) {
                *sum += (z - mean).square();
            }
        }
    }

    /// Merges the statistics of `rows` further rows into those of the rows so far.
    ///
    /// Source: Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing
    /// sample variances" (1979).
    #[inline(always)]
    fn merge_block(&mut self, rows: usize) {
        let (before, new) = (self.rows as f64, rows as f64);
        self.rows += rows;
        let share = T::from_f64(new / (before + new));
        let weight = T::from_f64(before * new / (before + new));
        let so_far = self.mean.iter_mut().zip(self.squares.iter_mut());
        let block = self.block[0].iter().zip(self.block[1].iter());
        for ((mean, squares), (&block_mean, &block_squares)) in so_far.zip(block) {
            let delta = block_mean - *mean;
            *mean += delta * share;
            *squares += block_squares + delta.square() * weight;
        }
    }

    /// Blends the batch's statistics into `running`, `[2][outputs]`: its means, and its variances
    /// without bias. One row has no such variance, so that it leaves the running one.
    ///
    /// Values below the least moment become 0, see [`Real::flush`]: those of units that stay at 0
    /// decay for ever.
    pub fn update_running(&self, running: &mut [T]) {
        let momentum = T::from_f64(BATCH_NORM_MOMENTUM);
        let rest = T::from_f64(1.0 - BATCH_NORM_MOMENTUM);
        let blend = |running: &mut [T], batch: &[T], factor: T| {
            for (running, &batch) in running.iter_mut().zip(batch) {
                *running = (rest * *running + momentum * (batch * factor)).flush();
            }
        };
        let (means, variances) = running.split_at_mut(self.mean.len());
        blend(means, &self.mean, T::ONE);
        if self.rows > 1 {
            let freedom = T::ONE / T::from_f64((self.rows - 1) as f64);
            blend(variances, &self.squares, freedom);
        }
    }
}

/// `z = gamma * (z - mean) / sqrt(variance + epsilon)`, in place, with mean and variance (biased) of
/// the batch; beta is added by the activation's pass.
///
/// `z` is `[rows][outputs]`, `gamma` `[outputs]`. A batch of one row has the variance 0, so that all
/// of it becomes 0 (PyTorch refuses such a batch). Source: Ioffe and Szegedy 2015; PyTorch's
/// `BatchNorm1d`.
pub fn batch_norm_forward<T: Real>(arch: Arch, z: &mut [T], gamma: &[T], batch: &mut BatchNorm<T>) {
    batch.measure(arch, z);
    let share = T::ONE / T::from_f64(batch.rows as f64);
    invert(&mut batch.inverse_deviation, &batch.squares, share);
    let (mean, inverse) = (&batch.mean[..], &batch.inverse_deviation[..]);
    let normalized = &mut batch.normalized[..z.len()];
    dispatch(
        arch,
        #[inline(always)]
        || {
            let rows = z.chunks_exact_mut(gamma.len());
            for (z, normalized) in rows.zip(normalized.chunks_exact_mut(gamma.len())) {
                let unit = mean.iter().zip(inverse).zip(gamma);
                let values = z.iter_mut().zip(normalized);
                for ((z, normalized), ((&mean, &inverse), &gamma)) in values.zip(unit) {
                    *normalized = (*z - mean) * inverse;
                    *z = gamma * *normalized;
                }
            }
        },
    );
}

/// The same with the running statistics, `[2][outputs]`; `scratch` keeps nothing of it.
pub fn batch_norm_evaluate<T: Real>(
    arch: Arch,
    z: &mut [T],
    gamma: &[T],
    running: &[T],
    scratch: &mut BatchNorm<T>,
) {
    let (means, variances) = running.split_at(gamma.len());
    invert(&mut scratch.inverse_deviation, variances, T::ONE);
    let inverse = &scratch.inverse_deviation[..];
    dispatch(
        arch,
        #[inline(always)]
        || {
            for z in z.chunks_exact_mut(gamma.len()) {
                let unit = means.iter().zip(inverse).zip(gamma);
                for (z, ((&mean, &inverse), &gamma)) in z.iter_mut().zip(unit) {
                    *z = gamma * ((*z - mean) * inverse);
                }
            }
        },
    );
}

/// `inverse = 1 / sqrt(squares * share + epsilon)`.
fn invert<T: Real>(inverse: &mut [T], squares: &[T], share: T) {
    let epsilon = T::from_f64(BATCH_NORM_EPSILON);
    for (inverse, &squares) in inverse.iter_mut().zip(squares) {
        *inverse = T::ONE / (squares * share + epsilon).sqrt();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values far from 0, where a sum of squares would cancel.
    fn values(rows: usize, outputs: usize) -> Vec<f64> {
        let value = |i: usize| 100.0 + ((i * 7919 + 13) % 211) as f64 / 50.0;
        (0..rows * outputs).map(value).collect()
    }

    #[test]
    fn statistics_of_blocks_are_those_of_the_whole_batch() {
        for rows in [1, 2, 15, 16, 17, 32, 33, 100] {
            let (outputs, z) = (3, values(rows, 3));
            let mut batch = BatchNorm::new(rows, outputs);
            batch.measure(Arch::new(), &z);
            for unit in 0..outputs {
                let column: Vec<f64> = z.iter().skip(unit).step_by(outputs).copied().collect();
                let mean = column.iter().sum::<f64>() / rows as f64;
                let squares: f64 = column.iter().map(|z| (z - mean).powi(2)).sum();
                let error = (batch.mean[unit] - mean).abs();
                assert!(error < 1e-12 * mean, "{rows} rows: {error:e}");
                let error = (batch.squares[unit] - squares).abs();
                assert!(error <= 1e-10 * squares, "{rows} rows: {error:e}");
            }
        }
    }

    #[test]
    fn a_batch_has_mean_0_and_variance_1_and_nothing_remains_of_the_batch_before() {
        let (rows, outputs) = (37, 4);
        let mut batch = BatchNorm::new(64, outputs);
        let mut before = vec![-5.0; 64 * outputs];
        batch_norm_forward(Arch::new(), &mut before, &[1.0; 4], &mut batch);
        let mut z = values(rows, outputs);
        batch_norm_forward(Arch::new(), &mut z, &[1.0, 2.0, 0.0, -1.0], &mut batch);
        for (unit, gamma) in [1.0, 2.0, 0.0, -1.0_f64].into_iter().enumerate() {
            let column = z.iter().skip(unit).step_by(outputs);
            let mean = column.clone().sum::<f64>() / rows as f64;
            let variance = column.map(|z| z * z).sum::<f64>() / rows as f64;
            assert!(mean.abs() < 1e-12, "{mean}");
            assert!((variance - gamma * gamma).abs() < 1e-4, "{variance}");
        }
    }

    #[test]
    fn one_row_becomes_0_and_moves_the_running_mean_alone() {
        let mut batch = BatchNorm::new(4, 2);
        let mut z = [3.0_f32, -1.0];
        batch_norm_forward(Arch::new(), &mut z, &[1.0, 2.0], &mut batch);
        assert_eq!(z, [0.0, 0.0]);
        let mut running = [0.0, 0.0, 1.0, 0.5];
        batch.update_running(&mut running);
        assert_eq!(running, [0.3, -0.1, 1.0, 0.5]);
    }

    #[test]
    fn the_running_variance_is_without_bias() {
        let mut batch = BatchNorm::new(2, 1);
        batch_norm_forward(Arch::new(), &mut [1.0_f64, 3.0], &[1.0], &mut batch);
        let mut running = [0.0, 1.0];
        batch.update_running(&mut running);
        assert!((running[0] - 0.2).abs() < 1e-15, "{running:?}");
        assert!(
            (running[1] - (0.9 + 0.1 * 2.0)).abs() < 1e-15,
            "{running:?}"
        );
    }

    #[test]
    fn evaluation_takes_the_running_statistics() {
        let mut scratch = BatchNorm::new(1, 2);
        let mut z = [5.0_f64, 1.0, 1.0, 0.0];
        let running = [1.0, 0.0, 4.0 - 1e-5, 1.0 - 1e-5];
        batch_norm_evaluate(Arch::new(), &mut z, &[1.0, -3.0], &running, &mut scratch);
        for (z, expected) in z.iter().zip([2.0, -3.0, 0.0, 0.0]) {
            assert!((z - expected).abs() < 1e-12, "{z} {expected}");
        }
    }

    #[test]
    fn nan_reaches_every_row_of_its_unit() {
        let mut batch = BatchNorm::new(3, 1);
        let mut z = [1.0_f32, f32::NAN, 2.0];
        batch_norm_forward(Arch::new(), &mut z, &[1.0], &mut batch);
        assert!(z.iter().all(|z| z.is_nan()), "{z:?}");
    }
}
