//! CSV files: a header, then a row a line.
//!
//! Cells are divided by commas; by semicolons, or else tabs, if the header has no comma but has
//! those. Spaces around cells and a byte order mark are dropped, empty lines are skipped. A column
//! is text if none of its cells is a number; as a feature it becomes one column of zeros and ones
//! for each of its values, named `column=value`, in sorted order.

mod encode;
mod read;

use std::path::Path;

use self::encode::Encoding;
use self::read::{CellKind, Table, TableReader};
use super::error::list;
use super::source::short_name;
use super::{DataConfig, DataError, Dataset, FeatureValues, Features, TestPart};

/// Reads the file, and the test part's file if there is one.
pub(super) fn load(path: &Path, config: &DataConfig) -> Result<Dataset, DataError> {
    let reader = TableReader::open(path)?;
    let uses = Uses::find(path, reader.header(), config)?;
    let table = reader.read(&uses.cell_kinds())?;
    let mut encoding = Encoding::fit(&table, &uses)?;
    let mut rows = encoding.rows(&table)?;
    let mut given_test_rows = 0;
    if let TestPart::File(file) = &config.test {
        let table = read_test_file(Path::new(file), &encoding)?;
        given_test_rows = table.rows;
        rows.append(encoding.rows(&table)?);
    }
    Ok(Dataset {
        name: short_name(path),
        features: Features::new(
            encoding.feature_names.len(),
            FeatureValues::F32(rows.values),
        ),
        feature_names: encoding.feature_names,
        targets: rows.targets,
        class_names: encoding.classes.names,
        groups: rows.groups,
        given_test_rows,
    })
}

/// Reads a file with the columns of the training data, in any order.
fn read_test_file(path: &Path, encoding: &Encoding) -> Result<Table, DataError> {
    if !path.exists() {
        return Err(DataError::Missing {
            path: path.to_owned(),
            remedy: "name a CSV file that is there, or a fraction as 0.2 (--test T)",
        });
    }
    let reader = TableReader::open(path)?;
    let kinds = encoding.test_kinds(reader.header(), path)?;
    reader.read(&kinds)
}

/// What each column is used for.
struct Uses {
    columns: Vec<Use>,
}

/// What a column is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// A feature; text or numbers, as its cells tell.
    Feature,
    /// A feature that is listed in `categorical`.
    Category,
    /// The target; numbers are checked to be whole.
    Target,
    /// The target, listed in `categorical`.
    TextTarget,
    /// The groups.
    Group,
}

impl Uses {
    fn find(path: &Path, header: &[String], config: &DataConfig) -> Result<Self, DataError> {
        let mut columns = vec![Use::Feature; header.len()];
        let find = |column: &str, remedy| find_column(path, header, column, remedy);
        for column in &config.categorical {
            columns[find(column, "`categorical`")?] = Use::Category;
        }
        let target = match &config.target {
            Some(column) => find(column, "--target NAME")?,
            None => header.len() - 1,
        };
        columns[target] = match columns[target] {
            Use::Category => Use::TextTarget,
            _ => Use::Target,
        };
        if let Some(column) = &config.group {
            let group = find(column, "`group`")?;
            if group == target {
                return Err(DataError::ColumnUsedTwice {
                    column: header[group].clone(),
                    first: "the target",
                    second: "the group",
                });
            }
            columns[group] = Use::Group;
        }
        if !columns.iter().any(|column| column.is_feature()) {
            let data = path.display().to_string();
            let remedy = match header.len() {
                1 => "divide its cells by commas, semicolons or tabs, or add a column",
                _ => "add a column",
            };
            return Err(DataError::NoFeatures { data, remedy });
        }
        Ok(Self { columns })
    }

    fn cell_kinds(&self) -> Vec<CellKind> {
        let kind = |column: &Use| match column {
            Use::Feature => CellKind::Any,
            Use::Category | Use::TextTarget => CellKind::Text,
            Use::Target | Use::Group => CellKind::Label,
        };
        self.columns.iter().map(kind).collect()
    }
}

impl Use {
    fn is_feature(self) -> bool {
        matches!(self, Self::Feature | Self::Category)
    }
}

/// A column by its name, else by its index from 0.
fn find_column(
    path: &Path,
    header: &[String],
    column: &str,
    remedy: &'static str,
) -> Result<usize, DataError> {
    let by_name = header.iter().position(|name| name == column);
    let by_index = || column.parse().ok().filter(|&index| index < header.len());
    by_name
        .or_else(by_index)
        .ok_or_else(|| DataError::UnknownColumn {
            path: path.to_owned(),
            column: column.to_owned(),
            known: list(header),
            remedy,
        })
}
