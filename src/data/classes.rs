//! Classes that are numbers: shared by all formats.

use std::collections::HashMap;

use super::{DataError, Dataset};

/// The largest number of classes, and of categories of one feature.
pub(super) const CLASS_LIMIT: usize = 1000;

/// Whole numbers up to this are exact in f64.
const WHOLE_LIMIT: f64 = 9_007_199_254_740_992.0;

/// `value` as a whole number, or `None` if it is not one that f64 holds exactly.
pub(super) fn whole(value: f64) -> Option<i64> {
    let exact = value.abs() <= WHOLE_LIMIT && value.fract() == 0.0;
    exact.then_some(value as i64)
}

/// The class names of labels that are whole numbers, ascending: each distinct number once.
pub(super) fn number_classes(labels: impl Iterator<Item = i64>) -> Classes {
    let mut distinct: Vec<i64> = labels.collect();
    distinct.sort_unstable();
    distinct.dedup();
    Classes::new(distinct.iter().map(i64::to_string).collect())
}

/// Class names, and the index of each.
pub(super) struct Classes {
    /// The names, by class index.
    pub names: Vec<String>,
    index: HashMap<String, u32>,
}

impl Classes {
    /// Distinct names, in class order.
    pub fn new(names: Vec<String>) -> Self {
        let index = names.iter().cloned().zip(0..).collect();
        Self { names, index }
    }

    /// The class of that name.
    pub fn find(&self, name: &str) -> Option<u32> {
        self.index.get(name).copied()
    }
}

/// Checks that the ordinary rows of `dataset`, read from `source`, have classes to tell apart.
pub(super) fn check(dataset: Dataset, source: &str) -> Result<Dataset, DataError> {
    let data = source.to_owned();
    if u32::try_from(dataset.rows()).is_err() {
        return Err(DataError::TooManyRows {
            data,
            rows: dataset.rows(),
            limit: u32::MAX,
        });
    }
    let rows = dataset.rows() - dataset.given_test_rows;
    match dataset.class_names.as_slice() {
        [] => Err(DataError::NoRows { data }),
        [class] => Err(DataError::OneClass {
            class: class.clone(),
            data,
        }),
        names if names.len() > CLASS_LIMIT || names.len() >= rows => {
            Err(DataError::TooManyClasses {
                classes: names.len(),
                rows,
                limit: CLASS_LIMIT,
                data,
            })
        }
        _ => Ok(dataset),
    }
}
