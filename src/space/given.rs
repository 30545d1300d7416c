//! Values as they were written, each with its place, from TOML or from the command line.

use std::fmt;

use super::error::one_line;
use super::value::short;
use super::{Place, SpaceError};

/// A value as it was written.
#[derive(Clone, Debug)]
pub struct Given {
    /// Where.
    pub place: Place,
    /// What.
    pub value: Raw,
}

/// What was written, not checked yet.
#[derive(Clone, Debug)]
pub enum Raw {
    /// `true`, `false`.
    Bool(bool),
    /// A whole number of any size.
    Int(i128),
    /// Any other number, `nan` and `inf` too, with its text.
    Float(f64, String),
    /// A string.
    Text(String),
    /// A date or time, which nothing here takes.
    Date(String),
    /// A list.
    List(Vec<Given>),
    /// A table, in the order written.
    Table(Vec<Field>),
}

/// A key of a table with its value.
#[derive(Clone, Debug)]
pub struct Field {
    /// The key.
    pub name: String,
    /// Where the key is.
    pub place: Place,
    /// Its value.
    pub value: Given,
}

impl fmt::Display for Given {
    /// As TOML spells it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Raw::Bool(on) => write!(f, "{on}"),
            Raw::Int(number) => write!(f, "{number}"),
            Raw::Float(number, text) if text.len() > LONGEST_NUMBER && number.is_finite() => {
                f.write_str(&short(*number))
            }
            Raw::Float(_, text) => f.write_str(text),
            Raw::Text(text) => write!(f, "{text:?}"),
            Raw::Date(date) => f.write_str(date),
            Raw::List(items) => {
                let items: Vec<String> = items.iter().map(Self::to_string).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Raw::Table(fields) if fields.is_empty() => f.write_str("{}"),
            Raw::Table(fields) => {
                let fields = fields
                    .iter()
                    .map(|f| format!("{} = {}", one_line(&f.name), f.value));
                write!(f, "{{ {} }}", fields.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// Longest number, in digits, that an error shows as it was written.
const LONGEST_NUMBER: usize = 40;

/// Longest value that an error shows, in characters.
const SHOWN: usize = 60;

impl Given {
    /// The error that this value of `object` breaks `limit`.
    pub fn refuse(&self, object: &str, limit: impl Into<String>, remedy: &str) -> SpaceError {
        self.refuse_as(self.to_string(), object, limit, remedy)
    }

    /// The same, with the value in other words.
    pub fn refuse_as(
        &self,
        mut value: String,
        object: &str,
        limit: impl Into<String>,
        remedy: &str,
    ) -> SpaceError {
        if value.chars().count() > SHOWN {
            value = value.chars().take(SHOWN).chain("...".chars()).collect();
        }
        SpaceError::Value {
            place: self.place.clone(),
            object: format!("`{object}`"),
            value,
            limit: limit.into(),
            remedy: remedy.to_owned(),
        }
    }

    /// The number, if it is one; a whole number counts.
    pub fn as_number(&self) -> Option<f64> {
        match self.value {
            Raw::Int(number) => Some(number as f64),
            Raw::Float(number, _) => Some(number),
            _ => None,
        }
    }

    /// The string, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Raw::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if it is one between `low` and `high`, both included.
    pub fn as_whole(&self, low: i64, high: i64) -> Option<i64> {
        match self.value {
            Raw::Int(number) => i64::try_from(number)
                .ok()
                .filter(|number| (low..=high).contains(number)),
            _ => None,
        }
    }

    /// The setting `object`, a whole number from `low` to `high`, as `example`.
    pub fn whole(
        &self,
        object: &str,
        (low, high): (u32, u32),
        example: u32,
    ) -> Result<u32, SpaceError> {
        let number = self.as_whole(i64::from(low), i64::from(high));
        number.and_then(|n| u32::try_from(n).ok()).ok_or_else(|| {
            let limit = format!("it must be a whole number from {low} to {high}");
            self.refuse(object, limit, &self.example(object, &example.to_string()))
        })
    }

    /// The setting `object`, a string that is not empty: `limit` says of what, as `example`.
    pub fn text(&self, object: &str, limit: &str, example: &str) -> Result<&str, SpaceError> {
        self.as_text()
            .filter(|text| !text.is_empty())
            .ok_or_else(|| self.refuse(object, limit, &self.example(object, example)))
    }

    /// The remedy to give the setting `object` a value as `example`, a number or a text.
    pub fn example(&self, object: &str, example: &str) -> String {
        let toml = match example.parse::<f64>() {
            Ok(_) => example.to_owned(),
            Err(_) => format!("{example:?}"),
        };
        let setting = self.place.setting(object, example, &toml);
        format!("write for example {setting}")
    }

    /// The fields of the table `object`.
    pub fn table(self, object: &str) -> Result<Vec<Field>, SpaceError> {
        match self.value {
            Raw::Table(fields) => Ok(fields),
            _ => {
                let remedy = format!("write `[{object}]` on a line above its settings");
                Err(self.refuse(object, "it must be a table", &remedy))
            }
        }
    }
}

/// The error that `name` is none of the `valid` names of this kind, with the nearest of them.
pub fn unknown<'a>(
    place: &Place,
    name: &str,
    kind: &'static str,
    valid: impl Iterator<Item = &'a str>,
) -> SpaceError {
    let valid: Vec<&str> = valid.collect();
    unknown_of(place, name, kind, &valid, &valid)
}

/// The same, where of the valid names only those of use are `listed` if none is near.
pub fn unknown_of(
    place: &Place,
    name: &str,
    kind: &'static str,
    valid: &[&str],
    listed: &[&str],
) -> SpaceError {
    let remedy = match (nearest(name, valid), listed) {
        (Some(nearest), _) => format!("did you mean `{nearest}`?"),
        (None, [only]) => format!("it must be {only}"),
        (None, _) => format!("it must be one of {}", listed.join(", ")),
    };
    SpaceError::Unknown {
        place: place.clone(),
        name: one_line(name),
        kind,
        remedy,
    }
}

/// The name that is most like another, if it is worth a question.
fn nearest<'a>(name: &str, valid: &[&'a str]) -> Option<&'a str> {
    /// Least similarity, of 1.
    const SIMILAR: f64 = 0.75;
    let name = name.to_lowercase();
    let nearest = valid
        .iter()
        .copied()
        .max_by(|a, b| likeness(&name, a).total_cmp(&likeness(&name, b)));
    nearest.filter(|nearest| likeness(&name, nearest) >= SIMILAR)
}

/// How alike two names are, from 0 to 1. One slip in a short name is much of it, but still a slip.
fn likeness(name: &str, candidate: &str) -> f64 {
    let slips = strsim::damerau_levenshtein(name, candidate);
    let slip = if slips <= 1 && name.len() > 1 {
        0.95
    } else {
        0.0
    };
    strsim::jaro_winkler(name, candidate)
        .max(strsim::normalized_damerau_levenshtein(name, candidate))
        .max(slip)
}
