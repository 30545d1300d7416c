//! Tests of the data module, by file of the module; here what they share.

mod builtin;
mod config;
mod dataset;
mod idx;
mod npy;
mod scaling;
mod source;
mod split;
mod tabular;
mod tabular_test_file;

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::{DataConfig, DataError, Dataset, FeatureValues, Features, TestPart, load};

/// A folder that is removed at the end of a test.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file and returns its path as a source.
    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The folder itself as a source.
    fn source(&self) -> String {
        self.0.path().to_str().unwrap().to_owned()
    }
}

/// The defaults with this source.
fn config(source: &str) -> DataConfig {
    DataConfig {
        source: source.to_owned(),
        ..DataConfig::default()
    }
}

/// A dataset with one feature, the row's number.
fn dataset(targets: &[u32], groups: Option<&[u32]>) -> Dataset {
    let classes = targets.iter().max().map_or(0, |&most| most + 1);
    let values = (0..targets.len()).map(|row| row as f32).collect();
    Dataset {
        name: "made".into(),
        features: Features::new(1, FeatureValues::F32(values)),
        feature_names: vec!["row".into()],
        targets: targets.to_vec(),
        class_names: (0..classes).map(|class| format!("c{class}")).collect(),
        groups: groups.map(<[u32]>::to_vec),
        given_test_rows: 0,
    }
}

/// Checks that a result is an error whose message has `part`, and is one line.
#[track_caller]
fn check_error<T>(case: &str, result: Result<T, DataError>, part: &str) {
    let Err(error) = result else {
        panic!("{case}: accepted, but should be refused with: {part}");
    };
    let message = error.to_string();
    assert!(message.contains(part), "{case}: {message}");
    assert!(!message.contains('\n'), "{case}: {message}");
}

/// Checks that a result is no error.
#[track_caller]
fn check_accepted<T>(case: &str, result: Result<T, DataError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{case}: refused with: {error}"),
    }
}

/// The values as f32.
fn values(dataset: &Dataset) -> Vec<f32> {
    match dataset.features.values() {
        FeatureValues::F32(values) => values.clone(),
        FeatureValues::U8(values) => values.iter().map(|&value| value.into()).collect(),
    }
}
