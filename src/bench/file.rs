//! A record in a file: written whole, beside its place, and renamed.

use std::io::ErrorKind;
use std::path::Path;

use super::{BenchError, BenchRecord};
use crate::store::{self, StoreError};

/// Refuses a path at which something lies that is no bench record; an older record may be replaced.
///
/// # Errors
/// [`BenchError::NotARecord`], or the system's refusal to read.
pub fn check_place(path: &Path) -> Result<(), BenchError> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(_) if path.is_dir() => {
            let path = path.to_owned();
            return Err(BenchError::NotARecord { path });
        }
        Err(source) => {
            let (action, path) = ("read", path.to_owned());
            return Err(StoreError::Io {
                action,
                path,
                source,
            }
            .into());
        }
    };
    let value = serde_json::from_slice::<serde_json::Value>(&text).unwrap_or_default();
    let keys = ["schema_version", "suite", "adapters", "cases"];
    if keys.iter().all(|key| value.get(key).is_some()) {
        return Ok(());
    }
    let path = path.to_owned();
    Err(BenchError::NotARecord { path })
}

/// Replaces the file by this record.
///
/// # Errors
/// [`BenchError::Store`] with the system's refusal.
pub fn write(path: &Path, record: &BenchRecord) -> Result<(), BenchError> {
    let text = serde_json::to_string_pretty(record).expect("a record is plain JSON");
    Ok(store::write_text(path, &(text + "\n"))?)
}
