//! NumPy's files: `x.npy` with `y.npy` beside it, or `x` and `y` in one `.npz`.

mod array;
mod header;

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use npyz::npz::NpzArchive;

use self::array::{Array, Numbers};
use super::classes::number_classes;
use super::error::list;
use super::source::short_name;
use super::{DataError, Dataset, FeatureValues, Features};

/// Reads features from `path` and targets from the `y.npy` beside it.
pub(super) fn load_npy(path: &Path) -> Result<Dataset, DataError> {
    let y_path = path.with_file_name("y.npy");
    if !y_path.exists() {
        return Err(DataError::Missing {
            path: y_path,
            remedy: "put the targets beside the features, as a 1-D array of integers",
        });
    }
    let x = features(read_file(path, Numbers::features)?)?;
    let y = targets(read_file(&y_path, Numbers::labels)?)?;
    dataset(path, x, y)
}

/// Reads the arrays `x` and `y` of an NPZ file.
pub(super) fn load_npz(path: &Path) -> Result<Dataset, DataError> {
    let file = File::open(path).map_err(|source| read_error(path, source))?;
    let mut archive =
        NpzArchive::new(BufReader::new(file)).map_err(|source| damaged(path, source))?;
    let x = features(read_entry(&mut archive, path, "x", Numbers::features)?)?;
    let y = targets(read_entry(&mut archive, path, "y", Numbers::labels)?)?;
    dataset(path, x, y)
}

fn read_file(path: &Path, numbers: fn() -> Numbers) -> Result<Array, DataError> {
    let file = File::open(path).map_err(|source| read_error(path, source))?;
    let bytes = file
        .metadata()
        .map_err(|source| read_error(path, source))?
        .len();
    let name = path.display().to_string();
    Array::read(&mut BufReader::new(file), bytes, name, path, numbers())
}

fn read_entry(
    archive: &mut NpzArchive<BufReader<File>>,
    path: &Path,
    array: &'static str,
    numbers: fn() -> Numbers,
) -> Result<Array, DataError> {
    let known: Vec<String> = archive.array_names().map(str::to_owned).collect();
    if !known.iter().any(|name| name == array) {
        return Err(DataError::MissingArray {
            path: path.to_owned(),
            array,
            known: match known.is_empty() {
                true => "no array".to_owned(),
                false => list(&known),
            },
        });
    }
    let file_name = npyz::npz::file_name_from_array_name(array);
    let entry = archive.zip_archive().by_name(&file_name);
    let entry = entry.map_err(|error| damaged(path, error.into()))?;
    let bytes = entry.size();
    let name = format!("`{array}` in {}", path.display());
    let mut reader = BufReader::new(entry);
    let array = Array::read(&mut reader, bytes, name, path, numbers())?;
    // Reading to the end is what checks the entry's checksum.
    let end = reader.read(&mut [0]);
    end.map_err(|source| damaged(path, source))?;
    Ok(array)
}

fn features(array: Array) -> Result<(Features, String), DataError> {
    if array.shape.len() < 2 {
        let limit = "features must have two or more dimensions, rows first; write \
                     x.reshape(-1, 1) if each row has one feature";
        return Err(array.shape_error(limit));
    }
    let data = array.name.clone();
    if array.shape[0] == 0 {
        return Err(DataError::NoRows { data });
    }
    if array.shape.contains(&0) {
        let remedy = "give the array at least one column";
        return Err(DataError::NoFeatures { data, remedy });
    }
    let columns = array.shape[1..].iter().product();
    let values = match array.numbers {
        Numbers::U8(values) => FeatureValues::U8(values),
        Numbers::F32(values) => FeatureValues::F32(values),
        Numbers::Labels(_) => unreachable!("features are not read as labels"),
    };
    Ok((Features::new(columns, values), data))
}

fn targets(array: Array) -> Result<(Vec<i64>, String), DataError> {
    match (array.shape.len(), array.numbers) {
        (1, Numbers::Labels(labels)) => Ok((labels, array.name)),
        (_, numbers) => {
            let array = Array { numbers, ..array };
            let one_hot = array.shape.len() == 2 && array.shape[1] > 1;
            Err(array.shape_error(match one_hot {
                true => "targets must have one dimension, a class per row; write y.argmax(axis=1)",
                false => "targets must have one dimension, a class per row; write y.ravel()",
            }))
        }
    }
}

fn dataset(
    path: &Path,
    (features, x_name): (Features, String),
    (labels, y_name): (Vec<i64>, String),
) -> Result<Dataset, DataError> {
    if features.rows() != labels.len() {
        return Err(DataError::RowCounts {
            features: x_name,
            targets: y_name,
            rows: features.rows() as u64,
            labels: labels.len() as u64,
        });
    }
    let classes = number_classes(labels.iter().copied());
    let target = |label: &i64| classes.find(&label.to_string());
    let targets: Option<Vec<u32>> = labels.iter().map(target).collect();
    Ok(Dataset {
        name: short_name(path),
        feature_names: (0..features.columns()).map(|c| format!("x{c}")).collect(),
        features,
        targets: targets.expect("every label has a class"),
        class_names: classes.names,
        groups: None,
        given_test_rows: 0,
    })
}

fn read_error(path: &Path, reason: std::io::Error) -> DataError {
    DataError::Read {
        path: path.to_owned(),
        reason,
    }
}

fn damaged(path: &Path, reason: std::io::Error) -> DataError {
    DataError::Damaged {
        path: path.to_owned(),
        reason,
    }
}
