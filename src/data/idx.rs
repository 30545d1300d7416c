//! Folders of IDX files, the format of MNIST and the datasets made after it.
//!
//! A file is four bytes (0, 0, type, number of dimensions), the sizes as big-endian u32, and the
//! values, row-major (<http://yann.lecun.com/exdb/mnist/>, archived).

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::classes::{Classes, number_classes};
use super::error::list;
use super::source::short_name;
use super::{DataError, Dataset, FeatureValues, Features};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const UNSIGNED_BYTES: u8 = 0x08;

/// Reads the training files of `folder`; with `given_test` the `t10k` files too, as test rows.
pub(super) fn load(folder: &Path, given_test: bool) -> Result<Dataset, DataError> {
    let train = Part::read(folder, "train")?;
    let classes = number_classes(train.labels.iter().map(|&label| i64::from(label)));
    let mut targets = train.targets(&classes)?;
    let mut values = train.images.values;
    let mut given_test_rows = 0;
    if given_test {
        let test = Part::read(folder, "t10k")?;
        test.check_size(&train.images.sizes)?;
        given_test_rows = test.labels.len();
        targets.extend(test.targets(&classes)?);
        values.extend(&test.images.values);
    }
    let [_, height, width] = train.images.sizes[..] else {
        unreachable!("images have three dimensions")
    };
    let names = (0..height).flat_map(|y| (0..width).map(move |x| format!("pixel_{y}_{x}")));
    let feature_names: Vec<String> = names.collect();
    Ok(Dataset {
        name: short_name(folder),
        features: Features::new(feature_names.len(), FeatureValues::U8(values)),
        feature_names,
        targets,
        class_names: classes.names,
        groups: None,
        given_test_rows,
    })
}

/// Images and their labels: as many, and at least one, of at least one pixel.
struct Part {
    images_path: PathBuf,
    labels_path: PathBuf,
    images: Idx,
    labels: Vec<u8>,
}

impl Part {
    fn read(folder: &Path, part: &str) -> Result<Self, DataError> {
        let images_path = find(folder, &format!("{part}-images"), 3)?;
        let labels_path = find(folder, &format!("{part}-labels"), 1)?;
        let images = Idx::read(&images_path, 3)?;
        let labels = Idx::read(&labels_path, 1)?;
        let (rows, count) = (images.sizes[0], labels.sizes[0]);
        if rows != count {
            return Err(DataError::RowCounts {
                features: images_path.display().to_string(),
                targets: labels_path.display().to_string(),
                rows: rows.into(),
                labels: count.into(),
            });
        }
        let data = images_path.display().to_string();
        if rows == 0 {
            return Err(DataError::NoRows { data });
        }
        if images.sizes.contains(&0) {
            let remedy = "give images of at least one pixel";
            return Err(DataError::NoFeatures { data, remedy });
        }
        let labels = labels.values;
        Ok(Self {
            images_path,
            labels_path,
            images,
            labels,
        })
    }

    fn targets(&self, classes: &Classes) -> Result<Vec<u32>, DataError> {
        let target = |(row, label): (usize, &u8)| {
            let name = label.to_string();
            classes.find(&name).ok_or_else(|| DataError::Unseen {
                path: self.labels_path.clone(),
                place: format!("row {row}"),
                known: list(&classes.names),
                value: name,
            })
        };
        self.labels.iter().enumerate().map(target).collect()
    }

    fn check_size(&self, training: &[u32]) -> Result<(), DataError> {
        let size = |sizes: &[u32]| format!("{} x {}", sizes[1], sizes[2]);
        let found = &self.images.sizes;
        if found[1..] == training[1..] {
            return Ok(());
        }
        Err(DataError::ImageSize {
            path: self.images_path.clone(),
            found: size(found),
            expected: size(training),
        })
    }
}

/// The first of the usual names that exists.
fn find(folder: &Path, stem: &str, dimensions: u8) -> Result<PathBuf, DataError> {
    let expected = ["-", "."].into_iter().flat_map(|dash| {
        let name = format!("{stem}{dash}idx{dimensions}-ubyte");
        [name.clone(), name + ".gz"]
    });
    let expected: Vec<String> = expected.collect();
    let mut paths = expected.iter().map(|name| folder.join(name));
    match paths.find(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => Err(DataError::IdxFolder {
            path: folder.to_owned(),
            expected,
            remedy: match stem {
                "train-images" => "name the folder that has them, or a file (--data D)",
                "train-labels" => "put the labels beside the images",
                _ => "put them there, or hold out a fraction, as `--test 0.2`",
            },
        }),
    }
}

/// One file: its sizes and as many bytes as they say.
struct Idx {
    sizes: Vec<u32>,
    values: Vec<u8>,
}

impl Idx {
    fn read(path: &Path, dimensions: u8) -> Result<Self, DataError> {
        let damaged = |reason| DataError::Damaged {
            path: path.to_owned(),
            reason,
        };
        let mut reader = open(path)?;
        check_magic(&mut reader, path, dimensions)?;
        let mut sizes = Vec::new();
        for _ in 0..dimensions {
            let mut size = [0; 4];
            reader.read_exact(&mut size).map_err(damaged)?;
            sizes.push(u32::from_be_bytes(size));
        }
        let expected = sizes
            .iter()
            .fold(1_u64, |product, &size| product.saturating_mul(size.into()));
        let values = read_exactly(&mut reader, expected).map_err(damaged)?;
        values.map_or_else(
            |found| {
                Err(DataError::Length {
                    data: path.display().to_string(),
                    expected,
                    found,
                })
            },
            |values| Ok(Self { sizes, values }),
        )
    }
}

/// Unpacks where the content, not the name, says that it is packed.
fn open(path: &Path) -> Result<Box<dyn Read>, DataError> {
    let read_error = |reason| DataError::Read {
        path: path.to_owned(),
        reason,
    };
    let mut file = BufReader::new(File::open(path).map_err(read_error)?);
    let begin = file.fill_buf().map_err(read_error)?;
    Ok(match begin.starts_with(&GZIP_MAGIC) {
        true => Box::new(MultiGzDecoder::new(file)),
        false => Box::new(file),
    })
}

fn check_magic(reader: &mut dyn Read, path: &Path, dimensions: u8) -> Result<(), DataError> {
    let mut found = Vec::new();
    let read = reader.take(4).read_to_end(&mut found);
    read.map_err(|reason| DataError::Damaged {
        path: path.to_owned(),
        reason,
    })?;
    match found[..] {
        [0, 0, UNSIGNED_BYTES, found] if found == dimensions => Ok(()),
        [0, 0, found, _] if let Some(kind) = type_name(found) => Err(DataError::IdxType {
            path: path.to_owned(),
            found,
            kind,
        }),
        _ => Err(DataError::IdxMagic {
            path: path.to_owned(),
            found,
            dimensions,
        }),
    }
}

/// The IDX types that are not read.
fn type_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        0x09 => "signed bytes",
        0x0b => "16-bit integers",
        0x0c => "32-bit integers",
        0x0d => "32-bit floats",
        0x0e => "64-bit floats",
        _ => return None,
    })
}

/// `expected` bytes to the end of `reader`, or how many there were instead. The memory it takes
/// grows with what is read, never with what a header claims.
fn read_exactly(reader: &mut dyn Read, expected: u64) -> io::Result<Result<Vec<u8>, String>> {
    let mut values = Vec::new();
    let read = reader
        .take(expected.saturating_add(1))
        .read_to_end(&mut values)? as u64;
    Ok(match read {
        _ if read == expected => Ok(values),
        _ if read > expected => Err("more".to_owned()),
        _ => Err(read.to_string()),
    })
}
