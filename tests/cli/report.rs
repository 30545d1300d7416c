//! `regatta report`: one page that needs nothing else.

use std::fs;

use crate::desk::{Desk, SMALL};

#[track_caller]
fn check_page(desk: &Desk, name: &str, words: &[&str]) {
    let page = desk.read(name);
    assert!(page.trim_start().starts_with("<!doctype html") || page.starts_with("<!DOCTYPE html"));
    assert!(page.trim_end().ends_with("</html>"));
    assert!(page.contains("<svg"), "{name} has no picture");
    let free_of_names = page.replace("http://www.w3.org/2000/svg", "");
    for outside in ["http:", "https:", "src=", "<link", "@import", "url("] {
        assert!(!free_of_names.contains(outside), "{name} has {outside}");
    }
    for word in words {
        assert!(page.contains(word), "{name} lacks {word}");
    }
    assert!(!page.contains("NaN"), "{name} has NaN");
}

#[test]
fn of_a_finished_run() {
    let desk = Desk::new();
    desk.sweep(&format!("{SMALL} --out run")).succeeds();
    let outcome = desk.run("report run").succeeds();
    assert_eq!(outcome.stdout.trim_end(), "run/report.html");
    check_page(&desk, "run/report.html", &["iris", "learning_rate", "adam"]);
    let first = desk.read("run/report.html");
    desk.run("report run").succeeds();
    assert!(desk.read("run/report.html") == first, "the same page again");
    desk.run("report run --out page.html").succeeds();
    assert!(desk.read("page.html") == first);
    // A page in the folder of a run is no part of it.
    desk.sweep("--resume --out run").succeeds();
}

#[test]
fn of_the_latest_run() {
    let desk = Desk::new();
    desk.run("report")
        .refuses(2, &["runs/latest", "regatta sweep"]);
    desk.sweep(SMALL).succeeds();
    desk.run("report").succeeds();
    check_page(&desk, "runs/latest/report.html", &["iris"]);
}

#[test]
fn of_an_unfinished_run() {
    let desk = Desk::new();
    desk.sweep(&format!("{SMALL} --out run")).succeeds();
    fs::remove_file(desk.path("run/summary.json")).unwrap();
    fs::remove_file(desk.path("run/cv_results.csv")).unwrap();
    let trials = desk.read("run/trials.jsonl");
    let half: String = trials.split_inclusive('\n').take(6).collect();
    // The last line is being written at this moment.
    desk.write("run/trials.jsonl", half + "{\"trial\":");
    desk.run("report run").succeeds();
    check_page(&desk, "run/report.html", &["iris", "adam"]);
    assert!(
        desk.read("run/trials.jsonl").ends_with("{\"trial\":"),
        "read, not mended"
    );
}

#[test]
fn of_a_run_that_was_killed_at_its_beginning() {
    let desk = Desk::new();
    let mut child = desk.spawn_sweep("--data digits --epochs 5000 --out run");
    assert!(desk.wait_for("run/trials.jsonl", &mut child));
    // Also while it is at work.
    desk.run("report run --out early.html").succeeds();
    child.kill().unwrap();
    child.wait().unwrap();
    desk.run("report run").succeeds();
    let page = desk.read("run/report.html");
    assert!(page.contains("digits") && page.trim_end().ends_with("</html>"));
}

#[test]
fn of_diverged_trials() {
    let desk = Desk::new();
    for (rates, out) in [("0.01,1000000", "some"), ("1000000,2000000", "all")] {
        let outcome = desk.sweep(&format!(
            "--data iris --epochs 2 --hidden 8 --set batch_size=16,32 \
             --set optimizer=sgd --set learning_rate={rates} --out {out}"
        ));
        assert!(matches!(outcome.code, Some(0 | 1)));
        desk.run(&format!("report {out}")).succeeds();
        let page = desk.read(&format!("{out}/report.html"));
        assert!(page.contains("diverged"), "{out}");
        assert!(!page.contains("NaN") && !page.contains("inf,"), "{out}");
    }
}

#[test]
fn names_from_the_data_are_escaped() {
    let desk = Desk::new();
    let rows: String = (0..40)
        .map(|i| format!("{i},{}\n", ["<script>alert(1)</script>", "b&\"'"][i % 2]))
        .collect();
    desk.write("my.csv", format!("a,<b>class</b>\n{rows}"));
    desk.sweep("--data my.csv --epochs 1 --set batch_size=8 --out run")
        .succeeds();
    desk.run("report run").succeeds();
    let page = desk.read("run/report.html");
    assert!(!page.contains("<script>alert") && !page.contains("<b>class"));
}

#[test]
fn of_no_run_is_refused() {
    let desk = Desk::new();
    desk.write("folder/file.txt", "text");
    desk.write("file", "text");
    for (run, words) in [
        ("absent", &["absent", "no run"][..]),
        ("folder", &["folder", "not the folder of a run"]),
        ("file", &["file", "not the folder of a run"]),
    ] {
        desk.run(&format!("report {run}")).refuses(2, words);
    }
    assert_eq!(desk.names("folder"), ["file.txt"]);
}
