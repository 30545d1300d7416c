//! `regatta sweep`: what is printed, and which files are written.

use std::fs;

use serde_json::Value;

use crate::desk::{Desk, RUN_FILES, SMALL};

#[test]
fn prints_a_leaderboard_and_writes_a_run() {
    let desk = Desk::new();
    let outcome = desk.sweep(&format!("{SMALL} --out run")).succeeds();
    let outcome = outcome.prints(&[
        "rank",
        "learning_rate",
        "val_accuracy",
        "12 trials, 36 members: 12 complete",
        "best ",
        "test ",
        "regatta report run",
    ]);
    assert!(outcome.stdout.contains('±'), "{outcome:#?}");
    assert!(!outcome.stdout.contains('\x1b'), "colours in a pipe");
    assert!(!outcome.stderr.contains('\x1b'), "colours in a pipe");
    assert_eq!(desk.names("run"), RUN_FILES);
    assert_eq!(desk.names("run/checkpoint"), [""; 0]);
    assert_eq!(desk.names("."), ["run"], "nothing beside the run");
}

#[test]
fn quiet_leaves_stderr_empty() {
    let desk = Desk::new();
    for flag in ["--quiet", "-q"] {
        let outcome = desk.sweep(&format!("{SMALL} --out run{flag} {flag}"));
        let outcome = outcome.succeeds().prints(&["rank"]);
        assert_eq!(outcome.stderr, "", "{flag}");
    }
}

#[test]
fn quiet_keeps_warnings() {
    let desk = Desk::new();
    let outcome = desk.sweep("--data iris --epochs 1 --quiet").succeeds();
    let warnings: Vec<&str> = outcome.stderr.lines().collect();
    assert!(
        warnings.len() == 1 && warnings[0].starts_with("warning: batch_size 128"),
        "{outcome:#?}"
    );
}

#[test]
fn json_is_summary_json_byte_for_byte() {
    let desk = Desk::new();
    let outcome = desk.sweep(&format!("{SMALL} --out run --json")).succeeds();
    assert_eq!(outcome.stdout, desk.read("run/summary.json"));
    let again = desk.sweep("--out run --resume --json --quiet").succeeds();
    assert_eq!(again.stdout, desk.read("run/summary.json"), "of an old run");
}

#[test]
fn runs_have_a_name_and_latest_is_the_newest() {
    let desk = Desk::new();
    for _ in 0..2 {
        desk.sweep(SMALL).succeeds();
    }
    let names = desk.names("runs");
    let (first, second) = (&names[0], &names[1]);
    assert_eq!(names[2..], ["latest"]);
    for name in [first, second] {
        let time = name.strip_prefix("iris-").unwrap();
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let well_formed = digits(&time[..8])
            && &time[8..9] == "T"
            && digits(&time[9..15])
            && &time[15..16] == "Z"
            && ["", "-2"].contains(&&time[16..]);
        assert!(well_formed, "{name} is not iris-<UTC time>");
    }
    assert_eq!(
        desk.path("runs/latest").canonicalize().unwrap(),
        desk.path("runs").join(second).canonicalize().unwrap()
    );
    assert_eq!(
        desk.read("runs/latest/trials.jsonl"),
        desk.read(&format!("runs/{first}/trials.jsonl")),
        "the same sweep has the same records"
    );
}

#[test]
fn the_default_sweep_is_84_trials_of_digits() {
    let desk = Desk::new();
    let estimate: Value =
        serde_json::from_str(&desk.sweep("--dry-run --json").succeeds().stdout).unwrap();
    assert_eq!(estimate["trials"], 84);
    assert_eq!(estimate["members"], 252);
}

#[test]
fn a_dry_run_tells_the_cost_and_writes_nothing() {
    let desk = Desk::new();
    let outcome = desk.sweep(&format!("{SMALL} --dry-run")).succeeds();
    for (word, value) in [
        ("trials", "12"),
        ("members", "36"),
        ("cohorts", "3"),
        ("waves", "3"),
        ("memory", ""),
        ("time", ""),
    ] {
        let line = outcome.stdout.lines().find(|line| line.starts_with(word));
        let line = line.unwrap_or_else(|| panic!("no {word}: {outcome:#?}"));
        assert!(line.contains(value), "{line}");
    }
    desk.sweep(&format!("{SMALL} --dry-run --out run --json"))
        .succeeds();
    assert_eq!(desk.names("."), [""; 0]);
}

#[test]
fn an_empty_folder_is_a_place_for_a_run() {
    let desk = Desk::new();
    fs::create_dir(desk.path("run")).unwrap();
    desk.sweep(&format!("{SMALL} --out run")).succeeds();
    assert_eq!(desk.names("run"), RUN_FILES);
    desk.sweep(&format!("{SMALL} --out deep/er/run")).succeeds();
    assert_eq!(desk.names("deep/er/run"), RUN_FILES);
}

#[test]
fn flags_win_over_the_sweep_file() {
    let desk = Desk::new();
    desk.write(
        "sweep.toml",
        r#"
        [data]
        source = "iris"
        folds = 4
        test = 0
        [train]
        epochs = 3
        [space]
        hidden = [8]
        learning_rate = { log = [1e-3, 1e-1], points = 3 }
        optimizer = ["sgd", "adam"]
        momentum = { linear = [0.0, 0.9], points = 3, when = { optimizer = "sgd" } }
        [search]
        seed = 7
        "#,
    );
    desk.sweep("sweep.toml --out file").succeeds();
    let run = desk.json("file/run.json");
    assert_eq!(run["seed"], 7);
    assert_eq!(run["sweep"]["train"]["epochs"], 3);
    assert_eq!(run["sweep"]["data"]["folds"], 4);
    // Three learning rates, each with sgd at three momenta and with adam.
    let trials = desk.json_lines("file/trials.jsonl");
    assert_eq!(trials.len(), 12);
    for trial in &trials {
        let conditional = trial["params"]["optimizer"] == "sgd";
        assert_eq!(trial["params"].get("momentum").is_some(), conditional);
    }
    let summary = desk.json("file/summary.json");
    assert_eq!(summary["best"]["test_accuracy"], Value::Null);

    desk.sweep("sweep.toml --out flags --epochs 1 --holdout 0.25 --seed 8 --test 0.2 --set learning_rate=0.1")
        .succeeds();
    let run = desk.json("flags/run.json");
    assert_eq!(run["seed"], 8);
    assert_eq!(run["sweep"]["train"]["epochs"], 1);
    assert_eq!(run["sweep"]["data"]["holdout"], 0.25);
    assert_eq!(desk.json_lines("flags/trials.jsonl").len(), 4);
}

#[test]
fn holdout_has_one_member_a_trial_and_repeats_multiply() {
    for (flags, members) in [
        ("--holdout 0.25", 1),
        ("--holdout 0.25 --repeats 3", 3),
        ("--folds 2", 2),
        ("--folds 2 --repeats 2", 4),
        ("--folds 5", 5),
    ] {
        let desk = Desk::new();
        desk.sweep(&format!("{SMALL} {flags} --out run")).succeeds();
        for trial in desk.json_lines("run/trials.jsonl") {
            let accuracy = &trial["metrics"]["val_accuracy"];
            let values = accuracy["folds"].as_array().unwrap();
            assert_eq!(values.len(), members, "{flags}");
            if members == 1 {
                assert_eq!(accuracy["mean"], values[0], "{flags}");
                assert_eq!(accuracy["std"], 0.0, "{flags}");
            }
        }
        let summary = desk.json("run/summary.json");
        assert_eq!(summary["members"], 12 * members, "{flags}");
    }
}

#[test]
fn another_seed_gives_other_numbers() {
    let desk = Desk::new();
    for seed in [0, 1] {
        desk.sweep(&format!("{SMALL} --seed {seed} --out {seed}"))
            .succeeds();
    }
    assert_ne!(desk.read("0/trials.jsonl"), desk.read("1/trials.jsonl"));
}

#[test]
fn every_way_to_write_a_range() {
    for (spec, expected) in [
        ("learning_rate=0.1", vec![0.1]),
        ("learning_rate=0.1,0.01", vec![0.1, 0.01]),
        ("learning_rate=log:1e-3..1e-1:3", vec![1e-3, 1e-2, 1e-1]),
        ("learning_rate=linear:0.1..0.3:3", vec![0.1, 0.2, 0.3]),
        ("batch_size=int:2..4", vec![2.0, 3.0, 4.0]),
        ("batch_size=log_int:8..32:3", vec![8.0, 16.0, 32.0]),
    ] {
        let desk = Desk::new();
        let name = spec.split('=').next().unwrap();
        let rest = match name {
            "batch_size" => "learning_rate=0.1",
            _ => "batch_size=32",
        };
        desk.sweep(&format!(
            "--data iris --epochs 1 --set optimizer=sgd --set {rest} --set {spec} --out run"
        ))
        .succeeds();
        let trials = desk.json_lines("run/trials.jsonl");
        assert_eq!(trials.len(), expected.len(), "{spec}");
        for (trial, expected) in trials.iter().zip(expected) {
            // A parameter with one value is not swept, and not among the trial's own.
            let Some(value) = trial["params"].get(name) else {
                assert_eq!(trials.len(), 1, "{spec}");
                continue;
            };
            let value = value.as_f64().unwrap();
            assert!((value - expected).abs() < 1e-12, "{spec}: {value}");
        }
    }
}

#[test]
fn batch_norm_and_dropout_are_swept() {
    let desk = Desk::new();
    let sweep = "--data iris --epochs 8 --hidden 16x8 --set learning_rate=0.03 \
                 --set optimizer=adam --set batch_size=16 --set batch_norm=false,true \
                 --set dropout=0,0.2";
    desk.sweep(&format!("{sweep} --out run"))
        .succeeds()
        .prints(&["batch_norm", "dropout", "4 trials, 12 members: 4 complete"]);
    let trials = desk.json_lines("run/trials.jsonl");
    let params: Vec<String> = trials.iter().map(|t| t["params"].to_string()).collect();
    assert_eq!(
        params,
        [
            r#"{"batch_norm":false,"dropout":0.0}"#,
            r#"{"batch_norm":false,"dropout":0.2}"#,
            r#"{"batch_norm":true,"dropout":0.0}"#,
            r#"{"batch_norm":true,"dropout":0.2}"#,
        ]
    );
    // 4-16-8-3: gamma and beta in place of the biases of 16 and 8 units.
    let parameters: Vec<u64> = trials
        .iter()
        .map(|t| t["parameters"].as_u64().unwrap())
        .collect();
    assert_eq!(parameters, [243, 243, 267, 267]);
    let losses: Vec<&Value> = trials.iter().map(|t| &t["curves"]["train_loss"]).collect();
    for (i, loss) in losses.iter().enumerate() {
        assert!(!losses[..i].contains(loss), "trial {i} is like another");
    }
    let flops: Vec<&Value> = trials.iter().map(|t| &t["flops"]).collect();
    assert_eq!(flops, [flops[0]; 4]);
    let waves = desk.json_lines("run/waves.jsonl");
    assert_eq!(
        waves.len(),
        2,
        "a cohort without batch norm and one with it"
    );
    desk.run("report run").succeeds();
}

#[test]
fn a_linear_model_has_no_hidden_layer() {
    let desk = Desk::new();
    desk.write(
        "sweep.toml",
        "[data]\nsource = \"iris\"\n[space]\nhidden = []\n[train]\nepochs = 1\n",
    );
    desk.sweep("sweep.toml --out run").succeeds();
    let trials = desk.json_lines("run/trials.jsonl");
    assert_eq!(trials.len(), 1);
    assert_eq!(trials[0]["parameters"], 4 * 3 + 3);
}

#[cfg(target_os = "linux")]
#[test]
fn a_stderr_that_takes_nothing_stops_no_sweep() {
    for flags in ["", "--quiet"] {
        let desk = Desk::new();
        // Its default grid gives a warning, too.
        let mut command = desk.command(&format!("sweep --data iris --epochs 1 {flags} --out run"));
        let full = fs::OpenOptions::new().write(true).open("/dev/full");
        let output = command.stderr(full.unwrap()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{flags}");
        assert!(desk.exists("run/summary.json"), "{flags}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_stdout_that_is_full_is_an_error_and_one_that_is_closed_is_not() {
    let desk = Desk::new();
    let mut command = desk.command(&format!("sweep {SMALL} --quiet --out run"));
    let full = fs::OpenOptions::new().write(true).open("/dev/full");
    let output = command.stdout(full.unwrap()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("error: cannot write to stdout"),
        "{stderr}"
    );
    assert!(desk.exists("run/summary.json"), "the run is kept");
    let mut child = desk.spawn_sweep("--resume --out run --quiet");
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success(), "as `head` does");
}
