//! Exit codes, and how errors are printed.

use std::io;
use std::process::ExitCode;

use clap::error::ErrorKind;

use crate::bench::BenchError;
use crate::data::DataError;
use crate::engine::EngineError;
use crate::space::SpaceError;
use crate::store::StoreError;
use crate::study::StudyError;

use super::adapters::NoSuchAdapter;
use super::output;

/// Failed while running.
pub const FAILED: u8 = 1;
/// Bad usage or input.
pub const USAGE: u8 = 2;
/// No such adapter, or one that cannot be used.
pub const NO_ADAPTER: u8 = 3;
/// Interrupted; what was done is kept.
pub const INTERRUPTED: u8 = 130;

/// A mistake in what was asked for that no layer below knows of.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Prints what the argument parser says: help on stdout, a mistake as one sentence on stderr.
pub fn of_usage(error: &clap::Error) -> ExitCode {
    let asks_for_help = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if !error.use_stderr() || asks_for_help {
        // Nothing is left to be done when not even this can be printed.
        let _ = error.print();
        return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
    }
    output::tell(&one_sentence(&error.render().to_string()));
    ExitCode::from(USAGE)
}

/// The parser's message without its usage lines: the mistake, then what it suggests.
fn one_sentence(message: &str) -> String {
    let lines = message
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let said =
        lines.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let words: Vec<&str> = said.collect();
    format!("{} (see --help)", words.join("; ").replace(":; ", ": "))
}

/// Prints the error and its causes in one line.
pub fn of_error(error: &anyhow::Error) -> ExitCode {
    if is_closed_pipe(error) {
        return ExitCode::SUCCESS;
    }
    output::tell(&format!("error: {error:#}"));
    ExitCode::from(code(error))
}

fn code(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if cause.is::<NoSuchAdapter>() || cause.downcast_ref().is_some_and(is_lacking) {
            return NO_ADAPTER;
        }
        let usage = cause.is::<Usage>()
            || cause.is::<DataError>()
            || cause.is::<SpaceError>()
            || cause.downcast_ref().is_some_and(BenchError::is_usage)
            || cause.downcast_ref().is_some_and(StoreError::is_usage)
            || cause.downcast_ref().is_some_and(StudyError::is_usage);
        if usage {
            return USAGE;
        }
    }
    FAILED
}

/// The adapter is there, and cannot be used.
fn is_lacking(error: &EngineError) -> bool {
    matches!(error, EngineError::AdapterLacks { .. })
}

/// The reader of our output went away, as `head` does: no failure of ours.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let broken = |cause: &(dyn std::error::Error + 'static)| {
        let io = cause.downcast_ref::<io::Error>();
        io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    error.downcast_ref::<output::Stdout>().is_some() && error.chain().any(broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_that_cannot_be_used_is_as_good_as_none() {
        let lacks = EngineError::AdapterLacks {
            adapter: "softpipe".to_owned(),
            what: "compute stages".to_owned(),
            value: 0,
            needed: 1,
        };
        assert_eq!(code(&lacks.into()), NO_ADAPTER);
        let failed = EngineError::Device {
            adapter: "softpipe".to_owned(),
            reason: "no".to_owned(),
        };
        assert_eq!(code(&failed.into()), FAILED);
    }

    #[test]
    fn a_mistake_is_one_sentence_with_what_is_suggested() {
        let message = "error: unexpected argument '--fold' found\n\n  tip: a similar argument exists: '--folds'\n\nUsage: regatta sweep\n\nFor more information, try '--help'.\n";
        assert_eq!(
            one_sentence(message),
            "error: unexpected argument '--fold' found; tip: a similar argument exists: '--folds' (see --help)"
        );
    }
}
