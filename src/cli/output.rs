//! What goes to stdout, and how.

use std::ffi::OsStr;
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
    // In one piece, so that lines of two processes do not mix.
    let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// Prints a record as `summary.json` and its like hold it.
pub fn print_json<R: serde::Serialize>(record: &R) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(record).context("a record is plain JSON")?;
    print(&(text + "\n"))
}

/// Colours and width for a table on stdout.
pub fn table_style() -> TableStyle {
    let no_color = std::env::var_os("NO_COLOR");
    let terminal = io::stdout().is_terminal();
    style(
        terminal,
        no_color.as_deref(),
        comfy_table::Table::new().width(),
    )
}

/// A pipe gets neither colours nor a width, and `NO_COLOR` (no-color.org: set and not empty) takes
/// the colours away. Some terminals report no width, or none that anything could be shown in.
fn style(terminal: bool, no_color: Option<&OsStr>, width: Option<u16>) -> TableStyle {
    TableStyle {
        color: terminal && no_color.is_none_or(OsStr::is_empty),
        width: width.filter(|&width| terminal && width >= 40),
    }
}

/// Prints the completion script of a shell.
pub fn completions(shell: Shell) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "regatta", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_widths_are_for_terminals_that_want_them() {
        let text = |text: &'static str| Some(OsStr::new(text));
        for (terminal, no_color, width, color, shown) in [
            (true, None, Some(100), true, Some(100)),
            (true, text(""), Some(100), true, Some(100)),
            (true, text("1"), Some(100), false, Some(100)),
            (true, None, Some(0), true, None),
            (true, None, None, true, None),
            (false, None, Some(100), false, None),
        ] {
            let style = style(terminal, no_color, width);
            assert_eq!(
                (style.color, style.width),
                (color, shown),
                "{terminal} {no_color:?}"
            );
        }
    }
}
