//! What can be wrong with data and with the settings that describe it.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// What is wrong with data or its settings: the object, the value, the limit and the remedy.
///
/// Lines count from 1 as an editor shows them, rows and columns of arrays from 0.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// A setting is out of its range.
    #[error("`{setting}` is {value}, but {limit}")]
    Setting {
        /// Name of the setting in `[data]`.
        setting: &'static str,
        /// The value that was given.
        value: String,
        /// What it must be.
        limit: &'static str,
    },
    /// Two settings exclude each other.
    #[error("{first} and {second} cannot be used together; {remedy}")]
    Conflict {
        /// One setting.
        first: &'static str,
        /// The other.
        second: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A setting means nothing for this kind of source.
    #[error("{setting} needs {kind}, but the data is {data}; {remedy}")]
    NotForSource {
        /// The setting, as in the sweep file.
        setting: String,
        /// The kind of source that it is for.
        kind: &'static str,
        /// The source.
        data: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A word that is no built-in dataset.
    #[error(
        "`{}` is neither a built-in dataset ({known}) nor a file or folder; {}", shown(name),
        nearest.map_or("name one that is there".to_owned(), |name| format!("did you mean `{name}`?"))
    )]
    UnknownSource {
        /// The word.
        name: String,
        /// The built-in datasets.
        known: String,
        /// The one that is most like the word.
        nearest: Option<&'static str>,
    },
    /// A file or folder does not exist.
    #[error("{} does not exist; {remedy}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// What to do.
        remedy: &'static str,
    },
    /// A file whose kind is not known by its ending.
    #[error(
        "{} is not a kind of file that can be read here; give a .csv file (cells divided by commas, \
         semicolons or tabs), a .npy or .npz file, or a folder of IDX files",
        path.display()
    )]
    UnknownKind {
        /// The file.
        path: PathBuf,
    },
    /// A file or folder could not be read.
    #[error("{} cannot be read ({reason}); name a file that you may read", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        reason: io::Error,
    },
    /// A file is broken: cut short, or damaged.
    #[error("{} is damaged or cut short ({reason}); get it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the decoder says.
        reason: io::Error,
    },
    /// A target to regress on.
    #[error(
        "{data} is for regression, which is not trained yet in this version; take one with classes ({known})"
    )]
    Regression {
        /// The dataset.
        data: String,
        /// Built-in datasets with classes.
        known: String,
    },
    /// A target column of numbers that are not whole.
    #[error(
        "target `{column}` of {} holds {value} in line {line}, and regression is not trained yet in this version; \
         name a column of classes (--target NAME), or list `{column}` in `categorical`", path.display()
    )]
    RegressionTarget {
        /// The file.
        path: PathBuf,
        /// The target column.
        column: String,
        /// The number that is not whole.
        value: String,
        /// Its line.
        line: u64,
    },
    /// No rows.
    #[error("{data} has no rows; add some, or name another file")]
    NoRows {
        /// The file or array.
        data: String,
    },
    /// More rows than can be indexed.
    #[error("{data} has {rows} rows, but at most {limit} are possible; take a part of them")]
    TooManyRows {
        /// The file or array.
        data: String,
        /// How many rows.
        rows: usize,
        /// How many are possible.
        limit: u32,
    },
    /// A pipe or a device: it may never end.
    #[error("{} is neither a file nor a folder; write what it holds to a file first", path.display())]
    NotAFile {
        /// What was named.
        path: PathBuf,
    },
    /// One-hot encoding would take too much memory.
    #[error(
        "{} has {rows} rows, and its columns of text become {columns} columns of zeros and ones: more than {limit} values; leave out columns that have many different texts",
        path.display()
    )]
    TooWide {
        /// The file.
        path: PathBuf,
        /// How many rows.
        rows: usize,
        /// How many columns after encoding.
        columns: usize,
        /// How many values are possible.
        limit: usize,
    },
    /// No feature columns.
    #[error(
        "{data} has no feature columns, but at least one beside target and group is needed; {remedy}"
    )]
    NoFeatures {
        /// The file or array.
        data: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Every row has one class.
    #[error(
        "every row of {data} has the class `{}`, but at least two classes are needed; add rows of another \
         class, or take another target",
        shown(class)
    )]
    OneClass {
        /// The file or dataset.
        data: String,
        /// The class.
        class: String,
    },
    /// Targets that are hardly classes.
    #[error(
        "{data} has {classes} classes in {rows} rows, but classes must be fewer than rows and at most {limit}; \
         is this target the right one (--target NAME)?"
    )]
    TooManyClasses {
        /// The file or dataset.
        data: String,
        /// How many classes.
        classes: usize,
        /// How many rows.
        rows: usize,
        /// The largest number of classes.
        limit: usize,
    },
    /// A class or category that occurs in the test part only.
    #[error(
        "{} has `{}` in {place}, which the training data lacks (it has {known}); correct it, or remove the row",
        path.display(), shown(value)
    )]
    Unseen {
        /// The file of the test part.
        path: PathBuf,
        /// Line and column, or the row.
        place: String,
        /// The value.
        value: String,
        /// The values in the training data.
        known: String,
    },
    /// A file that begins as those of another format do.
    #[error("{} is {kind}, not CSV text; {remedy}", path.display())]
    NotCsv {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A line of a CSV file that is not UTF-8.
    #[error("line {line} of {} is not UTF-8 text; save it as CSV in UTF-8", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The first such line.
        line: u64,
    },
    /// A line with too few or too many cells.
    #[error(
        "line {line} of {} has {found} cell{}, but the header has {expected}; {remedy}", path.display(),
        if *found == 1 { "" } else { "s" }
    )]
    Ragged {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u64,
        /// Cells in the line.
        found: usize,
        /// Cells in the header.
        expected: usize,
        /// What to do.
        remedy: &'static str,
    },
    /// A cell that cannot be used.
    #[error(
        "line {line}, column `{}` of {}{} {problem}", shown(column), path.display(),
        if value.is_empty() { String::new() } else { format!(": `{}`", shown(value)) }
    )]
    Cell {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u64,
        /// The column's name.
        column: String,
        /// What the cell holds.
        value: String,
        /// What is wrong, and what to do.
        problem: &'static str,
    },
    /// A setting names a column that is not there.
    #[error(
        "column `{}` is not in {}, which has {known}; name one of them ({remedy})", shown(column), path.display()
    )]
    UnknownColumn {
        /// The file.
        path: PathBuf,
        /// The column's name or index.
        column: String,
        /// The columns that are there.
        known: String,
        /// Where the name comes from.
        remedy: &'static str,
    },
    /// Two columns with one name.
    #[error("{}", duplicate(path, column))]
    DuplicateColumn {
        /// The file.
        path: PathBuf,
        /// The name.
        column: String,
    },
    /// A column with two uses.
    #[error(
        "column `{}` is both {first} and {second}; name another for one of them",
        shown(column)
    )]
    ColumnUsedTwice {
        /// The column.
        column: String,
        /// One use.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// The file of the test part has other columns than the training data.
    #[error(
        "{} must have the columns of the training data, but {}; make them the same, in any order", path.display(),
        column_difference(missing, unexpected)
    )]
    OtherColumns {
        /// The file of the test part.
        path: PathBuf,
        /// Columns that it lacks.
        missing: Vec<String>,
        /// Columns that it has beyond them.
        unexpected: Vec<String>,
    },
    /// A text column with very many values.
    #[error(
        "column `{}` of {} has {categories} different texts, but a categorical feature may have at most \
         {limit}; remove the column", shown(column), path.display()
    )]
    TooManyCategories {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// How many different texts.
        categories: usize,
        /// How many are possible.
        limit: usize,
    },
    /// A group with rows in the training data and in the test file.
    #[error(
        "group `{}` is in both the training data and {}; remove its rows from one, or leave out `group`",
        shown(group), path.display()
    )]
    SharedGroup {
        /// The file of the test part.
        path: PathBuf,
        /// The group.
        group: String,
    },
    /// A folder without the files of an IDX dataset.
    #[error(
        "the folder {} has none of the IDX files {}; {remedy}", path.display(), expected.join(", ")
    )]
    IdxFolder {
        /// The folder.
        path: PathBuf,
        /// The names that were looked for.
        expected: Vec<String>,
        /// What to do.
        remedy: &'static str,
    },
    /// A file that does not begin as IDX files do.
    #[error(
        "{} begins with the bytes {found:02x?}, but an IDX file of {dimensions} dimension{} begins with \
         [00, 00, 08, {dimensions:02x}]; put the right file there", path.display(),
        if *dimensions == 1 { "" } else { "s" }
    )]
    IdxMagic {
        /// The file.
        path: PathBuf,
        /// Its first bytes.
        found: Vec<u8>,
        /// Dimensions that are needed here.
        dimensions: u8,
    },
    /// An IDX file of another type than bytes.
    #[error(
        "{} holds {kind} (IDX type 0x{found:02x}), but only unsigned bytes (0x08) are read; \
         convert them, or save them with numpy.savez(FILE, x=x, y=y)", path.display()
    )]
    IdxType {
        /// The file.
        path: PathBuf,
        /// The type byte.
        found: u8,
        /// Its meaning.
        kind: &'static str,
    },
    /// A file with fewer or more bytes than its header says.
    #[error("{data} should have {expected} bytes after its header, but has {found}; get it again")]
    Length {
        /// The file or array.
        data: String,
        /// Bytes by the header.
        expected: u64,
        /// Bytes found ("more" where the count was stopped).
        found: String,
    },
    /// As many labels as rows are needed.
    #[error(
        "{features} has {rows} rows, but {targets} has {labels} labels; give each row one label"
    )]
    RowCounts {
        /// Where the features are.
        features: String,
        /// Where the targets are.
        targets: String,
        /// Rows of the features.
        rows: u64,
        /// Number of targets.
        labels: u64,
    },
    /// Test images of another size than training images.
    #[error(
        "{} has images of {found} pixels, but the training images have {expected}; bring them to that size",
        path.display()
    )]
    ImageSize {
        /// The file of the test part.
        path: PathBuf,
        /// Size found, as rows x columns.
        found: String,
        /// Size of the training images.
        expected: String,
    },
    /// An NPY header that is not understood.
    #[error(
        "{array} is not an NPY array that can be read: {reason}; write it with numpy.save or numpy.savez"
    )]
    ArrayHeader {
        /// The array.
        array: String,
        /// What is wrong.
        reason: String,
    },
    /// An array of another shape than is needed.
    #[error("{array} has the shape {shape}, but {limit}")]
    ArrayShape {
        /// The array.
        array: String,
        /// Its shape, as numpy writes it.
        shape: String,
        /// What it must be.
        limit: &'static str,
    },
    /// An array of another type than is needed.
    #[error("{array} has the type {kind}, but it must hold {limit}; {remedy}")]
    ArrayType {
        /// The array.
        array: String,
        /// Its type, as numpy writes it.
        kind: String,
        /// What it may be.
        limit: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A number of an array that cannot be used.
    #[error("{array} has {} in {place}, {problem}", number(*value))]
    ArrayValue {
        /// The array.
        array: String,
        /// Row and column.
        place: String,
        /// The number.
        value: f64,
        /// What is wrong.
        problem: &'static str,
    },
    /// An NPZ file lacks an array.
    #[error(
        "{} has no array `{array}` (it has {known}); save it with numpy.savez(FILE, x=x, y=y)", path.display()
    )]
    MissingArray {
        /// The file.
        path: PathBuf,
        /// The array.
        array: &'static str,
        /// Those it has.
        known: String,
    },
    /// Fewer rows or groups than parts to divide them into.
    #[error(
        "{have} {what}{} cannot be divided into {need} parts; give {remedy}", if *have == 1 { "" } else { "s" }
    )]
    TooFew {
        /// `row` or `group`.
        what: &'static str,
        /// How many there are.
        have: usize,
        /// How many are needed.
        need: usize,
        /// What to do.
        remedy: &'static str,
    },
    /// A part without rows.
    #[error("the {part} would be empty with {rows} row{} to divide; {remedy}", if *rows == 1 { "" } else { "s" })]
    EmptyPart {
        /// The part.
        part: String,
        /// Rows to divide.
        rows: usize,
        /// What to do.
        remedy: &'static str,
    },
    /// A class that a training part lacks.
    #[error(
        "class `{}` has no row in the training part of {part} ({rows} in all data); remove the class, \
         get more rows of it, or divide the data otherwise (`test`, `folds`, `holdout`, `split`)",
        shown(class)
    )]
    MissingClass {
        /// The fold.
        part: String,
        /// The class.
        class: String,
        /// Rows of the class in the whole dataset.
        rows: usize,
    },
}

/// Text of the user's for a message: in one line, and not too long.
pub(super) fn shown(text: &str) -> String {
    const SHOWN: usize = 60;
    let mut shown = String::new();
    for c in text.chars().take(SHOWN) {
        match c.is_control() {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    if text.chars().count() > SHOWN {
        shown += "...";
    }
    shown
}

/// A number, in exponent form where the plain one would be long.
pub(super) fn number(value: f64) -> String {
    match value.is_finite() && value != 0.0 && !(1e-4..1e15).contains(&value.abs()) {
        true => format!("{value:e}"),
        false => value.to_string(),
    }
}

/// Two columns of one name; numbers and empty names have causes of their own.
fn duplicate(path: &Path, column: &str) -> String {
    let path = path.display();
    if column.is_empty() {
        return format!("{path} has two columns without a name; name them in its first line");
    }
    if column.parse::<f64>().is_ok() {
        return format!(
            "{path} has two columns named `{column}`, as if its first line were data; put a header of column \
             names before it"
        );
    }
    format!(
        "{path} has two columns named `{}`; rename one",
        shown(column)
    )
}

/// Names for a message: the first ones, and how many more there are.
pub(super) fn list<S: AsRef<str>>(names: &[S]) -> String {
    const SHOWN: usize = 20;
    let shown = names.iter().take(SHOWN).map(|name| shown(name.as_ref()));
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text += &format!(", ... ({} in all)", names.len());
    }
    text
}

fn column_difference(missing: &[String], unexpected: &[String]) -> String {
    match (missing.is_empty(), unexpected.is_empty()) {
        (false, true) => format!("lacks {}", list(missing)),
        (true, _) => format!("has {} beyond them", list(unexpected)),
        (false, false) => format!(
            "lacks {} and has {} beyond them",
            list(missing),
            list(unexpected)
        ),
    }
}
