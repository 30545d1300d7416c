//! The files of a run: their keys, types and arithmetic.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::desk::{Desk, SMALL, SMALL_TRIALS};

const EPOCHS: usize = 2;
const FOLDS: usize = 3;
/// Rows of iris outside the test part of a fifth, and of them those that a fold trains on.
const TRAINING_ROWS: u64 = 120;
const FOLD_ROWS: u64 = 80;

#[track_caller]
fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

#[track_caller]
fn close(a: f64, b: f64, what: &str) {
    assert!((a - b).abs() <= 1e-12 * (1.0 + a.abs()), "{what}: {a}, {b}");
}

#[track_caller]
fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn deviation(values: &[f64], freedom: f64) -> f64 {
    let mean = mean(values);
    let squares = values.iter().map(|value| (value - mean).powi(2));
    (squares.sum::<f64>() / freedom).sqrt()
}

/// Weights and biases, and multiplications of one row forward, in each dense layer.
fn layers(inputs: u64, hidden: &[u64], outputs: u64) -> Vec<(u64, u64)> {
    let widths: Vec<u64> = [&[inputs], hidden, &[outputs]].concat();
    let sizes = widths.windows(2).map(|pair| (pair[0], pair[1]));
    sizes.map(|(a, b)| (a * b + b, a * b)).collect()
}

#[test]
fn trials_have_all_keys_and_the_right_sums() {
    let desk = Desk::new();
    desk.sweep(&format!("{SMALL} --out run")).succeeds();
    let trials = desk.json_lines("run/trials.jsonl");
    assert_eq!(trials.len(), SMALL_TRIALS);
    for (id, trial) in trials.iter().enumerate() {
        let keys: Vec<&str> = trial
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let expected = [
            "trial",
            "state",
            "params",
            "epochs",
            "parameters",
            "metrics",
            "curves",
            "samples",
            "steps",
            "flops",
            "wave",
        ];
        assert_eq!(keys, expected);
        assert_eq!(trial["trial"], id);
        assert_eq!(trial["state"], "complete");
        assert_eq!(trial["epochs"], EPOCHS);
        check_params(trial);
        check_work(trial);
        check_metrics(trial);
        check_curves(trial);
    }
    let waves: Vec<u64> = trials.iter().map(|t| t["wave"].as_u64().unwrap()).collect();
    assert_eq!(waves, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
}

fn check_params(trial: &Value) {
    let params = trial["params"].as_object().unwrap();
    let names: Vec<&str> = params.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["hidden", "learning_rate", "optimizer"],
        "the swept ones, in the order of the space"
    );
    assert!([0.01, 0.1].contains(&number(&params["learning_rate"])));
    assert!(params["hidden"].is_array());
}

fn check_work(trial: &Value) {
    let hidden = numbers(&trial["params"]["hidden"]);
    let hidden: Vec<u64> = hidden.iter().map(|&width| width as u64).collect();
    let layers = layers(4, &hidden, 3);
    let parameters: u64 = layers.iter().map(|layer| layer.0).sum();
    assert_eq!(trial["parameters"], parameters);
    let member_epochs = (FOLDS * EPOCHS) as u64;
    let samples = member_epochs * FOLD_ROWS;
    assert_eq!(trial["samples"], samples);
    assert_eq!(trial["steps"], member_epochs * FOLD_ROWS.div_ceil(32));
    // Forward, weight gradients, and input gradients of all layers but the first.
    let products: u64 = layers.iter().map(|layer| layer.1).sum();
    assert_eq!(
        trial["flops"],
        samples * 2 * (3 * products - layers[0].1),
        "{hidden:?}"
    );
}

fn check_metrics(trial: &Value) {
    let metrics = trial["metrics"].as_object().unwrap();
    let mut expected = Vec::new();
    for part in ["train", "val"] {
        expected.extend(["loss", "accuracy"].map(|name| format!("{part}_{name}")));
        for name in ["precision", "recall", "f1"] {
            expected.extend(["", "_micro", "_weighted"].map(|form| format!("{part}_{name}{form}")));
        }
    }
    expected.sort();
    let mut names: Vec<&String> = metrics.keys().collect();
    names.sort();
    assert_eq!(names, expected.iter().collect::<Vec<_>>());
    for (name, metric) in metrics {
        let folds = numbers(&metric["folds"]);
        assert_eq!(folds.len(), FOLDS, "{name}");
        close(number(&metric["mean"]), mean(&folds), name);
        let sample_deviation = deviation(&folds, FOLDS as f64 - 1.0);
        close(number(&metric["std"]), sample_deviation, name);
        if !name.ends_with("loss") {
            let in_range = |value: &f64| (0.0..=1.0).contains(value);
            assert!(folds.iter().all(in_range), "{name} {folds:?}");
        }
    }
    // With one label a row, these are the accuracy.
    for name in ["val_precision_micro", "val_f1_micro", "val_recall_weighted"] {
        let (a, b) = (&metrics[name]["mean"], &metrics["val_accuracy"]["mean"]);
        close(number(a), number(b), name);
    }
}

fn check_curves(trial: &Value) {
    let curves = trial["curves"].as_object().unwrap();
    assert_eq!(curves.len(), 3);
    for name in ["train_loss", "val_loss", "val_accuracy"] {
        let members = curves[name].as_array().unwrap();
        assert_eq!(members.len(), FOLDS);
        for (fold, member) in members.iter().enumerate() {
            let epochs = numbers(member);
            assert_eq!(epochs.len(), EPOCHS);
            if name != "train_loss" {
                let last = &trial["metrics"][name]["folds"][fold];
                assert_eq!(number(last), epochs[EPOCHS - 1], "the last epoch's {name}");
            }
        }
    }
}

#[test]
fn run_json_has_all_that_repeats_the_run() {
    let desk = Desk::new();
    desk.sweep(&format!("{SMALL} --seed 5 --out run"))
        .succeeds();
    let run = desk.json("run/run.json");
    assert_eq!(run["schema_version"], 1);
    assert_eq!(run["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(run["seed"], 5);
    let fingerprint = run["data"]["fingerprint"].as_str().unwrap();
    assert_eq!(fingerprint.len(), 64, "SHA-256 in hexadecimal");
    assert_eq!(run["data"]["name"], "iris");
    assert_eq!(run["data"]["rows"], TRAINING_ROWS);
    assert_eq!(run["data"]["test_rows"], 30);
    assert_eq!(run["data"]["features"], 4);
    assert_eq!(
        run["data"]["classes"],
        serde_json::json!(["setosa", "versicolor", "virginica"])
    );
    for name in ["name", "backend", "driver", "engine"] {
        assert!(run["adapter"][name].is_string(), "adapter.{name}");
    }
    assert_eq!(run["adapter"]["engine"], "cpu");
    for name in ["limits", "variants"] {
        assert!(run["adapter"][name].is_object(), "adapter.{name}");
    }
    for name in ["data", "train", "space", "search"] {
        assert!(run["sweep"][name].is_object(), "sweep.{name}");
    }
    assert_eq!(run["sweep"]["train"]["epochs"], EPOCHS);
    assert_eq!(run["plan"]["trials"], SMALL_TRIALS);
}

#[test]
fn summary_json_adds_up() {
    let desk = Desk::new();
    desk.sweep(&format!("{SMALL} --out run")).succeeds();
    let summary = desk.json("run/summary.json");
    let trials = desk.json_lines("run/trials.jsonl");
    assert_eq!(summary["schema_version"], 1);
    assert_eq!(summary["trials"], SMALL_TRIALS);
    assert_eq!(summary["members"], SMALL_TRIALS * FOLDS);
    assert_eq!(
        summary["states"],
        serde_json::json!({"complete": SMALL_TRIALS})
    );
    check_best(&summary["best"], &trials);
    for name in ["name", "backend", "driver", "engine"] {
        assert!(summary["adapter"][name].is_string(), "adapter.{name}");
    }
    let timing = &summary["timing"];
    let [wall, compile, train, evaluate] =
        ["wall_s", "compile_s", "train_s", "evaluate_s"].map(|name| number(&timing[name]));
    assert!(train > 0.0 && evaluate > 0.0 && compile >= 0.0);
    assert!(train + evaluate + compile <= wall, "{timing}");
    let samples: u64 = trials.iter().map(|t| t["samples"].as_u64().unwrap()).sum();
    assert_eq!(timing["trial_samples"], samples);
    close(
        number(&timing["trial_samples_per_s"]),
        samples as f64 / train,
        "trial_samples_per_s",
    );
}

fn check_best(best: &Value, trials: &[Value]) {
    let accuracy = |trial: &Value| number(&trial["metrics"]["val_accuracy"]["mean"]);
    let highest = trials
        .iter()
        .map(accuracy)
        .fold(f64::NEG_INFINITY, f64::max);
    let trial = &trials[usize::try_from(best["trial"].as_u64().unwrap()).unwrap()];
    assert_eq!(accuracy(trial), highest);
    assert_eq!(best["params"], trial["params"]);
    for part in ["mean", "std"] {
        assert_eq!(
            best["metrics"]["val_accuracy"][part],
            trial["metrics"]["val_accuracy"][part]
        );
    }
    let test = number(&best["test_accuracy"]);
    // There are 30 test rows.
    close((test * 30.0).round(), test * 30.0, "test_accuracy");
    assert!(number(&best["test_loss"]) > 0.0);
}

/// The lines of `cv_results.csv` by column.
fn csv_rows(desk: &Desk, name: &str) -> (Vec<String>, Vec<BTreeMap<String, String>>) {
    let mut reader = csv::Reader::from_path(desk.path(name)).unwrap();
    let header: Vec<String> = reader
        .headers()
        .unwrap()
        .iter()
        .map(str::to_owned)
        .collect();
    let rows = reader.deserialize().map(Result::unwrap).collect();
    (header, rows)
}

#[test]
fn cv_results_have_the_columns_of_scikit_learn() {
    let desk = Desk::new();
    desk.sweep(&format!("{SMALL} --out run")).succeeds();
    let (header, rows) = csv_rows(&desk, "run/cv_results.csv");
    let expected = [
        "mean_fit_time",
        "std_fit_time",
        "mean_score_time",
        "std_score_time",
        "param_hidden",
        "param_learning_rate",
        "param_optimizer",
        "params",
        "split0_test_accuracy",
        "split1_test_accuracy",
        "split2_test_accuracy",
        "mean_test_accuracy",
        "std_test_accuracy",
        "rank_test_accuracy",
        "split0_train_accuracy",
        "split1_train_accuracy",
        "split2_train_accuracy",
        "mean_train_accuracy",
        "std_train_accuracy",
    ];
    assert_eq!(header[..expected.len()], expected);
    let trials = desk.json_lines("run/trials.jsonl");
    assert_eq!(rows.len(), trials.len());
    for (row, trial) in rows.iter().zip(&trials) {
        assert_eq!(row["mean_fit_time"], "", "the waves are mixed");
        let params: Value = serde_json::from_str(&row["params"]).unwrap();
        assert_eq!(params, trial["params"]);
        assert_eq!(
            row["param_learning_rate"].parse::<f64>().unwrap(),
            number(&params["learning_rate"])
        );
        check_cells(row, trial, "test", "val");
        check_cells(row, trial, "train", "train");
        let mean =
            |row: &BTreeMap<String, String>| -> f64 { row["mean_test_accuracy"].parse().unwrap() };
        let better = rows.iter().filter(|other| mean(other) > mean(row));
        assert_eq!(
            row["rank_test_accuracy"],
            (better.count() + 1).to_string(),
            "equal trials share the smallest rank"
        );
    }
}

fn check_cells(row: &BTreeMap<String, String>, trial: &Value, theirs: &str, ours: &str) {
    let metric = &trial["metrics"][format!("{ours}_accuracy")];
    let folds = numbers(&metric["folds"]);
    let cell = |name: String| -> f64 { row[&name].parse().unwrap() };
    for (fold, value) in folds.iter().enumerate() {
        assert_eq!(cell(format!("split{fold}_{theirs}_accuracy")), *value);
    }
    assert_eq!(
        cell(format!("mean_{theirs}_accuracy")),
        number(&metric["mean"])
    );
    // scikit-learn divides by n.
    close(
        cell(format!("std_{theirs}_accuracy")),
        deviation(&folds, FOLDS as f64),
        theirs,
    );
}

#[test]
fn a_uniform_wave_has_times_in_cv_results() {
    let desk = Desk::new();
    desk.sweep("--data iris --epochs 1 --set learning_rate=0.01,0.1 --set optimizer=sgd --set batch_size=32 --out run")
        .succeeds();
    for row in csv_rows(&desk, "run/cv_results.csv").1 {
        assert!(row["mean_fit_time"].parse::<f64>().unwrap() > 0.0);
    }
}
