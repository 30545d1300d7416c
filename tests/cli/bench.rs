//! `regatta bench`: what it refuses before it measures. What it measures is tested without a clock,
//! in `src/bench/tests.rs`.

use crate::desk::Desk;

#[test]
fn an_unknown_suite_is_refused_by_name() {
    let desk = Desk::new();
    desk.run("bench --suite roofline")
        .refuses(2, &["--suite roofline", "training"]);
}

#[test]
fn an_adapter_that_is_not_here_is_refused_before_a_file_is_written() {
    let desk = Desk::new();
    desk.run("bench --adapter no-such-card --out bench.json")
        .refuses(3, &["no-such-card", "cpu"]);
    assert!(!desk.exists("bench.json"));
}

#[test]
fn a_file_that_is_no_bench_record_is_left_as_it_is() {
    let desk = Desk::new();
    desk.write("mine.json", "{\"mine\": 1}");
    desk.run("bench --adapter cpu --out mine.json")
        .refuses(2, &["mine.json", "--out"]);
    assert_eq!(desk.read("mine.json"), "{\"mine\": 1}");
    desk.write("folder/file", "");
    desk.run("bench --adapter cpu --out folder")
        .refuses(2, &["folder", "--out"]);
}

#[test]
fn a_folder_that_is_not_there_is_noticed_before_anything_is_measured() {
    let desk = Desk::new();
    desk.run("bench --adapter cpu --out no/such/bench.json")
        .refuses(1, &["no/such/bench.json"]);
}
