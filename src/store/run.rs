//! The folder of a run: made, gone on with, and read.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::checkpoint::{self, Checkpoint};
use super::jsonl::{Appender, Reader};
use super::{
    NetworkFile, RunRecord, SCHEMA_VERSION, StoreError, SummaryRecord, TrialRecord, WaveRecord,
    atomic,
};
use crate::engine::Trace;

const RUN: &str = "run.json";
const TRIALS: &str = "trials.jsonl";
const WAVES: &str = "waves.jsonl";
const SUMMARY: &str = "summary.json";
const CV_RESULTS: &str = "cv_results.csv";
const NETWORK: &str = "best.safetensors";
const CHECKPOINT: &str = "checkpoint";
const WAVE: &str = "checkpoint/wave.safetensors";
/// Folder of the runs that are not given another, and the name of the newest in it.
const RUNS: &str = "runs";
const LATEST: &str = "latest";

/// A run that is being written. While it is open, no other process can write it.
pub struct Run {
    folder: PathBuf,
    records: Arc<Mutex<Records>>,
    /// The thread that appends to them.
    behind: Option<JoinHandle<Result<(), StoreError>>>,
    /// Holds the lock until the run is closed.
    _lock: File,
}

/// The files of a run that grow.
struct Records {
    trials: Appender,
    waves: Appender,
}

impl Records {
    fn append(&mut self, wave: &WaveRecord, trials: &[TrialRecord]) -> Result<(), StoreError> {
        self.waves.append(std::slice::from_ref(wave))?;
        self.waves.sync()?;
        self.trials.append(trials)?;
        self.trials.sync()
    }
}

/// A run that was opened to go on.
pub struct Opened {
    /// The run.
    pub run: Run,
    /// How it was begun.
    pub record: RunRecord,
    /// Bytes of torn lines that were cut off.
    pub torn_bytes: u64,
}

/// Makes a new folder `runs/<data>-<UTC time>`, with a number behind it if that exists: no two
/// processes are given the same.
///
/// # Errors
/// The system's refusal.
pub fn default_folder(data: &str) -> Result<PathBuf, StoreError> {
    let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let runs = Path::new(RUNS);
    fs::create_dir_all(runs).map_err(StoreError::io("create", runs))?;
    let mut number = 1;
    loop {
        let suffix = if number == 1 {
            String::new()
        } else {
            format!("-{number}")
        };
        let folder = runs.join(format!("{data}-{time}{suffix}"));
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(StoreError::io("create", &folder)(error)),
        }
    }
}

/// Whether `folder` holds anything that a new run would have to overwrite.
///
/// # Errors
/// The system's refusal to look.
pub fn is_taken(folder: &Path) -> Result<bool, StoreError> {
    Ok(folder.exists() && !(folder.is_dir() && atomic::is_empty(folder)?))
}

/// Begins a run in a new or empty folder.
///
/// # Errors
/// [`StoreError::Exists`] when the folder holds anything; else the system's refusal.
pub fn create(folder: &Path, record: &RunRecord) -> Result<Run, StoreError> {
    let exists = || StoreError::Exists {
        path: folder.to_owned(),
    };
    if is_taken(folder)? {
        return Err(exists());
    }
    fs::create_dir_all(folder).map_err(StoreError::io("create", folder))?;
    // Of several processes that begin a run here at once, one makes this file.
    if !atomic::create(&folder.join(RUN), &json_bytes(record))? {
        return Err(exists());
    }
    let checkpoints = folder.join(CHECKPOINT);
    fs::create_dir_all(&checkpoints).map_err(StoreError::io("create", &checkpoints))?;
    name_latest(folder);
    Ok(lock(folder)?.0)
}

/// Opens a run to go on with it; `None` when there is nothing at `folder` yet.
///
/// # Errors
/// [`StoreError::NotARun`] when the folder holds something else, [`StoreError::InUse`] when
/// another process writes it, [`StoreError::Damaged`] when its files cannot be read.
pub fn resume(folder: &Path) -> Result<Option<Opened>, StoreError> {
    if !is_taken(folder)? {
        return Ok(None);
    }
    let record = open(folder)?.run()?;
    let (run, torn_bytes) = lock(folder)?;
    atomic::remove_parts(folder)?;
    let checkpoints = folder.join(CHECKPOINT);
    fs::create_dir_all(&checkpoints).map_err(StoreError::io("create", &checkpoints))?;
    atomic::remove_parts(&checkpoints)?;
    Ok(Some(Opened {
        run,
        record,
        torn_bytes,
    }))
}

/// Opens a run to read it.
///
/// # Errors
/// [`StoreError::Missing`] or [`StoreError::NotARun`].
pub fn open(folder: &Path) -> Result<RunReader, StoreError> {
    if !folder.exists() {
        return Err(StoreError::Missing {
            path: folder.to_owned(),
        });
    }
    if !folder.join(RUN).is_file() {
        return Err(StoreError::NotARun {
            path: folder.to_owned(),
        });
    }
    Ok(RunReader {
        folder: folder.to_owned(),
    })
}

/// Locks the run and opens its growing files; also the number of torn bytes cut off.
fn lock(folder: &Path) -> Result<(Run, u64), StoreError> {
    let path = folder.join(RUN);
    let lock = File::open(&path).map_err(StoreError::io("open", &path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => {
            return Err(StoreError::InUse {
                path: folder.to_owned(),
            });
        }
        Err(fs::TryLockError::Error(error)) => return Err(StoreError::io("lock", &path)(error)),
    }
    let (waves, torn_waves) = Appender::open(&folder.join(WAVES))?;
    let (trials, torn_trials) = Appender::open(&folder.join(TRIALS))?;
    let run = Run {
        folder: folder.to_owned(),
        records: Arc::new(Mutex::new(Records { trials, waves })),
        behind: None,
        _lock: lock,
    };
    Ok((run, torn_waves + torn_trials))
}

/// Lets `runs/latest` name a new run of that folder. A convenience: without it all else works.
fn name_latest(folder: &Path) {
    let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) else {
        return;
    };
    let runs = fs::canonicalize(RUNS).ok();
    if runs.is_none() || fs::canonicalize(parent).ok() != runs {
        return;
    }
    let part = parent.join(format!(".regatta-part-latest-{}", std::process::id()));
    let _ = fs::remove_file(&part);
    #[cfg(unix)]
    let made = std::os::unix::fs::symlink(name, &part);
    #[cfg(not(unix))]
    let made = fs::write(&part, name.to_string_lossy().as_bytes());
    if made.is_ok() {
        let _ = fs::rename(&part, parent.join(LATEST));
    }
}

/// The newest run of the default folder: `runs/latest`.
pub fn latest() -> PathBuf {
    let latest = Path::new(RUNS).join(LATEST);
    // Where links cannot be made, `latest` is a file that holds the name.
    if latest.is_file()
        && let Ok(name) = fs::read_to_string(&latest)
    {
        return Path::new(RUNS).join(name.trim());
    }
    latest
}

impl Run {
    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the run holds so far.
    pub fn reader(&self) -> RunReader {
        RunReader {
            folder: self.folder.clone(),
        }
    }

    /// Appends what a wave cost, and then its finished trials, and syncs both, on a thread of its own;
    /// [`settle`](Self::settle) waits for it. Then the checkpoint is removed, which is of this wave or an earlier one,
    /// since no other is written before.
    ///
    /// In this order: a wave whose trials are not all there is trained again, and its line is
    /// replaced. What the system refuses, as a full disk does, is taken back as a whole.
    ///
    /// # Errors
    /// That of the call before.
    pub fn append_behind(
        &mut self,
        wave: WaveRecord,
        trials: Vec<TrialRecord>,
        trace: Trace,
    ) -> Result<(), StoreError> {
        self.settle()?;
        let (records, path) = (Arc::clone(&self.records), self.folder.join(WAVE));
        self.behind = Some(std::thread::spawn(move || {
            let _span = trace.records("write records");
            locked(&records).append(&wave, &trials)?;
            remove_file(&path)
        }));
        Ok(())
    }

    /// Waits for what is written behind.
    ///
    /// # Errors
    /// Why it could not be written.
    pub fn settle(&mut self) -> Result<(), StoreError> {
        let ended = self.behind.take().map(JoinHandle::join);
        ended.map_or(Ok(()), |done| {
            done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Whether what is written behind, if anything, could be written as far as that is known.
    ///
    /// # Errors
    /// Why it could not be.
    pub fn check(&mut self) -> Result<(), StoreError> {
        match &self.behind {
            Some(writing) if writing.is_finished() => self.settle(),
            _ => Ok(()),
        }
    }

    /// Forgets what the waves from this number on have cost, since they are trained again.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn forget_waves_from(&mut self, wave: u64) -> Result<(), StoreError> {
        self.settle()?;
        let all: Vec<WaveRecord> = self.reader().waves()?.collect::<Result<_, _>>()?;
        let kept: Vec<&WaveRecord> = all.iter().filter(|record| record.wave < wave).collect();
        if kept.len() < all.len() {
            locked(&self.records).waves.replace(&kept)?;
        }
        Ok(())
    }

    /// Stores the state of the unfinished wave in place of the one before.
    ///
    /// # Errors
    /// The system's refusal; the one before is kept.
    pub fn save_checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        self.settle()?;
        checkpoint::write(&self.folder.join(WAVE), checkpoint)
    }

    /// The state of the unfinished wave.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when it cannot be read.
    pub fn checkpoint(&mut self) -> Result<Option<Checkpoint>, StoreError> {
        self.settle()?;
        checkpoint::read(&self.folder.join(WAVE))
    }

    /// Removes the state of a wave that has ended.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn remove_checkpoint(&mut self) -> Result<(), StoreError> {
        self.settle()?;
        remove_file(&self.folder.join(WAVE))
    }

    /// Writes `cv_results.csv` as a whole.
    ///
    /// # Errors
    /// What `fill` returns, or the system's refusal.
    pub fn write_cv_results<E: From<StoreError>>(
        &self,
        fill: impl FnOnce(&mut BufWriter<&File>) -> Result<(), E>,
    ) -> Result<(), E> {
        atomic::write(&self.folder.join(CV_RESULTS), fill)
    }

    /// Writes `best.safetensors`: the best trial's refitted network.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn write_network(&self, network: &NetworkFile<'_>) -> Result<(), StoreError> {
        let path = self.folder.join(NETWORK);
        atomic::write_bytes(&path, &network.bytes(&path)?)
    }

    /// Writes `summary.json`: the run has ended.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn write_summary(&self, summary: &SummaryRecord) -> Result<(), StoreError> {
        write_json(&self.folder.join(SUMMARY), summary)
    }
}

impl Drop for Run {
    /// What is written behind is waited for; whoever wants to hear of an error settles before.
    fn drop(&mut self) {
        if let Some(writing) = self.behind.take() {
            let _ = writing.join();
        }
    }
}

fn locked(records: &Mutex<Records>) -> MutexGuard<'_, Records> {
    // A torn line is taken back or cut.
    records.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes a file that may not be there.
fn remove_file(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// A run that is only read.
#[derive(Clone, Debug)]
pub struct RunReader {
    folder: PathBuf,
}

impl RunReader {
    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How the run was begun.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] or [`StoreError::Newer`].
    pub fn run(&self) -> Result<RunRecord, StoreError> {
        let path = self.folder.join(RUN);
        let record: Option<RunRecord> = read_json(&path)?;
        record.ok_or_else(|| StoreError::NotARun {
            path: self.folder.clone(),
        })
    }

    /// How the run ended; `None` when it has not.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] or [`StoreError::Newer`].
    pub fn summary(&self) -> Result<Option<SummaryRecord>, StoreError> {
        read_json(&self.folder.join(SUMMARY))
    }

    /// Checks that a finished run still holds all its trials.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with the numbers.
    pub fn check_complete(&self, summary: &SummaryRecord) -> Result<(), StoreError> {
        let mut found = 0;
        for trial in self.trials()? {
            trial?;
            found += 1;
        }
        if found == summary.trials {
            return Ok(());
        }
        let reason = format!(
            "it holds {found} of the {} trials of a finished run",
            summary.trials
        );
        Err(StoreError::damaged(&self.folder.join(TRIALS), reason))
    }

    /// The finished trials, read one by one.
    ///
    /// # Errors
    /// The system's refusal; each item can be [`StoreError::Damaged`].
    pub fn trials(
        &self,
    ) -> Result<impl Iterator<Item = Result<TrialRecord, StoreError>> + use<>, StoreError> {
        Reader::open(&self.folder.join(TRIALS))
    }

    /// What the finished waves cost, read one by one.
    ///
    /// # Errors
    /// The system's refusal; each item can be [`StoreError::Damaged`].
    pub fn waves(
        &self,
    ) -> Result<impl Iterator<Item = Result<WaveRecord, StoreError>> + use<>, StoreError> {
        Reader::open(&self.folder.join(WAVES))
    }
}

/// Writes a whole file that is no part of a run, as a page or a bench record is: beside its place, and
/// renamed.
///
/// # Errors
/// The system's refusal.
pub fn write_text(path: &Path, text: &str) -> Result<(), StoreError> {
    atomic::write_bytes(path, text.as_bytes())
}

fn write_json<R: Serialize>(path: &Path, record: &R) -> Result<(), StoreError> {
    atomic::write_bytes(path, &json_bytes(record))
}

fn json_bytes<R: Serialize>(record: &R) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(record).expect("records are plain JSON");
    bytes.push(b'\n');
    bytes
}

/// Reads a file of one object, checking its schema version first.
fn read_json<R: DeserializeOwned>(path: &Path) -> Result<Option<R>, StoreError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io("read", path)(error)),
    };
    let value: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|error| StoreError::damaged(path, error))?;
    let version = value.get("schema_version").and_then(|v| v.as_u64());
    if let Some(found) = version.and_then(|v| u32::try_from(v).ok())
        && found > SCHEMA_VERSION
    {
        return Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            known: SCHEMA_VERSION,
        });
    }
    serde_json::from_value(value)
        .map(Some)
        .map_err(|error| StoreError::damaged(path, error))
}
