//! The small commands: `init`, `completions`, `--help`; and the examples.

use std::path::Path;

use serde_json::Value;

use crate::desk::Desk;

const COMMANDS: [&str; 6] = [
    "sweep",
    "init",
    "adapters",
    "bench",
    "report",
    "completions",
];

#[test]
fn init_prints_the_default_sweep_as_a_sweep_file() {
    let desk = Desk::new();
    let template = desk.run("init").succeeds();
    assert_eq!(template.stderr, "");
    desk.write("sweep.toml", &template.stdout);
    let estimate = |arguments: &str| -> Value {
        let outcome = desk.sweep(&format!("{arguments} --dry-run --json"));
        let mut estimate: Value = serde_json::from_str(&outcome.succeeds().stdout).unwrap();
        estimate.as_object_mut().unwrap().remove("train_s").unwrap();
        estimate
    };
    assert_eq!(estimate("sweep.toml"), estimate(""));
}

#[test]
fn init_writes_a_file_but_never_over_another() {
    let desk = Desk::new();
    desk.run("init --out sweep.toml").succeeds();
    let template = desk.run("init").stdout;
    assert_eq!(desk.read("sweep.toml"), template);
    desk.write("sweep.toml", "mine");
    desk.run("init --out sweep.toml")
        .refuses(2, &["sweep.toml", "exists"]);
    assert_eq!(desk.read("sweep.toml"), "mine");
}

#[test]
fn completions_name_every_command() {
    let desk = Desk::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        desk.run(&format!("completions {shell}"))
            .succeeds()
            .prints(&COMMANDS);
    }
}

#[test]
fn help_of_every_command_has_an_example() {
    let desk = Desk::new();
    desk.run("--help").succeeds().prints(&COMMANDS);
    for command in COMMANDS {
        let help = desk.run(&format!("{command} --help")).succeeds();
        let example = format!("regatta {command}");
        let help = help.prints(&["Example", &example]);
        assert_eq!(help.stderr, "", "{command}");
    }
}

#[test]
fn version_is_the_package_s() {
    let desk = Desk::new();
    let version = concat!("regatta ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(desk.run("--version").succeeds().stdout, version);
}

#[test]
fn mistakes_in_the_arguments_are_usage_errors() {
    let desk = Desk::new();
    for (arguments, words) in [
        ("", &["Usage"][..]),
        ("swep", &["swep", "sweep"]),
        ("sweep --bogus", &["--bogus"]),
        ("sweep --epoch 3", &["--epoch", "--epochs"]),
        ("sweep a.toml b.toml", &["b.toml"]),
        ("sweep --epochs", &["--epochs"]),
        ("sweep --epochs 1.5", &["--epochs", "1.5"]),
        ("sweep --threads 0", &["--threads", "0", "1..=1024"]),
        ("sweep --folds 2 --holdout 0.2", &["--folds", "--holdout"]),
        (
            "sweep --checkpoint-every soon",
            &["--checkpoint-every", "soon"],
        ),
        ("completions tcsh", &["tcsh", "bash"]),
        ("adapters cpu", &["cpu"]),
    ] {
        let outcome = desk.run(arguments).exits(2).says(words);
        assert_eq!(outcome.stdout, "", "{arguments}");
        assert_eq!(desk.names("."), [""; 0], "{arguments}");
    }
}

#[test]
fn the_examples_are_sweep_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        seen += 1;
        let desk = Desk::new();
        let outcome = desk.sweep(&format!("{} --dry-run", path.display()));
        // The data of an example need not be installed; then the missing file is named.
        if outcome.code == Some(2) {
            outcome.refuses(2, &["does not exist"]);
        } else {
            outcome.succeeds().prints(&["trials"]);
        }
        assert_eq!(desk.names("."), [""; 0]);
    }
    assert!(seen >= 2, "the examples were found");
}
