//! The binary: everything is in [`regatta::cli`].

use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    regatta::cli::main(Instant::now())
}
