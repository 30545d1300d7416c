//! The command line: one file a command.

mod adapters;
mod arguments;
mod bench;
mod check;
mod exit;
mod init;
mod output;
mod progress;
mod report;
mod sweep;
mod timeline;
mod tune_kernels;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use arguments::{Arguments, Command};

/// Parses the arguments, runs the command, prints the error chain, and gives the exit code:
/// 0 done, 1 failed while running, 2 bad usage or input, 3 no such adapter, 130 interrupted.
pub fn main(started: Instant) -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return exit::of_usage(&error),
    };
    let result = match arguments.command {
        Command::Sweep(command) => sweep::run(&command, started),
        Command::Init(command) => init::run(&command),
        Command::Adapters(command) => adapters::run(&command),
        Command::Bench(command) => bench::run(&command),
        Command::Check(command) => check::run(&command),
        Command::TuneKernels(command) => tune_kernels::run(&command),
        Command::Report(command) => report::run(&command),
        Command::Completions(command) => output::completions(command.shell),
    };
    match result {
        Ok(code) => code,
        Err(error) => exit::of_error(&error),
    }
}
