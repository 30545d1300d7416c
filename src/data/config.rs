//! The `[data]` table of a sweep file.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::DataError;
use super::error::number;

/// What to train on and how to divide it: the `[data]` table of a sweep file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// A built-in dataset's name, a `.csv`, `.npy` or `.npz` file, or a folder of IDX files.
    pub source: String,
    /// The column that holds the classes (CSV): its name, or its index from 0. The last column
    /// if `None`.
    #[serde(deserialize_with = "name_or_index")]
    pub target: Option<String>,
    /// How each feature column is scaled, fitted on the training rows of each fold.
    pub scale: Scale,
    /// The rows that are held out from everything but the final score.
    pub test: TestPart,
    /// Number of cross-validation folds, at least 2. Not together with `holdout`.
    pub folds: Option<u32>,
    /// Fraction of the rows outside the test part to validate on, in (0, 1). With neither
    /// `folds` nor `holdout` it is [`DataConfig::DEFAULT_HOLDOUT`].
    pub holdout: Option<f64>,
    /// Whether rows are drawn or taken in their order.
    pub split: SplitKind,
    /// The column (CSV), by name or index, whose rows of equal value stay in one part. It is no
    /// feature.
    #[serde(deserialize_with = "name_or_index")]
    pub group: Option<String>,
    /// Columns (CSV) whose values are categories even if all of them are numbers.
    pub categorical: Vec<String>,
    /// How many seeds each trial is trained with, at least 1.
    pub repeats: u32,
}

/// How a feature column is scaled before training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// As it is.
    None,
    /// To mean 0 and (population) standard deviation 1.
    #[default]
    Standard,
    /// To the range 0 to 1.
    Minmax,
}

/// Whether rows are drawn or taken in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SplitKind {
    /// Drawn by the seed, stratified: each part has the classes in their proportions.
    #[default]
    Shuffled,
    /// A time series: training rows come before validation rows, those before test rows.
    Ordered,
}

/// The rows that are held out from everything but the final score.
///
/// In a sweep file: a number, `"given"`, or the name of a CSV file.
#[derive(Clone, Debug, PartialEq)]
pub enum TestPart {
    /// This fraction of the rows, in [0, 1); 0 for no test part.
    Fraction(f64),
    /// The test files that belong to the source (IDX: the `t10k` files).
    Given,
    /// The rows of another CSV file with the same columns.
    File(String),
}

impl DataConfig {
    /// The fraction of rows to validate on when neither `folds` nor `holdout` is given.
    pub const DEFAULT_HOLDOUT: f64 = 0.2;

    /// The number of train/validation splits: `folds`, or 1 for a holdout.
    pub fn folds_count(&self) -> u32 {
        self.folds.unwrap_or(1)
    }

    /// The fraction to validate on, or `None` with `folds`.
    pub fn holdout_fraction(&self) -> Option<f64> {
        match self.folds {
            Some(_) => None,
            None => Some(self.holdout.unwrap_or(Self::DEFAULT_HOLDOUT)),
        }
    }

    /// Checks each setting and their combinations, without looking at any data.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] for a value out of its range, [`DataError::Conflict`] for two
    /// settings that exclude each other.
    pub fn validate(&self) -> Result<(), DataError> {
        self.validate_ranges()?;
        self.validate_combinations()
    }

    fn validate_ranges(&self) -> Result<(), DataError> {
        let out = |setting, value: String, limit| {
            Err(DataError::Setting {
                setting,
                value,
                limit,
            })
        };
        if self.source.is_empty() {
            return out("source", "empty".into(), "must name a dataset or a file");
        }
        if let Some(folds) = self.folds
            && folds < 2
        {
            let limit = "must be at least 2 (use `holdout` for a single split)";
            return out("folds", folds.to_string(), limit);
        }
        if let Some(holdout) = self.holdout
            && !(holdout > 0.0 && holdout < 1.0)
        {
            let limit = "must be a fraction above 0 and below 1";
            return out("holdout", number(holdout).to_lowercase(), limit);
        }
        if let TestPart::Fraction(test) = self.test
            && !(0.0..1.0).contains(&test)
        {
            let limit = "must be a fraction of at least 0 and below 1 (0 for no test part)";
            return out("test", number(test).to_lowercase(), limit);
        }
        if self.repeats == 0 {
            return out("repeats", "0".into(), "must be at least 1");
        }
        Ok(())
    }

    fn validate_combinations(&self) -> Result<(), DataError> {
        if self.folds.is_some() && self.holdout.is_some() {
            return Err(DataError::Conflict {
                first: "`folds`",
                second: "`holdout`",
                remedy: "leave out one of them",
            });
        }
        if self.split == SplitKind::Ordered && self.group.is_some() {
            return Err(DataError::Conflict {
                first: "`split = \"ordered\"`",
                second: "`group`",
                remedy: "leave out `group`, or take `split = \"shuffled\"`",
            });
        }
        Ok(())
    }
}

/// A column's name, or its index as a number.
fn name_or_index<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Column {
        Name(String),
        Index(i64),
    }
    Ok(
        Option::deserialize(deserializer)?.map(|column| match column {
            Column::Name(name) => name,
            Column::Index(index) => index.to_string(),
        }),
    )
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            source: "digits".into(),
            target: None,
            scale: Scale::default(),
            test: TestPart::default(),
            folds: None,
            holdout: None,
            split: SplitKind::default(),
            group: None,
            categorical: Vec::new(),
            repeats: 1,
        }
    }
}

impl Default for TestPart {
    fn default() -> Self {
        Self::Fraction(0.2)
    }
}

/// As on the command line: a number, `given`, or a file's name.
impl FromStr for TestPart {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match (text.parse(), text) {
            (Ok(fraction), _) => Self::Fraction(fraction),
            (Err(_), "given") => Self::Given,
            (Err(_), file) => Self::File(file.to_owned()),
        })
    }
}

impl Serialize for TestPart {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Fraction(fraction) => serializer.serialize_f64(*fraction),
            Self::Given => serializer.serialize_str("given"),
            Self::File(file) => serializer.serialize_str(file),
        }
    }
}

impl<'de> Deserialize<'de> for TestPart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TestPartVisitor)
    }
}

struct TestPartVisitor;

impl Visitor<'_> for TestPartVisitor {
    type Value = TestPart;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a fraction, \"given\" or the name of a CSV file")
    }

    fn visit_f64<E>(self, value: f64) -> Result<TestPart, E> {
        Ok(TestPart::Fraction(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<TestPart, E> {
        Ok(TestPart::Fraction(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<TestPart, E> {
        Ok(TestPart::Fraction(value as f64))
    }

    fn visit_str<E>(self, value: &str) -> Result<TestPart, E> {
        let Ok(part) = value.parse();
        Ok(part)
    }
}
