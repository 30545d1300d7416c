//! The numbers of an array, read without trusting what its header claims.

use std::io::{self, Read};
use std::path::Path;

use npyz::{DType, Deserialize, NpyFile, NpyHeader, Order, TypeChar};

use super::super::DataError;
use super::super::classes::whole;
use super::header::{self, HeaderError};

/// An array in memory, row-major.
pub(super) struct Array {
    /// Its name in messages.
    pub name: String,
    pub shape: Vec<usize>,
    pub numbers: Numbers,
}

/// What an array's numbers become.
pub(super) enum Numbers {
    U8(Vec<u8>),
    F32(Vec<f32>),
    Labels(Vec<i64>),
}

impl Numbers {
    /// Bytes stay bytes, anything else becomes f32.
    pub fn features() -> Self {
        Self::F32(Vec::new())
    }

    /// Whole numbers.
    pub fn labels() -> Self {
        Self::Labels(Vec::new())
    }

    /// Takes one number, or says what is wrong with it.
    fn push(&mut self, value: f64) -> Result<(), &'static str> {
        match self {
            Self::U8(values) => values.push(value as u8),
            Self::F32(values) => values.push(finite(value)?),
            Self::Labels(values) => values.push(whole(value).ok_or(NOT_WHOLE)?),
        }
        Ok(())
    }
}

const NOT_WHOLE: &str = "but targets must be whole numbers within ±2^53, one per class \
                         (regression is not trained yet in this version); number the classes from 0";

/// The type and length of the data behind a header.
struct Layout {
    header: NpyHeader,
    shape: Vec<usize>,
    kind: (TypeChar, u64),
}

impl Array {
    /// Reads an array of `bytes` bytes, header included, as `numbers`.
    pub fn read(
        reader: &mut dyn Read,
        bytes: u64,
        name: String,
        path: &Path,
        numbers: Numbers,
    ) -> Result<Self, DataError> {
        let (header, header_bytes) = header::read(reader).map_err(|error| match error {
            HeaderError::Reading(source) => damaged(path, source),
            HeaderError::Content(reason) => DataError::ArrayHeader {
                array: name.clone(),
                reason,
            },
        })?;
        let layout = Layout::new(header, &name)?;
        let found = bytes.saturating_sub(header_bytes);
        if layout.bytes() != found {
            return Err(DataError::Length {
                data: name,
                expected: layout.bytes(),
                found: found.to_string(),
            });
        }
        layout.read(reader, name, path, numbers)
    }

    /// The error that this array's shape is not what `limit` says.
    pub fn shape_error(&self, limit: &'static str) -> DataError {
        DataError::ArrayShape {
            array: self.name.clone(),
            shape: tuple(&self.shape),
            limit,
        }
    }
}

impl Layout {
    fn new(header: NpyHeader, name: &str) -> Result<Self, DataError> {
        let kind = match header.dtype() {
            DType::Plain(kind) => (kind.type_char(), kind.size_field()),
            _ => (TypeChar::RawData, 0),
        };
        let read = matches!(
            kind,
            (TypeChar::Bool, 1)
                | (TypeChar::Int | TypeChar::Uint, 1 | 2 | 4 | 8)
                | (TypeChar::Float, 4 | 8)
        );
        if !read {
            return Err(DataError::ArrayType {
                array: name.to_owned(),
                remedy: match kind.0 {
                    TypeChar::ByteStr | TypeChar::UnicodeStr => {
                        "number its texts, as numpy.unique(y, return_inverse=True)[1] does"
                    }
                    _ => "convert it with .astype(\"float32\"), or \"int64\" for targets",
                },
                kind: header.dtype().descr(),
                limit: "bool, integers, float32 or float64",
            });
        }
        let shape = header.shape().iter().map(|&size| size as usize).collect();
        Ok(Self {
            header,
            shape,
            kind,
        })
    }

    fn bytes(&self) -> u64 {
        self.header.len().saturating_mul(self.kind.1)
    }

    fn read(
        self,
        reader: &mut dyn Read,
        name: String,
        path: &Path,
        mut numbers: Numbers,
    ) -> Result<Array, DataError> {
        if let (Numbers::F32(_), (TypeChar::Uint | TypeChar::Bool, 1)) = (&numbers, self.kind) {
            numbers = Numbers::U8(Vec::new());
        }
        let order = self.header.order();
        let shape = self.shape;
        let file = NpyFile::with_header(self.header, reader);
        let failed = match self.kind {
            (TypeChar::Bool, _) => fill(file, &mut numbers, |value: bool| f64::from(value)),
            (TypeChar::Float, 4) => fill(file, &mut numbers, |value: f32| value.into()),
            (TypeChar::Float, _) => fill(file, &mut numbers, |value: f64| value),
            (TypeChar::Int, 1) => fill(file, &mut numbers, |value: i8| value.into()),
            (TypeChar::Int, 2) => fill(file, &mut numbers, |value: i16| value.into()),
            (TypeChar::Int, 4) => fill(file, &mut numbers, |value: i32| value.into()),
            (TypeChar::Int, _) => fill(file, &mut numbers, |value: i64| value as f64),
            (_, 1) => fill(file, &mut numbers, |value: u8| value.into()),
            (_, 2) => fill(file, &mut numbers, |value: u16| value.into()),
            (_, 4) => fill(file, &mut numbers, |value: u32| value.into()),
            _ => fill(file, &mut numbers, |value: u64| value as f64),
        };
        let index = |position| match order {
            Order::C => position,
            Order::Fortran => row_major(position, &shape),
        };
        failed.map_err(|error| match error {
            Failed::Reading(source) => damaged(path, source),
            Failed::Value(position, value, problem) => DataError::ArrayValue {
                place: place(index(position), &shape),
                array: name.clone(),
                value,
                problem,
            },
        })?;
        if order == Order::Fortran {
            numbers = numbers.reordered(&shape);
        }
        Ok(Array {
            name,
            shape,
            numbers,
        })
    }
}

/// Why the numbers could not be taken: the stream, or a number at a position of it.
enum Failed {
    Reading(io::Error),
    Value(usize, f64, &'static str),
}

/// Takes all numbers in the order of the stream. `collect` would reserve what the header claims.
fn fill<T: Deserialize>(
    file: NpyFile<&mut dyn Read>,
    numbers: &mut Numbers,
    convert: fn(T) -> f64,
) -> Result<(), Failed> {
    let data = file.data::<T>();
    let data = data.map_err(|error| Failed::Reading(io::Error::other(error.to_string())))?;
    for (position, value) in data.enumerate() {
        let value = convert(value.map_err(Failed::Reading)?);
        let pushed = numbers.push(value);
        pushed.map_err(|problem| Failed::Value(position, value, problem))?;
    }
    Ok(())
}

impl Numbers {
    /// From column-major to row-major.
    fn reordered(self, shape: &[usize]) -> Self {
        match self {
            Self::U8(values) => Self::U8(reordered(&values, shape)),
            Self::F32(values) => Self::F32(reordered(&values, shape)),
            Self::Labels(values) => Self::Labels(reordered(&values, shape)),
        }
    }
}

fn reordered<T: Copy + Default>(values: &[T], shape: &[usize]) -> Vec<T> {
    let mut ordered = vec![T::default(); values.len()];
    for (position, &value) in values.iter().enumerate() {
        ordered[row_major(position, shape)] = value;
    }
    ordered
}

/// The row-major position of the value at `position` of a column-major array.
fn row_major(mut position: usize, shape: &[usize]) -> usize {
    let mut stride: usize = shape.iter().product();
    let mut index = 0;
    for &size in shape {
        stride /= size;
        index += position % size * stride;
        position /= size;
    }
    index
}

/// A shape as numpy writes it: `(40,)`, `(20, 1)`.
fn tuple(shape: &[usize]) -> String {
    match shape {
        [only] => format!("({only},)"),
        _ => {
            let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
            format!("({})", sizes.join(", "))
        }
    }
}

/// Row, and column if there are any, of a row-major position.
fn place(position: usize, shape: &[usize]) -> String {
    let columns: usize = shape.iter().skip(1).product();
    match shape.len() {
        0 | 1 => format!("row {position}"),
        _ => format!("row {}, column {}", position / columns, position % columns),
    }
}

/// As f32, if it is finite there.
pub(super) fn finite(value: f64) -> Result<f32, &'static str> {
    let narrow = value as f32;
    match (value.is_finite(), narrow.is_finite()) {
        (true, true) => Ok(narrow),
        (true, false) => Err("which is beyond the range of f32 (±3.4e38); scale the column down"),
        (false, _) => Err("but numbers must be finite; remove the row or fill it in"),
    }
}

fn damaged(path: &Path, reason: io::Error) -> DataError {
    DataError::Damaged {
        path: path.to_owned(),
        reason,
    }
}
