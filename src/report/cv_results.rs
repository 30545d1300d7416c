//! `cv_results.csv`: the columns of scikit-learn's `cv_results_`, so that its readers read ours.
//!
//! `test` in these columns is scikit-learn's word for the validation fold. Trials are written one
//! after the other, so the table needs no more memory than their ranks do: read the trials once for
//! their [`Score`]s, make the [`Scoring`]s, read them again to write.

use std::collections::HashMap;
use std::io::Write;

use super::ReportError;
use super::params::value_text;
use super::rank::{Goal, Score, min_ranks};
use crate::store::{MetricRecord, TrialRecord};

/// A metric that gets its columns, and every trial's rank by it.
#[derive(Clone, Debug)]
pub struct Scoring {
    metric: String,
    ranks: HashMap<u64, u32>,
}

impl Scoring {
    /// Ranks trials by `metric`, named without its part of the data: `accuracy`, `loss`.
    ///
    /// `scores` are those of `val_{metric}`, of every trial; see [`min_ranks`] for ties and for
    /// trials without a value.
    pub fn new(metric: &str, scores: &[Score], goal: Goal) -> Self {
        Self {
            metric: metric.to_owned(),
            ranks: min_ranks(scores, goal),
        }
    }
}

/// Which columns the table has.
#[derive(Clone, Debug)]
pub struct CvLayout {
    /// Swept parameters, in the order of their columns; see [`super::param_names`].
    pub params: Vec<String>,
    /// Members a trial: folds x repeats.
    pub splits: usize,
    /// The metrics, in the order of their columns.
    pub scorings: Vec<Scoring>,
}

impl CvLayout {
    fn header(&self) -> Vec<String> {
        let mut names: Vec<String> = TIME_COLUMNS.map(str::to_owned).to_vec();
        names.extend(self.params.iter().map(|name| format!("param_{name}")));
        names.push("params".to_owned());
        for scoring in &self.scorings {
            let metric = &scoring.metric;
            names.extend(metric_columns("test", metric, self.splits));
            names.push(format!("rank_test_{metric}"));
            names.extend(metric_columns("train", metric, self.splits));
        }
        names.extend(["trial", "state"].map(str::to_owned));
        names
    }
}

const TIME_COLUMNS: [&str; 4] = [
    "mean_fit_time",
    "std_fit_time",
    "mean_score_time",
    "std_score_time",
];

fn metric_columns(part: &str, metric: &str, splits: usize) -> Vec<String> {
    let mut names: Vec<String> = (0..splits)
        .map(|split| format!("split{split}_{part}_{metric}"))
        .collect();
    names.push(format!("mean_{part}_{metric}"));
    names.push(format!("std_{part}_{metric}"));
    names
}

/// Seconds that the wave of a trial took, where it was uniform: its trials trained together, so that
/// the wave's time is each one's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrialTimes {
    /// Mean time of training.
    pub mean_fit_s: f64,
    /// Its population standard deviation.
    pub std_fit_s: f64,
    /// Mean time of evaluation.
    pub mean_score_s: f64,
    /// Its population standard deviation.
    pub std_score_s: f64,
}

/// Writes `cv_results.csv`, a trial at a time.
#[derive(Debug)]
pub struct CvResults<W: Write> {
    csv: csv::Writer<W>,
    layout: CvLayout,
    cells: Vec<String>,
}

impl<W: Write> CvResults<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn new(writer: W, layout: CvLayout) -> Result<Self, ReportError> {
        let mut csv = csv::Writer::from_writer(writer);
        csv.write_record(layout.header())?;
        Ok(Self {
            csv,
            layout,
            cells: Vec::new(),
        })
    }

    /// Writes a trial's line. `times` are `None` in mixed waves, and their columns stay empty.
    ///
    /// # Errors
    /// When the writer fails, or the trial has more members than the layout has splits.
    pub fn write(
        &mut self,
        trial: &TrialRecord,
        times: Option<TrialTimes>,
    ) -> Result<(), ReportError> {
        let cells = &mut self.cells;
        cells.clear();
        push_times(cells, times);
        push_params(cells, &self.layout.params, trial);
        for scoring in &self.layout.scorings {
            let metric = &scoring.metric;
            push_metric(cells, trial, &format!("val_{metric}"), self.layout.splits)?;
            let rank = scoring.ranks.get(&trial.trial);
            cells.push(rank.map(u32::to_string).unwrap_or_default());
            push_metric(cells, trial, &format!("train_{metric}"), self.layout.splits)?;
        }
        cells.push(trial.trial.to_string());
        cells.push(trial.state.name().to_owned());
        Ok(self.csv.write_record(cells)?)
    }

    /// Flushes, and gives the writer back.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn finish(self) -> Result<W, ReportError> {
        self.csv
            .into_inner()
            .map_err(|error| ReportError::Flush(error.into_error()))
    }
}

fn push_times(cells: &mut Vec<String>, times: Option<TrialTimes>) {
    let times = times.map(|t| [t.mean_fit_s, t.std_fit_s, t.mean_score_s, t.std_score_s].map(Some));
    cells.extend(times.unwrap_or([None; 4]).map(number));
}

fn push_params(cells: &mut Vec<String>, names: &[String], trial: &TrialRecord) {
    let value = |name: &String| trial.params.get(name).map(value_text).unwrap_or_default();
    cells.extend(names.iter().map(value));
    let params = serde_json::to_string(&trial.params).expect("a map with text keys is JSON");
    cells.push(params);
}

fn push_metric(
    cells: &mut Vec<String>,
    trial: &TrialRecord,
    name: &str,
    splits: usize,
) -> Result<(), ReportError> {
    let metric = trial.metrics.get(name);
    let folds = metric.map_or(&[][..], |metric| &metric.folds);
    if folds.len() > splits {
        return Err(ReportError::TooManySplits {
            trial: trial.trial,
            metric: name.to_owned(),
            found: folds.len(),
            splits,
        });
    }
    let fold = |split: usize| folds.get(split).copied().flatten();
    cells.extend((0..splits).map(|split| number(fold(split))));
    cells.push(number(metric.and_then(|metric| metric.mean)));
    cells.push(number(metric.and_then(population_std)));
    Ok(())
}

/// Standard deviation over the members as numpy gives it (`ddof=0`), where the record's own is the
/// sample's; `None` when a member has no value.
fn population_std(metric: &MetricRecord) -> Option<f64> {
    let folds: Vec<f64> = metric.folds.iter().copied().collect::<Option<_>>()?;
    if folds.is_empty() {
        return None;
    }
    let count = folds.len() as f64;
    let mean = folds.iter().sum::<f64>() / count;
    let squares: f64 = folds.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / count).sqrt())
}

/// The shortest text that reads back as the same number; empty where there is none, as pandas
/// writes NaN.
fn number(value: Option<f64>) -> String {
    value
        .filter(|v| v.is_finite())
        .map(|v| serde_json::Value::from(v).to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::{metric, scored, with_params, with_state};
    use crate::report::param_names;
    use crate::store::TrialState;
    use serde_json::json;

    fn trials() -> Vec<TrialRecord> {
        let mut first = with_params(
            scored(0, None),
            json!({"hidden": [64, 64], "learning_rate": 0.0031622776601683794, "optimizer": "a,\"b\"\nc"}),
        );
        first
            .metrics
            .insert("val_accuracy".into(), metric(&[0.5, 0.75, 1.0]));
        first
            .metrics
            .insert("train_accuracy".into(), metric(&[1.0, 1.0, 1.0]));
        first
            .metrics
            .insert("val_loss".into(), metric(&[0.25, 0.5, 0.75]));
        let second = with_params(
            scored(1, Some(0.75)),
            json!({"hidden": [], "momentum": 0.9}),
        );
        let mut third = with_state(
            with_params(scored(2, None), json!({"hidden": [8]})),
            TrialState::Diverged,
        );
        let diverged = MetricRecord {
            mean: None,
            std: None,
            folds: vec![Some(0.1), None, Some(0.1)],
        };
        third.metrics.insert("val_accuracy".into(), diverged);
        vec![first, second, third]
    }

    fn layout(trials: &[TrialRecord]) -> CvLayout {
        let scoring = |metric: &str, goal| {
            let name = format!("val_{metric}");
            let scores: Vec<Score> = trials.iter().map(|t| Score::of(t, &name)).collect();
            Scoring::new(metric, &scores, goal)
        };
        CvLayout {
            params: param_names(trials),
            splits: 3,
            scorings: vec![
                scoring("accuracy", Goal::Maximize),
                scoring("loss", Goal::Minimize),
            ],
        }
    }

    fn written(trials: &[TrialRecord], times: Option<TrialTimes>) -> Vec<HashMap<String, String>> {
        let mut table = CvResults::new(Vec::new(), layout(trials)).unwrap();
        for trial in trials {
            table.write(trial, times).unwrap();
        }
        let bytes = table.finish().unwrap();
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        reader.deserialize().map(Result::unwrap).collect()
    }

    fn check_cells(row: &HashMap<String, String>, cells: &[(&str, &str)]) {
        for (column, value) in cells {
            assert_eq!(row[*column], *value, "{column}");
        }
    }

    #[test]
    fn columns_read_back_with_equal_values() {
        let rows = written(&trials(), None);
        check_cells(
            &rows[0],
            &[
                ("mean_fit_time", ""),
                ("std_score_time", ""),
                ("param_hidden", "64x64"),
                ("param_learning_rate", "0.0031622776601683794"),
                ("param_optimizer", "a,\"b\"\nc"),
                ("param_momentum", ""),
                ("split0_test_accuracy", "0.5"),
                ("split1_test_accuracy", "0.75"),
                ("split2_test_accuracy", "1.0"),
                ("mean_test_accuracy", "0.75"),
                ("rank_test_accuracy", "1"),
                ("split0_train_accuracy", "1.0"),
                ("mean_train_accuracy", "1.0"),
                ("std_train_accuracy", "0.0"),
                ("mean_test_loss", "0.5"),
                ("rank_test_loss", "1"),
                ("mean_train_loss", ""),
                ("trial", "0"),
                ("state", "complete"),
            ],
        );
        let params: serde_json::Value = serde_json::from_str(&rows[0]["params"]).unwrap();
        assert_eq!(
            params,
            serde_json::Value::Object(trials()[0].params.clone())
        );
        check_cells(
            &rows[1],
            &[
                ("param_hidden", "[]"),
                ("param_momentum", "0.9"),
                ("rank_test_accuracy", "1"),
            ],
        );
    }

    #[test]
    fn std_is_the_population_s() {
        let rows = written(&trials(), None);
        // numpy.std([0.5, 0.75, 1.0])
        let std: f64 = rows[0]["std_test_accuracy"].parse().unwrap();
        assert!((std - 0.204_124_145_231_931_5).abs() < 1e-15);
    }

    #[test]
    fn diverged_trials_rank_last() {
        let rows = written(&trials(), None);
        check_cells(
            &rows[2],
            &[
                ("split0_test_accuracy", "0.1"),
                ("split1_test_accuracy", ""),
                ("mean_test_accuracy", ""),
                ("std_test_accuracy", ""),
                ("rank_test_accuracy", "3"),
                ("rank_test_loss", "2"),
                ("state", "diverged"),
            ],
        );
    }

    #[test]
    fn times_are_written_where_they_are_known() {
        let times = TrialTimes {
            mean_fit_s: 1.5,
            std_fit_s: 0.25,
            mean_score_s: 1e-7,
            std_score_s: 0.0,
        };
        let rows = written(&trials(), Some(times));
        check_cells(
            &rows[0],
            &[
                ("mean_fit_time", "1.5"),
                ("std_fit_time", "0.25"),
                ("mean_score_time", "1e-7"),
                ("std_score_time", "0.0"),
            ],
        );
    }

    #[test]
    fn a_trial_with_too_many_members_is_refused() {
        let trials = trials();
        let layout = CvLayout {
            splits: 2,
            ..layout(&trials)
        };
        let mut table = CvResults::new(Vec::new(), layout).unwrap();
        let error = table.write(&trials[0], None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "trial 0 has 3 values of `val_accuracy`, and cv_results.csv was laid out for 2 splits; \
             lay it out for folds x repeats of run.json"
        );
    }
}
