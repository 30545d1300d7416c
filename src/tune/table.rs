//! What is known, as a person reads it.

use comfy_table::{CellAlignment, Table};

use super::cache::{Cache, Entry};
use super::choice::fastest;
use super::measurement::Measurement;
use crate::report::rate_text;

const HEAD: [&str; 5] = ["form", "trial-samples/s", "of the first", "compile s", ""];

/// A block for each adapter and class: a row a form, those that are not used with the reason.
pub fn table(cache: &Cache) -> String {
    let blocks: Vec<String> = cache.entries.iter().map(block).collect();
    blocks.join("\n")
}

/// The class, its adapter, and a row a form.
pub fn block(entry: &Entry) -> String {
    let key = &entry.key;
    let mut text = format!(
        "{} on {} ({}, {}; version {})\n",
        entry.class, key.adapter, key.backend, key.driver, key.version
    );
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
    table.set_header(HEAD);
    let best = fastest(&entry.measured).map(|measured| &measured.form);
    let first = entry.measured.iter().find_map(Measurement::rate);
    for measured in &entry.measured {
        table.add_row(row(measured, first, best == Some(&measured.form)));
    }
    for column in table.column_iter_mut().skip(1).take(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    text += &format!("{table}\n");
    for measured in &entry.measured {
        if let Some(error) = &measured.error {
            text += &format!("{} is not used: {error}\n", measured.form);
        }
    }
    text
}

fn row(measured: &Measurement, first: Option<f64>, best: bool) -> [String; 5] {
    let rate = measured.rate();
    let note = match (best, &measured.error) {
        (true, _) => "fastest",
        (false, Some(_)) => "not used",
        (false, None) => "",
    };
    let ratio = rate
        .zip(first)
        .map(|(rate, first)| format!("{:.2}", rate / first));
    [
        measured.form.clone(),
        rate_text(rate),
        ratio.unwrap_or_default(),
        format!("{:.2}", measured.compile_s),
        note.to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::Key;

    #[test]
    fn the_fastest_form_and_those_that_are_not_used_are_said() {
        let measured = |form: &str, epoch_s, error: Option<&str>| Measurement {
            form: form.to_owned(),
            trial_samples: 8192,
            epochs_s: vec![epoch_s],
            compile_s: 0.5,
            took_s: 1.0,
            error: error.map(str::to_owned),
            gave_up: false,
            passing: false,
        };
        let text = block(&Entry {
            key: Key {
                adapter: "a card".to_owned(),
                backend: "vulkan".to_owned(),
                driver: "1.0".to_owned(),
                version: "0.1.0".to_owned(),
                shaders: "abc".to_owned(),
            },
            class: "64-64-16, 64 to 255 members".to_owned(),
            measured: vec![
                measured("resident", 0.1, None),
                measured("layered", 0.05, None),
                measured("fast", 0.01, Some("wrong result")),
            ],
        });
        let line = |word: &str| {
            text.lines()
                .find(|line| line.contains(word))
                .unwrap()
                .to_owned()
        };
        assert!(
            line("layered").contains("2.00") && line("layered").contains("fastest"),
            "{text}"
        );
        assert!(!line("resident").contains("fastest"), "{text}");
        assert!(line("fast is not").contains("wrong result"), "{text}");
    }
}
