//! The text of a sweep file to its sections.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::one_line;
use super::given::{Field, Given, Raw, unknown};
use super::{Place, SpaceError, SweepFile, elsewhere};

/// Sections of a sweep file.
pub const SECTIONS: [&str; 4] = ["data", "train", "space", "search"];

/// The sections of a sweep file, in the order written.
pub fn sections(file: &SweepFile) -> Result<Vec<Field>, SpaceError> {
    let lines = Lines::of(file);
    let document =
        DeTable::parse(&file.text).map_err(|error| lines.syntax_error(&error, &file.text))?;
    let sections = lines.fields(document.get_ref());
    for section in &sections {
        if !SECTIONS.contains(&section.name.as_str()) {
            let kind = "a section of a sweep file";
            let (place, name) = (&section.place, section.name.as_str());
            return Err(
                elsewhere::misplaced(place, (name, &section.value), kind, "")
                    .unwrap_or_else(|| unknown(place, name, kind, SECTIONS.into_iter())),
            );
        }
    }
    Ok(sections)
}

/// Finds the line of a byte.
struct Lines {
    path: Arc<Path>,
    /// Where the line breaks are, ascending.
    breaks: Vec<usize>,
}

impl Lines {
    fn of(file: &SweepFile) -> Self {
        Self {
            path: file.path.as_path().into(),
            breaks: file.text.match_indices('\n').map(|(at, _)| at).collect(),
        }
    }

    fn place(&self, span: &Range<usize>) -> Place {
        let breaks = self.breaks.partition_point(|&at| at < span.start);
        Place::Line {
            path: self.path.clone(),
            line: u32::try_from(breaks + 1).unwrap_or(u32::MAX),
        }
    }

    /// TOML's own message, in one line, with what it leaves open.
    fn syntax_error(&self, error: &toml::de::Error, text: &str) -> SpaceError {
        let span = error.span().unwrap_or(0..0);
        let (problem, remedy) = self.explain(error.message(), &span, text);
        SpaceError::Syntax {
            place: self.place(&span),
            problem: format!("this is not TOML: {problem}"),
            remedy,
        }
    }

    fn explain(&self, message: &str, span: &Range<usize>, text: &str) -> (String, String) {
        let message: Vec<&str> = message.split_whitespace().collect();
        let message = message.join(" ");
        let marked = text.get(span.clone()).unwrap_or_default();
        if message == "duplicate key" {
            let key = one_line(marked.trim_matches(['"', '\'', '[', ']']));
            let remedy = "leave one of the two out".to_owned();
            return (format!("duplicate key `{key}`"), remedy);
        }
        let line = self.line(span.start, text);
        if let Some((key, value)) = line.split_once('=') {
            let (key, value) = (one_line(key.trim()), value.trim());
            let word = value.starts_with(|c: char| c.is_alphabetic() || "./~".contains(c));
            if value.is_empty() || value.starts_with('#') {
                let remedy = "write one, or leave the line out".to_owned();
                return (format!("`{key}` has no value"), remedy);
            }
            if word && !value.contains(['"', '\'', '#']) {
                let problem = format!("`{}` is a text without quotes", one_line(value));
                return (problem, format!("write `{key} = {value:?}`"));
            }
            if value.starts_with('"') && value.contains('\\') {
                let remedy = "write texts with backslashes in single quotes, as 'C:\\my.csv'";
                return (message, remedy.to_owned());
            }
        }
        let remedy = "correct it, or start from `regatta init`".to_owned();
        let message = message
            .strip_suffix(", expected nothing")
            .unwrap_or(&message);
        (message.to_owned(), remedy)
    }

    /// The line that has a byte.
    fn line<'a>(&self, at: usize, text: &'a str) -> &'a str {
        let index = self.breaks.partition_point(|&end| end < at);
        let begin = index
            .checked_sub(1)
            .map_or(0, |before| self.breaks[before] + 1);
        let end = self.breaks.get(index).copied().unwrap_or(text.len());
        text.get(begin..end).unwrap_or_default()
    }

    fn fields(&self, table: &DeTable<'_>) -> Vec<Field> {
        let field = |(key, value): (&Spanned<_>, _)| Field {
            name: AsRef::<str>::as_ref(key.get_ref()).to_owned(),
            place: self.place(&key.span()),
            value: self.given(value),
        };
        table.iter().map(field).collect()
    }

    fn given(&self, value: &Spanned<DeValue<'_>>) -> Given {
        let raw = match value.get_ref() {
            DeValue::String(text) => Raw::Text(text.as_ref().to_owned()),
            DeValue::Integer(number) => {
                // Beyond i128 no digit matters: every limit is far below.
                i128::from_str_radix(number.as_str(), number.radix()).map_or_else(
                    |_| float(&format!("{}{}", prefix(number.radix()), number.as_str())),
                    Raw::Int,
                )
            }
            DeValue::Float(number) => float(number.as_str()),
            DeValue::Boolean(on) => Raw::Bool(*on),
            DeValue::Datetime(date) => Raw::Date(date.to_string()),
            DeValue::Array(items) => Raw::List(items.iter().map(|i| self.given(i)).collect()),
            DeValue::Table(table) => Raw::Table(self.fields(table)),
        };
        Given {
            place: self.place(&value.span()),
            value: raw,
        }
    }
}

/// A number of TOML's grammar. What Rust does not read is a whole number beyond all limits.
fn float(text: &str) -> Raw {
    Raw::Float(text.parse().unwrap_or(f64::INFINITY), text.to_owned())
}

/// What TOML writes before a whole number of this radix.
fn prefix(radix: u32) -> &'static str {
    match radix {
        2 => "0b",
        8 => "0o",
        16 => "0x",
        _ => "",
    }
}
