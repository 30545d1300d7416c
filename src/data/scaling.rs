//! Scaling of feature columns, fitted on training rows.

use super::{FeatureValues, Features, Scale};

/// How a fold scales its features: `x' = (x - offset) * factor`, column by column.
///
/// The engines apply it as they load a row; the features are stored once, unscaled.
#[derive(Clone, Debug, PartialEq)]
pub struct Scaling {
    /// Subtracted from each column: its mean (standard), its minimum (minmax), or 0.
    pub offset: Vec<f32>,
    /// Multiplied onto each column: 1 / standard deviation, 1 / range, or 1.
    pub factor: Vec<f32>,
}

impl Scaling {
    /// Fits the scaling of each column on `rows`, in f64.
    ///
    /// The standard deviation is the population's. A column that is constant on `rows` gets the
    /// factor 1; so does one whose deviation is as small as the rounding of its mean, by
    /// scikit-learn's bound (`_is_constant_feature` in sklearn/preprocessing/_data.py).
    ///
    /// # Panics
    ///
    /// If a row is out of range.
    pub fn fit(features: &Features, rows: &[u32], scale: Scale) -> Self {
        match features.values() {
            FeatureValues::F32(values) => fit(values, features.columns(), rows, scale),
            FeatureValues::U8(values) => fit(values, features.columns(), rows, scale),
        }
    }

    /// No scaling: offset 0, factor 1.
    pub fn identity(columns: usize) -> Self {
        Self {
            offset: vec![0.0; columns],
            factor: vec![1.0; columns],
        }
    }
}

fn fit<T: Copy + Into<f64>>(values: &[T], columns: usize, rows: &[u32], scale: Scale) -> Scaling {
    if rows.is_empty() {
        return Scaling::identity(columns);
    }
    let at = |&row: &u32| &values[row as usize * columns..][..columns];
    match scale {
        Scale::None => Scaling::identity(columns),
        Scale::Standard => standard(rows.iter().map(at), columns),
        Scale::Minmax => minmax(rows.iter().map(at), columns),
    }
}

/// Two passes: means, then squared distances from them. The sum of the distances, which would be
/// 0 without rounding, corrects both.
fn standard<'a, T: Copy + Into<f64> + 'a>(
    rows: impl ExactSizeIterator<Item = &'a [T]> + Clone,
    columns: usize,
) -> Scaling {
    let count = rows.len() as f64;
    let mut mean = vec![0.0_f64; columns];
    for row in rows.clone() {
        for (sum, &x) in mean.iter_mut().zip(row) {
            *sum += x.into();
        }
    }
    for sum in &mut mean {
        *sum /= count;
    }
    let mut distances = vec![0.0_f64; columns];
    let mut squares = vec![0.0_f64; columns];
    for row in rows {
        for (column, &x) in row.iter().enumerate() {
            let distance = x.into() - mean[column];
            distances[column] += distance;
            squares[column] += distance * distance;
        }
    }
    let mut scaling = Scaling::identity(columns);
    for column in 0..columns {
        let rest = distances[column] / count;
        let variance = squares[column] / count - rest * rest;
        scaling.offset[column] = (mean[column] + rest) as f32;
        if !is_constant(variance, mean[column], count) {
            scaling.factor[column] = factor(variance.sqrt());
        }
    }
    scaling
}

/// Whether a variance is within what rounding of the mean alone can make.
fn is_constant(variance: f64, mean: f64, count: f64) -> bool {
    let rounding = count * mean * f64::EPSILON;
    variance <= count * f64::EPSILON * variance + rounding * rounding
}

fn minmax<'a, T: Copy + Into<f64> + 'a>(
    rows: impl Iterator<Item = &'a [T]>,
    columns: usize,
) -> Scaling {
    let mut ranges = vec![(f64::INFINITY, f64::NEG_INFINITY); columns];
    for row in rows {
        for ((least, most), &x) in ranges.iter_mut().zip(row) {
            *least = least.min(x.into());
            *most = most.max(x.into());
        }
    }
    Scaling {
        offset: ranges.iter().map(|&(least, _)| least as f32).collect(),
        factor: ranges
            .iter()
            .map(|&(least, most)| factor(most - least))
            .collect(),
    }
}

/// 1 / `width`; 1 if there is no width, or too little of it for an f32.
fn factor(width: f64) -> f32 {
    let factor = (1.0 / width) as f32;
    if factor.is_finite() { factor } else { 1.0 }
}
