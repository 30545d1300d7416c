//! `regatta tune-kernels`, and sweeps that go by it.

use super::desk::Desk;
use serde_json::Value;

/// A network that compiles fast.
const FILE: &str = "[data]\nsource = \"iris\"\n[train]\nepochs = 3\n[space]\nhidden = [[]]\n\
    optimizer = \"sgd\"\nlearning_rate = [0.01, 0.1]\nbatch_size = [8, 32]\n";

fn llvmpipe(desk: &Desk) -> Option<String> {
    let listed = desk.run("adapters --json").succeeds().stdout;
    let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
    let mut names = listed.iter().map(|entry| {
        let word = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        (word("backend"), word("name"))
    });
    let found = names.find(|(_, name)| name.starts_with("llvmpipe"));
    if found.is_none() {
        println!("skipped: llvmpipe is not installed");
    }
    found.map(|(backend, _)| format!("{backend}:llvmpipe"))
}

#[test]
fn measurements_are_kept_shown_used_and_forgotten() {
    let desk = Desk::new();
    let Some(adapter) = llvmpipe(&desk) else {
        return;
    };
    desk.write("sweep.toml", FILE);
    desk.run("tune-kernels --show")
        .succeeds()
        .says(&["nothing was measured", "tune-kernels --adapter"]);
    desk.run(&format!(
        "tune-kernels sweep.toml --engine layered --adapter {adapter}"
    ))
    .succeeds()
    .prints(&["4-4, 4 to 15 members", "layered 32x64/8 64x64/8", "fastest"])
    .says(&["cache/kernels.json"]);
    desk.run("tune-kernels --show")
        .succeeds()
        .prints(&["layered 32x64/8 64x64/8"]);
    let cache: Value =
        serde_json::from_str(&desk.run("tune-kernels --show --json").succeeds().stdout).unwrap();
    assert_eq!(cache, desk.json("cache/kernels.json"));
    let measured = cache["entries"][0]["measured"].as_array().unwrap();
    assert!(measured.len() >= 2, "{cache}");
    assert!(
        measured
            .iter()
            .all(|m| m["error"].is_null() && m["epochs_s"].as_array().unwrap().len() == 3)
    );
    // Nothing is known of what would be taken unmeasured, so that nothing is known to be faster.
    let sweep = format!("sweep.toml --adapter {adapter}");
    desk.sweep(&format!("{sweep} --out unknown"))
        .succeeds()
        .prints(&["engine resident"]);
    let mut slow = measured[0].clone();
    slow["form"] = "resident 8: 32x64 by 16x16, inner 32".into();
    slow["epochs_s"] = [1000.0].as_slice().into();
    let mut known = cache.clone();
    let list = known["entries"][0]["measured"].as_array_mut().unwrap();
    list.insert(0, slow);
    desk.write("cache/kernels.json", known.to_string());
    // The sweep takes what was measured; its results are those of a sweep that does not.
    desk.sweep(&format!("{sweep} --out tuned"))
        .succeeds()
        .prints(&["engine layered"]);
    desk.sweep(&format!("{sweep} --no-tune --out untuned"))
        .succeeds()
        .prints(&["engine resident"]);
    // Measuring one engine again leaves what is known of the other.
    desk.run(&format!(
        "tune-kernels sweep.toml --engine layered --adapter {adapter}"
    ))
    .succeeds();
    desk.run("tune-kernels --show")
        .succeeds()
        .prints(&["resident 8: 32x64", "layered 32x64/8"]);
    assert_eq!(
        desk.read("tuned/trials.jsonl"),
        desk.read("untuned/trials.jsonl")
    );
    let variants = |run: &str| desk.json(&format!("{run}/run.json"))["adapter"]["variants"].clone();
    let form = variants("tuned")["tuned 4-4, 4 to 15 members"].clone();
    assert!(form.as_str().unwrap().starts_with("layered "), "{form}");
    assert!(!variants("untuned").to_string().contains("tuned 4-4"));
    desk.run("tune-kernels --clear")
        .succeeds()
        .says(&["kernels.json is removed"]);
    desk.run("tune-kernels --clear")
        .succeeds()
        .says(&["there is no"]);
    // A run goes on as it was begun, whatever is known by now, and by no other engine.
    desk.sweep("--resume --out tuned")
        .succeeds()
        .prints(&["engine layered"]);
    let mut record = desk.json("tuned/run.json");
    record["adapter"]["variants"]["tuned 4-4, 4 to 15 members"] = "layered by hand".into();
    desk.write("tuned/run.json", record.to_string());
    desk.sweep("--resume --out tuned")
        .succeeds()
        .prints(&["engine layered"])
        .says(&["warning", "layered by hand"]);
    desk.sweep(&format!(
        "--resume --out tuned --adapter {adapter} --engine resident"
    ))
    .exits(2)
    .says(&["layered", "resident"]);
}

#[test]
fn a_torn_file_is_left_alone_and_stops_no_sweep() {
    let desk = Desk::new();
    desk.write("cache/kernels.json", "{\"schema_version\":1,");
    desk.write("sweep.toml", FILE);
    for command in ["tune-kernels --show", "tune-kernels sweep.toml"] {
        desk.run(command)
            .exits(1)
            .says(&["kernels.json", "--clear"]);
    }
    if let Some(adapter) = llvmpipe(&desk) {
        desk.sweep(&format!("sweep.toml --adapter {adapter}"))
            .succeeds()
            .says(&["warning", "kernels.json", "--clear"]);
    }
    assert_eq!(desk.read("cache/kernels.json"), "{\"schema_version\":1,");
}

#[test]
fn the_native_engine_has_no_kernels_to_measure() {
    let desk = Desk::new();
    desk.run("tune-kernels --adapter cpu")
        .exits(2)
        .says(&["--adapter cpu", "regatta adapters"]);
    desk.run("tune-kernels --adapter nosuchcard")
        .exits(3)
        .says(&["nosuchcard"]);
    desk.run("tune-kernels nosuchfile.toml --adapter cpu")
        .exits(2);
    for clash in [
        "--show --clear",
        "--clear --adapter vulkan",
        "--show --engine layered",
    ] {
        desk.run(&format!("tune-kernels {clash}"))
            .exits(2)
            .says(&["cannot be used with"]);
    }
}
