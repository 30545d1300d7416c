//! Data from files: CSV, IDX, NPY, NPZ, and how it is divided.

use serde_json::Value;

use crate::arrays::{gzip, idx, npy, npy_f32, npy_i64, zip};
use crate::desk::Desk;

const SHORT: &str = "--epochs 2 --set batch_size=8 --set optimizer=adam \
                     --set learning_rate=0.01,0.1 --hidden 8 --out run";

/// Sweeps the data and gives `data` of `run.json`.
#[track_caller]
fn sweep(desk: &Desk, settings: &str) -> Value {
    desk.sweep(&format!("{settings} {SHORT}")).succeeds();
    assert_eq!(desk.json("run/summary.json")["states"]["complete"], 2);
    desk.json("run/run.json")["data"].take()
}

/// Rows of `i, i % 7, colour, class`, divided by `divider`.
fn table(rows: std::ops::Range<usize>, divider: &str) -> String {
    let row = |i: usize| {
        let colour = ["red", "green", "blue"][i % 3];
        let class = ["yes", "no"][usize::from(i % 7 > 3)];
        [&i.to_string(), &(i % 7).to_string(), colour, class].join(divider) + "\n"
    };
    let header = ["size", "weight", "colour", "class"].join(divider) + "\n";
    header + &rows.map(row).collect::<String>()
}

#[test]
fn csv_with_classes_of_text_and_a_categorical_feature() {
    for (divider, ending) in [(",", "\n"), (";", "\n"), ("\t", "\n"), (",", "\r\n")] {
        let desk = Desk::new();
        let text = table(0..60, divider).replace('\n', ending);
        desk.write("my.csv", text);
        let data = sweep(&desk, "--data my.csv");
        assert_eq!(data["name"], "my");
        assert_eq!(data["rows"], 48);
        assert_eq!(data["test_rows"], 12);
        assert_eq!(data["features"], 5, "two numbers and three colours");
        assert_eq!(data["classes"], serde_json::json!(["no", "yes"]));
    }
}

#[test]
fn csv_target_by_name_and_by_index() {
    let desk = Desk::new();
    desk.write("my.csv", table(0..60, ","));
    let classes = serde_json::json!(["blue", "green", "red"]);
    for (target, out) in [("colour", "name"), ("2", "index")] {
        desk.sweep(&format!(
            "--data my.csv --target {target} --epochs 1 --set batch_size=8 --out {out}"
        ))
        .succeeds();
        let run = desk.json(&format!("{out}/run.json"));
        assert_eq!(run["data"]["classes"], classes, "{target}");
        assert_eq!(run["data"]["features"], 4, "{target}");
    }
    assert_eq!(
        desk.read("name/trials.jsonl"),
        desk.read("index/trials.jsonl")
    );
}

#[test]
fn csv_with_numbers_as_categories() {
    let desk = Desk::new();
    desk.write("my.csv", table(0..60, ","));
    desk.write(
        "sweep.toml",
        "[data]\nsource = \"my.csv\"\ncategorical = [\"weight\"]\n",
    );
    let data = sweep(&desk, "sweep.toml");
    assert_eq!(data["features"], 1 + 7 + 3);
}

#[test]
fn csv_with_a_test_file() {
    let desk = Desk::new();
    desk.write("my.csv", table(0..60, ","));
    desk.write("other.csv", table(60..80, ","));
    let data = sweep(&desk, "--data my.csv --test other.csv");
    assert_eq!(
        (&data["rows"], &data["test_rows"]),
        (&60.into(), &20.into())
    );
    let accuracy = desk.json("run/summary.json")["best"]["test_accuracy"].as_f64();
    assert!(accuracy.is_some());
}

#[test]
fn quoted_cells_and_a_byte_order_mark() {
    let desk = Desk::new();
    let rows: String = (0..30)
        .map(|i| format!("\"{i}\",\"a, \"\"{}\"\"\"\n", i % 2))
        .collect();
    desk.write("my.csv", format!("\u{feff}x,\"the, class\"\n{rows}"));
    let data = sweep(&desk, "--data my.csv");
    assert_eq!(data["classes"], serde_json::json!(["a, \"0\"", "a, \"1\""]));
}

#[test]
fn a_file_name_with_spaces_and_letters_of_other_scripts() {
    let desk = Desk::new();
    desk.write("my größe.csv", table(0..60, ","));
    let mut command = desk.command("sweep --epochs 1 --set batch_size=8 --data");
    let output = command.arg("my größe.csv").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let names = desk.names("runs");
    assert!(names[1].starts_with("my_gr"), "{names:?}");
}

#[test]
fn ordered_splits_train_before_they_validate() {
    let desk = Desk::new();
    desk.write("my.csv", table(0..60, ","));
    desk.write(
        "sweep.toml",
        "[data]\nsource = \"my.csv\"\nsplit = \"ordered\"\nfolds = 3\ntest = 0.2\n",
    );
    sweep(&desk, "sweep.toml");
    // 48 rows in 4 parts of 12: trained on 12, 24 and 36 of them.
    let trials = desk.json_lines("run/trials.jsonl");
    assert_eq!(trials[0]["samples"], 2 * (12 + 24 + 36));
}

#[test]
fn groups_stay_together_and_are_no_feature() {
    let desk = Desk::new();
    let row = |i: usize| format!("{},person{},{}\n", i * i % 11, i / 6, i % 2);
    let rows: String = (0..60).map(row).collect();
    desk.write("my.csv", format!("x,subject,class\n{rows}"));
    desk.write(
        "sweep.toml",
        "[data]\nsource = \"my.csv\"\ngroup = \"subject\"\nfolds = 2\n",
    );
    let data = sweep(&desk, "sweep.toml");
    assert_eq!(data["features"], 1);
    assert_eq!(data["test_rows"].as_u64().unwrap() % 6, 0, "whole groups");
}

/// A folder of IDX files: 4 x 4 images whose brightness tells their class.
fn write_idx(desk: &Desk, pack: fn(&[u8]) -> Vec<u8>, ending: &str) {
    for (part, rows) in [("train", 60), ("t10k", 20)] {
        let labels: Vec<u8> = (0..rows).map(|row| row % 3).collect();
        let pixels = labels.iter().enumerate();
        let pixels: Vec<u8> = pixels
            .flat_map(|(row, label)| (0..16).map(move |at| 80 * label + (row as u8 + at) % 50))
            .collect();
        let images = idx(&[rows.into(), 4, 4], &pixels);
        let labels = idx(&[rows.into()], &labels);
        desk.write(
            &format!("images/{part}-images-idx3-ubyte{ending}"),
            pack(&images),
        );
        desk.write(
            &format!("images/{part}-labels-idx1-ubyte{ending}"),
            pack(&labels),
        );
    }
}

#[test]
fn idx_folders_plain_and_packed_are_the_same() {
    let mut records = Vec::new();
    for (pack, ending) in [(<[u8]>::to_vec as fn(&[u8]) -> Vec<u8>, ""), (gzip, ".gz")] {
        let desk = Desk::new();
        write_idx(&desk, pack, ending);
        let data = sweep(&desk, "--data images --test given");
        assert_eq!(
            (&data["rows"], &data["test_rows"]),
            (&60.into(), &20.into())
        );
        assert_eq!(data["features"], 16);
        assert_eq!(data["classes"], serde_json::json!(["0", "1", "2"]));
        records.push((data, desk.read("run/trials.jsonl")));
    }
    assert_eq!(records[0], records[1]);
}

#[test]
fn idx_without_its_test_files_holds_rows_out() {
    let desk = Desk::new();
    write_idx(&desk, <[u8]>::to_vec, "");
    let data = sweep(&desk, "--data images --test 0.25");
    assert_eq!(
        (&data["rows"], &data["test_rows"]),
        (&45.into(), &15.into())
    );
}

/// 60 rows of two features, and their classes.
fn matrix() -> (Vec<f32>, Vec<i64>) {
    let values = (0..60).flat_map(|i| [i as f32, (i % 7) as f32 - 0.5]);
    let classes = (0..60).map(|i| i64::from(i % 7 > 3));
    (values.collect(), classes.collect())
}

#[test]
fn npy_and_npz_are_the_same() {
    let (values, classes) = matrix();
    let (x, y) = (npy_f32(60, 2, &values), npy_i64(&classes));
    let desk = Desk::new();
    desk.write("x.npy", &x);
    desk.write("y.npy", &y);
    let npy_data = sweep(&desk, "--data x.npy");
    assert_eq!(
        (&npy_data["rows"], &npy_data["features"]),
        (&48.into(), &2.into())
    );
    let other = Desk::new();
    other.write("both.npz", zip(&[("x.npy", x), ("y.npy", y)]));
    let npz_data = sweep(&other, "--data both.npz");
    assert_eq!(npy_data["classes"], npz_data["classes"]);
    assert_eq!(
        desk.read("run/trials.jsonl"),
        other.read("run/trials.jsonl")
    );
}

#[test]
fn npy_types_of_numbers_are_the_same() {
    let (values, classes) = matrix();
    let wide: Vec<u8> = values
        .iter()
        .flat_map(|&v| f64::from(v).to_le_bytes())
        .collect();
    let big_endian: Vec<u8> = values.iter().flat_map(|v| v.to_be_bytes()).collect();
    let records: Vec<String> = [
        npy_f32(60, 2, &values),
        npy("<f8", "(60, 2)", &wide),
        npy(">f4", "(60, 2)", &big_endian),
    ]
    .into_iter()
    .map(|x| {
        let desk = Desk::new();
        desk.write("x.npy", x);
        desk.write("y.npy", npy_i64(&classes));
        sweep(&desk, "--data x.npy");
        desk.read("run/trials.jsonl")
    })
    .collect();
    assert_eq!(records[0], records[1]);
    assert_eq!(records[0], records[2]);
}

#[test]
fn npy_rows_of_images_are_flattened() {
    let (values, classes) = matrix();
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let records = ["(60, 2)", "(60, 1, 2)", "(60, 2, 1, 1)"].map(|shape| {
        let desk = Desk::new();
        desk.write("x.npy", npy("<f4", shape, &bytes));
        desk.write("y.npy", npy_i64(&classes));
        sweep(&desk, "--data x.npy");
        desk.read("run/trials.jsonl")
    });
    assert_eq!(records[0], records[1]);
    assert_eq!(records[0], records[2]);
}

#[test]
fn built_in_data() {
    for (name, rows, features, classes) in [
        ("digits", 1797, 64, 10),
        ("iris", 150, 4, 3),
        ("wine", 178, 13, 3),
        ("breast_cancer", 569, 30, 2),
    ] {
        let desk = Desk::new();
        let data = sweep(&desk, &format!("--data {name}"));
        let all = data["rows"].as_u64().unwrap() + data["test_rows"].as_u64().unwrap();
        assert_eq!(all, rows, "{name}");
        assert_eq!(data["features"], features, "{name}");
        assert_eq!(data["classes"].as_array().unwrap().len(), classes, "{name}");
    }
}
