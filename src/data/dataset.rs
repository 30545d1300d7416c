//! A dataset in memory: feature rows, class indices, names.

use sha2::{Digest, Sha256};

/// A classification dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// A short name that is safe in file names: a built-in's name, a file's stem or a folder.
    pub name: String,
    /// All rows: the ordinary ones first, then those of a given test part.
    pub features: Features,
    /// One name per feature column.
    pub feature_names: Vec<String>,
    /// The class of each row, an index into `class_names`.
    pub targets: Vec<u32>,
    /// One name per class.
    pub class_names: Vec<String>,
    /// The group of each row, if there is a group column: rows of a group stay in one part.
    pub groups: Option<Vec<u32>>,
    /// How many rows at the end are a test part that came with the data.
    pub given_test_rows: usize,
}

/// Feature values, row-major: shape (rows, columns).
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    columns: usize,
    values: FeatureValues,
}

/// The storage of feature values: bytes stay bytes, everything else is `f32`.
#[derive(Clone, Debug, PartialEq)]
pub enum FeatureValues {
    /// Finite numbers.
    F32(Vec<f32>),
    /// Bytes, as images have them; their value is the byte as a number, 0 to 255.
    U8(Vec<u8>),
}

impl Features {
    /// Row-major values with `columns` values a row.
    ///
    /// # Panics
    ///
    /// If `columns` is 0 or the values are not whole rows.
    pub fn new(columns: usize, values: FeatureValues) -> Self {
        assert!(columns > 0, "features have at least one column");
        assert_eq!(values.len() % columns, 0, "features are whole rows");
        Self { columns, values }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.columns
    }

    /// Number of columns: the inputs of a network.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The values, row-major.
    pub fn values(&self) -> &FeatureValues {
        &self.values
    }

    /// Size of the values in bytes, in the storage they have.
    pub fn bytes(&self) -> u64 {
        match &self.values {
            FeatureValues::F32(values) => size_of_val(values.as_slice()) as u64,
            FeatureValues::U8(values) => values.len() as u64,
        }
    }

    /// One value, unscaled.
    ///
    /// # Panics
    ///
    /// If `row` or `column` is out of range.
    pub fn get(&self, row: usize, column: usize) -> f32 {
        assert!(column < self.columns, "column is in range");
        let at = row * self.columns + column;
        match &self.values {
            FeatureValues::F32(values) => values[at],
            FeatureValues::U8(values) => f32::from(values[at]),
        }
    }
}

impl FeatureValues {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::U8(values) => values.len(),
        }
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Dataset {
    /// Number of rows, those of a given test part included.
    pub fn rows(&self) -> usize {
        self.targets.len()
    }

    /// Number of classes: the outputs of a network.
    pub fn classes(&self) -> usize {
        self.class_names.len()
    }

    /// SHA-256, in hex, of everything but the dataset's own name: shapes, storage kind, feature
    /// values, targets, groups, names of features and classes, given test rows.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"regatta dataset 1\n");
        hash_length(&mut hash, self.rows());
        hash_length(&mut hash, self.features.columns());
        hash_length(&mut hash, self.given_test_rows);
        hash_values(&mut hash, self.features.values());
        hash_names(&mut hash, &self.feature_names);
        hash_words(&mut hash, &self.targets);
        hash_names(&mut hash, &self.class_names);
        match &self.groups {
            None => hash.update([0]),
            Some(groups) => {
                hash.update([1]);
                hash_words(&mut hash, groups);
            }
        }
        hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
    }
}

fn hash_length(hash: &mut Sha256, length: usize) {
    hash.update((length as u64).to_le_bytes());
}

fn hash_values(hash: &mut Sha256, values: &FeatureValues) {
    match values {
        FeatureValues::F32(values) => {
            hash.update(b"f32");
            for value in values {
                hash.update(value.to_bits().to_le_bytes());
            }
        }
        FeatureValues::U8(values) => {
            hash.update(b"u8 ");
            hash.update(values);
        }
    }
}

fn hash_names(hash: &mut Sha256, names: &[String]) {
    hash_length(hash, names.len());
    for name in names {
        hash_length(hash, name.len());
        hash.update(name);
    }
}

fn hash_words(hash: &mut Sha256, words: &[u32]) {
    hash_length(hash, words.len());
    for word in words {
        hash.update(word.to_le_bytes());
    }
}
