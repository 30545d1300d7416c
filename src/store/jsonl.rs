//! Files of one JSON object a line that only grow.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{StoreError, atomic};

/// A file that whole lines are appended to.
pub struct Appender {
    path: PathBuf,
    file: File,
}

impl Appender {
    /// Opens the file, makes it if needed, and cuts off a torn last line. Returns the bytes cut.
    pub fn open(path: &Path) -> Result<(Self, u64), StoreError> {
        let file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(path)
            .map_err(StoreError::io("open", path))?;
        let mut appender = Self {
            path: path.to_owned(),
            file,
        };
        let torn = appender.cut_torn_line()?;
        Ok((appender, torn))
    }

    fn cut_torn_line(&mut self) -> Result<u64, StoreError> {
        let length = self.length()?;
        let whole = whole_lines(&self.path)?;
        if whole < length {
            self.file
                .set_len(whole)
                .map_err(StoreError::io("repair", &self.path))?;
        }
        Ok(length - whole)
    }

    fn length(&self) -> Result<u64, StoreError> {
        let metadata = self.file.metadata();
        Ok(metadata.map_err(StoreError::io("read", &self.path))?.len())
    }

    /// Appends a line a record, as one write; lines are made by all cores. When that fails, as on a full disk, what
    /// was written is taken back.
    pub fn append<R: Serialize + Sync>(&mut self, records: &[R]) -> Result<(), StoreError> {
        let lines: Vec<Vec<u8>> = records.par_iter().map(line).collect();
        let before = self.length()?;
        self.file.write_all(&lines.concat()).map_err(|error| {
            // If even this fails, the next resume cuts the torn line.
            let _ = self.file.set_len(before);
            StoreError::io("write", &self.path)(error)
        })
    }

    /// Makes sure that all lines are on the disk.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.file
            .sync_data()
            .map_err(StoreError::io("write", &self.path))
    }

    /// Cuts the file back to `records`, written as a whole.
    pub fn replace<R: Serialize>(&mut self, records: &[R]) -> Result<(), StoreError> {
        let bytes: Vec<u8> = records.iter().flat_map(line).collect();
        atomic::write_bytes(&self.path, &bytes)?;
        (*self, _) = Self::open(&self.path)?;
        Ok(())
    }
}

fn line<R: Serialize>(record: &R) -> Vec<u8> {
    let mut line = serde_json::to_vec(record).expect("records are plain JSON");
    line.push(b'\n');
    line
}

/// Length of the file up to the end of its last whole line.
fn whole_lines(path: &Path) -> Result<u64, StoreError> {
    const BLOCK: u64 = 1 << 16;
    let read = |at: u64, end: u64, file: &mut File| -> std::io::Result<Vec<u8>> {
        use std::io::Read;
        file.seek(SeekFrom::Start(at))?;
        let mut block = Vec::new();
        file.take(end - at).read_to_end(&mut block)?;
        Ok(block)
    };
    let mut file = File::open(path).map_err(StoreError::io("read", path))?;
    let metadata = file.metadata().map_err(StoreError::io("read", path))?;
    let mut end = metadata.len();
    while end > 0 {
        let at = end.saturating_sub(BLOCK);
        let block = read(at, end, &mut file).map_err(StoreError::io("read", path))?;
        if let Some(newline) = block.iter().rposition(|&byte| byte == b'\n') {
            return Ok(at + newline as u64 + 1);
        }
        end = at;
    }
    Ok(0)
}

/// The records of a file, read line by line. A torn last line is left out.
pub struct Reader<R> {
    path: PathBuf,
    lines: Option<BufReader<File>>,
    number: u64,
    line: String,
    record: PhantomData<R>,
}

impl<R: DeserializeOwned> Reader<R> {
    /// Reads a file; one that does not exist has no records.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let lines = match File::open(path) {
            Ok(file) => Some(BufReader::new(file)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(StoreError::io("read", path)(error)),
        };
        Ok(Self {
            path: path.to_owned(),
            lines,
            number: 0,
            line: String::new(),
            record: PhantomData,
        })
    }

    fn read(&mut self) -> Result<Option<R>, StoreError> {
        let Some(lines) = &mut self.lines else {
            return Ok(None);
        };
        self.line.clear();
        lines
            .read_line(&mut self.line)
            .map_err(StoreError::io("read", &self.path))?;
        if !self.line.ends_with('\n') {
            return Ok(None);
        }
        self.number += 1;
        let record = serde_json::from_str(&self.line).map_err(|error| {
            let reason = format!("line {} is not a record ({error})", self.number);
            StoreError::damaged(&self.path, reason)
        })?;
        Ok(Some(record))
    }
}

impl<R: DeserializeOwned> Iterator for Reader<R> {
    type Item = Result<R, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
