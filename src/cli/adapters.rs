//! `regatta adapters`, and the choice of one.

use std::process::ExitCode;

use comfy_table::Table;
use serde::Serialize;

use super::arguments::AdaptersArguments;
use super::exit::Usage;
use super::output;
use crate::engine::cpu::CpuEngine;
use crate::engine::{AdapterDescription, Engine};
use crate::study::adapter_record;

/// What `--adapter` names is not here.
#[derive(Debug, thiserror::Error)]
#[error("there is no adapter `{name}` here; there is: {list} (see `regatta adapters`)")]
pub struct NoSuchAdapter {
    name: String,
    list: String,
}

/// A line of `regatta adapters --json`.
#[derive(Serialize)]
struct Listed {
    index: usize,
    kind: &'static str,
    auto: bool,
    #[serde(flatten)]
    adapter: crate::store::AdapterRecord,
}

/// Lists the adapters.
pub fn run(arguments: &AdaptersArguments) -> anyhow::Result<ExitCode> {
    let engine = CpuEngine::<f32>::new(None)?;
    let listed = [Listed {
        index: 0,
        kind: "cpu",
        auto: true,
        adapter: adapter_record(&engine),
    }];
    if arguments.json {
        output::print_json(&listed)?;
    } else {
        output::print(&table(&listed))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn table(listed: &[Listed]) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
    table.set_header(["#", "kind", "name", "backend", "driver", "engine", "limits"]);
    for entry in listed {
        let adapter = &entry.adapter;
        let limits = adapter
            .limits
            .iter()
            .map(|(name, value)| limit_text(name, *value));
        table.add_row([
            entry.index.to_string(),
            entry.kind.to_owned(),
            adapter.name.clone(),
            adapter.backend.clone(),
            adapter.driver.clone(),
            adapter.engine.clone(),
            limits.collect::<Vec<_>>().join(", "),
        ]);
    }
    format!("{table}\n`--adapter auto` takes 0\n")
}

fn limit_text(name: &str, value: u64) -> String {
    match name.strip_suffix("_bytes") {
        Some(name) => format!("{:.1} GiB {name}", value as f64 / f64::from(1 << 30)),
        None => format!("{value} {name}"),
    }
}

/// The engine that `--adapter`, `--engine` and `--threads` name.
///
/// # Errors
/// [`NoSuchAdapter`] (exit code 3), or [`Usage`] for an engine that the cpu adapter does not have.
pub fn choose(
    adapter: &str,
    engine: Option<&str>,
    threads: Option<u16>,
) -> anyhow::Result<Box<dyn Engine>> {
    let cpu = CpuEngine::<f32>::new(threads.map(usize::from))?;
    let description = cpu.adapter();
    if !names_cpu(adapter, &description) {
        return Err(NoSuchAdapter {
            name: adapter.to_owned(),
            list: format!("0 `cpu` ({})", description.name),
        }
        .into());
    }
    match engine {
        None => Ok(Box::new(cpu)),
        Some("auto") if adapter == "auto" => Ok(Box::new(cpu)),
        Some(word @ ("auto" | "layered" | "resident")) => Err(Usage(format!(
            "--engine {word} is for GPU adapters, and the adapter is `cpu`, which has one engine; leave out --engine"
        ))
        .into()),
        Some(word) => Err(Usage(format!(
            "--engine {word} is none of: auto, layered, resident"
        ))
        .into()),
    }
}

/// `auto`, `cpu`, `all`, the index, or a part of name, driver or backend, alone or as
/// `backend:part`; case does not matter.
fn names_cpu(adapter: &str, description: &AdapterDescription) -> bool {
    let wanted = adapter.to_lowercase();
    if ["auto", "cpu", "all", "0"].contains(&wanted.as_str()) {
        return true;
    }
    let [name, driver, backend] =
        [&description.name, &description.driver, &description.backend].map(|s| s.to_lowercase());
    let is_number = wanted.chars().all(|c| c.is_ascii_digit());
    if wanted.is_empty() || is_number {
        return false;
    }
    if let Some((wanted_backend, part)) = wanted.split_once(':') {
        return backend == wanted_backend && (name.contains(part) || driver.contains(part));
    }
    [name, driver, backend]
        .iter()
        .any(|text| text.contains(&wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_by_word_index_part_and_backend() {
        let description = AdapterDescription {
            name: "AMD EPYC 9654".to_owned(),
            backend: "native".to_owned(),
            driver: "regatta 0.1.0 (avx512)".to_owned(),
            engine: "cpu".to_owned(),
            limits: Default::default(),
            variants: Default::default(),
        };
        for (adapter, expected) in [
            ("auto", true),
            ("CPU", true),
            ("all", true),
            ("0", true),
            ("1", false),
            ("9654", false),
            ("epyc", true),
            ("avx512", true),
            ("native:epyc", true),
            ("vulkan:epyc", false),
            ("llvmpipe", false),
            ("", false),
        ] {
            assert_eq!(names_cpu(adapter, &description), expected, "{adapter}");
        }
    }
}
