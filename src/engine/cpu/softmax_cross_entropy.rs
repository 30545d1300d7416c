//! Softmax, cross-entropy and its gradient.

use pulp::Arch;

use super::real::Real;

/// Replaces logits by the gradient of the batch's mean cross-entropy, `(softmax - one hot) / rows`,
/// and returns the cross-entropy in nats, summed over the rows.
///
/// `logits` is `[targets.len()][classes]`. The largest logit of a row is taken off first, so that
/// no exponential overflows; sums of the loss are in f64.
pub fn softmax_cross_entropy<T: Real>(
    arch: Arch,
    logits: &mut [T],
    targets: &[u32],
    classes: usize,
) -> f64 {
    let shifted = shift_rows(logits, targets, classes);
    exponentials(arch, logits);
    let mean = T::ONE / T::from_f64(targets.len() as f64);
    let mut logarithms = 0.0;
    for (row, &target) in logits.chunks_exact_mut(classes).zip(targets) {
        let sum = row.iter().fold(T::ZERO, |sum, &e| sum + e);
        logarithms += sum.ln().to_f64();
        let (scale, least) = (mean / sum, T::LEAST_PROBABILITY * sum);
        for e in row.iter_mut() {
            *e = if *e < least { T::ZERO } else { *e * scale };
        }
        row[target as usize] -= mean;
    }
    logarithms - shifted
}

/// Cross-entropy in nats, summed over the rows, and the class with the largest logit of each row
/// (the first of equals). Overwrites the logits.
pub fn cross_entropy<T: Real>(
    arch: Arch,
    logits: &mut [T],
    targets: &[u32],
    classes: usize,
    mut predicted: impl FnMut(u32, u32),
) -> f64 {
    for (row, &target) in logits.chunks_exact(classes).zip(targets) {
        predicted(target, largest(row));
    }
    let shifted = shift_rows(logits, targets, classes);
    exponentials(arch, logits);
    let mut logarithms = 0.0;
    for row in logits.chunks_exact(classes) {
        let sum = row.iter().fold(T::ZERO, |sum, &e| sum + e);
        logarithms += sum.ln().to_f64();
    }
    logarithms - shifted
}

/// Takes the largest logit off each row; returns the targets' logits after that, summed.
#[inline(always)]
fn shift_rows<T: Real>(logits: &mut [T], targets: &[u32], classes: usize) -> f64 {
    let mut shifted = 0.0;
    for (row, &target) in logits.chunks_exact_mut(classes).zip(targets) {
        let top = row
            .iter()
            .fold(row[0], |top, &v| if v > top { v } else { top });
        for value in row.iter_mut() {
            *value -= top;
        }
        shifted += row[target as usize].to_f64();
    }
    shifted
}

#[inline(always)]
fn exponentials<T: Real>(arch: Arch, values: &mut [T]) {
    arch.dispatch(
        #[inline(always)]
        || {
            for value in values.iter_mut() {
                *value = value.exp();
            }
        },
    );
}

fn largest<T: Real>(row: &[T]) -> u32 {
    let mut best = 0;
    for (class, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = class;
        }
    }
    u32::try_from(best).expect("class numbers are u32")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_logits_cost_the_logarithm_of_the_classes() {
        let mut logits = [3.0_f64; 8];
        let loss = softmax_cross_entropy(Arch::new(), &mut logits, &[1, 3], 4);
        assert!((loss - 2.0 * 4.0_f64.ln()).abs() < 1e-14, "{loss}");
        let expected = [0.125, -0.375, 0.125, 0.125];
        assert!(
            logits[..4]
                .iter()
                .zip(expected)
                .all(|(a, b)| (a - b).abs() < 1e-15)
        );
    }

    #[test]
    fn huge_logits_neither_overflow_nor_lose_the_loss() {
        let mut logits = [1e4_f32, -1e4, 0.0];
        let loss = softmax_cross_entropy(Arch::new(), &mut logits, &[1], 3);
        assert_eq!(loss, 2e4);
        assert_eq!(logits, [1.0, -1.0, 0.0]);
    }

    #[test]
    fn a_nan_or_infinite_logit_makes_the_loss_nan() {
        for bad in [f32::NAN, f32::INFINITY] {
            for at in 0..3 {
                let mut logits = [0.0_f32, 1.0, 2.0];
                logits[at] = bad;
                let loss = softmax_cross_entropy(Arch::new(), &mut logits, &[0], 3);
                assert!(!loss.is_finite(), "{bad} at {at}: {loss}");
            }
        }
    }

    #[test]
    fn evaluation_agrees_with_training_and_takes_the_first_of_equals() {
        let logits = [0.5_f64, 2.0, 2.0, 1.0, 0.0, -1.0];
        let targets = [2, 0];
        let (mut a, mut b) = (logits, logits);
        let trained = softmax_cross_entropy(Arch::new(), &mut a, &targets, 3);
        let mut seen = Vec::new();
        let evaluated = cross_entropy(Arch::new(), &mut b, &targets, 3, |t, p| seen.push((t, p)));
        assert_eq!(trained, evaluated);
        assert_eq!(seen, [(2, 1), (0, 0)]);
    }
}
