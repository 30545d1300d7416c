//! From a source's name to its reader.

use std::path::Path;

use super::error::{list, shown};
use super::{DataConfig, DataError, Dataset, TestPart, builtin, classes, idx, npy, tabular};

/// Names that are less alike than this are not suggested (Jaro-Winkler, 0 to 1).
const LEAST_LIKENESS: f64 = 0.7;

/// Reads the dataset that `config` names.
///
/// # Errors
///
/// A setting out of its range, a source that is not found or not understood, and every kind of
/// malformed content; see [`DataError`].
pub fn load(config: &DataConfig) -> Result<Dataset, DataError> {
    config.validate()?;
    let source = Source::find(&config.source)?;
    source.check_settings(config)?;
    let path = Path::new(&config.source);
    let dataset = match source {
        Source::Builtin(dataset) => *dataset,
        Source::Csv => tabular::load(path, config)?,
        Source::Npy => npy::load_npy(path)?,
        Source::Npz => npy::load_npz(path)?,
        Source::Idx => idx::load(path, config.test == TestPart::Given)?,
    };
    classes::check(dataset, &config.source)
}

enum Source {
    Builtin(Box<Dataset>),
    Csv,
    Npy,
    Npz,
    Idx,
}

impl Source {
    /// A built-in name first; then by what is on disk.
    fn find(source: &str) -> Result<Self, DataError> {
        if let Some(dataset) = builtin::load(source) {
            return Ok(Self::Builtin(Box::new(dataset)));
        }
        if source == builtin::REGRESSION_NAME {
            return Err(DataError::Regression {
                data: source.to_owned(),
                known: list(&builtin::NAMES),
            });
        }
        let path = Path::new(source);
        if path.is_dir() {
            return Ok(Self::Idx);
        }
        if !path.exists() {
            return Err(missing(source));
        }
        if !path.is_file() {
            return Err(DataError::NotAFile { path: path.into() });
        }
        let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
        match ending.to_str() {
            Some("csv") => Ok(Self::Csv),
            Some("npy") => Ok(Self::Npy),
            Some("npz") => Ok(Self::Npz),
            _ => Err(DataError::UnknownKind { path: path.into() }),
        }
    }

    /// Refuses settings that this kind of source has no use for.
    fn check_settings(&self, config: &DataConfig) -> Result<(), DataError> {
        let csv = matches!(self, Self::Csv);
        let idx = matches!(self, Self::Idx);
        let csv_only = [
            ("`target`", config.target.is_some()),
            ("`group`", config.group.is_some()),
            ("`categorical`", !config.categorical.is_empty()),
        ];
        let refused = csv_only.into_iter().find(|&(_, given)| given && !csv);
        let (setting, kind, remedy) = match (refused, &config.test) {
            (Some((setting, _)), _) => (setting.to_owned(), "a CSV file", "leave it out"),
            (None, TestPart::File(file)) if !csv => (
                format!("`test = \"{}\"`", shown(file)),
                "a CSV file to train on",
                FRACTION,
            ),
            (None, TestPart::Given) if !idx => (
                "`test = \"given\"`".to_owned(),
                "a folder of IDX files",
                FRACTION,
            ),
            _ => return Ok(()),
        };
        Err(DataError::NotForSource {
            setting,
            kind,
            data: config.source.clone(),
            remedy,
        })
    }
}

/// What to do about a test part that the source has not.
const FRACTION: &str = "hold out a fraction, as `--test 0.2`";

/// A word is taken for a misspelt built-in; a path is missing.
fn missing(source: &str) -> DataError {
    let path = Path::new(source);
    if path.extension().is_some() || path.components().count() > 1 {
        return DataError::Missing {
            path: path.to_owned(),
            remedy: "give the path from the folder you are in (--data FILE)",
        };
    }
    let likeness = |&name: &&str| strsim::jaro_winkler(name, &source.to_lowercase());
    let mut names = builtin::NAMES.map(|name| (likeness(&name), name));
    names.sort_by(|a, b| b.0.total_cmp(&a.0));
    DataError::UnknownSource {
        name: source.to_owned(),
        known: list(&builtin::NAMES),
        nearest: (names[0].0 >= LEAST_LIKENESS).then_some(names[0].1),
    }
}

/// A name for a run's folder: the stem of a file or the name of a folder, with `_` for what is
/// not safe in file names everywhere.
pub(super) fn short_name(path: &Path) -> String {
    const LONGEST: usize = 64;
    let full = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let stem = match path.is_dir() {
        true => full.file_name(),
        false => path.file_stem(),
    };
    let stem = stem.unwrap_or_default().to_string_lossy();
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '_'
        }
    };
    let name: String = stem.chars().map(safe).take(LONGEST).collect();
    match name.trim_start_matches('.') {
        "" => "data".to_owned(),
        name => name.to_owned(),
    }
}
