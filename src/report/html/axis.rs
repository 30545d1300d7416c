//! From values to places on paper, and the ticks on the way.

use crate::report::format::number_text;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Linear,
    Log,
}

/// Maps values onto a stretch of the drawing, linearly or by logarithm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    kind: Kind,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    /// Ticks are no closer than this.
    least_step: f64,
}

/// Whether a value can be drawn: finite, and not so large that differences overflow.
pub(super) fn plottable(value: f64) -> bool {
    value.is_finite() && value.abs() < 1e30
}

/// Smallest and largest plottable value.
pub(super) fn extent(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values
        .into_iter()
        .filter(|&v| plottable(v))
        .fold(None, |range, v| match range {
            None => Some((v, v)),
            Some((low, high)) => Some((low.min(v), high.max(v))),
        })
}

impl Scale {
    /// Maps `low..high` onto `from..to`; a range without width is widened around its value.
    pub(super) fn linear((low, high): (f64, f64), (from, to): (f64, f64)) -> Self {
        let pad = if high > low {
            0.0
        } else {
            (low.abs() * 0.05).max(0.05)
        };
        Self {
            kind: Kind::Linear,
            low: low - pad,
            high: high + pad,
            from,
            to,
            least_step: 0.0,
        }
    }

    /// As [`Self::linear`], by logarithm. Both ends must be positive.
    pub(super) fn log((low, high): (f64, f64), (from, to): (f64, f64)) -> Self {
        let factor = if high > low { 1.0 } else { 2.0 };
        Self {
            kind: Kind::Log,
            low: low / factor,
            high: high * factor,
            from,
            to,
            least_step: 0.0,
        }
    }

    /// Logarithmic where all values are positive and span a factor of 20 or more, else linear.
    pub(super) fn fitting((low, high): (f64, f64), to: (f64, f64)) -> Self {
        if low > 0.0 && high / low >= 20.0 {
            Self::log((low, high), to)
        } else {
            Self::linear((low, high), to)
        }
    }

    /// A linear scale whose ticks are whole numbers, such as epochs.
    pub(super) fn counting(range: (f64, f64), to: (f64, f64)) -> Self {
        Self {
            least_step: 1.0,
            ..Self::linear(range, to)
        }
    }

    /// Leaves a share of the range free at both ends, so that nothing is drawn on the frame.
    pub(super) fn padded(mut self, share: f64) -> Self {
        match self.kind {
            Kind::Linear => {
                let pad = (self.high - self.low) * share;
                self.low -= pad;
                self.high += pad;
            }
            Kind::Log => {
                let factor = (self.high / self.low).powf(share);
                self.low /= factor;
                self.high *= factor;
            }
        }
        self
    }

    /// Cuts the range at `low` and `high`, such as 0 and 1 for a share.
    pub(super) fn within(mut self, low: f64, high: f64) -> Self {
        self.low = self.low.max(low);
        self.high = self.high.min(high);
        self
    }

    /// Where a value lies; values outside the range lie at its ends.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = match self.kind {
            Kind::Linear => (value - self.low) / (self.high - self.low),
            Kind::Log if value <= 0.0 => 0.0,
            Kind::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// The end of the stretch where the smallest value lies.
    pub(super) fn start(&self) -> f64 {
        self.from
    }

    pub(super) fn is_log(&self) -> bool {
        self.kind == Kind::Log
    }

    pub(super) fn covers(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// About `count` round values in the range, with their labels.
    pub(super) fn ticks(&self, count: usize) -> Vec<(f64, String)> {
        let values = match self.kind {
            Kind::Linear => return self.linear_ticks(count),
            Kind::Log => log_ticks(self.low, self.high, count),
        };
        if values.len() < 2 {
            return self.linear_ticks(count);
        }
        values.into_iter().map(|v| (v, number_text(v, 3))).collect()
    }

    fn linear_ticks(&self, count: usize) -> Vec<(f64, String)> {
        let rough = (self.high - self.low) / count.max(1) as f64;
        let step = round_step(rough).max(self.least_step);
        let decimals = decimals_of(step);
        let first = (self.low / step - 1e-9).ceil();
        let last = (self.high / step + 1e-9).floor();
        let places = (last - first).clamp(0.0, 50.0) as u32;
        (0..=places)
            .map(|place| (first + f64::from(place)) * step)
            .map(|v| if v.abs() < step * 1e-6 { 0.0 } else { v })
            .map(|v| (v, tick_text(v, step, decimals)))
            .collect()
    }
}

/// 1, 2, 2.5 or 5 times a power of ten, and no less than `rough`.
fn round_step(rough: f64) -> f64 {
    let power = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0]
        .map(|round| round * power)
        .into_iter()
        .find(|&step| step >= rough * 0.999)
        .unwrap_or(rough)
}

/// Decimals that tell ticks a step apart.
fn decimals_of(step: f64) -> usize {
    let exponent = (step.log10() + 1e-9).floor();
    let is_quarter = (step / 10_f64.powf(exponent) - 2.5).abs() < 1e-6;
    let decimals = if is_quarter { 1.0 } else { 0.0 } - exponent;
    decimals.clamp(0.0, 20.0) as usize
}

fn tick_text(value: f64, step: f64, decimals: usize) -> String {
    if value.abs() >= 1e6 || step < 1e-5 {
        number_text(value, 4)
    } else {
        format!("{value:.decimals$}")
    }
}

fn log_ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let decades = (high / low).log10();
    let mantissas: &[f64] = match decades {
        d if d < 1.5 => &[1.0, 2.0, 5.0],
        d if d < 2.5 => &[1.0, 3.0],
        _ => &[1.0],
    };
    let every = ((decades / count.max(1) as f64).ceil() as usize).max(1);
    (first..=last)
        .step_by(every)
        .flat_map(|decade| mantissas.iter().map(move |m| m * 10_f64.powi(decade)))
        .filter(|v| (low * 0.999..=high * 1.001).contains(v))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, count: usize) -> Vec<String> {
        scale
            .ticks(count)
            .into_iter()
            .map(|(_, label)| label)
            .collect()
    }

    #[test]
    fn ticks_are_round() {
        let to = (0.0, 100.0);
        assert_eq!(
            labels(Scale::linear((0.03, 0.98), to), 5),
            ["0.2", "0.4", "0.6", "0.8"]
        );
        assert_eq!(
            labels(Scale::linear((0.9, 1.0), to), 4),
            ["0.900", "0.925", "0.950", "0.975", "1.000"]
        );
        assert_eq!(
            labels(Scale::linear((1.0, 20.0), to), 5),
            ["5", "10", "15", "20"]
        );
        assert_eq!(labels(Scale::counting((1.0, 3.0), to), 6), ["1", "2", "3"]);
        assert_eq!(labels(Scale::counting((1.0, 1.0), to), 6), ["1"]);
        assert_eq!(
            labels(Scale::linear((-1.0, 1.0), to), 4),
            ["-1.0", "-0.5", "0.0", "0.5", "1.0"]
        );
        assert_eq!(
            labels(Scale::log((1e-4, 1e-1), to), 5),
            ["0.0001", "0.001", "0.01", "0.1"]
        );
        assert_eq!(labels(Scale::log((1.0, 9.0), to), 5), ["1", "2", "5"]);
    }

    #[test]
    fn ticks_lie_in_the_range_whatever_it_is() {
        let ranges = [
            (0.0, 0.0),
            (5.0, 5.0),
            (1e-12, 2e-12),
            (-1e29, 1e29),
            (1e-9, 1e9),
            (0.97, 0.9701),
        ];
        for (low, high) in ranges {
            for scale in [
                Scale::linear((low, high), (0.0, 1.0)),
                Scale::fitting((low, high), (0.0, 1.0)),
            ] {
                let ticks = scale.padded(0.05).ticks(5);
                assert!((1..=20).contains(&ticks.len()), "{low}..{high}: {ticks:?}");
                assert!(
                    ticks.iter().all(|(v, _)| v.is_finite()),
                    "{low}..{high}: {ticks:?}"
                );
            }
        }
    }

    #[test]
    fn values_map_onto_the_stretch() {
        let linear = Scale::linear((0.0, 10.0), (100.0, 0.0));
        assert_eq!(
            [0.0, 5.0, 10.0, 99.0].map(|v| linear.at(v)),
            [100.0, 50.0, 0.0, 0.0]
        );
        let log = Scale::log((1e-4, 1.0), (0.0, 4.0));
        assert!((log.at(1e-2) - 2.0).abs() < 1e-9);
        assert_eq!(log.at(-1.0), 0.0);
    }

    #[test]
    fn what_cannot_be_drawn_has_no_extent() {
        assert_eq!(extent([f64::NAN, f64::INFINITY, 1e300]), None);
        assert_eq!(extent([3.0, f64::NAN, 1.0]), Some((1.0, 3.0)));
    }
}
