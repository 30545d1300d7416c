//! `--trace FILE`.

use std::path::{Path, PathBuf};

use super::exit::Usage;
use super::output;
use crate::engine::Trace;
use crate::store::write_text;

/// A trace, and the file that it goes to.
pub struct Timeline {
    /// Off where no file was named.
    pub trace: Trace,
    path: Option<PathBuf>,
}

impl Timeline {
    /// Begins to record, if a file is named.
    ///
    /// # Errors
    /// [`Usage`] when something is there, or its folder is not.
    pub fn new(path: Option<&Path>) -> Result<Self, Usage> {
        let Some(path) = path else {
            return Ok(Self {
                trace: Trace::default(),
                path: None,
            });
        };
        let shown = path.display();
        if path.exists() {
            return Err(Usage(format!(
                "--trace {shown} exists, and is left as it is; name another file"
            )));
        }
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        if folder.is_some_and(|folder| !folder.is_dir()) {
            return Err(Usage(format!(
                "--trace {shown} is in a folder that does not exist; make it, or name another file"
            )));
        }
        Ok(Self {
            trace: Trace::begin(),
            path: Some(path.to_owned()),
        })
    }

    /// Writes what was recorded, however the command ended, and says how busy the device was, unless nothing
    /// but warnings is wanted.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn write(&self, quiet: bool) -> anyhow::Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        if self.trace.spans().is_empty() {
            return Ok(());
        }
        // The run itself may have put something there.
        anyhow::ensure!(
            !path.exists(),
            "--trace {} exists by now, and is left as it is",
            path.display()
        );
        write_text(path, &format!("{}\n", self.trace.json()))?;
        let busy = match self.trace.busy() {
            None => "no pass of a device was recorded: not every device has timestamps".to_owned(),
            Some(busy) => format!(
                "the device was busy for {:.1} % of {:.1} s",
                100.0 * busy.share(),
                busy.wall_s
            ),
        };
        if !quiet {
            output::tell(&format!("trace    {} ({busy})", path.display()));
        }
        Ok(())
    }
}
