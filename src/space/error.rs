//! Why a sweep cannot be resolved, in one sentence.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::data::DataError;

/// Where a setting was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line of the sweep file, from 1.
    Line {
        /// The sweep file.
        path: Arc<Path>,
        /// The line, from 1.
        line: u32,
    },
    /// An argument of the command line, as it was typed.
    Argument(Arc<str>),
    /// A section of the sweep, where no single line is to blame.
    Section(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Argument(argument) => f.write_str(&one_line(argument)),
            Self::Section(section) => write!(f, "[{section}]"),
        }
    }
}

impl Place {
    /// An argument with its value, in quotes where a shell needs them.
    pub(super) fn argument(flag: &str, value: &str) -> Self {
        let quote = value.is_empty() || value.contains(char::is_whitespace);
        let quote = if quote { "'" } else { "" };
        Self::Argument(format!("{flag} {quote}{value}{quote}").into())
    }

    /// Whether it is an argument of the command line.
    pub(super) fn is_argument(&self) -> bool {
        matches!(self, Self::Argument(_))
    }

    /// How the parameter or setting `name` is given a value here: `spec` as the command line
    /// spells it, `toml` as a sweep file does.
    pub(super) fn setting(&self, name: &str, spec: &str, toml: &str) -> String {
        let Self::Argument(argument) = self else {
            return format!("`{name} = {toml}`");
        };
        match argument.split(' ').next() {
            None | Some("--set") => format!("`--set {name}={spec}`"),
            Some(flag) => format!("`{flag} {spec}`"),
        }
    }
}

/// Text of the user's with its control characters escaped, so that an error stays one line.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true => line.extend(c.escape_default()),
            false => line.push(c),
        }
    }
    line
}

/// Why a sweep cannot be resolved: the place, the object, its value, the limit and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpaceError {
    /// The sweep file is not TOML, or an argument is not written as its grammar asks.
    #[error("{place}: {problem}; {remedy}")]
    Syntax {
        /// Where.
        place: Place,
        /// What cannot be read.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// A name that means nothing: a section, key, parameter, optimizer, ...
    #[error("{place}: `{name}` is not {kind}; {remedy}")]
    Unknown {
        /// Where.
        place: Place,
        /// The name as written.
        name: String,
        /// What it should have been, as `a parameter`.
        kind: &'static str,
        /// The nearest valid name, or all of them.
        remedy: String,
    },
    /// A name of the contract that this version cannot train.
    #[error("{place}: {object} is known, but not built into this version of Regatta yet; {remedy}")]
    NotBuilt {
        /// Where.
        place: Place,
        /// The name.
        object: String,
        /// What to do.
        remedy: String,
    },
    /// A value outside its limits, or of the wrong type.
    #[error("{place}: {object} is {value}, but {limit}; {remedy}")]
    Value {
        /// Where.
        place: Place,
        /// The setting.
        object: String,
        /// Its value as written.
        value: String,
        /// What it must be.
        limit: String,
        /// What to do.
        remedy: String,
    },
    /// Two settings that do not go together.
    #[error("{place}: {problem}; {remedy}")]
    Conflict {
        /// Where the one of them is.
        place: Place,
        /// What does not go together.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// The data's settings contradict each other.
    #[error("{place}: {error}")]
    Data {
        /// Where the section begins.
        place: Place,
        /// What contradicts.
        error: Box<DataError>,
    },
}
