//! The order of trials, shared by the table, the CSV and the page.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::store::{TrialRecord, TrialState};

/// Which end of an objective is the good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Smaller is better.
    Minimize,
    /// Larger is better.
    Maximize,
}

impl Goal {
    /// The goal that a metric's name implies: losses and errors are minimized, all else is maximized.
    ///
    /// `val_loss`, `test_mse` and `rmse` are minimized; `val_accuracy` and `r2` are maximized.
    pub fn of_metric(name: &str) -> Self {
        let is_error = |word: &str| {
            matches!(
                word,
                "loss" | "error" | "mse" | "rmse" | "mae" | "mape" | "msle" | "huber"
            )
        };
        if name.split('_').any(is_error) {
            Self::Minimize
        } else {
            Self::Maximize
        }
    }

    /// Orders the better of two finite values first.
    pub fn compare(self, a: f64, b: f64) -> Ordering {
        match self {
            Self::Minimize => a.total_cmp(&b),
            Self::Maximize => b.total_cmp(&a),
        }
    }

    /// The better of two finite values.
    pub fn better(self, a: f64, b: f64) -> f64 {
        if self.compare(a, b) == Ordering::Greater {
            b
        } else {
            a
        }
    }

    /// `higher is better` or `lower is better`.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Minimize => "lower is better",
            Self::Maximize => "higher is better",
        }
    }
}

/// What ranks a trial: small enough to keep for every trial of a large study.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Number of the trial.
    pub trial: u64,
    /// The objective's mean; `None` when the trial is not ranked.
    pub value: Option<f64>,
}

impl Score {
    /// The score of a record: ranked when the trial is complete and its mean is finite.
    pub fn of(record: &TrialRecord, objective: &str) -> Self {
        let value = match record.state {
            TrialState::Complete => mean(record, objective),
            _ => None,
        };
        Self {
            trial: record.trial,
            value,
        }
    }
}

/// The finite mean of a metric, whatever the trial's state.
pub(crate) fn mean(record: &TrialRecord, metric: &str) -> Option<f64> {
    let mean = record.metrics.get(metric)?.mean?;
    mean.is_finite().then_some(mean)
}

/// Sorts scores best first, ties by the trial's number; those that are not ranked come last.
pub fn best_first(scores: &mut [Score], goal: Goal) {
    scores.sort_by(|a, b| {
        let by_value = match (a.value, b.value) {
            (Some(a), Some(b)) => goal.compare(equal_zeros(a), equal_zeros(b)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        };
        by_value.then(a.trial.cmp(&b.trial))
    });
}

/// -0.0 and 0.0 are one value, though `total_cmp` tells them apart.
fn equal_zeros(value: f64) -> f64 {
    if value == 0.0 { 0.0 } else { value }
}

/// The ranked trials, best first, ties by the trial's number.
///
/// Trials that are not complete, or whose objective is not finite, are left out.
pub fn rank<'a>(
    trials: impl IntoIterator<Item = &'a TrialRecord>,
    objective: &str,
    goal: Goal,
) -> Vec<&'a TrialRecord> {
    let trials: Vec<&TrialRecord> = trials.into_iter().collect();
    let mut order: Vec<(Score, &TrialRecord)> = trials
        .into_iter()
        .map(|trial| (Score::of(trial, objective), trial))
        .filter(|(score, _)| score.value.is_some())
        .collect();
    order.sort_by(|(a, _), (b, _)| {
        let value = |score: &Score| equal_zeros(score.value.unwrap_or(f64::NAN));
        goal.compare(value(a), value(b)).then(a.trial.cmp(&b.trial))
    });
    order.into_iter().map(|(_, trial)| trial).collect()
}

/// Ranks by trial, from 1, as scikit-learn gives them: equal values share the smallest rank
/// (`rankdata(method="min")`), and trials without a value share the last one.
pub fn min_ranks(scores: &[Score], goal: Goal) -> HashMap<u64, u32> {
    let mut order = scores.to_vec();
    best_first(&mut order, goal);
    let mut ranks = HashMap::with_capacity(order.len());
    let mut rank = 1;
    for (place, score) in order.iter().enumerate() {
        let before = place.checked_sub(1).map(|before| order[before].value);
        if before.is_some_and(|before| before != score.value) {
            rank = u32::try_from(place + 1).unwrap_or(u32::MAX);
        }
        ranks.insert(score.trial, rank);
    }
    ranks
}

/// A metric on the training rows and the same one on the validation rows.
///
/// Their difference is the gap by which a network fits its training rows better than new ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The metric on the training rows.
    pub train: String,
    /// The metric on the validation rows.
    pub val: String,
}

impl Pair {
    /// The pair that the trials hold: the objective's own, else accuracy, else loss.
    pub fn find<'a>(
        trials: impl IntoIterator<Item = &'a TrialRecord> + Clone,
        objective: &str,
    ) -> Option<Self> {
        let own = objective.strip_prefix("val_").unwrap_or(objective);
        [own, "accuracy", "loss"].into_iter().find_map(|metric| {
            let pair = Self {
                train: format!("train_{metric}"),
                val: format!("val_{metric}"),
            };
            let held = trials.clone().into_iter().any(|t| pair.of(t).is_some());
            held.then_some(pair)
        })
    }

    /// Training and validation mean of a trial, when both are finite.
    pub fn of(&self, trial: &TrialRecord) -> Option<(f64, f64)> {
        Some((mean(trial, &self.train)?, mean(trial, &self.val)?))
    }

    /// Training minus validation.
    pub fn gap(&self, trial: &TrialRecord) -> Option<f64> {
        self.of(trial).map(|(train, val)| train - val)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::{scored, with_state};

    #[test]
    fn ties_go_by_trial_number_and_unranked_trials_are_left_out() {
        let trials = [
            scored(0, Some(0.5)),
            scored(1, Some(0.9)),
            scored(2, None),
            scored(3, Some(0.9)),
            with_state(scored(4, Some(0.99)), TrialState::Diverged),
            with_state(scored(5, Some(0.98)), TrialState::Pruned),
            scored(6, Some(f64::INFINITY)),
        ];
        let order = |goal| -> Vec<u64> {
            rank(&trials, "val_accuracy", goal)
                .iter()
                .map(|t| t.trial)
                .collect()
        };
        assert_eq!(order(Goal::Maximize), [1, 3, 0]);
        assert_eq!(order(Goal::Minimize), [0, 1, 3]);
        assert!(rank(&trials, "val_f1", Goal::Maximize).is_empty());
    }

    #[test]
    fn scores_keep_the_unranked_last() {
        let mut scores = [(0, None), (1, Some(0.2)), (2, Some(0.1)), (3, None)]
            .map(|(trial, value)| Score { trial, value });
        best_first(&mut scores, Goal::Minimize);
        assert_eq!(scores.map(|s| s.trial), [2, 1, 0, 3]);
    }

    #[test]
    fn ranks_follow_the_min_method() {
        // scipy.stats.rankdata(-[0.7, 0.9, 0.9, 0.5, nan -> min - 1, nan -> min - 1], method="min")
        let values = [Some(0.7), Some(0.9), Some(0.9), Some(0.5), None, None];
        let scores: Vec<Score> = (0..)
            .zip(values)
            .map(|(trial, value)| Score { trial, value })
            .collect();
        let ranks = min_ranks(&scores, Goal::Maximize);
        let ranks: Vec<u32> = (0..6).map(|trial| ranks[&trial]).collect();
        assert_eq!(ranks, [3, 1, 1, 4, 5, 5]);
    }

    #[test]
    fn zeros_of_either_sign_tie() {
        let scores = [(0, Some(0.0)), (1, Some(-0.0))].map(|(trial, value)| Score { trial, value });
        let ranks = min_ranks(&scores, Goal::Maximize);
        assert_eq!((ranks[&0], ranks[&1]), (1, 1));
    }

    #[test]
    fn all_unranked_share_rank_one() {
        let scores = [0, 1].map(|trial| Score { trial, value: None });
        let ranks = min_ranks(&scores, Goal::Maximize);
        assert_eq!((ranks[&0], ranks[&1]), (1, 1));
    }

    #[test]
    fn goals_follow_from_names() {
        for name in ["val_loss", "val_mse", "rmse", "test_loss"] {
            assert_eq!(Goal::of_metric(name), Goal::Minimize, "{name}");
        }
        for name in ["val_accuracy", "val_f1_macro", "r2"] {
            assert_eq!(Goal::of_metric(name), Goal::Maximize, "{name}");
        }
    }

    #[test]
    fn the_gap_is_of_the_objective_and_falls_back_to_accuracy() {
        let trial = scored(0, Some(0.9));
        let pair = Pair::find([&trial], "val_f1").expect("accuracy is there");
        assert_eq!(pair.train, "train_accuracy");
        let gap = pair.gap(&trial).expect("both are finite");
        assert!((gap - 0.02).abs() < 1e-12);
        assert_eq!(Pair::find([&scored(0, None)], "val_accuracy"), None);
    }
}
