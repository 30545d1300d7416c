//! Kills, Ctrl-C and `--resume`: the records are those of an uninterrupted run.

use std::fs;
use std::io::Write;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::desk::{Desk, Outcome, RUN_FILES, SMALL, finish};

/// Two waves of a few hundred steps a member.
const LONG: &str = "--data digits --epochs 15 --set learning_rate=0.01,0.1 \
                    --set optimizer=sgd,adam --set batch_size=64 --hidden 16,8x8 --folds 2";
const OFTEN: &str = "--checkpoint-every 0";
const CHECKPOINT: &str = "run/checkpoint/wave.safetensors";

/// The files that must not tell whether a run was interrupted; the summary apart from times.
fn check_same_records(desk: &Desk, expected: &str, found: &str) {
    for file in ["trials.jsonl", "cv_results.csv"] {
        let [expected, found] = [expected, found].map(|run| desk.read(&format!("{run}/{file}")));
        assert_eq!(expected, found, "{file}");
    }
    let summary = |run: &str| {
        let mut summary = desk.json(&format!("{run}/summary.json"));
        let timing = summary["timing"].take();
        (summary, timing["trial_samples"].clone())
    };
    assert_eq!(summary(expected), summary(found));
    let waves = |run: &str| {
        let lines = desk.json_lines(&format!("{run}/waves.jsonl"));
        let same = ["wave", "trials", "members", "uniform", "samples"];
        let line = |line: &Value| same.map(|key| line[key].clone());
        lines.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(waves(expected), waves(found));
    let [expected, weights] = [expected, found].map(|run| network(desk, run));
    assert!(expected == weights, "weights of the best trial");
    assert_eq!(desk.names(found), RUN_FILES, "no partial file is left");
    assert_eq!(desk.names(&format!("{found}/checkpoint")), [""; 0]);
}

/// Header and values of `best.safetensors`; the header's keys may be in any order.
fn network(desk: &Desk, run: &str) -> (Value, Vec<u8>) {
    let mut bytes = fs::read(desk.path(run).join("best.safetensors")).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    let values = bytes.split_off(8 + usize::try_from(length).unwrap());
    (serde_json::from_slice(&bytes[8..]).unwrap(), values)
}

#[cfg(unix)]
fn interrupt(child: &Child) {
    let id = child.id().to_string();
    let status = Command::new("kill").args(["-INT", &id]).status();
    assert!(status.unwrap().success());
}

/// Ends a process that hangs, so that the test fails instead of waiting for ever.
fn finish_or_kill(command: &str, mut child: Child) -> Outcome {
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > Duration::from_secs(120) {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("`{command}` hangs");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    finish(command, child)
}

#[test]
fn checkpoints_as_often_as_can_be_do_not_stop_the_training() {
    let desk = Desk::new();
    desk.sweep(&format!("{SMALL} --out whole")).succeeds();
    let sweep = format!("{SMALL} {OFTEN} --out run");
    finish_or_kill(&sweep, desk.spawn_sweep(&sweep)).succeeds();
    check_same_records(&desk, "whole", "run");
}

#[test]
fn kills_at_any_moment_leave_the_records_of_an_uninterrupted_run() {
    let desk = Desk::new();
    desk.sweep(&format!("{LONG} --out whole")).succeeds();
    let sweep = format!("{LONG} {OFTEN} --out run --resume");
    // Kills before the folder is there, at its making, and ever later in the training.
    for delay_ms in [1, 4, 9, 20, 45, 90, 130, 180, 250] {
        let mut child = desk.spawn_sweep(&sweep);
        std::thread::sleep(Duration::from_millis(delay_ms));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    finish_or_kill(&sweep, desk.spawn_sweep(&sweep)).succeeds();
    check_same_records(&desk, "whole", "run");
}

#[test]
fn a_kill_after_a_checkpoint_goes_on_from_it() {
    let desk = Desk::new();
    desk.sweep(&format!("{LONG} --out whole")).succeeds();
    let mut child = desk.spawn_sweep(&format!("{LONG} {OFTEN} --out run"));
    assert!(desk.wait_for(CHECKPOINT, &mut child));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!desk.exists("run/summary.json"));
    // Nothing but the folder need be said: the sweep is on record.
    desk.sweep("--out run --resume")
        .succeeds()
        .prints(&["best"]);
    check_same_records(&desk, "whole", "run");
}

/// Running statistics and the steps that dropout's masks depend on are in the checkpoint.
#[test]
fn batch_norm_and_dropout_go_on_from_a_checkpoint() {
    let desk = Desk::new();
    let regularised = format!("{LONG} --set batch_norm=false,true --set dropout=0.3");
    desk.sweep(&format!("{regularised} --out whole")).succeeds();
    let mut child = desk.spawn_sweep(&format!("{regularised} {OFTEN} --out run"));
    assert!(desk.wait_for(CHECKPOINT, &mut child));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!desk.exists("run/summary.json"));
    desk.sweep("--out run --resume").succeeds();
    check_same_records(&desk, "whole", "run");
}

/// A run of [`LONG`] that was stopped with Ctrl-C after its first checkpoint.
fn interrupted(desk: &Desk) -> Outcome {
    let sweep = format!("{LONG} {OFTEN} --out run");
    let mut child = desk.spawn_sweep(&sweep);
    assert!(desk.wait_for(CHECKPOINT, &mut child));
    interrupt(&child);
    finish_or_kill(&sweep, child)
}

#[test]
fn ctrl_c_writes_the_checkpoint_and_says_how_to_go_on() {
    let desk = Desk::new();
    let outcome = interrupted(&desk).exits(130);
    assert_eq!(outcome.stdout, "");
    outcome.says(&["interrupted", "regatta sweep --resume --out run"]);
    assert!(desk.exists(CHECKPOINT));
    assert!(!desk.exists("run/summary.json"));
    desk.sweep(&format!("{LONG} --out whole")).succeeds();
    desk.sweep("--resume --out run").succeeds();
    check_same_records(&desk, "whole", "run");
}

#[test]
fn ctrl_c_while_nothing_is_trained_yet() {
    let desk = Desk::new();
    desk.sweep(&format!("{LONG} --out whole")).succeeds();
    let sweep = format!("{LONG} --out run --resume");
    for delay_ms in [0, 2, 5, 10] {
        let child = desk.spawn_sweep(&sweep);
        std::thread::sleep(Duration::from_millis(delay_ms));
        interrupt(&child);
        let outcome = finish_or_kill(&sweep, child);
        // Before the signal is listened to, it simply ends the process.
        assert!(
            [None, Some(130), Some(0)].contains(&outcome.code),
            "{outcome:#?}"
        );
    }
    desk.sweep(&sweep).succeeds();
    check_same_records(&desk, "whole", "run");
}

#[test]
fn resume_on_an_absent_folder_starts_the_run() {
    let desk = Desk::new();
    desk.sweep(&format!("{SMALL} --out whole")).succeeds();
    desk.sweep(&format!("{SMALL} --out run --resume"))
        .succeeds();
    check_same_records(&desk, "whole", "run");
}

#[test]
fn resume_of_a_finished_run_prints_it_again_and_changes_nothing() {
    let desk = Desk::new();
    let first = desk.sweep(&format!("{SMALL} --out run")).succeeds();
    let before = desk.contents("run");
    for settings in ["", SMALL] {
        let again = desk.sweep(&format!("{settings} --out run --resume"));
        let again = again.succeeds().says(&["finished"]);
        assert_eq!(again.stdout, first.stdout, "{settings}");
        assert!(desk.contents("run") == before, "{settings}");
    }
}

#[test]
fn resume_without_out_takes_the_latest_run() {
    let desk = Desk::new();
    let first = desk.sweep(SMALL).succeeds();
    let again = desk.sweep("--resume").succeeds();
    let body = |outcome: &Outcome| {
        let text = outcome.stdout.split("\nrun ").next().unwrap();
        text.to_owned()
    };
    assert_eq!(body(&again), body(&first));
    assert_eq!(desk.names("runs").len(), 2, "one run and `latest`");
}

#[test]
fn resume_with_other_settings_is_refused_and_changes_nothing() {
    let desk = Desk::new();
    let header = "a,b,class\n";
    let rows: String = (0..40)
        .map(|i| format!("{i},{},{}\n", i % 7, i % 2))
        .collect();
    desk.write("my.csv", format!("{header}{rows}"));
    let sweep = "--data my.csv --epochs 1 --set batch_size=8 --hidden 4 --out run";
    desk.sweep(sweep).succeeds();
    let before = desk.contents("run");
    for (settings, words) in [
        ("--seed 3", &["seed", "0", "3"][..]),
        ("--folds 2", &["folds", "2"]),
        ("--set learning_rate=0.5", &["0.5"]),
        ("--set activation=tanh", &["activation", "tanh", "relu"]),
        ("--test 0.3", &["test", "0.2", "0.3"]),
    ] {
        let words = [&["run ", "another"], words, &["--out"]].concat();
        desk.sweep(&format!("{sweep} {settings} --resume"))
            .refuses(2, &words);
        assert!(desk.contents("run") == before, "{settings}");
    }
    // The same sweep on a file that has changed since.
    desk.write("my.csv", format!("{header}{}", rows.replace("3,", "4,")));
    for settings in [sweep, "--out run"] {
        desk.sweep(&format!("{settings} --resume"))
            .refuses(2, &["run ", "another data"]);
        assert!(desk.contents("run") == before, "{settings}");
    }
    desk.write("my.csv", format!("{header}{rows}"));
    desk.sweep(&format!("{sweep} --resume")).succeeds();
    assert!(desk.contents("run") == before);
}

#[test]
fn a_torn_last_line_is_cut_off_and_said() {
    for garbage in [
        &b"{\"trial\":3,\"state\":\"comp"[..],
        b"\0\0\0\0",
        b"\xff\xfe\x00",
        b"}",
    ] {
        let desk = Desk::new();
        desk.sweep(&format!("{SMALL} --out whole")).succeeds();
        desk.sweep(&format!("{SMALL} --out run")).succeeds();
        // As if the second wave had been killed while its second trial was written.
        for file in ["run/summary.json", "run/cv_results.csv"] {
            fs::remove_file(desk.path(file)).unwrap();
        }
        let lines = desk.read("run/trials.jsonl");
        let kept: String = lines.split_inclusive('\n').take(5).collect();
        fs::write(
            desk.path("run/trials.jsonl"),
            [kept.as_bytes(), garbage].concat(),
        )
        .unwrap();
        let waves = desk.read("run/waves.jsonl");
        let kept: String = waves.split_inclusive('\n').take(2).collect();
        fs::write(desk.path("run/waves.jsonl"), kept).unwrap();
        desk.sweep("--resume --out run").succeeds().says(&[
            "warning: ",
            &format!("{} bytes", garbage.len()),
            "torn",
            "run",
        ]);
        check_same_records(&desk, "whole", "run");
    }
}

#[test]
fn a_torn_line_behind_a_finished_run_is_cut_off_too() {
    let desk = Desk::new();
    desk.sweep(&format!("{SMALL} --out run")).succeeds();
    let whole = desk.read("run/trials.jsonl");
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(desk.path("run/trials.jsonl"))
        .unwrap();
    file.write_all(b"{\"trial\":12").unwrap();
    desk.sweep("--resume --out run").succeeds().says(&["torn"]);
    assert_eq!(desk.read("run/trials.jsonl"), whole);
}

#[test]
fn a_second_process_on_a_run_is_refused() {
    let desk = Desk::new();
    let mut first =
        desk.spawn_sweep("--data digits --epochs 5000 --set batch_size=16 --hidden 32 --out run");
    assert!(desk.wait_for("run/trials.jsonl", &mut first));
    desk.sweep("--out run --resume")
        .refuses(2, &["run", "another process", "wait"]);
    desk.sweep("--data iris --out run")
        .refuses(2, &["run", "exists"]);
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(!desk.exists("run/summary.json"));
}

#[test]
fn out_on_something_that_exists_is_refused_and_changes_nothing() {
    let desk = Desk::new();
    desk.sweep(&format!("{SMALL} --out run")).succeeds();
    desk.write("other/letter.txt", "dear");
    desk.write("file", "plain");
    let before = desk.contents(".");
    for (out, words) in [
        ("run", &["run", "exists", "--resume", "--out"][..]),
        ("other", &["other", "--out"]),
        ("file", &["file", "--out"]),
    ] {
        desk.sweep(&format!("{SMALL} --out {out}"))
            .refuses(2, words);
        assert!(desk.contents(".") == before, "{out}");
    }
    for out in ["other", "file"] {
        desk.sweep(&format!("{SMALL} --out {out} --resume"))
            .refuses(2, &[out, "not the folder of a run", "--out"]);
        assert!(desk.contents(".") == before, "{out}");
    }
}

#[test]
fn a_damaged_run_is_refused() {
    for (file, content) in [
        ("run.json", "{"),
        ("run.json", "{\"schema_version\": 999}"),
        ("trials.jsonl", "nonsense\n"),
        ("summary.json", "[]"),
    ] {
        let desk = Desk::new();
        desk.sweep(&format!("{SMALL} --out run")).succeeds();
        desk.write(&format!("run/{file}"), content);
        if file == "trials.jsonl" {
            fs::remove_file(desk.path("run/summary.json")).unwrap();
        }
        desk.sweep("--resume --out run").refuses(2, &[file]);
        assert_eq!(desk.read(&format!("run/{file}")), content);
    }
}
