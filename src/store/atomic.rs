//! Whole files: written beside their place, synced, and renamed into it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::StoreError;

/// Beginning of the names of files that are being written.
const PREFIX: &str = ".regatta-part-";

/// Replaces the file at `path` by what `fill` writes. On an error the old file stays, and nothing
/// new is left.
pub fn write<E: From<StoreError>>(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&File>) -> Result<(), E>,
) -> Result<(), E> {
    let part = part(path, fill)?;
    let kept = part.persist(path);
    kept.map_err(|error| StoreError::io("write", path)(error.error))?;
    Ok(sync_folder(path)?)
}

/// Writes a file that is not there yet; `false` when it is, be it only by now.
pub fn create(path: &Path, bytes: &[u8]) -> Result<bool, StoreError> {
    let part = part(path, |writer| {
        writer
            .write_all(bytes)
            .map_err(StoreError::io("write", path))
    })?;
    match part.persist_noclobber(path) {
        Ok(_) => sync_folder(path).map(|()| true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(StoreError::io("write", path)(error.error)),
    }
}

/// What `fill` writes, synced, in a file beside its place.
fn part<E: From<StoreError>>(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&File>) -> Result<(), E>,
) -> Result<tempfile::NamedTempFile, E> {
    let folder = folder_of(path);
    if !folder.is_dir() {
        let reason = io::Error::new(io::ErrorKind::NotFound, "its folder does not exist");
        return Err(StoreError::io("write", path)(reason).into());
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX);
    // Temporary files are private by default; a run is as readable as any new file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let part = builder
        .tempfile_in(folder)
        .map_err(|error| StoreError::io("write", path)(plain(&error)))?;
    let mut writer = BufWriter::new(part.as_file());
    fill(&mut writer)?;
    writer.flush().map_err(StoreError::io("write", path))?;
    drop(writer);
    part.as_file()
        .sync_all()
        .map_err(StoreError::io("write", path))?;
    Ok(part)
}

/// The new name itself must survive a power loss, too.
fn sync_folder(path: &Path) -> Result<(), StoreError> {
    // Other systems open no folder.
    #[cfg(not(unix))]
    let _ = path;
    #[cfg(unix)]
    File::open(folder_of(path))
        .and_then(|folder| folder.sync_all())
        .map_err(StoreError::io("write", path))?;
    Ok(())
}

/// The system's reason without the name of the temporary file, which tells nobody anything.
fn plain(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::from(error.kind()),
    }
}

/// The folder that a file is in; that of a bare name is the current one.
fn folder_of(path: &Path) -> &Path {
    let parent = path.parent().unwrap_or(Path::new(""));
    if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    }
}

/// Replaces the file at `path` by these bytes.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    write(path, |writer| {
        writer
            .write_all(bytes)
            .map_err(StoreError::io("write", path))
    })
}

/// Removes what a killed process left half written in `folder`.
pub fn remove_parts(folder: &Path) -> Result<(), StoreError> {
    for path in entries(folder)? {
        if is_part(&path) {
            fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
        }
    }
    Ok(())
}

/// The folder holds nothing, or only what a killed process left half written.
pub fn is_empty(folder: &Path) -> Result<bool, StoreError> {
    Ok(entries(folder)?.iter().all(|path| is_part(path)))
}

fn entries(folder: &Path) -> Result<Vec<std::path::PathBuf>, StoreError> {
    let list = || -> io::Result<_> { fs::read_dir(folder)?.map(|e| Ok(e?.path())).collect() };
    list().map_err(StoreError::io("read", folder))
}

fn is_part(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(PREFIX))
}
