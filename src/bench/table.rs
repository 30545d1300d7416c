//! A record as a person reads it.

use comfy_table::{CellAlignment, ContentArrangement, Table};

use super::{BenchRecord, CaseRecord, Figures, MixedRecord};
use crate::report::{number_text, rate_text};

const HEAD: [&str; 10] = [
    "engine",
    "shape",
    "batch",
    "members",
    "optimizer",
    "trial-samples/s",
    "steps/s",
    "GFLOP/s",
    "of FMA peak",
    "on device",
];
/// Columns of numbers: all from this one on, and batch and members.
const FIRST_FIGURE: usize = 5;
const NO_FIGURE: &str = "";

/// A block for each adapter: its name, and a row a case; then the errors in full.
pub fn table(record: &BenchRecord, width: Option<u16>) -> String {
    let blocks: Vec<String> = (0..record.adapters.len())
        .map(|adapter| block(record, adapter, width))
        .collect();
    blocks.join("\n")
}

fn block(record: &BenchRecord, adapter: usize, width: Option<u16>) -> String {
    let entry = &record.adapters[adapter];
    let mut text = format!("{} ({})", entry.adapter.name, entry.adapter.backend);
    if let Some(peak) = entry.fma_peak_gflops {
        text += &format!(", fma peak {}FLOP/s", spaced(peak * 1e9));
    }
    text.push('\n');
    let cases: Vec<&CaseRecord> = record
        .cases
        .iter()
        .filter(|case| case.adapter == adapter)
        .collect();
    text += &format!("{}\n", rows(&cases, width));
    for case in &cases {
        if let Some(error) = &case.error {
            text += &format!("{}: {error}\n", name(case));
        }
        if let Some(mixed) = case.figures.as_ref().and_then(|figures| figures.mixed) {
            text += &mixed_text(&mixed);
        }
    }
    text
}

fn rows(cases: &[&CaseRecord], width: Option<u16>) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
    if let Some(width) = width {
        table.set_width(width);
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table.set_header(HEAD);
    for case in cases {
        table.add_row(row(case));
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        if at >= FIRST_FIGURE || HEAD[at] == "batch" || HEAD[at] == "members" {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn row(case: &CaseRecord) -> Vec<String> {
    let mut row = vec![
        case.engine.clone(),
        shape_text(&case.shape),
        case.batch_size
            .map_or("mixed".to_owned(), |b| b.to_string()),
        case.members.to_string(),
        case.optimizer.clone().unwrap_or("mixed".to_owned()),
    ];
    match &case.figures {
        Some(figures) => row.extend(cells(figures)),
        None => row.push("failed".to_owned()),
    }
    row
}

fn cells(figures: &Figures) -> [String; 5] {
    let rate = figures.trial_samples_per_s;
    let share = |share: Option<f64>| {
        share.map_or(NO_FIGURE.to_owned(), |s| {
            format!("{} %", number_text(100.0 * s, 3))
        })
    };
    [
        format!(
            "{} ± {:.1} %",
            rate_text(Some(rate.median)),
            100.0 * rate.mad / rate.median
        ),
        rate_text(Some(figures.steps_per_s)),
        number_text(figures.gflops, 3),
        share(figures.share_of_fma_peak),
        share(figures.device_share),
    ]
}

/// A case in a line: what it is, then its figure or its error.
pub fn line(case: &CaseRecord) -> String {
    let figure = match (&case.figures, &case.error) {
        (Some(figures), _) => {
            let rate = rate_text(Some(figures.trial_samples_per_s.median));
            let samples = figures.samples_s.len();
            format!("{rate} trial-samples/s, {samples} samples")
        }
        (None, error) => error.clone().unwrap_or_default(),
    };
    format!("{}: {figure}", name(case))
}

fn name(case: &CaseRecord) -> String {
    let work = match (case.batch_size, &case.optimizer) {
        (Some(batch_size), Some(optimizer)) => format!("batch {batch_size}, {optimizer}"),
        _ => "mixed batches and optimizers".to_owned(),
    };
    let shape = shape_text(&case.shape);
    let members = match case.members {
        1 => "1 member".to_owned(),
        many => format!("{many} members"),
    };
    format!("{} {shape}, {members}, {work}", case.engine)
}

fn mixed_text(mixed: &MixedRecord) -> String {
    format!(
        "mixed: {:.2} x the rate of its {}-member uniform cases one after another ({} trial-samples/s)\n",
        mixed.ratio,
        mixed.compared_with,
        rate_text(Some(mixed.uniform_trial_samples_per_s))
    )
}

fn shape_text(widths: &[usize]) -> String {
    let words: Vec<String> = widths.iter().map(ToString::to_string).collect();
    words.join("-")
}

/// A rate with a blank before the unit that follows, also where there is no prefix.
fn spaced(rate: f64) -> String {
    let text = rate_text(Some(rate));
    match text.contains(' ') {
        true => text,
        false => text + " ",
    }
}
