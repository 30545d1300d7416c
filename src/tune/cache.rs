//! Measurements of this machine's adapters, in the user's cache folder.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use directories::ProjectDirs;
use serde::{Deserialize, Serialize};

use super::measurement::Measurement;
use crate::engine::AdapterDescription;
use crate::engine::gpu::shader_fingerprint;
use crate::store::{StoreError, write_text};

/// Names another folder than the user's.
pub const FOLDER_VARIABLE: &str = "REGATTA_CACHE_DIR";

const SCHEMA_VERSION: u32 = 1;
const FILE: &str = "kernels.json";

/// What a measurement depends on beside the class of waves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Name of the adapter.
    pub adapter: String,
    /// The API by which it is reached.
    pub backend: String,
    /// Its driver, with the version.
    pub driver: String,
    /// Version of Regatta.
    pub version: String,
    /// Fingerprint of the shaders.
    pub shaders: String,
}

impl Key {
    /// Of this version on an adapter.
    pub fn new(adapter: &AdapterDescription) -> Self {
        Self {
            adapter: adapter.name.clone(),
            backend: adapter.backend.clone(),
            driver: adapter.driver.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            shaders: shader_fingerprint(),
        }
    }
}

/// What is known of one class of waves on one adapter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Adapter, driver, version.
    #[serde(flatten)]
    pub key: Key,
    /// The class, in words.
    pub class: String,
    /// Every form that was measured.
    pub measured: Vec<Measurement>,
}

/// The file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cache {
    schema_version: u32,
    /// In the order in which they were first measured.
    pub entries: Vec<Entry>,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            entries: Vec::new(),
        }
    }
}

/// Why there is no cache, or none that can be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The system names no folder for caches.
    #[error("this user has no cache folder; name one with {FOLDER_VARIABLE}")]
    NoFolder,
    /// The file is torn, or of another version.
    #[error("{} cannot be read as measurements of kernels ({reason}); remove it with `regatta tune-kernels --clear`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file cannot be read, written or removed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where the file is, whether it is there or not.
///
/// # Errors
/// [`CacheError::NoFolder`].
pub fn place() -> Result<PathBuf, CacheError> {
    if let Some(folder) = env::var_os(FOLDER_VARIABLE).filter(|folder| !folder.is_empty()) {
        return Ok(Path::new(&folder).join(FILE));
    }
    let folders = ProjectDirs::from("", "", "regatta").ok_or(CacheError::NoFolder)?;
    Ok(folders.cache_dir().join(FILE))
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> CacheError {
    let path = path.to_owned();
    move |source| {
        CacheError::Store(StoreError::Io {
            action,
            path,
            source,
        })
    }
}

impl Cache {
    /// What is there; nothing where there is no file.
    ///
    /// # Errors
    /// When it cannot be read, or is no such file.
    pub fn read(path: &Path) -> Result<Self, CacheError> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(io("read", path)(error)),
        };
        let unreadable = |reason: String| CacheError::Unreadable {
            path: path.to_owned(),
            reason,
        };
        let damaged = |error: serde_json::Error| unreadable(error.to_string());
        let read: serde_json::Value = serde_json::from_slice(&text).map_err(damaged)?;
        // The rest of another version may be anything.
        match read["schema_version"].as_u64() {
            Some(version) if version != u64::from(SCHEMA_VERSION) => Err(unreadable(format!(
                "schema_version is {version}, and this version knows {SCHEMA_VERSION}"
            ))),
            _ => serde_json::from_value(read).map_err(damaged),
        }
    }

    /// Replaces the file, and makes its folder.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn write(&self, path: &Path) -> Result<(), CacheError> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(io("create", folder))?;
        }
        let text = serde_json::to_string_pretty(self).expect("a cache is plain JSON");
        Ok(write_text(path, &(text + "\n"))?)
    }

    /// Removes the file; `false` when there is none.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn clear(path: &Path) -> Result<bool, CacheError> {
        match fs::remove_file(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(io("remove", path)(error)),
        }
    }

    /// What is known of a class.
    pub fn known(&self, key: &Key, class: &str) -> Vec<Measurement> {
        let mut all = self.entries.iter();
        let entry = all.find(|entry| entry.key == *key && entry.class == class);
        entry
            .map(|entry| entry.measured.clone())
            .unwrap_or_default()
    }

    /// Replaces what is known of the entry's class; an entry that says nothing is left out.
    pub fn put(&mut self, entry: Entry) {
        let same = |other: &&mut Entry| (&other.key, &other.class) == (&entry.key, &entry.class);
        match self.entries.iter_mut().find(same) {
            Some(there) => *there = entry,
            None if entry.measured.is_empty() => {}
            None => self.entries.push(entry),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::gpu::WaveClass;
    use crate::train::Shape;

    fn key() -> Key {
        Key {
            adapter: "a card".to_owned(),
            backend: "vulkan".to_owned(),
            driver: "1.0".to_owned(),
            version: "0.1.0".to_owned(),
            shaders: "abc".to_owned(),
        }
    }

    fn measured(form: &str) -> Vec<Measurement> {
        vec![Measurement {
            form: form.to_owned(),
            trial_samples: 10,
            epochs_s: vec![0.1],
            compile_s: 1.0,
            took_s: 1.5,
            error: None,
            gave_up: false,
            passing: false,
        }]
    }

    #[test]
    fn what_was_put_is_read_again_for_the_same_driver_and_class() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below").join(FILE);
        let class = |members| WaveClass::new(&Shape::new(64, &[64], 10), members).to_string();
        let mut cache = Cache::read(&path).unwrap();
        assert_eq!(cache, Cache::default());
        let entry = |measured| Entry {
            key: key(),
            class: class(64),
            measured,
        };
        cache.put(entry(Vec::new()));
        assert_eq!(cache.entries, [], "nothing to say");
        cache.put(entry(measured("first")));
        cache.put(entry(measured("second")));
        cache.write(&path).unwrap();
        let read = Cache::read(&path).unwrap();
        assert_eq!(read, cache);
        assert_eq!(read.known(&key(), &class(64)), measured("second"));
        assert_eq!(read.known(&key(), &class(1)), []);
        let newer = Key {
            driver: "1.1".to_owned(),
            ..key()
        };
        assert_eq!(read.known(&newer, &class(64)), []);
        assert!(Cache::clear(&path).unwrap());
        assert!(!Cache::clear(&path).unwrap());
    }

    #[test]
    fn a_torn_file_and_one_of_another_version_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        for text in [
            "{\"schema_version\":1,\"ent",
            "{\"schema_version\":9,\"forms\":[]}",
        ] {
            fs::write(&path, text).unwrap();
            let error = Cache::read(&path).unwrap_err().to_string();
            let version = if text.contains('9') {
                "schema_version is 9"
            } else {
                "EOF"
            };
            for word in [FILE, "--clear", version] {
                assert!(error.contains(word), "{error}");
            }
        }
    }
}
