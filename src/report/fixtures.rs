//! Records for the tests of this module: small ones by hand, and a whole study that looks real.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::store::{
    AdapterRecord, BestRecord, Curves, DataRecord, MetricRecord, MetricSummary, PlanRecord,
    RunRecord, SCHEMA_VERSION, SummaryRecord, TimingRecord, TrialRecord, TrialState, WaveRecord,
};

use super::rank::{Goal, rank};

pub(crate) fn metric(folds: &[f64]) -> MetricRecord {
    let count = folds.len() as f64;
    let mean = folds.iter().sum::<f64>() / count;
    let squares: f64 = folds.iter().map(|v| (v - mean).powi(2)).sum();
    MetricRecord {
        mean: Some(mean),
        std: Some(if folds.len() > 1 {
            (squares / (count - 1.0)).sqrt()
        } else {
            0.0
        }),
        folds: folds.iter().copied().map(Some).collect(),
    }
}

pub(crate) fn bare(trial: u64) -> TrialRecord {
    TrialRecord {
        trial,
        state: TrialState::Complete,
        params: Map::new(),
        epochs: 20,
        parameters: 4810,
        metrics: BTreeMap::new(),
        curves: BTreeMap::new(),
        samples: 57_480,
        steps: 1800,
        flops: 1_162_000_000,
        wave: 0,
    }
}

/// A complete trial with this mean `val_accuracy` (null for `None`) and a `train_accuracy` 0.02 higher.
pub(crate) fn scored(trial: u64, accuracy: Option<f64>) -> TrialRecord {
    let mut record = bare(trial);
    let of = |value: Option<f64>| MetricRecord {
        mean: value,
        std: value.map(|_| 0.005),
        folds: vec![value; 3],
    };
    record.metrics.insert("val_accuracy".into(), of(accuracy));
    let train = accuracy.map(|a| a + 0.02);
    record.metrics.insert("train_accuracy".into(), of(train));
    record
}

pub(crate) fn with_state(mut trial: TrialRecord, state: TrialState) -> TrialRecord {
    trial.state = state;
    trial
}

pub(crate) fn with_params(mut trial: TrialRecord, params: Value) -> TrialRecord {
    let Value::Object(params) = params else {
        panic!("parameters are an object, not {params}");
    };
    trial.params = params;
    trial
}

pub(crate) fn adapter() -> AdapterRecord {
    AdapterRecord {
        name: "NVIDIA H200".into(),
        backend: "vulkan".into(),
        driver: "NVIDIA 570.86".into(),
        engine: "resident".into(),
        limits: BTreeMap::new(),
        variants: [("dense".to_owned(), "resident-f32".to_owned())].into(),
    }
}

pub(crate) fn run_record(trials: u64) -> RunRecord {
    RunRecord {
        schema_version: SCHEMA_VERSION,
        version: "0.1.0".into(),
        created: "2026-10-03T09:12:44Z".into(),
        sweep: json!({
            "data": {"source": "digits", "scale": "standard", "test": 0.2, "folds": 3, "split": "shuffled", "repeats": 1},
            "train": {"epochs": 20, "objective": "val_accuracy", "refit": {"epochs": null}},
            "space": {
                "hidden": [64], "learning_rate": {"log": [1e-4, 1e-1], "points": 7},
                "batch_size": [16, 32, 64, 128], "optimizer": ["sgd", "adam", "rmsprop"]
            },
            "search": {"strategy": "grid", "scheduler": "none", "seed": 0}
        }),
        seed: 0,
        data: DataRecord {
            name: "digits".into(),
            fingerprint: "9f2c41d7aa0b6c13e55d2b7c0f8f1e6a4477b0b1d0c9e8f7a6b5c4d3e2f1a0b9".into(),
            rows: 1437,
            test_rows: 360,
            features: 64,
            classes: (0..10).map(|digit| digit.to_string()).collect(),
        },
        adapter: adapter(),
        plan: PlanRecord {
            trials,
            members_per_trial: 3,
            limits: crate::plan::Limits {
                most_bytes: 1 << 30,
                most_members: 4096,
                enough_bytes: 1 << 28,
                enough_members: 2,
                layout: None,
            },
        },
    }
}

pub(crate) fn wave_record(wave: u64) -> WaveRecord {
    WaveRecord {
        wave,
        trials: 84,
        members: 252,
        uniform: false,
        samples: 4_828_320,
        compile_s: 0.412,
        train_s: 0.388,
        evaluate_s: 0.061,
        wall_s: 0.934,
    }
}

pub(crate) fn summary_record(trials: &[TrialRecord], objective: &str, goal: Goal) -> SummaryRecord {
    let mut states = BTreeMap::new();
    for trial in trials {
        *states.entry(trial.state).or_insert(0) += 1;
    }
    let samples = trials.iter().map(|t| t.samples).sum();
    SummaryRecord {
        schema_version: SCHEMA_VERSION,
        trials: trials.len() as u64,
        members: trials.len() as u64 * 3,
        states,
        objective: objective.to_owned(),
        best: rank(trials, objective, goal)
            .first()
            .map(|best| best_record(best)),
        adapter: adapter(),
        timing: TimingRecord {
            wall_s: 0.934,
            compile_s: 0.412,
            train_s: 0.388,
            evaluate_s: 0.061,
            refit_s: 0.043,
            trial_samples: samples,
            trial_samples_per_s: Some(samples as f64 / 0.388),
        },
    }
}

fn best_record(trial: &TrialRecord) -> BestRecord {
    let summary = |metric: &MetricRecord| MetricSummary {
        mean: metric.mean,
        std: metric.std,
    };
    BestRecord {
        trial: trial.trial,
        params: trial.params.clone(),
        metrics: trial
            .metrics
            .iter()
            .map(|(name, metric)| (name.clone(), summary(metric)))
            .collect(),
        refit_epochs: Some(20),
        test_accuracy: Some(0.9722),
        test_loss: Some(0.1049),
    }
}

/// The default sweep: 7 learning rates x 4 batch sizes x 3 optimizers, 3 folds, 20 epochs.
pub(crate) fn default_sweep() -> Vec<TrialRecord> {
    let mut trials = Vec::new();
    for rate in 0..7 {
        let learning_rate = 10_f64.powf(-4.0 + 0.5 * f64::from(rate));
        for batch_size in [16, 32, 64, 128] {
            for optimizer in ["sgd", "adam", "rmsprop"] {
                let trial = trials.len() as u64;
                trials.push(trained(trial, learning_rate, batch_size, optimizer, 20));
            }
        }
    }
    trials
}

/// A trial whose curves look as if it had been trained: slow, right, or too fast.
pub(crate) fn trained(
    trial: u64,
    learning_rate: f64,
    batch_size: u32,
    optimizer: &str,
    epochs: u32,
) -> TrialRecord {
    let gain = match optimizer {
        "sgd" => 18.0,
        "adam" => 420.0,
        _ => 240.0,
    };
    let speed = learning_rate * gain * (32.0 / f64::from(batch_size)).powf(0.7);
    let diverges = optimizer == "rmsprop" && speed > 11.0;
    let too_fast = (speed / 6.0).max(1.0).ln();
    let mut record = bare(trial);
    record.epochs = epochs;
    record.params = params(learning_rate, batch_size, optimizer);
    let mut curves: BTreeMap<String, Curves> = BTreeMap::new();
    for fold in 0..3 {
        let mut noise = Noise(trial * 31 + fold + 1);
        let shift = 0.006 * noise.next();
        let mut points = [const { Vec::new() }; 3];
        for epoch in 1..=epochs {
            let progress = 1.0 - (-speed * f64::from(epoch) * 0.55).exp();
            let wobble = 0.004 * noise.next() * (1.0 + 6.0 * too_fast);
            let accuracy = 0.1 + 0.872 * progress - 0.035 * too_fast + shift + wobble;
            let train_loss =
                2.3 * (1.0 - progress).max(0.004) + 0.05 * too_fast + 0.01 * wobble.abs();
            let gone = diverges && epoch > 3;
            let keep = |v: f64| (!gone).then_some(v);
            points[0].push(keep(train_loss));
            points[1].push(keep(
                train_loss * 1.1 + 0.09 + 4.0 * shift.abs() + 0.2 * too_fast,
            ));
            points[2].push(keep(accuracy.clamp(0.05, 0.995)));
        }
        for (name, values) in ["train_loss", "val_loss", "val_accuracy"]
            .into_iter()
            .zip(points)
        {
            curves.entry(name.to_owned()).or_default().push(values);
        }
    }
    record.curves = curves;
    score_by_curves(&mut record);
    if diverges {
        record.state = TrialState::Diverged;
    }
    record
}

fn params(learning_rate: f64, batch_size: u32, optimizer: &str) -> Map<String, Value> {
    let mut params = Map::new();
    params.insert("batch_size".into(), json!(batch_size));
    params.insert("learning_rate".into(), json!(learning_rate));
    params.insert("optimizer".into(), json!(optimizer));
    params
}

fn score_by_curves(record: &mut TrialRecord) {
    let metrics: Vec<(String, MetricRecord)> = record
        .curves
        .iter()
        .map(|(name, curves)| (name.clone(), last_values(curves)))
        .collect();
    record.metrics.extend(metrics);
    let mut train = record.metrics["val_accuracy"].clone();
    let raise = |value: f64| (value + 0.028 * (value - 0.1)).min(1.0);
    train
        .folds
        .iter_mut()
        .for_each(|fold| *fold = fold.map(raise));
    train.mean = train.mean.map(raise);
    record.metrics.insert("train_accuracy".into(), train);
}

fn last_values(curves: &Curves) -> MetricRecord {
    let last: Vec<Option<f64>> = curves
        .iter()
        .map(|curve| curve.last().copied().flatten())
        .collect();
    match last.iter().copied().collect::<Option<Vec<f64>>>() {
        Some(values) => metric(&values),
        None => MetricRecord {
            mean: None,
            std: None,
            folds: last,
        },
    }
}

/// Repeatable noise in [-1, 1): the tests need no more than that it looks uneven.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / f64::from(1u32 << 30) - 1.0
    }
}
