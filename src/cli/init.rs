//! `regatta init`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use anyhow::Context;

use super::arguments::InitArguments;
use super::exit::Usage;
use super::output;
use crate::space::sweep_file_template;

/// Prints the template, or writes it to a new file.
pub fn run(arguments: &InitArguments) -> anyhow::Result<ExitCode> {
    let Some(path) = &arguments.out else {
        output::print(sweep_file_template())?;
        return Ok(ExitCode::SUCCESS);
    };
    let shown = path.display();
    let mut file = match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let message =
                format!("{shown} exists already; nothing is overwritten: name another file");
            return Err(Usage(message).into());
        }
        Err(error) => return Err(error).with_context(|| format!("cannot create {shown}")),
    };
    file.write_all(sweep_file_template().as_bytes())
        .with_context(|| format!("cannot write {shown}"))?;
    Ok(ExitCode::SUCCESS)
}
