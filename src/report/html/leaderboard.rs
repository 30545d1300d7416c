//! Tables of trials.

use std::collections::BTreeMap;

use crate::report::format::{count_text, counted, metric_text, spread_text};
use crate::report::params::param_text;
use crate::report::rank::Pair;
use crate::store::{TrialRecord, TrialState};

use super::Study;
use super::escape::{Text, cut};

/// Ranked trials that are shown.
const BEST: usize = 50;
/// Trials without a rank that are shown.
const UNRANKED: usize = 20;
/// Swept parameters that get a column.
const PARAMS: usize = 24;

/// The best trials, a line about the others, and those without a rank.
fn body(study: &Study) -> String {
    let shown = &study.ranked[..study.ranked.len().min(BEST)];
    let best = if shown.is_empty() {
        "<p class=\"none\">No trial is complete with a finite objective.</p>\n".to_owned()
    } else {
        table(study, shown, "Ranked trials, best first", true)
    };
    format!("{best}{}{}", rest(study, shown.len()), unranked(study))
}

pub(super) fn section(study: &Study) -> String {
    let lead = match Pair::find(study.input.trials, study.input.objective) {
        Some(pair) => format!(
            "Mean ± standard deviation over the members of a trial; gap is <code>{}</code> − <code>{}</code>.",
            Text(&pair.train),
            Text(&pair.val)
        ),
        None => "Mean ± standard deviation over the members of a trial.".to_owned(),
    };
    super::section("leaderboard", "Leaderboard", &lead, &body(study))
}

/// How many trials are not in the table, by state.
fn rest(study: &Study, shown: usize) -> String {
    let mut parts = Vec::new();
    if study.ranked.len() > shown {
        parts.push(format!(
            "{} more ranked",
            count_text((study.ranked.len() - shown) as u64)
        ));
    }
    let mut states: BTreeMap<TrialState, u64> = BTreeMap::new();
    for trial in &study.unranked {
        *states.entry(trial.state).or_insert(0) += 1;
    }
    for (state, count) in states {
        let word = match state {
            TrialState::Complete => "complete without a finite objective",
            other => other.name(),
        };
        parts.push(format!("{} {word}", count_text(count)));
    }
    let missing = study.total.saturating_sub(study.input.trials.len() as u64);
    if missing > 0 {
        parts.push(format!("{} not recorded yet", count_text(missing)));
    }
    if parts.is_empty() {
        return String::new();
    }
    format!(
        "<p class=\"note\">Not in this table, of {}: {}.</p>\n",
        counted(study.total, "trial"),
        parts.join(", ")
    )
}

fn unranked(study: &Study) -> String {
    if study.unranked.is_empty() {
        return String::new();
    }
    let shown = &study.unranked[..study.unranked.len().min(UNRANKED)];
    let of = if shown.len() < study.unranked.len() {
        format!(
            " (the first {} of {})",
            shown.len(),
            count_text(study.unranked.len() as u64)
        )
    } else {
        String::new()
    };
    format!(
        "<details><summary>Trials without a rank{of}</summary>\n{}</details>\n",
        table(study, shown, "Trials without a rank", false)
    )
}

/// A table of trials; `ranked` adds a column that counts them.
fn table(study: &Study, trials: &[&TrialRecord], caption: &str, ranked: bool) -> String {
    let columns = columns(study, trials, ranked);
    let class = if ranked { " ranked" } else { "" };
    let head: String = columns.iter().map(Column::head).collect();
    let rows: String = trials
        .iter()
        .enumerate()
        .map(|(at, trial)| row(&columns, at, trial.state))
        .collect();
    format!(
        "<div class=\"scroll\" role=\"region\" aria-label=\"{caption}\" tabindex=\"0\"><table class=\"trials{class}\">\n\
         <caption>{caption}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
    )
}

struct Column {
    title: String,
    number: bool,
    cells: Vec<String>,
}

impl Column {
    fn new(title: &str, number: bool, cells: impl Iterator<Item = String>) -> Self {
        Self {
            title: title.to_owned(),
            number,
            cells: cells.collect(),
        }
    }

    fn head(&self) -> String {
        let title = Text(&cut(&self.title, 40))
            .to_string()
            .replace('_', "_<wbr>");
        format!("<th scope=\"col\"{}>{title}</th>", self.class())
    }

    fn cell(&self, at: usize) -> String {
        format!("<td{}>{}</td>", self.class(), Text(&self.cells[at]))
    }

    fn class(&self) -> &'static str {
        if self.number { " class=\"n\"" } else { "" }
    }
}

fn columns(study: &Study, trials: &[&TrialRecord], ranked: bool) -> Vec<Column> {
    let mut columns = Vec::new();
    if ranked {
        columns.push(Column::new(
            "rank",
            true,
            (1..=trials.len()).map(|rank| rank.to_string()),
        ));
    }
    columns.push(Column::new(
        "trial",
        true,
        trials.iter().map(|t| t.trial.to_string()),
    ));
    columns.extend(
        study
            .params
            .iter()
            .take(PARAMS)
            .map(|name| param_column(name, trials)),
    );
    let objective = study.input.objective;
    let metric = |t: &&TrialRecord| {
        let metric = t.metrics.get(objective);
        spread_text(metric.and_then(|m| m.mean), metric.and_then(|m| m.std))
    };
    columns.push(Column::new(objective, true, trials.iter().map(metric)));
    if let Some(pair) = Pair::find(trials.iter().copied(), objective) {
        let train = |t: &&TrialRecord| metric_text(pair.of(t).map(|(train, _)| train));
        columns.push(Column::new(&pair.train, true, trials.iter().map(train)));
        columns.push(Column::new(
            "gap",
            true,
            trials.iter().map(|t| metric_text(pair.gap(t))),
        ));
    }
    columns.push(Column::new(
        "epochs",
        true,
        trials.iter().map(|t| t.epochs.to_string()),
    ));
    columns.push(Column::new(
        "state",
        false,
        trials.iter().map(|t| t.state.name().to_owned()),
    ));
    columns
}

fn param_column(name: &str, trials: &[&TrialRecord]) -> Column {
    let is_number = |t: &&TrialRecord| t.params.get(name).is_none_or(serde_json::Value::is_number);
    let number = trials.iter().all(is_number);
    Column::new(
        name,
        number,
        trials.iter().map(|t| cut(&param_text(t, name), 40)),
    )
}

/// A row; its class tells states apart, and the state is also written in it.
fn row(columns: &[Column], at: usize, state: TrialState) -> String {
    let cells: String = columns.iter().map(|column| column.cell(at)).collect();
    format!("<tr class=\"{}\">{cells}</tr>\n", state.name())
}
