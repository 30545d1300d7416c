//! The page as a whole: what is in it, and what must never be.

use serde_json::json;

use super::*;
use crate::report::fixtures::{
    default_sweep, run_record, scored, summary_record, trained, wave_record, with_params,
    with_state,
};
use crate::store::{Curves, MetricRecord};

struct Page {
    run: RunRecord,
    summary: Option<SummaryRecord>,
    waves: Vec<WaveRecord>,
    trials: Vec<TrialRecord>,
    objective: &'static str,
    goal: Goal,
}

impl Page {
    fn of(trials: Vec<TrialRecord>) -> Self {
        Self {
            run: run_record(trials.len() as u64),
            summary: Some(summary_record(&trials, "val_accuracy", Goal::Maximize)),
            waves: vec![wave_record(0)],
            trials,
            objective: "val_accuracy",
            goal: Goal::Maximize,
        }
    }

    fn html(&self) -> String {
        let page = html(&HtmlInput {
            run: &self.run,
            summary: self.summary.as_ref(),
            waves: &self.waves,
            trials: &self.trials,
            objective: self.objective,
            goal: self.goal,
        });
        check_page(&page);
        page
    }
}

/// What holds for every page: nothing is loaded, nothing runs, tags are balanced, numbers are finite.
#[track_caller]
fn check_page(page: &str) {
    for forbidden in [
        "<script",
        "http://",
        "https://",
        "src=",
        "url(",
        "@import",
        "<link",
        "NaN",
        "javascript:",
    ] {
        assert!(!page.contains(forbidden), "the page has {forbidden}");
    }
    assert!(
        !page.contains("\"inf") && !page.contains(">inf"),
        "the page has an infinite number"
    );
    for tag in [
        "section", "table", "svg", "g", "figure", "details", "ul", "ol", "dl", "div", "td", "th",
        "title", "p",
    ] {
        let opened =
            page.matches(&format!("<{tag} ")).count() + page.matches(&format!("<{tag}>")).count();
        let closed = page.matches(&format!("</{tag}>")).count();
        assert_eq!(opened, closed, "<{tag}> is not closed");
    }
    assert_eq!(
        page.matches("<svg ").count(),
        page.matches("<svg role=\"img\"").count()
    );
}

fn write(name: &str, page: &str) {
    if let Ok(folder) = std::env::var("REPORT_PAGES") {
        std::fs::write(format!("{folder}/{name}.html"), page).unwrap();
    }
}

#[test]
fn the_default_sweep() {
    let page = Page::of(default_sweep()).html();
    write("default", &page);
    for heading in [
        "Best trial: 55",
        "Leaderboard",
        "Learning curves",
        "Learning rate by batch size",
        "Each parameter on its own",
        "Training and validation",
        "Where the time went",
        "Data and adapter",
        "The resolved sweep as JSON",
    ] {
        assert!(page.contains(heading), "the page lacks {heading}");
    }
    for text in [
        "<b>12.4 M</b>",
        "4 diverged",
        "all trials diverged",
        "0.9722",
        "regatta sweep FILE --set batch_size=64 --set learning_rate=0.01 --set optimizer=adam",
    ] {
        assert!(page.contains(text), "the page lacks {text}");
    }
    assert!(page.len() < 200_000, "{} bytes", page.len());
}

#[test]
fn markup_in_records_is_text() {
    let evil = "<script>alert(\"x\")</script>'&";
    let mut trials = vec![
        with_params(
            scored(0, Some(0.9)),
            json!({evil: evil, "optimizer": evil, "learning_rate": 0.1, "batch_size": 8}),
        ),
        with_params(
            scored(1, Some(0.8)),
            json!({evil: "b", "optimizer": "日本", "learning_rate": 0.2, "batch_size": 8}),
        ),
    ];
    let curve: Curves = vec![vec![Some(0.1), Some(0.2)]];
    trials
        .iter_mut()
        .for_each(|t| drop(t.curves.insert("val_accuracy".into(), curve.clone())));
    let mut page = Page::of(trials);
    page.run.data.name = evil.into();
    page.run.data.classes = vec![evil.into(), "été 🚣".into()];
    page.run.adapter.name = evil.into();
    page.run.created = evil.into();
    page.run.version = evil.into();
    page.run.sweep = json!({evil: evil});
    let page = page.html();
    write("evil", &page);
    assert!(page.contains("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&#39;&amp;"));
    assert!(page.contains("日本") && page.contains("été 🚣"));
}

#[test]
fn an_unfinished_run_says_so() {
    let mut page = Page::of(default_sweep());
    page.trials.truncate(40);
    page.summary = None;
    let page = page.html();
    write("unfinished", &page);
    assert!(page.contains("This run is not finished"));
    assert!(page.contains("40 of 84 trials are recorded"));
    assert!(page.contains("44 not recorded yet"));
}

#[test]
fn no_trials_at_all() {
    let mut page = Page::of(Vec::new());
    page.summary = None;
    page.waves.clear();
    let text = page.html();
    write("empty", &text);
    assert!(text.contains("<p class=\"none\">No trial is ranked.</p>"));
}

#[test]
fn every_trial_diverged() {
    let trials = default_sweep()
        .into_iter()
        .map(|mut trial| {
            trial.metrics.values_mut().for_each(|m| {
                *m = MetricRecord {
                    mean: None,
                    std: None,
                    folds: vec![None; 3],
                }
            });
            with_state(trial, TrialState::Diverged)
        })
        .collect();
    let page = Page::of(trials).html();
    write("diverged", &page);
    assert!(page.contains("No trial is ranked."));
    assert!(page.contains("84 diverged"));
}

#[test]
fn one_trial_of_one_epoch_without_parameters() {
    let mut trial = trained(0, 0.01, 32, "adam", 1);
    trial.params.clear();
    let page = Page::of(vec![trial]).html();
    write("one", &page);
    assert!(
        page.contains("none swept")
            && !page.contains("id=\"heatmap\"")
            && !page.contains("id=\"rate\"")
    );
}

#[test]
fn null_and_missing_values() {
    let mut bad_curve = scored(0, Some(0.5));
    bad_curve.curves.insert(
        "val_accuracy".into(),
        vec![vec![None, Some(0.5), None], vec![]],
    );
    bad_curve.curves.insert(
        "val_loss".into(),
        vec![vec![Some(f64::INFINITY), Some(1e300)]],
    );
    let mut infinite = scored(1, Some(f64::INFINITY));
    infinite.params.insert("learning_rate".into(), json!(null));
    let page = Page::of(vec![bad_curve, infinite, scored(2, None)]).html();
    assert!(page.contains("2 complete without a finite objective"));
}

#[test]
fn test_scores_of_another_trial_are_not_shown_as_the_best_ones() {
    let mut page = Page::of(default_sweep());
    page.objective = "val_loss";
    page.goal = Goal::Minimize;
    assert!(!page.html().contains("0.9722"));
}

#[test]
fn numbers_too_large_to_draw() {
    let params = |rate: f64| json!({"learning_rate": rate, "batch_size": 8, "optimizer": "sgd"});
    let trials = [(1e300, 1e-300), (-1.7e308, 1e300), (1e29, 0.0), (0.5, -1.0)];
    let trials = (0..)
        .zip(trials)
        .map(|(id, (value, rate))| with_params(scored(id, Some(value)), params(rate)));
    let page = Page::of(trials.collect()).html();
    assert!(page.contains("1e300"));
}

#[test]
fn a_regression_without_accuracy() {
    let mut page = Page::of(default_sweep());
    page.trials
        .iter_mut()
        .for_each(|trial| trial.metrics.retain(|name, _| name.ends_with("loss")));
    page.trials
        .iter_mut()
        .for_each(|trial| trial.curves.retain(|name, _| name.ends_with("loss")));
    page.objective = "val_loss";
    page.goal = Goal::Minimize;
    page.summary = Some(summary_record(&page.trials, "val_loss", Goal::Minimize));
    page.run.data.classes.clear();
    let page = page.html();
    write("regression", &page);
    assert!(page.contains("lower is better") && page.contains("≥ "));
}

#[test]
fn ten_thousand_trials_of_many_parameters_stay_below_a_megabyte() {
    let mut noise = crate::report::fixtures::Noise(7);
    let optimizers = ["sgd", "adam", "rmsprop", "adamw", "nadam", "lion"];
    let mut page = Page::of(
        (0..10_000)
            .map(|id| random_trial(id, &mut noise, &optimizers))
            .collect(),
    );
    page.waves = (0..200).map(wave_record).collect();
    page.run.sweep = json!({"space": {"learning_rate": (0..20_000).collect::<Vec<u32>>()}});
    let page = page.html();
    write("random", &page);
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    assert!(page.contains("more ranked") && page.contains("(the first 20 of"));
}

fn random_trial(
    id: u64,
    noise: &mut crate::report::fixtures::Noise,
    optimizers: &[&str],
) -> TrialRecord {
    let mut between = |low: f64, high: f64| low + (high - low) * (noise.next() + 1.0) / 2.0;
    let rate = 10_f64.powf(between(-5.0, 0.0));
    let batch = between(8.0, 512.0).round() as u32;
    let optimizer = optimizers[between(0.0, optimizers.len() as f64 - 1e-9) as usize];
    let mut trial = trained(id, rate, batch, optimizer, 6);
    for name in ["dropout", "weight_decay", "label_smoothing", "l2"] {
        trial.params.insert(name.into(), json!(between(0.0, 0.5)));
    }
    let width = between(1.0, 300.0).round();
    trial
        .params
        .insert("hidden".into(), json!([width as u64, width as u64]));
    trial
}
