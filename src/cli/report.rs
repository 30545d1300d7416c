//! `regatta report`.

use std::process::ExitCode;

use anyhow::Context;

use super::arguments::ReportArguments;
use super::output;
use crate::report::{DRAWN_CURVES, Goal, HtmlInput, Score, best_first, html};
use crate::store::{self, RunReader, RunRecord, StoreError, TrialRecord, WaveRecord};

/// Writes the page and prints its path.
pub fn run(arguments: &ReportArguments) -> anyhow::Result<ExitCode> {
    let folder = arguments.run.clone().unwrap_or_else(store::latest);
    let reader = store::open(&folder)?;
    let record = reader.run()?;
    let summary = reader.summary()?;
    let waves: Vec<WaveRecord> = reader.waves()?.collect::<Result<_, StoreError>>()?;
    let objective = objective(&record)?;
    let trials = trials(&reader, &objective)?;
    let page = html(&HtmlInput {
        run: &record,
        summary: summary.as_ref(),
        waves: &waves,
        trials: &trials,
        objective: &objective,
        goal: Goal::of_metric(&objective),
    });
    let path = arguments
        .out
        .clone()
        .unwrap_or_else(|| folder.join("report.html"));
    store::write_text(&path, &page)?;
    output::print(&format!("{}\n", path.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// The metric that ranks the run's trials.
fn objective(record: &RunRecord) -> anyhow::Result<String> {
    let objective = record.sweep.pointer("/train/objective");
    let objective = objective.and_then(|objective| objective.as_str());
    Ok(objective.context("run.json holds no objective")?.to_owned())
}

/// All trials. Only the best ones keep their curves, which are most of a record: the page draws no
/// others, and a large run would not fit in memory.
fn trials(reader: &RunReader, objective: &str) -> Result<Vec<TrialRecord>, StoreError> {
    let mut scores = Vec::new();
    for trial in reader.trials()? {
        scores.push(Score::of(&trial?, objective));
    }
    best_first(&mut scores, Goal::of_metric(objective));
    let drawn: Vec<u64> = scores
        .iter()
        .take(DRAWN_CURVES)
        .map(|score| score.trial)
        .collect();
    let without_curves = |trial: Result<TrialRecord, StoreError>| {
        let mut trial = trial?;
        if !drawn.contains(&trial.trial) {
            trial.curves.clear();
        }
        Ok(trial)
    };
    reader.trials()?.map(without_curves).collect()
}
