//! `--trace FILE`.

use super::desk::{Desk, SMALL};
use serde_json::Value;

/// Names of the spans of a track.
fn spans(trace: &Value, track: &str) -> Vec<String> {
    let events = trace["traceEvents"].as_array().unwrap().iter();
    let of_track = events.filter(|event| event["ph"] == "X" && event["cat"] == track);
    of_track
        .inspect(|event| {
            let (ts, dur) = (
                event["ts"].as_f64().unwrap(),
                event["dur"].as_f64().unwrap(),
            );
            assert!(ts >= 0.0 && dur >= 0.0, "{event}");
        })
        .map(|event| event["name"].as_str().unwrap().to_owned())
        .collect()
}

fn has(names: &[String], wanted: &[&str]) {
    for name in wanted {
        assert!(names.iter().any(|n| n == name), "{name} in {names:?}");
    }
}

#[test]
fn a_timeline_shows_the_host_and_the_device() {
    let desk = Desk::new();
    desk.sweep(&format!("{SMALL} --adapter cpu --out cpu --trace cpu.json"))
        .succeeds()
        .says(&["trace", "cpu.json"]);
    let trace = desk.json("cpu.json");
    has(&spans(&trace, "host"), &["train", "evaluate"]);
    has(&spans(&trace, "records"), &["write records"]);
    assert!(spans(&trace, "device").is_empty() && trace["device_busy"].is_null());
    let listed = desk.run("adapters --json").succeeds().stdout;
    let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
    let software = listed
        .iter()
        .filter(|entry| entry["software"] == true && entry["usable"] == true);
    for entry in software {
        let (index, timed) = (
            &entry["index"],
            entry["features"].to_string().contains("TIMESTAMP_QUERY"),
        );
        println!(
            "on {} {}, timestamps: {timed}",
            entry["backend"], entry["name"]
        );
        let file = format!("{index}.json");
        desk.sweep(&format!(
            "{SMALL} --adapter {index} --out on_{index} --trace {file}"
        ))
        .succeeds()
        .says(&["trace", &file]);
        let trace = desk.json(&file);
        has(
            &spans(&trace, "host"),
            &["start a wave", "train", "evaluate"],
        );
        has(&spans(&trace, "records"), &["write records"]);
        if timed {
            has(&spans(&trace, "device"), &["train", "evaluate"]);
            let busy = trace["device_busy"].as_f64().unwrap();
            assert!(busy > 0.0 && busy <= 1.0, "{busy}");
        }
        // What is recorded changes nothing.
        desk.sweep(&format!("{SMALL} --adapter {index} --out off_{index}"))
            .succeeds();
        let trials = |run: &str| desk.read(&format!("{run}_{index}/trials.jsonl"));
        assert_eq!(trials("on"), trials("off"));
    }
}

#[test]
fn what_is_there_is_not_overwritten() {
    let desk = Desk::new();
    desk.write("notes.txt", "mine");
    let sweep = format!("{SMALL} --adapter cpu");
    desk.sweep(&format!("{sweep} --trace notes.txt"))
        .exits(2)
        .says(&["notes.txt", "another"]);
    desk.sweep(&format!("{sweep} --trace no/such/trace.json"))
        .exits(2)
        .says(&["no/such", "folder"]);
    desk.sweep(&format!("{sweep} --trace trace.json --dry-run"))
        .exits(2)
        .says(&["--dry-run"]);
    assert_eq!(desk.read("notes.txt"), "mine");
    assert!(!desk.exists("runs"));
    // A sweep that is refused leaves no file.
    desk.sweep("--data nosuchfile.csv --trace trace.json")
        .exits(2);
    assert!(!desk.exists("trace.json"));
    // Nor what the run itself has written there since.
    desk.sweep(&format!("{sweep} --out run --trace run/summary.json"))
        .exits(2)
        .says(&["folder"]);
    std::fs::create_dir(desk.path("run")).unwrap();
    desk.sweep(&format!("{sweep} --out run --trace run/summary.json"))
        .exits(1)
        .says(&["run/summary.json exists by now"]);
    desk.sweep("--resume --out run").succeeds();
}
