//! Classification metrics from counts, with scikit-learn's definitions.

use crate::engine::Evaluation;

/// Names of the metrics of one part of the rows, without the part's prefix, in display order.
pub const NAMES: [&str; 11] = [
    "loss",
    "accuracy",
    "precision",
    "recall",
    "f1",
    "precision_micro",
    "recall_micro",
    "f1_micro",
    "precision_weighted",
    "recall_weighted",
    "f1_weighted",
];

/// All metrics of one evaluation, in the order of [`NAMES`].
///
/// `loss` is the mean cross-entropy in nats. `precision`, `recall`, `f1` are macro means: over the
/// classes that occur in the rows or among the predictions, each counted once; `_weighted` weighs
/// them by their rows; `_micro` counts all rows together, where for one label a row precision,
/// recall, F1 and accuracy are one number. A quotient over no rows is 0, as with scikit-learn's
/// `zero_division=0`. NaN when there are no rows at all.
pub fn metrics(evaluation: &Evaluation) -> [f64; NAMES.len()] {
    let rows = evaluation.rows as f64;
    let correct: u64 = evaluation.true_positives.iter().sum();
    let accuracy = correct as f64 / rows;
    let classes = class_scores(evaluation);
    let [precision, recall, f1] = weighted_mean(&classes, |_| 1.0);
    let [precision_weighted, recall_weighted, f1_weighted] =
        weighted_mean(&classes, |class| class.rows);
    [
        evaluation.loss_sum / rows,
        accuracy,
        precision,
        recall,
        f1,
        accuracy,
        accuracy,
        accuracy,
        precision_weighted,
        recall_weighted,
        f1_weighted,
    ]
}

/// Precision, recall and F1 of one class.
struct ClassScores {
    rows: f64,
    scores: [f64; 3],
}

fn class_scores(evaluation: &Evaluation) -> Vec<ClassScores> {
    let counts = evaluation.true_positives.iter().zip(&evaluation.predicted);
    counts
        .zip(&evaluation.actual)
        .filter(|&((_, &predicted), &actual)| predicted + actual > 0)
        .map(|((&hits, &predicted), &actual)| ClassScores {
            rows: actual as f64,
            scores: [
                quotient(hits as f64, predicted as f64),
                quotient(hits as f64, actual as f64),
                quotient(2.0 * hits as f64, (predicted + actual) as f64),
            ],
        })
        .collect()
}

fn quotient(numerator: f64, denominator: f64) -> f64 {
    if denominator == 0.0 {
        0.0
    } else {
        numerator / denominator
    }
}

fn weighted_mean(classes: &[ClassScores], weight: impl Fn(&ClassScores) -> f64) -> [f64; 3] {
    let total: f64 = classes.iter().map(&weight).sum();
    std::array::from_fn(|score| {
        let sum: f64 = classes
            .iter()
            .map(|class| weight(class) * class.scores[score])
            .sum();
        sum / total
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluation(counts: [[u64; 3]; 3]) -> Evaluation {
        let [true_positives, predicted, actual] = counts.map(|list| list.to_vec());
        Evaluation {
            rows: actual.iter().sum(),
            loss_sum: 5.0,
            true_positives,
            predicted,
            actual,
        }
    }

    #[track_caller]
    fn check(counts: [[u64; 3]; 3], expected: [f64; NAMES.len()]) {
        for ((name, value), expected) in
            NAMES.iter().zip(metrics(&evaluation(counts))).zip(expected)
        {
            assert!(
                (value - expected).abs() < 1e-12,
                "{name}: {value}, not {expected}"
            );
        }
    }

    /// Expected values from scikit-learn 1.5: y = 0 0 1 1 2, predictions = 0 1 1 1 0.
    #[test]
    fn agrees_with_scikit_learn() {
        let (p, r, f) = ([0.5, 2.0 / 3.0, 0.0], [0.5, 1.0, 0.0], [0.5, 0.8, 0.0]);
        let mean = |v: [f64; 3]| v.iter().sum::<f64>() / 3.0;
        let weighted = |v: [f64; 3]| (2.0 * v[0] + 2.0 * v[1] + v[2]) / 5.0;
        let counts = [[1, 2, 0], [2, 3, 0], [2, 2, 1]];
        check(
            counts,
            [
                1.0,
                0.6,
                mean(p),
                mean(r),
                mean(f),
                0.6,
                0.6,
                0.6,
                weighted(p),
                weighted(r),
                weighted(f),
            ],
        );
    }

    #[test]
    fn a_class_that_never_occurs_is_left_out() {
        let mut expected = [1.0; NAMES.len()];
        expected[0] = 1.25;
        check([[2, 2, 0], [2, 2, 0], [2, 2, 0]], expected);
    }

    #[test]
    fn no_rows_give_nan() {
        assert!(metrics(&evaluation([[0; 3]; 3]))[1].is_nan());
    }
}
