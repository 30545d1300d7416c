//! `regatta check`.

use std::process::ExitCode;
use std::time::Instant;

use serde::Serialize;

use super::adapters::{self, Adapter, Found};
use super::arguments::CheckArguments;
use super::{exit, output};
use crate::engine::cpu::CpuEngine;
use crate::engine::gpu::check::{self, KernelReport, Load};
use crate::engine::gpu::{EngineKind, GpuAdapter, GpuEngine, Options};
use crate::engine::{AdapterDescription, Engine, EngineError};

/// An entry of `regatta check --json`.
#[derive(Serialize)]
struct Checked {
    name: String,
    backend: String,
    driver: String,
    passed: bool,
    kernels: Vec<Line>,
    /// Why the checks ended before their end, if so.
    error: Option<String>,
    wall_s: f64,
}

/// What was found of one kernel.
#[derive(Serialize)]
struct Line {
    kernel: String,
    cases: u64,
    /// As a share of its limit; null where a result is no number.
    largest_error: f64,
    at: String,
    passed: bool,
    failed: u64,
    failures: Vec<String>,
}

impl Line {
    fn of(report: &KernelReport) -> Self {
        Self {
            kernel: report.kernel.clone(),
            cases: report.cases,
            largest_error: report.largest_error,
            at: report.at.clone(),
            passed: report.passed(),
            failed: report.failed,
            failures: report.failures.clone(),
        }
    }
}

/// Prints lines as they come, unless JSON is wanted. The first error of stdout is kept.
struct Printer {
    silent: bool,
    printed: anyhow::Result<()>,
}

impl Printer {
    fn print(&mut self, text: &str) {
        if !self.silent && self.printed.is_ok() {
            self.printed = output::print(text);
        }
    }
}

/// Checks the adapters one after another.
pub fn run(arguments: &CheckArguments) -> anyhow::Result<ExitCode> {
    let load = Load {
        members: arguments.members as usize,
        repeats: arguments.repeats as usize,
    };
    let mut printer = Printer {
        silent: arguments.json,
        printed: Ok(()),
    };
    let mut checked = Vec::new();
    for found in adapters::find_all(&arguments.adapter)? {
        checked.push(check_adapter(&found, load, &mut printer)?);
        // Nobody reads on: the other adapters need not be checked.
        std::mem::replace(&mut printer.printed, Ok(()))?;
    }
    if arguments.json {
        output::print_json(&checked)?;
    }
    let passed = checked.iter().all(|checked| checked.passed);
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(exit::FAILED)
    })
}

fn check_adapter(found: &Found, load: Load, printer: &mut Printer) -> Result<Checked, EngineError> {
    let begin = Instant::now();
    let description = match &found.adapter {
        Adapter::Cpu => CpuEngine::<f32>::new(None)?.adapter(),
        Adapter::Gpu(gpu) => gpu.description(),
    };
    printer.print(&heading(&description));
    let mut kernels = Vec::new();
    let mut note = |report: &KernelReport| {
        printer.print(&text(report));
        kernels.push(Line::of(report));
    };
    let result = match &found.adapter {
        Adapter::Cpu => check_cpu(load, &mut note),
        Adapter::Gpu(gpu) => check_gpu(gpu, load, &mut note),
    };
    let error = result.err().map(|error| error.to_string());
    let passed = error.is_none() && kernels.iter().all(|line| line.passed);
    let wall_s = begin.elapsed().as_secs_f64();
    if let Some(error) = &error {
        printer.print(&format!("  FAIL  {error}\n"));
    }
    printer.print(&ending(passed, wall_s));
    Ok(Checked {
        name: description.name,
        backend: description.backend,
        driver: description.driver,
        passed,
        kernels,
        error,
        wall_s,
    })
}

/// The kernels' functions on the processor, then the engine's bits.
fn check_cpu(load: Load, note: &mut dyn FnMut(&KernelReport)) -> Result<(), EngineError> {
    check::check_native(note);
    let engine = CpuEngine::<f32>::new(None)?;
    note(&check::bit_identity(&engine, &engine, load)?);
    Ok(())
}

fn check_gpu(
    adapter: &GpuAdapter,
    load: Load,
    note: &mut dyn FnMut(&KernelReport),
) -> Result<(), EngineError> {
    let gpu = adapter.open()?;
    let options = Options::for_adapter(adapter);
    check::check(&gpu, options.checks, options.tiles, note)?;
    let by = |engine| Options { engine, ..options };
    let layered = GpuEngine::new(gpu, by(EngineKind::Layered));
    note(&check::bit_identity(&layered, &layered, load)?);
    if !adapter.has_coherent_buffers() {
        return Ok(());
    }
    let resident =
        || Ok::<_, EngineError>(GpuEngine::new(adapter.open()?, by(EngineKind::Resident)));
    let (resident, fresh) = (resident()?, resident()?);
    note(&check::agreement(&layered, &resident, "resident")?);
    let report = check::bit_identity(&resident, &fresh, load)?;
    note(&KernelReport {
        kernel: "bit identity, resident".to_owned(),
        ..report
    });
    Ok(())
}

fn heading(adapter: &AdapterDescription) -> String {
    let AdapterDescription {
        name,
        backend,
        driver,
        ..
    } = adapter;
    format!(
        "{name} ({backend}, {driver})\n        kernel                          cases  error/limit  where it is largest\n"
    )
}

fn text(report: &KernelReport) -> String {
    let verdict = if report.passed() { "ok  " } else { "FAIL" };
    let KernelReport {
        kernel,
        cases,
        largest_error,
        at,
        ..
    } = report;
    let line = format!("  {verdict}  {kernel:<30}  {cases:>5}  {largest_error:>11.3}  {at}");
    let mut text = format!("{}\n", line.trim_end());
    for failure in &report.failures {
        text += &format!("          {failure}\n");
    }
    let more = report.failed - report.failures.len() as u64;
    if more > 0 {
        text += &format!("          and {more} more\n");
    }
    text
}

fn ending(passed: bool, wall_s: f64) -> String {
    let verdict = if passed { "passed" } else { "FAILED" };
    format!("  {verdict} in {wall_s:.1} s\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_kernel_and_its_failures_below() {
        let mut report = KernelReport {
            cases: 44,
            largest_error: 0.0954,
            at: "1-1, outputs[3]".to_owned(),
            ..KernelReport::new("dense_forward")
        };
        insta::assert_snapshot!(text(&report), @"  ok    dense_forward                      44        0.095  1-1, outputs[3]");
        for i in 0..7 {
            report.fail(format!("case {i}: wrong"));
        }
        insta::assert_snapshot!(text(&report), @r"
          FAIL  dense_forward                      44        0.095  1-1, outputs[3]
                  case 0: wrong
                  case 1: wrong
                  case 2: wrong
                  case 3: wrong
                  case 4: wrong
                  and 2 more
        ");
    }
}
