//! `regatta adapters`, and `--adapter` on what is found here.

use serde_json::Value;

use crate::desk::{Desk, Outcome, SMALL, finish};

/// The entries of `regatta adapters --json`.
fn listed(desk: &Desk) -> Vec<Value> {
    let listed = desk.run("adapters --json").succeeds().stdout;
    serde_json::from_str(&listed).unwrap()
}

/// The software adapters that can be used; says when there are none.
fn software(desk: &Desk) -> Vec<Value> {
    let mut found = listed(desk);
    found.retain(|entry| entry["software"] == true && entry["usable"] == true);
    for entry in &found {
        println!("{} {} {}", entry["index"], entry["backend"], entry["name"]);
    }
    if found.is_empty() {
        println!("skipped: no software adapter is here (Debian: mesa-vulkan-drivers)");
    }
    found
}

/// A sweep on an adapter whose name may have spaces.
fn sweep_on(desk: &Desk, adapter: &str, rest: &str) -> Outcome {
    let mut command = desk.command(&format!("sweep --data iris --epochs 1 --quiet {rest}"));
    finish(
        adapter,
        command.args(["--adapter", adapter]).spawn().unwrap(),
    )
}

#[test]
fn cpu_is_the_first() {
    let desk = Desk::new();
    desk.run("adapters").succeeds().prints(&["cpu", "native"]);
    let cpu = &listed(&desk)[0];
    assert_eq!(cpu["index"], 0);
    assert_eq!(cpu["kind"], "cpu");
    for name in ["name", "backend", "driver", "engine"] {
        assert!(cpu[name].is_string(), "{name}");
    }
    assert!(cpu["limits"]["threads"].as_u64().unwrap() >= 1);
    assert_eq!(desk.names("."), [""; 0]);
}

#[test]
fn every_adapter_has_every_key_and_one_is_taken_by_auto() {
    let desk = Desk::new();
    let listed = listed(&desk);
    for (index, entry) in listed.iter().enumerate() {
        assert_eq!(entry["index"], index);
        for name in ["kind", "name", "backend", "driver", "engine", "reason"] {
            assert!(entry[name].is_string(), "{name} of {entry}");
        }
        for name in ["auto", "software", "usable"] {
            assert!(entry[name].is_boolean(), "{name} of {entry}");
        }
        for name in ["limits", "variants"] {
            assert!(entry[name].is_object(), "{name} of {entry}");
        }
        assert!(entry["features"].is_array(), "{entry}");
        assert!(entry.get("pci_id").is_some(), "{entry}");
        let of_software = entry["software"] == true;
        assert_eq!(of_software, entry["kind"] == "software", "{entry}");
        assert!(!(of_software && entry["auto"] == true), "{entry}");
    }
    let taken = listed.iter().filter(|entry| entry["auto"] == true);
    assert_eq!(taken.count(), 1, "{listed:#?}");
}

#[test]
fn the_table_names_every_adapter_and_what_auto_takes() {
    let desk = Desk::new();
    let table = desk.run("adapters").succeeds();
    for entry in listed(&desk) {
        for name in ["kind", "name", "backend", "driver"] {
            let word = entry[name].as_str().unwrap();
            assert!(table.stdout.contains(word), "{word}: {table:#?}");
        }
        if entry["auto"] == true {
            let takes = format!("`--adapter auto` takes {}: ", entry["index"]);
            assert!(table.stdout.contains(&takes), "{table:#?}");
        }
    }
}

#[test]
fn drivers_are_silent_with_and_without_a_display() {
    let desk = Desk::new();
    for folder in [None, Some("/nonexistent")] {
        let mut command = desk.command("adapters --json");
        command.env_remove("XDG_RUNTIME_DIR");
        command.envs(folder.map(|folder| ("XDG_RUNTIME_DIR", folder)));
        let outcome = finish("adapters --json", command.spawn().unwrap()).succeeds();
        assert_eq!(outcome.stderr, "", "{folder:?}");
    }
}

#[test]
fn cpu_loads_no_driver() {
    let desk = Desk::new();
    // The Vulkan loader then writes what it does.
    let told = |arguments: &str| {
        let mut command = desk.command(arguments);
        command.env("VK_LOADER_DEBUG", "all");
        finish(arguments, command.spawn().unwrap())
            .succeeds()
            .stderr
    };
    for adapter in ["cpu", "CPU", "0"] {
        let sweep = format!("sweep {SMALL} --adapter {adapter} --dry-run");
        assert_eq!(told(&sweep), "", "{adapter}");
    }
    let vulkan = software(&desk);
    if vulkan.iter().any(|entry| entry["backend"] == "vulkan") {
        assert_ne!(told("adapters"), "");
    }
}

#[test]
fn a_software_adapter_is_found_by_index_name_and_backend() {
    let desk = Desk::new();
    for entry in software(&desk) {
        let (name, backend) = (entry["name"].as_str(), entry["backend"].as_str());
        let (name, backend) = (name.unwrap(), backend.unwrap());
        for adapter in [entry["index"].to_string(), format!("{backend}:{name}")] {
            sweep_on(&desk, &adapter, "--engine layered --dry-run")
                .succeeds()
                .prints(&["layered", name]);
            sweep_on(&desk, &adapter, "--engine resident --dry-run")
                .succeeds()
                .prints(&["resident", name]);
            sweep_on(&desk, &adapter, "--engine resident --hidden 2048x2048")
                .exits(2)
                .says(&["2048-2048", "resident", name, "2 hidden layers of up to"]);
            sweep_on(&desk, &adapter, "--threads 1")
                .exits(2)
                .says(&["--threads 1", name]);
        }
    }
    assert_eq!(desk.names("."), [""; 0]);
}

/// Few epochs at low learning rates, where f32 trajectories are not chaotic.
const MILD: &str = "--data iris --epochs 6 --hidden 16 --set learning_rate=0.001,0.01 \
    --set batch_size=8,32 --set optimizer=sgd,adam --set batch_norm=false,true --set dropout=0,0.2";

#[test]
fn a_sweep_on_a_software_adapter_agrees_with_the_cpu_trial_by_trial() {
    let desk = Desk::new();
    // By number: the engines lay their waves out differently.
    let trials = |run: &str| -> Vec<Value> {
        let mut trials = desk.json_lines(&format!("{run}/trials.jsonl"));
        trials.sort_by_key(|trial| trial["trial"].as_u64());
        for trial in &mut trials {
            assert!(trial.as_object_mut().unwrap().remove("wave").is_some());
        }
        trials
    };
    let losses = |run: &str| -> Vec<f64> {
        let loss = |trial: &Value| trial["metrics"]["val_loss"]["mean"].as_f64().unwrap();
        trials(run).iter().map(loss).collect()
    };
    desk.sweep(&format!("{MILD} --adapter cpu --out cpu"))
        .succeeds();
    let expected = losses("cpu");
    assert_eq!(expected.len(), 32);
    for entry in software(&desk) {
        let (backend, name) = (entry["backend"].as_str(), entry["name"].as_str());
        let (backend, name) = (backend.unwrap(), name.unwrap());
        println!("on {backend} {name}");
        let adapter = entry["index"].to_string();
        let layered = format!("layered_on_{adapter}");
        desk.sweep(&format!(
            "{MILD} --adapter {adapter} --engine layered --out {layered}"
        ))
        .succeeds()
        .prints(&["engine layered", name]);
        let run = format!("on_{backend}_{adapter}");
        desk.sweep(&format!("{MILD} --adapter {adapter} --out {run}"))
            .succeeds()
            .prints(&["engine resident", name]);
        assert_eq!(trials(&run), trials(&layered));
        let waves = |run: &str| desk.json_lines(&format!("{run}/waves.jsonl")).len();
        assert_eq!(
            [waves(&layered), waves(&run)],
            [2, 1],
            "both shapes together"
        );
        for (actual, expected) in losses(&run).iter().zip(&expected) {
            let error = (actual - expected).abs() / expected;
            assert!(error < 1e-3, "{name}: {actual} and {expected}");
        }
        let record = desk.json(&format!("{run}/run.json"));
        assert_eq!(record["adapter"]["engine"], "resident");
        let form = &record["adapter"]["variants"]["shape 4-16-3"];
        assert_eq!(form, "resident, weights in workgroup memory");
        assert_eq!(record["adapter"]["backend"], backend);
        assert!(record["plan"]["limits"]["layout"]["most_buffer_bytes"].is_u64());
        let summary = desk.json(&format!("{run}/summary.json"));
        assert!(summary["timing"]["compile_s"].as_f64().unwrap() > 0.0);
        // Without a name, the adapter that the run was begun on is taken again.
        desk.sweep(&format!("--resume --out {run}"))
            .succeeds()
            .prints(&["engine resident", name]);
        desk.sweep(&format!("--resume --out {layered}"))
            .succeeds()
            .prints(&["engine layered", name]);
        // A run that was begun by one engine is gone on with by it alone.
        desk.sweep(&format!("--resume --adapter cpu --out {run}"))
            .exits(2)
            .says(&["resident", "cpu"]);
    }
}

#[test]
fn of_several_matches_the_first_is_taken_and_said() {
    let desk = Desk::new();
    let found = software(&desk);
    let Some(name) = found.first().and_then(|entry| entry["name"].as_str()) else {
        return;
    };
    let same = found.iter().filter(|entry| entry["name"] == name).count();
    let outcome = sweep_on(&desk, &name.to_uppercase(), "");
    let said = format!("{same} adapters match");
    assert_eq!(outcome.stderr.contains(&said), same > 1, "{outcome:#?}");
    let taken = format!("taking {} `{name}`", found[0]["index"]);
    assert_eq!(outcome.stderr.contains(&taken), same > 1, "{outcome:#?}");
}

#[test]
fn an_adapter_without_compute_is_listed_and_not_usable() {
    let desk = Desk::new();
    // Mesa's GL as it was before compute shaders.
    let old = |arguments: &str| {
        let mut command = desk.command(arguments);
        command.env("MESA_GL_VERSION_OVERRIDE", "3.3");
        command.env("MESA_EXTENSION_OVERRIDE", "-GL_ARB_compute_shader");
        command.env("WGPU_BACKEND", "gl");
        finish(arguments, command.spawn().unwrap())
    };
    let listed: Vec<Value> =
        serde_json::from_str(&old("adapters --json").succeeds().stdout).unwrap();
    let Some(entry) = listed.iter().find(|entry| entry["usable"] == false) else {
        println!("skipped: no adapter of Mesa's GL is here, or it cannot be made older");
        return;
    };
    assert!(
        entry["reason"].as_str().unwrap().contains("needs"),
        "{entry}"
    );
    old("adapters").succeeds().prints(&["not usable: "]);
    let index = &entry["index"];
    old(&format!("sweep --data iris --adapter {index}")).refuses(3, &["needs", "--adapter"]);
    assert_eq!(desk.names("."), [""; 0]);
}
