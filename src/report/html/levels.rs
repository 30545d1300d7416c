//! The values of a parameter as a few levels: as they are where they are few, else in bins that
//! hold about as many distinct values each, whatever distribution they were drawn from.

use serde_json::Value;

use crate::report::format::{number_text, scientific_text};
use crate::report::params::short_value;

use super::escape::cut;
use super::range::quantile;

/// Values beyond this number are put into bins.
const MOST: usize = 12;
const BINS: usize = 8;

/// Levels of one parameter, in the order in which they are drawn.
pub(super) struct Levels {
    kind: Kind,
    labels: Vec<String>,
}

enum Kind {
    /// Each number is a level; sorted.
    Numbers(Vec<f64>),
    /// Upper ends of the bins but the last.
    Bins(Vec<f64>),
    /// Each text is a level, in order of first occurrence; what is not among them is the last.
    Words(Vec<String>),
}

impl Levels {
    /// The levels of these values.
    pub(super) fn of<'a>(values: impl Iterator<Item = &'a Value> + Clone) -> Self {
        if values.clone().all(|v| v.as_f64().is_some()) {
            Self::of_numbers(values.filter_map(Value::as_f64).collect())
        } else {
            Self::of_words(values)
        }
    }

    fn of_numbers(mut numbers: Vec<f64>) -> Self {
        numbers.sort_by(f64::total_cmp);
        numbers.dedup();
        if numbers.len() <= MOST {
            return Self {
                labels: number_labels(&numbers),
                kind: Kind::Numbers(numbers),
            };
        }
        let edges: Vec<f64> = (0..=BINS)
            .map(|edge| quantile(&numbers, edge as f64 / BINS as f64))
            .collect();
        let labels = number_labels(&edges)
            .windows(2)
            .map(|pair| format!("{}–{}", pair[0], pair[1]))
            .collect();
        Self {
            labels,
            kind: Kind::Bins(edges[1..BINS].to_vec()),
        }
    }

    fn of_words<'a>(values: impl Iterator<Item = &'a Value>) -> Self {
        let mut words: Vec<String> = Vec::new();
        let mut others = 0_usize;
        for value in values {
            let word = short_value(value);
            if words.contains(&word) {
                continue;
            }
            if words.len() < MOST - 1 {
                words.push(word)
            } else {
                others += 1
            }
        }
        let mut labels: Vec<String> = words.iter().map(|word| cut(word, 24)).collect();
        if others > 0 {
            labels.push("other".to_owned());
        }
        Self {
            labels,
            kind: Kind::Words(words),
        }
    }

    pub(super) fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Width of the longest label in a drawing, in its units.
    pub(super) fn label_width(&self) -> f64 {
        let longest = self.labels.iter().map(|label| label.chars().count()).max();
        longest.unwrap_or(0) as f64 * 6.6
    }

    pub(super) fn len(&self) -> usize {
        self.labels.len()
    }

    /// The level of a value; `None` when it belongs to none.
    pub(super) fn index(&self, value: &Value) -> Option<usize> {
        match &self.kind {
            Kind::Numbers(numbers) => {
                let number = value.as_f64()?;
                numbers.iter().position(|&n| n == number)
            }
            Kind::Bins(ends) => {
                let number = value.as_f64()?;
                Some(ends.iter().filter(|&&end| number > end).count())
            }
            Kind::Words(words) => {
                let word = short_value(value);
                let place = words.iter().position(|w| *w == word);
                place.or_else(|| (words.len() < self.labels.len()).then_some(words.len()))
            }
        }
    }
}

/// Labels of two significant digits, or as many as tell the numbers apart.
fn number_labels(numbers: &[f64]) -> Vec<String> {
    let with =
        |digits: usize| -> Vec<String> { numbers.iter().map(|&v| label(v, digits)).collect() };
    (2..=6)
        .map(with)
        .find(|labels| labels.windows(2).all(|pair| pair[0] != pair[1]))
        .unwrap_or_else(|| with(8))
}

/// A number in as few characters as it takes: `0.00032` is `3.2e-4`, `0.0001` stays.
fn label(value: f64, digits: usize) -> String {
    let plain = number_text(value, digits);
    let short = plain.chars().count() <= 6 || value.abs() >= 1e-3;
    if short {
        plain
    } else {
        scientific_text(value, digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn levels(values: &[Value]) -> Levels {
        Levels::of(values.iter())
    }

    #[test]
    fn few_numbers_are_levels_in_order() {
        let levels = levels(&[json!(0.1), json!(0.00031622), json!(0.1), json!(1e-4)]);
        assert_eq!(levels.labels(), ["0.0001", "3.2e-4", "0.1"]);
        assert_eq!(levels.index(&json!(0.1)), Some(2));
        assert_eq!(levels.index(&json!("adam")), None);
    }

    #[test]
    fn many_numbers_are_bins() {
        let values: Vec<Value> = (0..100)
            .map(|i| json!(1e-4 * 10_f64.powf(0.03 * f64::from(i))))
            .collect();
        let levels = levels(&values);
        assert_eq!(levels.len(), BINS);
        assert_eq!(levels.index(&values[0]), Some(0));
        assert_eq!(levels.index(&values[99]), Some(BINS - 1));
    }

    #[test]
    fn words_keep_their_order_and_the_rest_is_other() {
        let few = levels(&[json!("sgd"), json!([64, 64]), json!("adam"), json!("sgd")]);
        assert_eq!(few.labels(), ["sgd", "64x64", "adam"]);
        let values: Vec<Value> = (0..30).map(|i| json!(format!("w{i}"))).collect();
        let many = levels(&values);
        assert_eq!(many.len(), MOST);
        assert_eq!(many.index(&values[29]), Some(MOST - 1));
    }

    #[test]
    fn labels_tell_numbers_apart() {
        assert_eq!(number_labels(&[0.101, 0.102]), ["0.101", "0.102"]);
    }
}
