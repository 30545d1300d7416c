//! Batch sizes against the number of training rows.

use super::table;
use super::{Domain, ParameterValue, Place, Points, SpaceError, Sweep};

impl Sweep {
    /// Fits the batch sizes to the data: `training_rows` is the number of rows that the smallest
    /// training part of the folds has.
    ///
    /// Batch sizes of the default sweep that are larger are left out, and a default that is fixed
    /// is lowered; the second value holds a warning for each.
    ///
    /// # Errors
    ///
    /// When a batch size that file or arguments ask for is larger, or when there are no rows.
    pub fn fit_to_rows(mut self, training_rows: usize) -> Result<(Self, Vec<String>), SpaceError> {
        let rows = i64::try_from(training_rows).unwrap_or(i64::MAX);
        if rows == 0 {
            return Err(too_large("0 training rows", rows));
        }
        let default = self.defaults.iter().any(|name| name == "batch_size");
        let Some(parameter) = self
            .space
            .parameters
            .iter_mut()
            .find(|p| p.name == "batch_size")
        else {
            return Ok((self, Vec::new()));
        };
        let points = Points::of(&parameter.domain);
        let fits = |value: &ParameterValue| value.as_f64().is_some_and(|size| size <= rows as f64);
        let Some(largest) = points.iter().find(|value| !fits(value)) else {
            let elsewhere = table::entry("batch_size").and_then(|e| e.default_for(""));
            return match elsewhere.filter(|value| !parameter.when.is_empty() && !fits(value)) {
                Some(value) => Err(too_large(
                    &format!("{value} where its `when` does not hold"),
                    rows,
                )),
                None => Ok((self, Vec::new())),
            };
        };
        if !default {
            return Err(too_large(&largest.to_string(), rows));
        }
        let (domain, warning) = fitted(&parameter.domain, &points, rows);
        parameter.domain = domain;
        Ok((self, vec![warning]))
    }
}

fn too_large(value: &str, rows: i64) -> SpaceError {
    SpaceError::Value {
        place: Place::Section("space"),
        object: "`batch_size`".to_owned(),
        value: value.to_owned(),
        limit: format!("the smallest training part has {rows} rows"),
        remedy: "use a batch size of at most that, or more data".to_owned(),
    }
}

/// The default batch sizes that fit, and what to tell the user.
fn fitted(domain: &Domain, points: &Points, rows: i64) -> (Domain, String) {
    let all = ParameterValue::Int(rows);
    let has = |value: &ParameterValue| value.as_f64().is_some_and(|size| size <= rows as f64);
    let (kept, left_out): (Vec<_>, Vec<_>) = points.iter().partition(has);
    if !domain.is_swept() {
        let default = left_out
            .first()
            .map(ToString::to_string)
            .unwrap_or_default();
        let warning = format!(
            "batch_size is {rows} instead of the default {default}: the smallest training part has {rows} rows"
        );
        return (Domain::Fixed(all), warning);
    }
    let names: Vec<String> = left_out.iter().map(ToString::to_string).collect();
    let mut warning = format!(
        "batch_size {} left out of the default grid: the smallest training part has {rows} rows",
        names.join(", ")
    );
    if kept.is_empty() {
        warning += ", which are taken as one batch";
        return (Domain::Choices(vec![all]), warning);
    }
    (Domain::Choices(kept), warning)
}
