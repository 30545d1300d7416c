//! `regatta adapters`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use super::choice::{self, Kind};
use super::{Here, output};
use crate::cli::arguments::AdaptersArguments;
use crate::engine::gpu::AdapterKind;

/// Columns that the lines below the table keep to.
const WIDTH: usize = 100;
/// A space that no line ends at.
const NO_BREAK: &str = "\u{a0}";

/// An entry of `regatta adapters --json`.
#[derive(Clone, Serialize)]
struct Listed {
    index: usize,
    kind: &'static str,
    /// `--adapter auto` takes it.
    auto: bool,
    name: String,
    backend: String,
    driver: String,
    engine: String,
    limits: BTreeMap<String, u64>,
    variants: BTreeMap<String, String>,
    features: Vec<&'static str>,
    pci_id: Option<String>,
    /// It computes on the processor, behind a graphics API.
    software: bool,
    /// Something can be trained on it.
    usable: bool,
    /// How `auto` sees it, or why it cannot be used.
    reason: String,
}

/// Lists the adapters.
pub fn run(arguments: &AdaptersArguments) -> anyhow::Result<ExitCode> {
    let listed = list(Here::look()?);
    if arguments.json {
        output::print_json(&listed)?;
    } else {
        output::print(&text(&listed, output::table_style().width))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn list(here: Here) -> Vec<Listed> {
    let taken = choice::auto(&here.candidates).map(|choice| choice.index);
    let reasons = choice::reasons(&here.candidates);
    let entry = |(index, (candidate, reason)): (usize, (choice::Candidate, String))| {
        let gpu = index.checked_sub(1).and_then(|index| here.gpus.get(index));
        Listed {
            index,
            kind: candidate.kind.name(),
            auto: taken == Some(index),
            name: candidate.adapter.name,
            backend: candidate.adapter.backend,
            driver: candidate.adapter.driver,
            engine: candidate.adapter.engine,
            limits: candidate.adapter.limits,
            variants: candidate.adapter.variants,
            features: gpu.map_or_else(Vec::new, |gpu| gpu.feature_names()),
            pci_id: gpu.and_then(|gpu| gpu.pci_id()),
            software: candidate.kind == Kind::Gpu(AdapterKind::Software),
            usable: candidate.refusal.is_none(),
            reason,
        }
    };
    let pairs = here.candidates.into_iter().zip(reasons);
    pairs.enumerate().map(entry).collect()
}

/// The table, a block of lines for each adapter, and what `auto` takes.
fn text(listed: &[Listed], width: Option<u16>) -> String {
    let blocks: Vec<String> = listed.iter().map(block).collect();
    let auto = listed.iter().find(|entry| entry.auto);
    let auto = auto.map(|entry| {
        let (index, reason) = (entry.index, &entry.reason);
        wrapped("", &[format!("`--adapter auto` takes {index}: {reason}")])
    });
    format!(
        "{}\n\n{}\n{}",
        table(listed, width),
        blocks.concat(),
        auto.unwrap_or_default()
    )
}

fn table(listed: &[Listed], width: Option<u16>) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
    if let Some(width) = width {
        table.set_width(width);
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table.set_header(["#", "kind", "name", "backend", "driver"]);
    for entry in listed {
        let mark = if entry.auto { " *" } else { "" };
        table.add_row([
            format!("{}{mark}", entry.index),
            entry.kind.to_owned(),
            entry.name.clone(),
            entry.backend.clone(),
            entry.driver.clone(),
        ]);
    }
    table
}

/// Why it is or is not taken, limits, features, place on the bus.
fn block(entry: &Listed) -> String {
    let mut lines = wrapped(&format!("{}  ", entry.index), &limits_text(&entry.limits));
    if !entry.features.is_empty() {
        let features: Vec<String> = entry.features.iter().map(|&f| f.to_owned()).collect();
        lines += &wrapped("   features: ", &features);
    }
    if let Some(pci_id) = &entry.pci_id {
        lines += &wrapped("   ", &[format!("PCI {pci_id}")]);
    }
    if !entry.auto {
        let verdict = if entry.usable { "" } else { "not usable: " };
        lines += &wrapped("   ", &[format!("{verdict}{}", entry.reason)]);
    }
    lines
}

/// Items with commas between them, broken between items, or within one that is alone; later lines
/// are indented by three columns.
fn wrapped(head: &str, items: &[String]) -> String {
    let (mut text, mut column) = (head.to_owned(), head.len());
    let all = match items {
        [sentence] => sentence.clone(),
        _ => items
            .join(", ")
            .replace(' ', NO_BREAK)
            .replace(&format!(",{NO_BREAK}"), ", "),
    };
    for (at, word) in all.split(' ').enumerate() {
        let needed = word.chars().count() + 1;
        if at > 0 && column + needed > WIDTH {
            text += "\n   ";
            column = 3;
        } else if at > 0 {
            text.push(' ');
        }
        text += word;
        column += needed;
    }
    text.replace(NO_BREAK, " ") + "\n"
}

/// The limits in words; those without words of their own by name.
fn limits_text(limits: &BTreeMap<String, u64>) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let subgroups = ["subgroup_min_size", "subgroup_max_size"];
    for (name, value) in limits {
        if !subgroups.contains(&name.as_str()) {
            words.push(limit_text(name, *value));
        }
    }
    if let [Some(least), Some(most)] = subgroups.map(|name| limits.get(name)) {
        words.push(if least == most {
            format!("subgroups of {most}")
        } else {
            format!("subgroups of {least} to {most}")
        });
    }
    words
}

fn limit_text(name: &str, value: u64) -> String {
    match name {
        "max_buffer_size" => format!("buffers to {}", bytes_text(value)),
        "max_storage_buffer_binding_size" => format!("bindings to {}", bytes_text(value)),
        "max_storage_buffers_per_shader_stage" => format!("{value} storage buffers a stage"),
        "max_compute_workgroup_storage_size" => format!("{} workgroup memory", bytes_text(value)),
        "max_compute_invocations_per_workgroup" => format!("{value} invocations a workgroup"),
        "max_compute_workgroups_per_dimension" => format!("{value} workgroups a dimension"),
        _ => match name.strip_suffix("_bytes") {
            Some(name) => format!("{} {name}", bytes_text(value)),
            None => format!("{value} {name}"),
        },
    }
}

fn bytes_text(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..0x10_0000 => (1 << 10, "KiB"),
        0x10_0000..0x4000_0000 => (1 << 20, "MiB"),
        0x4000_0000.. => (1 << 30, "GiB"),
    };
    let shown = format!("{:.1}", bytes as f64 / f64::from(unit));
    format!("{} {name}", shown.trim_end_matches(".0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(index: usize, kind: &'static str, limits: &[(&str, u64)]) -> Listed {
        let limits = limits.iter().map(|&(k, v)| (k.to_owned(), v));
        Listed {
            index,
            kind,
            auto: false,
            name: "AMD EPYC 9654".to_owned(),
            backend: "native".to_owned(),
            driver: "regatta 0.1.0 (avx512)".to_owned(),
            engine: String::new(),
            limits: limits.collect(),
            variants: BTreeMap::new(),
            features: Vec::new(),
            pci_id: None,
            software: false,
            usable: true,
            reason: "`auto` takes 1 before it".to_owned(),
        }
    }

    #[test]
    fn the_listing_reads_well_in_100_columns() {
        let cpu = [("threads", 2), ("memory_bytes", 16_804_491_264)];
        let gpu = [
            ("max_buffer_size", 1 << 40),
            ("max_storage_buffer_binding_size", (1 << 31) - 4),
            ("max_storage_buffers_per_shader_stage", 524_288),
            ("max_compute_workgroup_storage_size", 49_152),
            ("max_compute_invocations_per_workgroup", 1024),
            ("max_compute_workgroups_per_dimension", 65_535),
            ("subgroup_min_size", 32),
            ("subgroup_max_size", 32),
        ];
        let card = Listed {
            auto: true,
            name: "NVIDIA H200".to_owned(),
            backend: "vulkan".to_owned(),
            driver: "NVIDIA 570.86.15".to_owned(),
            features: vec!["timestamp-query", "subgroups"],
            pci_id: Some("0000:01:00.0".to_owned()),
            reason: "the first discrete GPU, in the order discrete, integrated, virtual GPU, cpu; it passes over 2 (not usable)".to_owned(),
            ..listed(1, "discrete", &gpu)
        };
        let broken = Listed {
            usable: false,
            name: "old".to_owned(),
            backend: "gl".to_owned(),
            driver: "3.3".to_owned(),
            reason: "the adapter `x` has 4 storage buffers, and training needs 8".to_owned(),
            ..listed(
                2,
                "other",
                &[("subgroup_min_size", 8), ("subgroup_max_size", 32)],
            )
        };
        let text = text(&[listed(0, "cpu", &cpu), card, broken], None);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
        insta::assert_snapshot!(text, @r#"
        ┌─────┬──────────┬───────────────┬─────────┬────────────────────────┐
        │ #   ┆ kind     ┆ name          ┆ backend ┆ driver                 │
        ╞═════╪══════════╪═══════════════╪═════════╪════════════════════════╡
        │ 0   ┆ cpu      ┆ AMD EPYC 9654 ┆ native  ┆ regatta 0.1.0 (avx512) │
        │ 1 * ┆ discrete ┆ NVIDIA H200   ┆ vulkan  ┆ NVIDIA 570.86.15       │
        │ 2   ┆ other    ┆ old           ┆ gl      ┆ 3.3                    │
        └─────┴──────────┴───────────────┴─────────┴────────────────────────┘

        0  15.7 GiB memory, 2 threads
           `auto` takes 1 before it
        1  buffers to 1024 GiB, 1024 invocations a workgroup, 48 KiB workgroup memory,
           65535 workgroups a dimension, bindings to 2 GiB, 524288 storage buffers a stage, subgroups of 32
           features: timestamp-query, subgroups
           PCI 0000:01:00.0
        2  subgroups of 8 to 32
           not usable: the adapter `x` has 4 storage buffers, and training needs 8

        `--adapter auto` takes 1: the first discrete GPU, in the order discrete, integrated, virtual GPU,
           cpu; it passes over 2 (not usable)
"#);
    }

    #[test]
    fn bytes_have_the_unit_that_fits() {
        for (bytes, expected) in [
            (16_384, "16 KiB"),
            (134_217_728, "128 MiB"),
            ((1 << 31) - 1, "2 GiB"),
            (16_804_491_264, "15.7 GiB"),
            (0, "0 KiB"),
        ] {
            assert_eq!(bytes_text(bytes), expected);
        }
    }
}
