//! What goes to stdout, and how.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use super::arguments::Arguments;
use crate::report::TableStyle;

/// Marks errors that came from writing to stdout.
#[derive(Debug)]
pub struct Stdout;

impl std::fmt::Display for Stdout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cannot write to stdout")
    }
}

/// Prints text as it is.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    written.context(Stdout)
}

/// Prints a line on stderr. That nobody can read it is no reason to stop: a sweep goes on.
pub fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints a record as `summary.json` and its like hold it.
pub fn print_json<R: serde::Serialize>(record: &R) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(record).context("a record is plain JSON")?;
    print(&(text + "\n"))
}

/// Colours and width for a table on stdout: none of either in a pipe, no colours with `NO_COLOR`.
pub fn table_style() -> TableStyle {
    let terminal = io::stdout().is_terminal();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    TableStyle {
        color: terminal && !no_color,
        width: terminal.then(terminal_width).flatten(),
    }
}

fn terminal_width() -> Option<u16> {
    // Some terminals report no width, or none that anything could be shown in.
    comfy_table::Table::new()
        .width()
        .filter(|&width| width >= 40)
}

/// Prints the completion script of a shell.
pub fn completions(shell: Shell) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "regatta", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
