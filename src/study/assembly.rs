//! Puts a trial's record together from its members, which may have been in several waves.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde_json::{Map, Value};

use super::wave::{MemberOutcome, Metrics};
use crate::metrics;
use crate::plan::{MembersPerTrial, Wave};
use crate::search::Proposal;
use crate::space::ParameterValue;
use crate::store::{Curves, MetricRecord, TrialRecord, TrialState};
use crate::train::Shape;

/// Curves of a record, in the order of [`MemberHistory::epochs`](crate::store::MemberHistory).
const CURVES: [&str; 3] = ["train_loss", "val_loss", "val_accuracy"];

/// Members of trials that are not complete yet.
pub struct Assembly {
    per_trial: MembersPerTrial,
    pending: BTreeMap<u64, Vec<Option<MemberOutcome>>>,
}

impl Assembly {
    pub fn new(per_trial: MembersPerTrial) -> Self {
        Self {
            per_trial,
            pending: BTreeMap::new(),
        }
    }

    /// Takes what became of a wave's members; returns the trials that are complete now, in the
    /// order of their numbers.
    pub fn add(
        &mut self,
        wave: &Wave,
        proposals: &BTreeMap<u64, Proposal>,
        outcomes: Vec<MemberOutcome>,
    ) -> Vec<TrialRecord> {
        let count = usize::try_from(self.per_trial.count()).expect("members fit in memory");
        for outcome in outcomes {
            let id = outcome.history.id;
            let slots = self
                .pending
                .entry(id.trial)
                .or_insert_with(|| vec![None; count]);
            slots[self.per_trial.slot(id)] = Some(outcome);
        }
        let complete = |members: &Vec<Option<MemberOutcome>>| members.iter().all(Option::is_some);
        let (done, pending) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|(_, members)| complete(members));
        self.pending = pending;
        let done: BTreeMap<u64, Vec<Option<MemberOutcome>>> = done;
        // A trial that is complete now has members in this wave.
        let shapes = wave.members.iter().map(|m| (m.id.trial, wave.shape_of(m)));
        let shapes: BTreeMap<u64, &Shape> = shapes.collect();
        done.into_par_iter()
            .map(|(trial, members)| {
                let members: Vec<MemberOutcome> = members.into_iter().flatten().collect();
                record(&proposals[&trial], &members, shapes[&trial], wave.number)
            })
            .collect()
    }
}

fn record(proposal: &Proposal, members: &[MemberOutcome], shape: &Shape, wave: u64) -> TrialRecord {
    let diverged = members.iter().any(|member| member.history.diverged);
    let samples = members.iter().map(|m| m.history.samples).sum();
    let trained = |m: &MemberOutcome| m.history.epochs.len() - usize::from(m.history.diverged);
    let epochs = members.iter().map(trained).max().unwrap_or(0);
    TrialRecord {
        trial: proposal.trial,
        state: if diverged {
            TrialState::Diverged
        } else {
            TrialState::Complete
        },
        params: params(&proposal.params),
        epochs: u32::try_from(epochs).expect("epochs are u32"),
        parameters: shape.parameters() as u64,
        metrics: metric_records(members),
        curves: curves(members),
        samples,
        steps: members.iter().map(|m| m.history.steps).sum(),
        flops: samples * shape.flops_per_sample(),
        wave,
    }
}

fn params(params: &[(String, ParameterValue)]) -> Map<String, Value> {
    let value = |value| serde_json::to_value(value).expect("parameters are plain JSON");
    params
        .iter()
        .map(|(name, v)| (name.clone(), value(v)))
        .collect()
}

fn metric_records(members: &[MemberOutcome]) -> BTreeMap<String, MetricRecord> {
    let mut records = BTreeMap::new();
    for (at, name) in metrics::NAMES.iter().enumerate() {
        let of = |part: fn(&MemberOutcome) -> Option<Metrics>| {
            let values = members.iter().map(|m| part(m).map(|metrics| metrics[at]));
            metric_record(values.collect())
        };
        records.insert(format!("train_{name}"), of(|m| m.training));
        records.insert(format!("val_{name}"), of(|m| m.validation));
    }
    records
}

/// Mean and sample standard deviation over the members; none of both when a member has no value.
fn metric_record(values: Vec<Option<f64>>) -> MetricRecord {
    let folds: Vec<Option<f64>> = values
        .into_iter()
        .map(|v| v.filter(|v| v.is_finite()))
        .collect();
    let all: Option<Vec<f64>> = folds.iter().copied().collect();
    let (mean, std) = all.map(|values| mean_and_std(&values)).unzip();
    MetricRecord { mean, std, folds }
}

fn mean_and_std(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    if values.len() == 1 {
        return (mean, 0.0);
    }
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    (mean, (squares / (n - 1.0)).sqrt())
}

fn curves(members: &[MemberOutcome]) -> BTreeMap<String, Curves> {
    let finite = |value: f64| value.is_finite().then_some(value);
    let curve = |at: usize| {
        members
            .iter()
            .map(|m| {
                m.history
                    .epochs
                    .iter()
                    .map(|epoch| finite(epoch[at]))
                    .collect()
            })
            .collect()
    };
    (0..)
        .zip(CURVES)
        .map(|(at, name)| (name.to_owned(), curve(at)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_sample_deviation() {
        let (mean, std) = mean_and_std(&[0.97, 0.98, 0.973]);
        assert!((mean - 0.974_333_333_333).abs() < 1e-9);
        assert!((std - 0.005_131_601_439).abs() < 1e-9);
        assert_eq!(mean_and_std(&[0.5]), (0.5, 0.0));
    }

    #[test]
    fn a_member_without_a_value_leaves_no_mean() {
        for missing in [None, Some(f64::NAN), Some(f64::INFINITY)] {
            let record = metric_record(vec![Some(1.0), missing]);
            assert_eq!(record.mean, None);
            assert_eq!(record.std, None);
            assert_eq!(record.folds, [Some(1.0), None]);
        }
    }
}
