//! The same numbers whatever trains beside a trial, and on however many threads.

use serde_json::Value;

use crate::desk::{Desk, SMALL};

#[test]
fn threads_change_no_byte() {
    let desk = Desk::new();
    for threads in [1, 2, 3] {
        desk.sweep(&format!("{SMALL} --threads {threads} --out {threads}"))
            .succeeds();
        for file in ["trials.jsonl", "cv_results.csv"] {
            assert_eq!(
                desk.read(&format!("1/{file}")),
                desk.read(&format!("{threads}/{file}")),
                "{file} of {threads} threads"
            );
        }
        assert_eq!(
            desk.json("1/summary.json")["best"],
            desk.json(&format!("{threads}/summary.json"))["best"]
        );
    }
}

#[test]
fn the_environment_of_rayon_changes_nothing() {
    let desk = Desk::new();
    for (out, threads) in [("one", "1"), ("many", "8")] {
        let mut command = desk.command(&format!("sweep {SMALL} --out {out}"));
        let output = command.env("RAYON_NUM_THREADS", threads).output();
        assert!(output.unwrap().status.success());
    }
    assert_eq!(
        desk.read("one/trials.jsonl"),
        desk.read("many/trials.jsonl")
    );
}

/// A sweep of iris over these learning rates with three optimizers, in one wave.
fn rates(desk: &Desk, rates: &str, out: &str) -> Vec<Value> {
    desk.sweep(&format!(
        "--data iris --epochs 3 --hidden 8 --set learning_rate={rates} \
         --set optimizer=sgd,adam,rmsprop --set batch_size=16,32 --out {out}"
    ))
    .succeeds();
    desk.json_lines(&format!("{out}/trials.jsonl"))
}

fn without_place(mut trial: Value) -> Value {
    let fields = trial.as_object_mut().unwrap();
    fields.remove("trial").unwrap();
    fields.remove("wave").unwrap();
    trial
}

#[test]
fn a_diverging_trial_touches_no_other() {
    let desk = Desk::new();
    let alone = rates(&desk, "0.01,0.1", "alone");
    let beside = rates(&desk, "0.01,1000000,0.1", "beside");
    let (diverged, others): (Vec<Value>, Vec<Value>) = beside
        .into_iter()
        .partition(|trial| trial["params"]["learning_rate"] == 1e6);
    assert_eq!(diverged.len(), 6);
    for trial in &diverged {
        check_diverged(trial);
    }
    let bare = |trials: Vec<Value>| trials.into_iter().map(without_place).collect::<Vec<_>>();
    assert_eq!(bare(others), bare(alone));
    let [alone, beside] = ["alone", "beside"].map(|run| desk.json(&format!("{run}/summary.json")));
    assert_eq!(
        beside["states"],
        serde_json::json!({"complete": 12, "diverged": 6})
    );
    assert_eq!(beside["best"]["params"], alone["best"]["params"]);
    assert_eq!(beside["best"]["metrics"], alone["best"]["metrics"]);
    assert_eq!(beside["best"]["test_loss"], alone["best"]["test_loss"]);
}

fn check_diverged(trial: &Value) {
    assert_eq!(trial["state"], "diverged", "{trial}");
    for (name, metric) in trial["metrics"].as_object().unwrap() {
        assert_eq!(metric["mean"], Value::Null, "{name} of {trial}");
        assert_eq!(metric["std"], Value::Null, "{name} of {trial}");
        let folds = metric["folds"].as_array().unwrap();
        assert_eq!(folds.len(), 3, "{name} of {trial}");
        assert!(folds.contains(&Value::Null), "{name} of {trial}");
    }
}

#[test]
fn a_sweep_whose_trials_all_diverge_fails() {
    let desk = Desk::new();
    let sweep = "--data iris --epochs 2 --hidden 8 --set batch_size=32 \
                 --set learning_rate=1000000 --set optimizer=sgd,adam --out run";
    let outcome = desk.sweep(&format!("{sweep} --quiet")).exits(1);
    outcome.prints(&["2 diverged", "none"]).says(&[
        "error: ",
        "no trial is complete",
        "diverged",
        "lower learning rates",
    ]);
    let summary = desk.json("run/summary.json");
    assert_eq!(summary["best"], Value::Null);
    assert_eq!(summary["states"], serde_json::json!({"diverged": 2}));
    for trial in desk.json_lines("run/trials.jsonl") {
        check_diverged(&trial);
    }
    let again = desk.sweep("--resume --out run --json --quiet").exits(1);
    assert_eq!(again.stdout, desk.read("run/summary.json"));
}
