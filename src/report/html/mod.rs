//! One self-contained page about a run: no network, no fonts, no script.
//!
//! The page is made from records alone, and its size is bounded whatever the size of the study:
//! lists are cut and say so, points that fall on one pixel are drawn once, long curves are thinned.

mod axis;
mod curves;
mod details;
mod effects;
mod escape;
mod gap;
mod heatmap;
mod leaderboard;
mod levels;
mod overview;
mod palette;
mod plot;
mod range;
mod rate;
mod series;
mod svg;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use axis::plottable;
use escape::Text;

use super::format::counted;
use super::params::param_names;
use super::rank::{Goal, Score, rank};
use crate::store::{RunRecord, SummaryRecord, TrialRecord, TrialState, WaveRecord};

/// Best trials whose learning curves are drawn; no other trial's curves are looked at.
pub const DRAWN_CURVES: usize = palette::SERIES;

/// What the page is made from.
#[derive(Clone, Copy, Debug)]
pub struct HtmlInput<'a> {
    /// The run.
    pub run: &'a RunRecord,
    /// Its summary; `None` for a run that is not finished, and the page says so.
    pub summary: Option<&'a SummaryRecord>,
    /// What its waves cost.
    pub waves: &'a [WaveRecord],
    /// Its trials, in any order.
    pub trials: &'a [TrialRecord],
    /// The metric that ranks them, such as `val_accuracy`.
    pub objective: &'a str,
    /// Which end of it is the good one.
    pub goal: Goal,
}

/// Makes the page. What comes from the records is escaped; nothing in it is taken as HTML.
pub fn html(input: &HtmlInput) -> String {
    let study = Study::new(*input);
    let sections = [
        overview::best(&study),
        leaderboard::section(&study),
        curves::section(&study),
        heatmap::section(&study),
        rate::section(&study),
        gap::section(&study),
        effects::section(&study),
        details::time(&study),
        details::provenance(&study),
        details::sweep(&study),
    ];
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"generator\" content=\"regatta {version}\">\n\
         <title>{data}: {trials} · Regatta</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         {header}<main>\n{sections}</main>\n{footer}</body>\n</html>\n",
        version = Text(&input.run.version),
        data = Text(&input.run.data.name),
        trials = counted(study.total, "trial"),
        header = overview::header(&study),
        sections = sections.concat(),
        footer = overview::footer(&study),
    )
}

const STYLE: &str = include_str!("style.css");

/// The input, and what every section asks of it.
struct Study<'a> {
    input: HtmlInput<'a>,
    /// Ranked trials, best first.
    ranked: Vec<&'a TrialRecord>,
    /// The rest, by number.
    unranked: Vec<&'a TrialRecord>,
    /// Names of the swept parameters.
    params: Vec<String>,
    /// Trials of the study, recorded or not.
    total: u64,
}

impl<'a> Study<'a> {
    fn new(input: HtmlInput<'a>) -> Self {
        let (ranked, unranked) = split_ranked(&input);
        let planned = input.summary.map_or(input.run.plan.trials, |s| s.trials);
        Self {
            input,
            ranked,
            unranked,
            params: param_names(input.trials),
            total: planned.max(input.trials.len() as u64),
        }
    }

    /// The objective's mean of a ranked trial, where it is small enough to be drawn.
    fn value(&self, trial: &TrialRecord) -> Option<f64> {
        let value = Score::of(trial, self.input.objective).value?;
        plottable(value).then_some(value)
    }

    /// The ranked trials with their values, best first.
    fn scored(&self) -> impl Iterator<Item = (&'a TrialRecord, f64)> {
        self.ranked
            .iter()
            .filter_map(|&trial| Some((trial, self.value(trial)?)))
    }

    fn is_swept(&self, name: &str) -> bool {
        self.params.iter().any(|param| param == name)
    }

    /// Number of trials in each state.
    fn states(&self) -> BTreeMap<TrialState, u64> {
        let mut states = BTreeMap::new();
        for trial in self.input.trials {
            *states.entry(trial.state).or_insert(0) += 1;
        }
        states
    }
}

fn split_ranked<'a>(input: &HtmlInput<'a>) -> (Vec<&'a TrialRecord>, Vec<&'a TrialRecord>) {
    let ranked = rank(input.trials, input.objective, input.goal);
    let mut unranked: Vec<&TrialRecord> = input
        .trials
        .iter()
        .filter(|trial| Score::of(trial, input.objective).value.is_none())
        .collect();
    unranked.sort_by_key(|trial| trial.trial);
    (ranked, unranked)
}

/// A section of the page with its heading; `body` is HTML.
fn section(id: &str, heading: &str, lead: &str, body: &str) -> String {
    let lead = if lead.is_empty() {
        String::new()
    } else {
        format!("<p class=\"lead\">{lead}</p>\n")
    };
    format!(
        "<section id=\"{id}\" aria-labelledby=\"{id}-h\">\n<h2 id=\"{id}-h\">{heading}</h2>\n{lead}{body}</section>\n"
    )
}
