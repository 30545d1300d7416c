//! The values of a domain on a grid.

use super::{Domain, ParameterValue};

/// Significant decimal digits of a computed point: enough for any hyperparameter, few enough that
/// 0.001 is 0.001, whatever the last bit of the platform's logarithm.
const DIGITS: usize = 12;

/// The values of a domain on a grid, in order, computed when asked for.
#[derive(Clone, Debug)]
pub enum Points {
    /// Listed.
    Listed(Vec<ParameterValue>),
    /// Each whole number from the first on.
    Whole {
        /// The first.
        low: i64,
        /// How many.
        len: u64,
    },
    /// Numbers evenly spaced, or evenly spaced in their logarithm.
    Spaced {
        /// The first.
        low: f64,
        /// The last.
        high: f64,
        /// How many.
        len: u64,
        /// Whether in the logarithm.
        log: bool,
    },
}

impl Points {
    /// The grid of a domain. A range that needs `points` and has none is empty.
    pub fn of(domain: &Domain) -> Self {
        match *domain {
            Domain::Fixed(ref value) => Self::Listed(vec![value.clone()]),
            Domain::Choices(ref values) => Self::Listed(values.clone()),
            Domain::Log { low, high, points } => Self::spaced(low, high, points, true),
            Domain::Linear { low, high, points } => Self::spaced(low, high, points, false),
            Domain::Int {
                low,
                high,
                points: None,
            } => Self::Whole {
                low,
                len: u64::try_from(i128::from(high) - i128::from(low) + 1).unwrap_or(0),
            },
            Domain::Int { low, high, points } => Self::rounded(low, high, points, false),
            Domain::LogInt { low, high, points } => Self::rounded(low, high, points, true),
        }
    }

    fn spaced(low: f64, high: f64, points: Option<u32>, log: bool) -> Self {
        Self::Spaced {
            low,
            high,
            len: u64::from(points.unwrap_or(0)),
            log,
        }
    }

    /// Spaced numbers, rounded to whole ones, each once.
    fn rounded(low: i64, high: i64, points: Option<u32>, log: bool) -> Self {
        let len = u64::from(points.unwrap_or(0));
        let mut whole: Vec<i64> = (0..len)
            .map(|i| match i {
                0 => low,
                i if i + 1 == len => high,
                i => spaced(low as f64, high as f64, i, len, log).round() as i64,
            })
            .collect();
        whole.dedup();
        Self::Listed(whole.into_iter().map(ParameterValue::Int).collect())
    }

    /// Number of values.
    pub fn len(&self) -> u64 {
        match self {
            Self::Listed(values) => values.len() as u64,
            Self::Whole { len, .. } | Self::Spaced { len, .. } => *len,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value at an index, from 0.
    pub fn get(&self, index: u64) -> Option<ParameterValue> {
        if index >= self.len() {
            return None;
        }
        match *self {
            Self::Listed(ref values) => values.get(usize::try_from(index).ok()?).cloned(),
            Self::Whole { low, .. } => Some(ParameterValue::Int(low.wrapping_add_unsigned(index))),
            Self::Spaced {
                low,
                high,
                len,
                log,
            } => Some(ParameterValue::Float(spaced(low, high, index, len, log))),
        }
    }

    /// The values in order.
    pub fn iter(&self) -> impl Iterator<Item = ParameterValue> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// The index of a value, if it is on the grid.
    pub fn position(&self, value: &ParameterValue) -> Option<u64> {
        match (self, value) {
            (Self::Whole { low, len }, ParameterValue::Int(number)) => {
                let index = u64::try_from(i128::from(*number) - i128::from(*low)).ok()?;
                (index < *len).then_some(index)
            }
            _ => (0..self.len()).find(|&index| self.get(index).as_ref() == Some(value)),
        }
    }
}

/// The point `index` of `len` from `low` to `high`: the ends exact, the inner ones short decimals.
fn spaced(low: f64, high: f64, index: u64, len: u64, log: bool) -> f64 {
    if index == 0 {
        return low;
    }
    if index + 1 >= len {
        return high;
    }
    let share = index as f64 / (len - 1) as f64;
    let between = |from: f64, to: f64| from * (1.0 - share) + to * share;
    let point = if log {
        10_f64.powf(between(low.log10(), high.log10()))
    } else {
        between(low, high)
    };
    rounded(point).clamp(low, high)
}

/// The nearest number of [`DIGITS`] significant decimal digits.
fn rounded(number: f64) -> f64 {
    let digits = format!("{number:.*e}", DIGITS - 1);
    digits
        .parse()
        .expect("a number that was just printed can be read")
}
