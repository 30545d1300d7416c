//! The end of a study: refit of the best trial, `cv_results.csv`, `summary.json`.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use super::planner::Begin;
use super::session::Session;
use super::wave::{Metrics, WaveResult};
use super::{Ending, Event, StudyError};
use crate::engine::MemberSnapshot;
use crate::metrics;
use crate::plan::Wave;
use crate::report::{CvLayout, CvResults, Goal, Score, Scoring, TrialTimes};
use crate::search::Proposal;
use crate::space::{ParameterValue, Refit};
use crate::store::{
    BestRecord, MetricSummary, NetworkFile, RunReader, SCHEMA_VERSION, StoreError, SummaryRecord,
    TimingRecord, TrialRecord, WaveRecord,
};
use crate::train::{Member, MemberId, REFIT};

/// The metrics that `cv_results.csv` has columns for: these, and the objective's own.
fn cv_metrics(objective: &str) -> Vec<&str> {
    let own = objective
        .split_once('_')
        .map_or(objective, |(_, metric)| metric);
    let mut metrics = vec!["accuracy", "loss"];
    if !metrics.contains(&own) {
        metrics.push(own);
    }
    metrics
}

/// The best trial, trained on all training rows.
#[derive(Default)]
struct Refitted {
    epochs: Option<u32>,
    test: Option<Metrics>,
    seconds: f64,
}

impl Session<'_, '_, '_> {
    pub(super) fn finish(mut self) -> Result<Ending, StudyError> {
        let refitted = match self.tally.best().cloned() {
            Some(best) => self.refit(&best)?,
            None => Some(Refitted::default()),
        };
        self.run.settle()?;
        let Some(refitted) = refitted else {
            return Ok(Ending::Interrupted);
        };
        self.write_cv_results()?;
        let summary = self.summary(&refitted)?;
        self.run.write_summary(&summary)?;
        self.run.remove_checkpoint()?;
        Ok(Ending::Finished(Box::new(summary)))
    }

    /// `None` when the study was stopped.
    fn refit(&mut self, best: &TrialRecord) -> Result<Option<Refitted>, StudyError> {
        let config = &self.study.sweep.train;
        let Refit::On { epochs } = config.refit else {
            return Ok(Some(Refitted::default()));
        };
        let epochs = epochs.unwrap_or(config.epochs);
        if self.control.stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        self.control.observer.on(Event::RefitStarted {
            trial: best.trial,
            epochs,
        });
        let wave = self.refit_wave(best)?;
        let stored = self.stored_wave(wave.number, true)?;
        let WaveResult::Finished(done) = self.train(&wave, Begin::default(), epochs, stored)?
        else {
            return Ok(None);
        };
        if done.outcomes[0].history.diverged {
            let warning = "the best trial diverged when it was refitted on all training rows; there is no test score";
            self.control.observer.on(Event::Warning(warning));
        }
        if let Some(state) = &done.outcomes[0].state {
            self.run.write_network(&self.network(best, &wave, state))?;
        }
        Ok(Some(Refitted {
            epochs: Some(epochs),
            test: done.outcomes[0].validation,
            seconds: done.record.wall_s,
        }))
    }

    /// The refitted network, with all that is needed to use it.
    fn network<'n>(
        &'n self,
        best: &TrialRecord,
        wave: &'n Wave,
        state: &'n MemberSnapshot,
    ) -> NetworkFile<'n> {
        let scaling = &self.study.splits.refit.scaling;
        NetworkFile {
            trial: best.trial,
            activation: wave.members[0].hyperparameters.activation,
            shape: &wave.shapes[0],
            parameters: &state.parameters,
            running: &state.running,
            offset: &scaling.offset,
            factor: &scaling.factor,
            features: &self.study.dataset.feature_names,
            classes: &self.study.dataset.class_names,
        }
    }

    /// A wave of one member: the best trial on all rows outside the test part.
    fn refit_wave(&self, best: &TrialRecord) -> Result<Wave, StudyError> {
        let unknown = |_| StudyError::UnknownTrial { trial: best.trial };
        let params = best.params.iter().map(|(name, value)| {
            let value: ParameterValue = serde_json::from_value(value.clone()).map_err(unknown)?;
            Ok((name.clone(), value))
        });
        let planned = self.study.planned(&Proposal {
            trial: best.trial,
            params: params.collect::<Result<_, StudyError>>()?,
        });
        Ok(Wave {
            number: best.wave,
            shapes: vec![planned.shape],
            members: vec![Member {
                id: MemberId {
                    trial: best.trial,
                    repeat: 0,
                    fold: REFIT,
                },
                shape: 0,
                hyperparameters: planned.hyperparameters,
            }],
        })
    }

    fn write_cv_results(&self) -> Result<(), StudyError> {
        let run = self.run.reader();
        let layout = self.cv_layout(&run)?;
        let times = uniform_times(&run)?;
        self.run.write_cv_results(|writer| {
            let mut csv = CvResults::new(writer, layout)?;
            for trial in run.trials()? {
                let trial = trial?;
                csv.write(&trial, times.get(&trial.wave).copied())?;
            }
            Ok(csv.finish().map(drop)?)
        })
    }

    /// First pass over the records: their scores.
    fn cv_layout(&self, run: &RunReader) -> Result<CvLayout, StudyError> {
        let metrics = cv_metrics(&self.study.sweep.train.objective);
        let mut scores = vec![Vec::new(); metrics.len()];
        for trial in run.trials()? {
            let trial = trial?;
            for (scores, metric) in scores.iter_mut().zip(&metrics) {
                scores.push(Score::of(&trial, &format!("val_{metric}")));
            }
        }
        let scorings = metrics.iter().zip(&scores);
        let swept = self.study.sweep.space.swept();
        let members = self.study.members_per_trial().count();
        Ok(CvLayout {
            params: swept.map(|parameter| parameter.name.clone()).collect(),
            splits: usize::try_from(members).expect("members fit in memory"),
            scorings: scorings
                .map(|(metric, scores)| Scoring::new(metric, scores, Goal::of_metric(metric)))
                .collect(),
        })
    }

    fn summary(&mut self, refitted: &Refitted) -> Result<SummaryRecord, StudyError> {
        let study = self.study;
        let trials = study.trials();
        Ok(SummaryRecord {
            schema_version: SCHEMA_VERSION,
            trials,
            members: trials * study.members_per_trial().count(),
            states: self.tally.states().clone(),
            objective: study.sweep.train.objective.clone(),
            best: self.tally.best().map(|best| best_record(best, refitted)),
            adapter: study.adapter_record(),
            timing: self.timing(refitted)?,
        })
    }

    fn timing(&mut self, refitted: &Refitted) -> Result<TimingRecord, StudyError> {
        let mut timing = TimingRecord {
            wall_s: refitted.seconds + self.lap(),
            refit_s: refitted.seconds,
            ..TimingRecord::default()
        };
        for wave in self.run.reader().waves()? {
            let wave = wave?;
            timing.wall_s += wave.wall_s;
            timing.compile_s += wave.compile_s;
            timing.train_s += wave.train_s;
            timing.evaluate_s += wave.evaluate_s;
            timing.trial_samples += wave.samples;
        }
        let rate = timing.trial_samples as f64 / timing.train_s;
        timing.trial_samples_per_s = rate.is_finite().then_some(rate);
        Ok(timing)
    }
}

fn best_record(best: &TrialRecord, refitted: &Refitted) -> BestRecord {
    let metrics = best.metrics.iter().map(|(name, metric)| {
        let summary = MetricSummary {
            mean: metric.mean,
            std: metric.std,
        };
        (name.clone(), summary)
    });
    let mut metrics: BTreeMap<String, MetricSummary> = metrics.collect();
    let finite = |value: f64| value.is_finite().then_some(value);
    let test = |at: usize| refitted.test.and_then(|test| finite(test[at]));
    if refitted.test.is_some() {
        for (at, name) in metrics::NAMES.iter().enumerate() {
            let summary = MetricSummary {
                mean: test(at),
                std: None,
            };
            metrics.insert(format!("test_{name}"), summary);
        }
    }
    BestRecord {
        trial: best.trial,
        params: best.params.clone(),
        metrics,
        refit_epochs: refitted.epochs,
        test_accuracy: test(1),
        test_loss: test(0),
    }
}

/// Times of the waves in which they mean something for a single trial.
fn uniform_times(run: &RunReader) -> Result<BTreeMap<u64, TrialTimes>, StoreError> {
    let mut times = BTreeMap::new();
    for wave in run.waves()? {
        let wave: WaveRecord = wave?;
        if wave.uniform {
            let members = TrialTimes {
                mean_fit_s: wave.train_s,
                std_fit_s: 0.0,
                mean_score_s: wave.evaluate_s,
                std_score_s: 0.0,
            };
            times.insert(wave.wave, members);
        }
    }
    Ok(times)
}
