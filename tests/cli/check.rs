//! `regatta check`.

use serde_json::Value;

use crate::desk::Desk;

fn checked(desk: &Desk, arguments: &str) -> Vec<Value> {
    let outcome = desk.run(&format!("check --json {arguments}")).succeeds();
    let checked: Value = serde_json::from_str(&outcome.stdout).unwrap();
    checked.as_array().unwrap().clone()
}

#[test]
fn every_adapter_here_passes_and_every_key_is_there() {
    let desk = Desk::new();
    for adapter in checked(&desk, "--members 5") {
        println!("{} {}", adapter["backend"], adapter["name"]);
        assert_eq!(adapter["passed"], true, "{adapter:#}");
        assert!(adapter["error"].is_null(), "{adapter:#}");
        assert!(adapter["wall_s"].as_f64().unwrap() > 0.0);
        let kernels = adapter["kernels"].as_array().unwrap();
        for kernel in kernels {
            assert!(kernel["cases"].as_u64().unwrap() > 0, "{kernel:#}");
            assert!(
                kernel["largest_error"].as_f64().unwrap() <= 1.0,
                "{kernel:#}"
            );
            assert_eq!(kernel["passed"], true, "{kernel:#}");
            assert_eq!(kernel["failed"], 0, "{kernel:#}");
            assert!(kernel["at"].is_string() && kernel["failures"].is_array());
        }
        let names = kernels.iter().map(|kernel| kernel["kernel"].as_str());
        let names: Vec<&str> = names.map(Option::unwrap).collect();
        assert!(names.contains(&"dense_forward"), "{names:?}");
        assert!(names.contains(&"bit identity"), "{names:?}");
        let resident = ["resident", "bit identity, resident"];
        let has_coherent_buffers = adapter["backend"] != "native";
        assert_eq!(
            names.ends_with(&resident),
            has_coherent_buffers,
            "{names:?}"
        );
    }
}

#[test]
fn a_line_a_kernel_and_one_for_the_bits() {
    let desk = Desk::new();
    let told = desk
        .run("check --adapter cpu --members 3 --repeats 4")
        .succeeds();
    assert_eq!(told.stderr, "");
    let line = |kernel: &str| {
        let found = told.stdout.lines().find(|line| line.contains(kernel));
        found.unwrap_or_else(|| panic!("{kernel}: {told:#?}"))
    };
    for kernel in ["dense_forward", "update", "softmax_cross_entropy"] {
        assert!(line(kernel).starts_with("  ok"), "{told:#?}");
    }
    // Three repeats against the first, one member alone, and one wave of a part; without batch norm and with it.
    let words: Vec<&str> = line("bit identity").split_whitespace().collect();
    assert_eq!(words, ["ok", "bit", "identity", "10", "0.000"]);
    assert!(line("passed in").ends_with(" s"), "{told:#?}");
}

#[test]
fn what_cannot_be_checked_is_refused() {
    let desk = Desk::new();
    desk.run("check --adapter nosuchcard")
        .exits(3)
        .says(&["nosuchcard", "regatta adapters"]);
    desk.run("check --adapter cpu --members 0")
        .exits(2)
        .says(&["--members"]);
    desk.run("check --adapter cpu --repeats 0")
        .exits(2)
        .says(&["--repeats"]);
    assert_eq!(desk.names("."), [""; 0]);
}
