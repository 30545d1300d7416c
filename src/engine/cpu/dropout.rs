//! Dropout of hidden units, and its gradient.

use pulp::Arch;

use super::aligned::{Aligned, zeros};
use super::real::Real;
use super::simd::{Lanes, dispatch};
use crate::train::{dropout_threshold, philox4x32};

/// The dropout of one step of one member.
#[derive(Clone, Copy, Debug)]
pub struct Dropout<T> {
    key: [u32; 2],
    /// Updates made before the step.
    step: u32,
    /// A unit whose random word is below it is dropped.
    threshold: u32,
    /// 1 / (1 - rate), what kept units are multiplied by.
    scale: T,
}

impl<T: Real> Dropout<T> {
    /// Dropout at this rate under the member's key, in the step that follows `steps` updates; none
    /// at the rate 0.
    pub fn new(rate: f64, key: [u32; 2], steps: u64) -> Option<Self> {
        (rate > 0.0).then(|| Self {
            key,
            // The low 32 bits, by definition.
            step: steps as u32,
            threshold: dropout_threshold(rate),
            scale: T::from_f64(1.0 / (1.0 - rate)),
        })
    }

    /// The factor of each unit of hidden layer `layer`, `[rows][outputs]`: 0 for a dropped one,
    /// else the scale.
    #[inline(always)]
    fn factors(self, factors: &mut [T], outputs: usize, layer: u32) {
        // Values of its own: behind a reference they might change with every factor that is written,
        // and the loop would not become SIMD code.
        let Self {
            key,
            step,
            threshold,
            scale,
        } = self;
        let factor = |word| if word >= threshold { scale } else { T::ZERO };
        for (row, factors) in (0..).zip(factors.chunks_exact_mut(outputs)) {
            let (whole, rest) = factors.split_at_mut(outputs - outputs % 4);
            for (group, factors) in (0..).zip(whole.chunks_exact_mut(4)) {
                let words = philox4x32([group, row, layer, step], key);
                for i in 0..4 {
                    factors[i] = factor(words[i]);
                }
            }
            if !rest.is_empty() {
                let words = philox4x32([(outputs / 4) as u32, row, layer, step], key);
                for (factors, word) in rest.iter_mut().zip(words) {
                    *factors = factor(word);
                }
            }
        }
    }
}

/// What a step's forward pass through the dropout of one hidden layer leaves for its backward pass.
pub struct Dropped<T> {
    /// The units' values before dropout, `[rows][outputs]`.
    pub values: Aligned<T>,
    /// What each was multiplied by, `[rows][outputs]`.
    pub factors: Aligned<T>,
}

impl<T: Real> Dropped<T> {
    /// Room that grows when it is first used: most members have no dropout.
    pub fn new() -> Self {
        Self {
            values: zeros(0),
            factors: zeros(0),
        }
    }
}

/// `h = h * factor`, in place, `[rows][outputs]`, for hidden layer `layer`, counted from 0 at the
/// input.
///
/// A value that is not finite is not hidden by being dropped: times 0 it is NaN. Source: Srivastava
/// and others 2014, in the inverted form of PyTorch's `Dropout`; `train/dropout.rs` says which
/// random word is which unit's.
pub fn dropout_forward<T: Real>(
    arch: Arch,
    h: &mut [T],
    outputs: usize,
    layer: u32,
    dropout: Dropout<T>,
    dropped: &mut Dropped<T>,
) {
    let most = dropped.values.len().max(h.len());
    dropped.values.resize(most, T::ZERO);
    dropped.factors.resize(most, T::ZERO);
    let (values, factors) = (
        &mut dropped.values[..h.len()],
        &mut dropped.factors[..h.len()],
    );
    values.copy_from_slice(h);
    dispatch(
        arch,
        #[inline(always)]
        || {
            dropout.factors(factors, outputs, layer);
            for (h, &factor) in h.iter_mut().zip(&*factors) {
                *h = *h * factor;
            }
        },
    );
}

/// `dh = dh * factor`, in place, with the factors of the step's forward pass; part of a pass.
#[inline(always)]
pub fn dropout_backward<T: Real, L: Lanes<T>>(lanes: L, dh: &mut [T], factors: &[T]) {
    lanes.each([dh], [factors], |[d], [factor]| [d * factor]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::cpu::simd::OneByOne;

    fn dropped_ones(rate: f64, rows: usize, outputs: usize, layer: u32) -> Vec<f32> {
        let dropout = Dropout::new(rate, [11, 12], (7 << 32) + 5).unwrap();
        let mut h = vec![1.0_f32; rows * outputs];
        let mut dropped = Dropped::new();
        dropout_forward(Arch::new(), &mut h, outputs, layer, dropout, &mut dropped);
        h
    }

    #[test]
    fn a_unit_is_kept_when_its_own_word_reaches_the_threshold() {
        for outputs in [1, 3, 4, 5, 63, 64, 65, 130] {
            let h = dropped_ones(0.3, 3, outputs, 2);
            for (i, &value) in h.iter().enumerate() {
                let (row, unit) = ((i / outputs) as u32, (i % outputs) as u32);
                let word = philox4x32([unit / 4, row, 2, 5], [11, 12])[unit as usize % 4];
                let expected = if word >= 1_288_490_189 {
                    1.0 / 0.7
                } else {
                    0.0
                };
                assert_eq!(value, expected, "row {row}, unit {unit} of {outputs}");
            }
        }
    }

    #[test]
    fn the_rate_is_the_share_that_is_dropped_and_the_mean_stays() {
        for rate in [0.01, 0.25, 0.5, 0.9, 0.999] {
            let h = dropped_ones(rate, 200, 500, 0);
            let zeros = h.iter().filter(|&&h| h == 0.0).count() as f64 / h.len() as f64;
            assert!((zeros - rate).abs() < 0.005, "{rate}: {zeros}");
            let mean = h.iter().map(|&h| f64::from(h)).sum::<f64>() / h.len() as f64;
            assert!((mean - 1.0).abs() < 0.15, "{rate}: {mean}");
        }
    }

    #[test]
    fn a_rate_of_0_is_no_dropout() {
        assert!(Dropout::<f32>::new(0.0, [1, 2], 3).is_none());
    }

    #[test]
    fn a_gradient_goes_where_the_value_went() {
        let dropout = Dropout::new(0.5, [1, 2], 0).unwrap();
        let (mut h, mut dropped) = (vec![2.0_f64; 40], Dropped::new());
        dropout_forward(Arch::new(), &mut h, 10, 0, dropout, &mut dropped);
        assert_eq!(*dropped.values, [2.0; 40]);
        let mut dh = vec![3.0; 40];
        dropout_backward(OneByOne, &mut dh, &dropped.factors);
        assert!(h.contains(&0.0) && h.contains(&4.0));
        for (h, d) in h.iter().zip(dh) {
            assert_eq!(d, if *h == 0.0 { 0.0 } else { 6.0 });
        }
    }

    #[test]
    fn a_smaller_batch_leaves_nothing_of_the_one_before() {
        let dropout = Dropout::new(0.5, [1, 2], 0).unwrap();
        let mut dropped = Dropped::new();
        for rows in [8, 3] {
            let mut h = vec![rows as f32; rows * 6];
            dropout_forward(Arch::new(), &mut h, 6, 1, dropout, &mut dropped);
            assert_eq!(dropped.values[..h.len()], vec![rows as f32; rows * 6]);
        }
    }

    #[test]
    fn nan_is_not_hidden() {
        let dropout = Dropout::new(0.9, [1, 2], 0).unwrap();
        let mut h = vec![f32::NAN; 40];
        dropout_forward(Arch::new(), &mut h, 10, 0, dropout, &mut Dropped::new());
        assert!(h.iter().all(|h| h.is_nan()));
    }
}
