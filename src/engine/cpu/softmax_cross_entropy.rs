//! Softmax, cross-entropy and its gradient.

use pulp::Arch;

use super::real::Real;
use super::simd::{Finish, Lanes};

/// Rows the logarithms of whose sums are taken together.
const ROWS: usize = 16;

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
    let source = logits.to_vec();
    softmax_cross_entropy_to(arch, logits, &source, targets, classes)
}

/// The same with the gradient in another place, or nowhere if that is empty.
pub fn softmax_cross_entropy_to<T: Real>(
    arch: Arch,
    gradient: &mut [T],
    logits: &[T],
    targets: &[u32],
    classes: usize,
) -> f64 {
    let mut loss = 0.0;
    let pass = CrossEntropy {
        logits,
        targets,
        classes,
        loss: &mut loss,
    };
    T::pass(arch, gradient, pass);
    loss
}

/// Cross-entropy in nats, summed over the rows, and the class with the largest logit of each row
/// (the first of equals).
pub fn cross_entropy<T: Real>(
    arch: Arch,
    logits: &[T],
    targets: &[u32],
    classes: usize,
    mut predicted: impl FnMut(u32, u32),
) -> f64 {
    let loss = softmax_cross_entropy_to(arch, &mut [], logits, targets, classes);
    for (row, &target) in logits.chunks_exact(classes).zip(targets) {
        predicted(target, largest(row));
    }
    loss
}

struct CrossEntropy<'p, T> {
    logits: &'p [T],
    targets: &'p [u32],
    classes: usize,
    loss: &'p mut f64,
}

impl<T: Real> Finish<T> for CrossEntropy<'_, T> {
    /// The gradient of all rows, where there is room for it.
    #[inline(always)]
    fn finish<L: Lanes<T>>(&mut self, lanes: L, _: usize, gradient: &mut [T]) {
        let classes = self.classes;
        let mean = T::ONE / T::from_f64(self.targets.len() as f64);
        let mut gradients = gradient.chunks_mut(ROWS * classes);
        let blocks = self.logits.chunks(ROWS * classes);
        for (logits, targets) in blocks.zip(self.targets.chunks(ROWS)) {
            let (mut shifted, mut product) = (0.0, 1.0);
            let mut rows = logits.chunks_exact(classes).zip(targets);
            let mut add = |(top, sum): (T, T)| {
                let (row, &target) = rows.next().expect("as many rows as targets");
                shifted += (row[target as usize] - top).to_f64();
                // A sum is between 1 and the number of classes: so many of them stay far from f64's
                // end, and the logarithm of their product is the sum of their logarithms.
                product *= sum.to_f64();
            };
            match gradients.next() {
                Some(gradient) => lanes.softmax(gradient, logits, classes, mean, &mut add),
                None => {
                    for row in logits.chunks_exact(classes) {
                        add(lanes.exponential_sum(row));
                    }
                }
            }
            *self.loss += product.ln() - shifted;
        }
        for (gradient, &target) in gradient.chunks_exact_mut(classes).zip(self.targets) {
            gradient[target as usize] -= mean;
        }
    }
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
        let (mut a, b) = (logits, logits);
        let trained = softmax_cross_entropy(Arch::new(), &mut a, &targets, 3);
        let mut seen = Vec::new();
        let evaluated = cross_entropy(Arch::new(), &b, &targets, 3, |t, p| seen.push((t, p)));
        assert_eq!(trained, evaluated);
        assert_eq!(seen, [(2, 1), (0, 0)]);
    }
}
