//! The text of a sweep file to its sections.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::given::{Field, Given, Raw, unknown};
use super::{Place, SpaceError, SweepFile};

/// Sections of a sweep file.
pub const SECTIONS: [&str; 4] = ["data", "train", "space", "search"];

/// The sections of a sweep file, in the order written.
pub fn sections(file: &SweepFile) -> Result<Vec<Field>, SpaceError> {
    let lines = Lines::of(file);
    let document = DeTable::parse(&file.text).map_err(|error| lines.syntax_error(&error))?;
    let sections = lines.fields(document.get_ref());
    for section in &sections {
        if !SECTIONS.contains(&section.name.as_str()) {
            let kind = "a section of a sweep file";
            return Err(unknown(
                &section.place,
                &section.name,
                kind,
                SECTIONS.into_iter(),
            ));
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

    /// TOML's own message, in one line.
    fn syntax_error(&self, error: &toml::de::Error) -> SpaceError {
        let message: Vec<&str> = error.message().split_whitespace().collect();
        SpaceError::Syntax {
            place: self.place(&error.span().unwrap_or(0..0)),
            problem: format!("this is not TOML: {}", message.join(" ")),
            remedy: "correct it, or start from `regatta init`".to_owned(),
        }
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
                i128::from_str_radix(number.as_str(), number.radix())
                    .map_or_else(|_| Raw::Float(float(number.as_str())), Raw::Int)
            }
            DeValue::Float(number) => Raw::Float(float(number.as_str())),
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

/// A number of TOML's grammar; what Rust does not read is no number.
fn float(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}
