//! Where the time went, what was trained on what, and the sweep itself.

use crate::report::format::{count_text, duration_text, rate_text};
use crate::store::{RunRecord, TimingRecord, WaveRecord};

use super::escape::{Text, cut};
use super::svg::Svg;
use super::{Study, section};

/// Waves that are listed.
const WAVES: usize = 20;
/// Names of classes that are listed.
const CLASSES: usize = 20;
/// Characters of the sweep that are shown.
const SWEEP: usize = 64 * 1024;

/// Where the time went.
pub(super) fn time(study: &Study) -> String {
    let timing = match study.input.summary {
        Some(summary) => summary.timing.clone(),
        None => sum_waves(study.input.waves),
    };
    if timing.wall_s <= 0.0 && timing.train_s <= 0.0 {
        return String::new();
    }
    let parts = parts(&timing);
    let body = format!(
        "{}<div class=\"scroll\"><table class=\"facts time\">\n\
         <thead><tr><th scope=\"col\">part</th><th scope=\"col\">time</th><th scope=\"col\">share</th></tr></thead>\n\
         <tbody>\n{}</tbody>\n</table>\n{}</div>\n{}",
        bar(&parts),
        part_rows(&parts),
        rates(study, &timing),
        waves(study.input.waves)
    );
    let lead = if study.input.summary.is_some() {
        "Training time has no compilation, evaluation or loading in it."
    } else {
        "Of the waves recorded so far. Training time has no compilation, evaluation or loading in it."
    };
    section("time", "Where the time went", lead, &body)
}

fn sum_waves(waves: &[WaveRecord]) -> TimingRecord {
    let sum = |of: fn(&WaveRecord) -> f64| waves.iter().map(of).sum::<f64>();
    let trial_samples = waves.iter().map(|wave| wave.samples).sum();
    let train_s = sum(|wave| wave.train_s);
    TimingRecord {
        wall_s: sum(|wave| wave.wall_s),
        compile_s: sum(|wave| wave.compile_s),
        train_s,
        evaluate_s: sum(|wave| wave.evaluate_s),
        refit_s: 0.0,
        trial_samples,
        trial_samples_per_s: (train_s > 0.0).then(|| trial_samples as f64 / train_s),
    }
}

/// A part of the wall time.
struct Part {
    name: &'static str,
    class: &'static str,
    seconds: f64,
    share: f64,
}

/// The parts; `other` is what the wall time has beyond those that are measured.
fn parts(timing: &TimingRecord) -> Vec<Part> {
    let measured = [
        ("compile", "t-compile", timing.compile_s),
        ("train", "t-train", timing.train_s),
        ("evaluate", "t-evaluate", timing.evaluate_s),
        ("refit", "t-refit", timing.refit_s),
    ]
    .map(|(name, class, seconds)| {
        (
            name,
            class,
            if seconds.is_finite() {
                seconds.max(0.0)
            } else {
                0.0
            },
        )
    });
    let known: f64 = measured.iter().map(|(_, _, seconds)| seconds).sum();
    let other = (timing.wall_s - known).max(0.0);
    let whole = known + other;
    measured
        .into_iter()
        .chain([("other", "t-other", other)])
        .map(|(name, class, seconds)| Part {
            name,
            class,
            seconds,
            share: if whole > 0.0 { seconds / whole } else { 0.0 },
        })
        .collect()
}

fn bar(parts: &[Part]) -> String {
    let mut svg = Svg::new(800.0, 16.0);
    let mut left = 0.0;
    for part in parts {
        let width = part.share * 800.0;
        svg.open(
            part.class,
            &format!("{} {}", part.name, duration_text(part.seconds)),
        );
        svg.rect("part", (left, 0.0), (width - 1.0, 16.0), "");
        svg.close();
        left += width;
    }
    format!(
        "<figure class=\"bar\">{}</figure>\n",
        svg.finish("Shares of the wall time")
    )
}

fn part_rows(parts: &[Part]) -> String {
    let row = |part: &Part| {
        format!(
            "<tr><th scope=\"row\"><i class=\"swatch {}\"></i>{}</th><td>{}</td><td>{:.1} %</td></tr>\n",
            part.class,
            part.name,
            duration_text(part.seconds),
            part.share * 100.0
        )
    };
    let whole: f64 = parts.iter().map(|part| part.seconds).sum();
    let rows: String = parts.iter().map(row).collect();
    format!(
        "{rows}<tr class=\"sum\"><th scope=\"row\">wall</th><td>{}</td><td>100 %</td></tr>\n",
        duration_text(whole)
    )
}

fn rates(study: &Study, timing: &TimingRecord) -> String {
    let flops: u64 = study
        .input
        .trials
        .iter()
        .fold(0, |sum, t| sum.saturating_add(t.flops));
    let per_second = (timing.train_s > 0.0).then(|| flops as f64 / timing.train_s);
    let rows = [
        ("trial-samples", count_text(timing.trial_samples)),
        ("trial-samples/s", rate_text(timing.trial_samples_per_s)),
        ("useful FLOP", rate_text(Some(flops as f64))),
        ("useful FLOP/s", rate_text(per_second)),
        ("waves", count_text(study.input.waves.len() as u64)),
    ];
    facts(rows.map(|(name, value)| (name.to_owned(), value)).into())
}

fn waves(waves: &[WaveRecord]) -> String {
    if waves.len() < 2 {
        return String::new();
    }
    let row = |wave: &WaveRecord| {
        let rate = (wave.train_s > 0.0).then(|| wave.samples as f64 / wave.train_s);
        format!(
            "<tr><th scope=\"row\" class=\"n\">{}</th><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n",
            wave.wave,
            count_text(wave.trials),
            count_text(wave.members),
            duration_text(wave.train_s),
            duration_text(wave.wall_s),
            rate_text(rate)
        )
    };
    let rows: String = waves.iter().take(WAVES).map(row).collect();
    let of = if waves.len() > WAVES {
        format!(" (the first {WAVES} of {})", count_text(waves.len() as u64))
    } else {
        String::new()
    };
    let head: String = [
        "wave",
        "trials",
        "members",
        "train",
        "wall",
        "trial-samples/s",
    ]
    .map(|title| format!("<th scope=\"col\" class=\"n\">{title}</th>"))
    .concat();
    format!(
        "<details><summary>Waves{of}</summary>\n<div class=\"scroll\"><table class=\"trials\">\n\
         <thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div></details>\n"
    )
}

/// A table of names and values; all of it is text.
fn facts(rows: Vec<(String, String)>) -> String {
    let row = |(name, value): (String, String)| {
        format!(
            "<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n",
            Text(&cut(&name, 60)),
            Text(&cut(&value, 600))
        )
    };
    let rows: String = rows.into_iter().map(row).collect();
    format!("<table class=\"facts\"><tbody>\n{rows}</tbody></table>\n")
}

/// The data and the adapter.
pub(super) fn provenance(study: &Study) -> String {
    let run = study.input.run;
    let body = format!(
        "<div class=\"panels two\">\n<div class=\"scroll\"><h3>Data</h3>\n{}</div>\n<div class=\"scroll\"><h3>Adapter</h3>\n{}</div>\n</div>\n",
        facts(data_rows(run)),
        facts(adapter_rows(run))
    );
    section("data", "Data and adapter", "", &body)
}

fn data_rows(run: &RunRecord) -> Vec<(String, String)> {
    let data = &run.data;
    let mut rows = vec![
        ("name", data.name.clone()),
        ("rows", count_text(data.rows)),
        ("test rows", count_text(data.test_rows)),
        ("features", count_text(data.features)),
        ("classes", classes_text(&data.classes)),
        ("fingerprint (SHA-256)", data.fingerprint.clone()),
    ];
    if data.classes.is_empty() {
        rows.retain(|(name, _)| *name != "classes");
    }
    rows.into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// `3: setosa, versicolor, virginica`.
fn classes_text(classes: &[String]) -> String {
    let mut names: Vec<String> = classes
        .iter()
        .take(CLASSES)
        .map(|name| cut(name, 40))
        .collect();
    if classes.len() > CLASSES {
        names.push(format!("and {} more", classes.len() - CLASSES));
    }
    format!("{}: {}", classes.len(), names.join(", "))
}

fn adapter_rows(run: &RunRecord) -> Vec<(String, String)> {
    let adapter = &run.adapter;
    let named = [
        ("name", &adapter.name),
        ("backend", &adapter.backend),
        ("driver", &adapter.driver),
        ("engine", &adapter.engine),
    ];
    let mut rows: Vec<(String, String)> = named
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect();
    let variants = adapter.variants.iter().take(20);
    rows.extend(variants.map(|(name, variant)| (format!("kernel {name}"), variant.clone())));
    let limits = adapter.limits.iter().take(20);
    rows.extend(limits.map(|(name, limit)| (name.clone(), count_text(*limit))));
    rows
}

/// The sweep with every default filled in.
pub(super) fn sweep(study: &Study) -> String {
    let json = serde_json::to_string_pretty(&study.input.run.sweep).expect("a JSON value is JSON");
    let shown = cut(&json, SWEEP);
    let note = if shown.len() < json.len() {
        " (its beginning)"
    } else {
        ""
    };
    let body = format!(
        "<details><summary>The resolved sweep as JSON{note}</summary>\n\
         <pre class=\"json\" tabindex=\"0\"><code>{}</code></pre></details>\n",
        Text(&shown)
    );
    section(
        "sweep",
        "Sweep",
        "Every setting of the run, with defaults filled in; <code>run.json</code> holds the same.",
        &body,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_to_the_wall_time() {
        let timing = TimingRecord {
            wall_s: 10.0,
            compile_s: 2.0,
            train_s: 5.0,
            evaluate_s: 0.5,
            refit_s: 0.5,
            ..TimingRecord::default()
        };
        let parts = parts(&timing);
        assert_eq!(parts[4].seconds, 2.0);
        assert!((parts.iter().map(|p| p.share).sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn parts_beyond_the_wall_time_leave_no_other() {
        let timing = TimingRecord {
            wall_s: 1.0,
            train_s: 3.0,
            ..TimingRecord::default()
        };
        assert_eq!(parts(&timing)[4].seconds, 0.0);
        assert!(
            parts(&TimingRecord::default())
                .iter()
                .all(|p| p.share == 0.0)
        );
    }

    #[test]
    fn many_classes_are_counted() {
        let classes: Vec<String> = (0..100).map(|class| format!("class {class}")).collect();
        let text = classes_text(&classes);
        assert!(text.starts_with("100: class 0, ") && text.ends_with("class 19, and 80 more"));
    }
}
