//! The binary: everything is in [`regatta::cli`].

use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let started = Instant::now();
    // SAFETY: this is the program's first act, and its only thread.
    unsafe { regatta::engine::gpu::quiet_drivers() };
    regatta::cli::main(started)
}
