//! From the text of a CSV file to typed columns.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Chain, Cursor, Read};
use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, StringRecord, Trim};

use super::super::DataError;
use super::super::error::{list, shown};

type Input = LineEnds<Chain<Cursor<Vec<u8>>, BufReader<File>>>;

/// How the cells of a column are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CellKind {
    /// Numbers, or text in every cell.
    Any,
    /// Numbers.
    Number,
    /// Text; numbers are text too, NaN and infinities are refused.
    Label,
    /// Text, whatever it is.
    Text,
}

/// A column in memory.
pub(super) enum Column {
    Numbers(Vec<f32>),
    Texts(Texts),
}

/// The cells of a text column: each distinct text once, and which one a row has.
#[derive(Default)]
pub(super) struct Texts {
    /// In the order of appearance.
    pub values: Vec<String>,
    /// The line that each value is first in.
    pub first_lines: Vec<u64>,
    /// Index into `values`, by row.
    pub rows: Vec<u32>,
    index: HashMap<String, u32>,
}

/// A file in memory.
pub(super) struct Table {
    pub path: PathBuf,
    pub header: Vec<String>,
    pub columns: Vec<Column>,
    pub rows: usize,
}

/// A file whose header was read.
pub(super) struct TableReader {
    path: PathBuf,
    header: Vec<String>,
    input: csv::Reader<Input>,
}

impl TableReader {
    /// Opens the file and reads its header.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let (input, delimiter) = sniff(path)?;
        let mut input = ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .trim(Trim::All)
            .from_reader(input);
        let header = input.headers().map_err(|error| csv_error(path, error))?;
        let header: Vec<String> = header.iter().map(str::to_owned).collect();
        check_header(path, &header)?;
        Ok(Self {
            path: path.to_owned(),
            header,
            input,
        })
    }

    /// Names of the columns: at least one, and distinct.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// Reads the rows: at least one.
    pub fn read(mut self, kinds: &[CellKind]) -> Result<Table, DataError> {
        let mut columns: Vec<Builder> = kinds.iter().map(|&kind| Builder::new(kind)).collect();
        let mut record = StringRecord::new();
        let mut rows = 0;
        while self.next(&mut record)? {
            let line = self.line(&record);
            self.check_length(&record, line)?;
            for ((cell, column), name) in record.iter().zip(&mut columns).zip(&self.header) {
                let pushed = column.push(cell, line);
                pushed.map_err(|bad| bad.error(&self.path, name))?;
            }
            rows += 1;
        }
        if rows == 0 {
            let data = self.path.display().to_string();
            return Err(DataError::NoRows { data });
        }
        Ok(Table {
            path: self.path,
            header: self.header,
            columns: columns.into_iter().map(Builder::finish).collect(),
            rows,
        })
    }

    fn next(&mut self, record: &mut StringRecord) -> Result<bool, DataError> {
        let read = self.input.read_record(record);
        read.map_err(|error| csv_error(&self.path, error))
    }

    /// The line that the record just read begins in. Counted from its end, since the position of
    /// a record is that of the empty lines before it.
    fn line(&self, record: &StringRecord) -> u64 {
        let cells = record.iter();
        let within: usize = cells.map(|cell| cell.matches('\n').count()).sum();
        self.input
            .position()
            .line()
            .saturating_sub(1 + within as u64)
    }

    fn check_length(&self, record: &StringRecord, line: u64) -> Result<(), DataError> {
        if record.len() == self.header.len() {
            return Ok(());
        }
        Err(DataError::Ragged {
            path: self.path.clone(),
            line,
            found: record.len(),
            expected: self.header.len(),
            remedy: match record.len() < self.header.len() {
                true if record.iter().any(|cell| cell.contains('\n')) => {
                    "close the quotes that are open in it"
                }
                true => "complete the row",
                false => "put quotes around cells that hold the delimiter, or name every column",
            },
        })
    }
}

/// The file from its beginning, without a byte order mark, and its delimiter.
fn sniff(path: &Path) -> Result<(Input, u8), DataError> {
    const LONGEST_HEADER: u64 = 1 << 24;
    let file = File::open(path).map_err(|reason| read_error(path, reason))?;
    let mut file = BufReader::new(file);
    let mut first = Vec::new();
    let mut header = file.by_ref().take(LONGEST_HEADER);
    let read = header.read_until(b'\n', &mut first);
    read.map_err(|reason| read_error(path, reason))?;
    check_format(path, &first)?;
    if first.starts_with(b"\xef\xbb\xbf") {
        first.drain(..3);
    }
    let delimiter = b",;\t".iter().find(|delimiter| first.contains(delimiter));
    let delimiter = delimiter.copied().unwrap_or(b',');
    Ok((LineEnds::new(Cursor::new(first).chain(file)), delimiter))
}

/// Refuses what is no text, by its first bytes.
fn check_format(path: &Path, first: &[u8]) -> Result<(), DataError> {
    let known: [(&[u8], _, _); 4] = [
        (b"\x1f\x8b", "a gzip file", "unpack it"),
        (
            b"PK\x03\x04",
            "an Excel or ZIP file",
            "save it as CSV in UTF-8",
        ),
        (b"\xff\xfe", "UTF-16 text", "save it as CSV in UTF-8"),
        (b"\xfe\xff", "UTF-16 text", "save it as CSV in UTF-8"),
    ];
    match known
        .into_iter()
        .find(|(magic, ..)| first.starts_with(magic))
    {
        None => Ok(()),
        Some((_, kind, remedy)) => Err(DataError::NotCsv {
            path: path.to_owned(),
            kind,
            remedy,
        }),
    }
}

/// Makes every line end, that of the last line too, one `\n`, so that lines can be counted.
struct LineEnds<R> {
    inner: R,
    last: u8,
}

impl<R: BufRead> LineEnds<R> {
    fn new(inner: R) -> Self {
        Self { inner, last: b'\n' }
    }
}

impl<R: BufRead> Read for LineEnds<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut written = 0;
        while written == 0 && !buffer.is_empty() {
            let input = self.inner.fill_buf()?;
            if input.is_empty() {
                let ended = matches!(self.last, b'\n' | b'\r');
                self.last = b'\n';
                buffer[0] = b'\n';
                return Ok(usize::from(!ended));
            }
            let count = input.len().min(buffer.len());
            for &byte in &input[..count] {
                if (self.last, byte) != (b'\r', b'\n') {
                    buffer[written] = if byte == b'\r' { b'\n' } else { byte };
                    written += 1;
                }
                self.last = byte;
            }
            self.inner.consume(count);
        }
        Ok(written)
    }
}

fn check_header(path: &Path, header: &[String]) -> Result<(), DataError> {
    if header.is_empty() {
        let data = path.display().to_string();
        return Err(DataError::NoRows { data });
    }
    let mut names: Vec<&String> = header.iter().collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        None => Ok(()),
        Some(pair) => Err(DataError::DuplicateColumn {
            path: path.to_owned(),
            column: pair[0].clone(),
        }),
    }
}

fn csv_error(path: &Path, error: csv::Error) -> DataError {
    let text = error.to_string();
    match error.into_kind() {
        csv::ErrorKind::Io(reason) => read_error(path, reason),
        csv::ErrorKind::Utf8 { pos, .. } => DataError::NotUtf8 {
            path: path.to_owned(),
            line: first_line_not_utf8(path)
                .or(pos.map(|pos| pos.line()))
                .unwrap_or(1),
        },
        _ => read_error(path, std::io::Error::other(text)),
    }
}

fn read_error(path: &Path, reason: std::io::Error) -> DataError {
    DataError::Read {
        path: path.to_owned(),
        reason,
    }
}

/// The first line that is not UTF-8, from 1, as an editor counts. The parser knows records only.
fn first_line_not_utf8(path: &Path) -> Option<u64> {
    let lines = LineEnds::new(BufReader::new(File::open(path).ok()?));
    let mut lines = BufReader::new(lines).split(b'\n').zip(1..);
    lines.find_map(|(line, number)| std::str::from_utf8(&line.ok()?).is_err().then_some(number))
}

/// A column while it is read.
struct Builder {
    kind: CellKind,
    numbers: Vec<f32>,
    texts: Texts,
}

/// A cell that cannot be used.
struct BadCell {
    line: u64,
    value: String,
    problem: &'static str,
}

const DECIMAL_COMMA: &str = "is text in a column with numbers; write numbers with a decimal point";
const EMPTY: &str = "is empty; fill it in or remove the row";
const NOT_FINITE: &str = "is not a finite number; fill it in, remove the row, or list the column \
                          in `categorical` of a sweep file";
const TOO_LARGE: &str = "is beyond the range of f32 (±3.4e38); scale the column down";
pub(super) const MIXED: &str = "is text in a column with numbers; fill in a number, remove the row, or \
                     list the column in `categorical` of a sweep file";

impl Builder {
    fn new(kind: CellKind) -> Self {
        Self {
            kind,
            numbers: Vec::new(),
            texts: Texts::default(),
        }
    }

    fn push(&mut self, cell: &str, line: u64) -> Result<(), BadCell> {
        let bad = |problem| {
            Err(BadCell {
                line,
                value: cell.to_owned(),
                problem,
            })
        };
        if cell.is_empty() {
            return bad(EMPTY);
        }
        match (self.kind, parse(cell)) {
            (CellKind::Text, _) => self.texts.push(cell, line),
            (_, Cell::NotFinite) => return bad(NOT_FINITE),
            (CellKind::Label, _) => self.texts.push(cell, line),
            (_, Cell::TooLarge) => return bad(TOO_LARGE),
            (CellKind::Number, Cell::Text) => return bad(MIXED),
            (CellKind::Any, Cell::Text) if !self.numbers.is_empty() => return bad(MIXED),
            (_, Cell::Text) => self.texts.push(cell, line),
            (_, Cell::Number(_)) if !self.texts.rows.is_empty() => {
                return Err(self.texts.first(MIXED));
            }
            (_, Cell::Number(number)) => self.numbers.push(number),
        }
        Ok(())
    }

    fn finish(self) -> Column {
        match self.numbers.is_empty() {
            true => Column::Texts(self.texts),
            false => Column::Numbers(self.numbers),
        }
    }
}

enum Cell {
    Number(f32),
    NotFinite,
    TooLarge,
    Text,
}

fn parse(cell: &str) -> Cell {
    let Ok(number) = cell.parse::<f64>() else {
        return Cell::Text;
    };
    let narrow = number as f32;
    // `1e999` becomes infinite as well, but was not written so.
    let word = cell
        .trim_start_matches(['+', '-'])
        .starts_with(char::is_alphabetic);
    match (narrow.is_finite(), word) {
        (true, _) => Cell::Number(narrow),
        (false, true) => Cell::NotFinite,
        (false, false) => Cell::TooLarge,
    }
}

impl Texts {
    fn push(&mut self, cell: &str, line: u64) {
        let index = match self.index.get(cell) {
            Some(&index) => index,
            None => {
                let index = u32::try_from(self.values.len()).expect("rows are counted in u32");
                self.values.push(cell.to_owned());
                self.first_lines.push(line);
                self.index.insert(cell.to_owned(), index);
                index
            }
        };
        self.rows.push(index);
    }

    fn first(&self, problem: &'static str) -> BadCell {
        BadCell {
            line: self.first_lines[0],
            value: self.values[0].clone(),
            problem,
        }
    }

    /// The error that a text, first seen in its line, cannot be used.
    pub fn cell_error(
        &self,
        table: &Table,
        column: usize,
        text: usize,
        problem: &'static str,
    ) -> DataError {
        let bad = BadCell {
            line: self.first_lines[text],
            value: self.values[text].clone(),
            problem,
        };
        bad.error(&table.path, &table.header[column])
    }
}

impl BadCell {
    fn error(self, path: &Path, column: &str) -> DataError {
        let decimal =
            self.value.contains(',') && self.value.replace(',', ".").parse::<f64>().is_ok();
        DataError::Cell {
            path: path.to_owned(),
            line: self.line,
            column: column.to_owned(),
            value: self.value,
            problem: match decimal && self.problem == MIXED {
                true => DECIMAL_COMMA,
                false => self.problem,
            },
        }
    }
}

/// A text of a column that the training data lacks.
pub(super) fn unseen(table: &Table, column: usize, text: usize, known: &[String]) -> DataError {
    let Column::Texts(texts) = &table.columns[column] else {
        unreachable!("a text was found in the column")
    };
    DataError::Unseen {
        path: table.path.clone(),
        place: format!(
            "line {}, column `{}`",
            texts.first_lines[text],
            shown(&table.header[column])
        ),
        value: texts.values[text].clone(),
        known: list(known),
    }
}
