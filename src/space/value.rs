//! One value of one parameter.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A value of a parameter, as files and tables show it.
///
/// In JSON it is a plain boolean, number, list of numbers or string. A `Float` always carries a
/// decimal point or an exponent there, so that it is read back as a `Float`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ParameterValue {
    /// A switch, as of `nesterov`.
    Bool(bool),
    /// A whole number, as of `batch_size`.
    Int(i64),
    /// A finite number, as of `learning_rate`.
    Float(f64),
    /// Widths of the hidden layers, first layer first; empty for a linear model.
    Widths(Vec<u64>),
    /// A name, as of `optimizer`.
    Text(String),
}

impl ParameterValue {
    /// The number, if it is one; a whole number counts.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Float(number) => Some(*number),
            Self::Int(number) => Some(*number as f64),
            _ => None,
        }
    }

    /// The whole number, if it is one and not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Int(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// The name, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The switch, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(on) => Some(*on),
            _ => None,
        }
    }

    /// The widths of the hidden layers, if it is an architecture.
    pub fn as_widths(&self) -> Option<&[u64]> {
        match self {
            Self::Widths(widths) => Some(widths),
            _ => None,
        }
    }
}

impl fmt::Display for ParameterValue {
    /// As the command line's SPEC spells it: `0.01`, `true`, `adam`, `64x64`, `[]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(on) => write!(f, "{on}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Float(number) => f.write_str(&short(*number)),
            Self::Text(text) => f.write_str(text),
            Self::Widths(widths) if widths.is_empty() => f.write_str("[]"),
            Self::Widths(widths) => {
                let widths: Vec<String> = widths.iter().map(u64::to_string).collect();
                f.write_str(&widths.join("x"))
            }
        }
    }
}

/// A number with the fewest digits that read back as the same `f64`; in exponent form where the
/// plain one would be long.
pub(super) fn short(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && size.is_finite() && !(1e-4..1e15).contains(&size) {
        format!("{number:e}")
    } else {
        format!("{number}")
    }
}

/// A number as a person types it.
pub(super) fn typed(number: f64) -> String {
    short(number).to_lowercase()
}

/// A value as TOML spells it.
pub(super) fn toml(value: &ParameterValue) -> String {
    match value {
        ParameterValue::Text(text) => format!("{text:?}"),
        ParameterValue::Widths(widths) => format!("{widths:?}"),
        other => other.to_string(),
    }
}
