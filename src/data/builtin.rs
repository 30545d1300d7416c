//! The datasets that are part of the program; embedded/README.md says where they are from.

use std::io::Read;

use flate2::read::GzDecoder;

use super::{Dataset, FeatureValues, Features};

/// The built-in datasets, sorted.
pub(super) const NAMES: [&str; 4] = ["breast_cancer", "digits", "iris", "wine"];

/// A built-in name of scikit-learn's that has no classes.
pub(super) const REGRESSION_NAME: &str = "diabetes";

struct Builtin {
    gz: &'static [u8],
    class_names: &'static [&'static str],
    /// Whether every feature is a whole number from 0 to 255.
    bytes: bool,
}

/// A built-in dataset, or `None` if there is none of this name.
pub(super) fn load(name: &str) -> Option<Dataset> {
    let builtin = find(name)?;
    let mut text = String::new();
    GzDecoder::new(builtin.gz)
        .read_to_string(&mut text)
        .expect("an embedded dataset unpacks");
    Some(parse(name, &builtin, &text))
}

fn find(name: &str) -> Option<Builtin> {
    let (gz, class_names): (&[u8], &[&str]) = match name {
        "breast_cancer" => (
            include_bytes!("embedded/breast_cancer.csv.gz"),
            &["malignant", "benign"],
        ),
        "digits" => (
            include_bytes!("embedded/digits.csv.gz"),
            &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
        ),
        "iris" => (
            include_bytes!("embedded/iris.csv.gz"),
            &["setosa", "versicolor", "virginica"],
        ),
        "wine" => (
            include_bytes!("embedded/wine.csv.gz"),
            &["class_0", "class_1", "class_2"],
        ),
        _ => return None,
    };
    Some(Builtin {
        gz,
        class_names,
        bytes: name == "digits",
    })
}

/// A header of feature names and `target`, then rows that end with the class index.
fn parse(name: &str, builtin: &Builtin, text: &str) -> Dataset {
    let mut lines = text.lines();
    let header = lines.next().expect("an embedded dataset has a header");
    let mut feature_names: Vec<String> = header.split(',').map(str::to_owned).collect();
    feature_names.pop();
    let mut values = Vec::new();
    let mut targets = Vec::new();
    for line in lines {
        let (row, class) = line.rsplit_once(',').expect("a row has columns");
        values.extend(row.split(',').map(number));
        targets.push(number(class) as u32);
    }
    let values = match builtin.bytes {
        true => FeatureValues::U8(values.iter().map(|&value| value as u8).collect()),
        false => FeatureValues::F32(values),
    };
    Dataset {
        name: name.to_owned(),
        features: Features::new(feature_names.len(), values),
        feature_names,
        targets,
        class_names: builtin.class_names.iter().map(|&c| c.to_owned()).collect(),
        groups: None,
        given_test_rows: 0,
    }
}

fn number(cell: &str) -> f32 {
    cell.parse().expect("an embedded dataset holds numbers")
}
