//! The stretch of an objective in which its differences are worth seeing.

use crate::report::rank::Goal;

/// From the worst value that is told apart to the best one.
///
/// A sweep has trials that learned nothing, and on a scale that reaches down to them all good
/// trials look the same. The worst end is therefore no further from the median than three times
/// the best is; what is worse is drawn at that end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    pub(super) worst: f64,
    pub(super) best: f64,
    /// Some values are worse than `worst`.
    pub(super) clipped: bool,
}

impl Range {
    /// The range of these values, which are finite; `None` without any.
    pub(super) fn of(values: impl IntoIterator<Item = f64>, goal: Goal) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(|a, b| goal.compare(*a, *b));
        let (&best, &last) = (values.first()?, values.last()?);
        let median = quantile(&values, 0.5);
        let limit = median + 3.0 * (median - best);
        let worst = if median == best {
            last
        } else {
            goal.better(last, limit)
        };
        Some(Self {
            worst,
            best,
            clipped: worst != last,
        })
    }

    /// How good a value is: 0 at the worst end or beyond, 1 at the best.
    pub(super) fn share(&self, value: f64) -> f64 {
        if self.best == self.worst {
            return 1.0;
        }
        ((value - self.worst) / (self.best - self.worst)).clamp(0.0, 1.0)
    }

    /// The ends, the smaller one first.
    pub(super) fn ordered(&self) -> (f64, f64) {
        (self.worst.min(self.best), self.worst.max(self.best))
    }
}

/// A quantile of sorted values, between neighbours in proportion; NaN without values.
pub(super) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = share.clamp(0.0, 1.0) * last as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * (place - place.floor())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!(quantile(&[7.0], 0.25), 7.0);
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn what_learned_nothing_is_cut_off() {
        let values = [0.1, 0.9, 0.92, 0.94, 0.96];
        let range = Range::of(values, Goal::Maximize).expect("there are values");
        assert!(range.clipped);
        assert!((range.worst - 0.8).abs() < 1e-9);
        assert_eq!((range.share(0.1), range.share(0.96)), (0.0, 1.0));
    }

    #[test]
    fn losses_are_cut_at_the_other_end() {
        let range = Range::of([9.0, 0.3, 0.2, 0.1], Goal::Minimize).expect("there are values");
        assert_eq!(range.best, 0.1);
        assert!(range.clipped && range.worst < 1.0);
        assert!(range.share(0.15) > range.share(0.3));
    }

    #[test]
    fn few_or_equal_values_are_not_cut() {
        let ends = |values: &[f64]| Range::of(values.iter().copied(), Goal::Maximize);
        assert_eq!(ends(&[]), None);
        for values in [&[0.5][..], &[0.5, 0.5]] {
            let range = ends(values).expect("there are values");
            assert_eq!((range.worst, range.best, range.clipped), (0.5, 0.5, false));
            assert_eq!(range.share(0.5), 1.0);
        }
    }
}
