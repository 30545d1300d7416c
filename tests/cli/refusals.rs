//! Bad input of every kind is refused in one sentence, before anything is written; each refusal
//! has a twin that is accepted.

use crate::arrays::{gzip, idx, npy, npy_f32, npy_i64, zip};
use crate::desk::{Desk, finish};

/// Cheap settings for those that train.
const SHORT: &str = "--epochs 1 --set optimizer=sgd --set learning_rate=0.1 --out run";

/// Runs what must be refused with these words, then its twin that must not.
#[track_caller]
fn check(desk: &Desk, bad: &str, words: &[&str], twin: &str) {
    let before = desk.contents(".");
    eprintln!("{bad}, which must say {words:?}");
    desk.sweep(bad).refuses(2, words);
    assert!(desk.contents(".") == before, "`{bad}` wrote something");
    desk.sweep(twin).succeeds();
    for written in ["run", "runs"] {
        if desk.exists(written) {
            std::fs::remove_dir_all(desk.path(written)).unwrap();
        }
    }
}

#[test]
fn parameters_on_the_command_line() {
    let desk = Desk::new();
    for (bad, words, twin) in [
        (
            "batch_size=0",
            &["batch_size", "0", "from 1"][..],
            "batch_size=1",
        ),
        (
            "batch_size=1.5",
            &["batch_size", "1.5", "whole"],
            "batch_size=2",
        ),
        ("batch_size=-3", &["batch_size", "-3"], "batch_size=3"),
        (
            "batch_size=81",
            &["batch_size", "81", "80 rows"],
            "batch_size=80",
        ),
        (
            "batch_size=16,500",
            &["batch_size", "500", "80 rows"],
            "batch_size=16,50",
        ),
        (
            "batch_size=int:1..81",
            &["batch_size", "80 rows"],
            "batch_size=int:79..80",
        ),
        (
            "learning_rate=0",
            &["learning_rate", "0", "above 0"],
            "learning_rate=1e-30",
        ),
        (
            "learning_rate=-0.1",
            &["learning_rate", "-0.1", "above 0"],
            "learning_rate=0.1",
        ),
        (
            "learning_rate=inf",
            &["learning_rate", "inf", "finite"],
            "learning_rate=1",
        ),
        (
            "learning_rate=nan",
            &["learning_rate", "nan", "finite"],
            "learning_rate=1",
        ),
        (
            "learning_rate=1e400",
            &["learning_rate", "finite"],
            "learning_rate=0.4",
        ),
        (
            "learning_rate=1e39",
            &["learning_rate", "finite"],
            "learning_rate=0.39",
        ),
        (
            "learning_rate=1e-60",
            &["learning_rate", "above 0"],
            "learning_rate=1e-6",
        ),
        (
            "learning_rate=fast",
            &["learning_rate", "fast"],
            "learning_rate=1",
        ),
        (
            "learning_rate=",
            &["learning_rate", "empty"],
            "learning_rate=1",
        ),
        ("learning_rate", &["learning_rate", "="], "learning_rate=1"),
        (
            "learning_rate=0.1,,0.2",
            &["learning_rate", "empty"],
            "learning_rate=0.1,0.2",
        ),
        (
            "learning_rate=log:0.1..0.001:3",
            &["learning_rate", "0.1", "0.001", "lower end"],
            "learning_rate=log:0.001..0.1:3",
        ),
        (
            "learning_rate=log:0..0.1:3",
            &["learning_rate", "0"],
            "learning_rate=linear:0.01..0.1:3",
        ),
        (
            "learning_rate=log:0.001..0.1:0",
            &["learning_rate", "0"],
            "learning_rate=log:0.001..0.1:2",
        ),
        (
            "learning_rate=log:0.001..0.1",
            &["learning_rate", "points"],
            "learning_rate=log:0.001..0.1:2",
        ),
        (
            "batch_size=int:9..4",
            &["batch_size", "9", "4", "lower end"],
            "batch_size=int:4..9",
        ),
        (
            "learning_rat=0.1",
            &["learning_rat", "learning_rate"],
            "learning_rate=0.1",
        ),
        ("lr=0.1", &["lr", "parameter"], "learning_rate=0.1"),
        ("optimizer=adm", &["adm", "`adam`"], "optimizer=adam"),
        ("optimizer=Adam", &["Adam", "`adam`"], "optimizer=adam"),
        (
            "optimizer=adamw",
            &["adamw", "sgd, adam, rmsprop"],
            "optimizer=rmsprop",
        ),
        ("activation=rellu", &["rellu", "`relu`"], "activation=relu"),
        ("rho=0.9", &["rho", "sgd", "rmsprop"], "momentum=0.9"),
        ("beta_1=0.9", &["beta_1", "sgd"], "momentum=0.9"),
        ("nesterov=true", &["nesterov", "momentum"], "nesterov=false"),
        ("momentum=1", &["momentum", "1"], "momentum=0.99"),
        ("momentum=-0.1", &["momentum", "-0.1"], "momentum=0"),
        ("hidden=0", &["hidden", "0", "from 1"], "hidden=1"),
    ] {
        // `nesterov = false` is of no use without a momentum either.
        let twin = match twin {
            "nesterov=false" => "momentum=0.9 --set nesterov=true",
            twin => twin,
        };
        let defaults = |setting: &str| {
            let given = |name: &str| setting.starts_with(&format!("{name}="));
            let mut text = "--data iris --epochs 1 --hidden 4 --out run".to_owned();
            if given("hidden") {
                text = text.replace("--hidden 4 ", "");
            }
            for (name, value) in [
                ("optimizer", "sgd"),
                ("learning_rate", "0.1"),
                ("batch_size", "32"),
            ] {
                if !given(name) && setting != name {
                    text += &format!(" --set {name}={value}");
                }
            }
            format!("{text} --set {setting}")
        };
        check(&desk, &defaults(bad), words, &defaults(twin));
    }
}

#[test]
fn other_flags() {
    let desk = Desk::new();
    let iris = "--data iris --epochs 1 --set optimizer=sgd --set learning_rate=0.1";
    for (bad, words, twin) in [
        ("--hidden 0", &["hidden", "0", "from 1"][..], "--hidden 1"),
        (
            "--hidden 100000000000000000000",
            &["hidden", "100000000000000000000", "65536"],
            "--hidden 100",
        ),
        ("--hidden 64x", &["hidden", "64"], "--hidden 64"),
        ("--hidden 64*64", &["hidden", "64*64"], "--hidden 64x64"),
        ("--hidden 8,,8", &["hidden", "empty"], "--hidden 8,9"),
        ("--folds 1", &["folds", "1", "from 2"], "--folds 2"),
        ("--folds 121", &["121", "120 rows", "folds"], "--folds 12"),
        ("--holdout 0", &["holdout", "0", "above 0"], "--holdout 0.1"),
        ("--holdout 1", &["holdout", "1", "below 1"], "--holdout 0.9"),
        ("--holdout -0.5", &["holdout", "-0.5"], "--holdout 0.5"),
        ("--test 1", &["test", "1", "below 1"], "--test 0"),
        ("--test -0.1", &["test", "-0.1"], "--test 0.1"),
        (
            "--test given",
            &["test", "given", "IDX", "iris"],
            "--test 0.3",
        ),
        ("--test other.csv", &["test", "CSV", "iris"], "--test 0.3"),
        ("--target species", &["target", "CSV", "iris"], ""),
        ("--repeats 0", &["repeats", "0", "from 1"], "--repeats 2"),
        ("--strategy greed", &["greed", "grid"], "--strategy grid"),
        ("--strategy random", &["random", "grid"], "--strategy grid"),
        (
            "--scheduler median",
            &["median", "none"],
            "--scheduler none",
        ),
        ("--trials 10", &["trials", "grid"], ""),
        (
            "--adapter cpu --engine layered",
            &["layered", "cpu"],
            "--adapter cpu",
        ),
        (
            "--adapter all",
            &["--adapter all", "regatta adapters"],
            "--adapter cpu",
        ),
        ("--engine resident", &["resident", "cpu"], "--engine auto"),
        (
            "--engine fast",
            &["fast", "auto", "layered"],
            "--engine auto",
        ),
    ] {
        check(
            &desk,
            &format!("{iris} {bad} --out run"),
            words,
            &format!("{iris} {twin} --out run"),
        );
    }
}

#[test]
fn negative_numbers_are_values_and_not_flags() {
    let desk = Desk::new();
    for flag in [
        "--epochs",
        "--seed",
        "--folds",
        "--repeats",
        "--trials",
        "--threads",
        "--hidden",
    ] {
        let outcome = desk.sweep(&format!("--data iris {flag} -4")).exits(2);
        let outcome = outcome.says(&["error: ", flag.trim_matches('-'), "-4"]);
        assert!(!outcome.stderr.contains("'-- -4'"), "{outcome:#?}");
    }
    assert_eq!(desk.names("."), [""; 0]);
}

#[test]
fn epochs_of_0() {
    let desk = Desk::new();
    let rest = "--data iris --set optimizer=sgd --set learning_rate=0.1 --out run";
    check(
        &desk,
        &format!("--epochs 0 {rest}"),
        &["epochs", "0", "from 1"],
        &format!("--epochs 1 {rest}"),
    );
}

#[test]
fn an_unknown_adapter_has_its_own_code() {
    let desk = Desk::new();
    for name in ["direct3d", "77", "GeForce 256", ""] {
        let mut command = desk.command("sweep --data iris");
        let child = command.args(["--adapter", name]).spawn().unwrap();
        finish(name, child).refuses(3, &[name, "cpu", "regatta adapters"]);
    }
    assert_eq!(desk.names("."), [""; 0]);
    desk.sweep(&format!("--data iris --adapter CPU {SHORT}"))
        .succeeds();
}

#[test]
fn settings_in_a_sweep_file() {
    let desk = Desk::new();
    for (bad, line, words, twin) in [
        (
            "[space]\nlearning_rte = 0.1",
            4,
            &["learning_rte", "learning_rate"][..],
            "[space]\nlearning_rate = 0.1",
        ),
        (
            "[spce]\nhidden = [4]",
            3,
            &["spce", "space"],
            "[space]\nhidden = [4]",
        ),
        (
            "[train]\nepoch = 1",
            4,
            &["epoch", "epochs"],
            "[train]\nepochs = 1",
        ),
        (
            "[space]\nbatch_size = 0",
            4,
            &["batch_size", "0", "from 1"],
            "[space]\nbatch_size = 1",
        ),
        (
            "[space]\nbatch_size = 1.5",
            4,
            &["batch_size", "1.5"],
            "[space]\nbatch_size = 15",
        ),
        (
            "[space]\nbatch_size = 500",
            4,
            &["batch_size", "500", "rows"],
            "[space]\nbatch_size = 50",
        ),
        (
            "[space]\nlearning_rate = 0",
            4,
            &["learning_rate", "0"],
            "[space]\nlearning_rate = 1",
        ),
        (
            "[space]\nlearning_rate = -1.0",
            4,
            &["learning_rate", "-1"],
            "[space]\nlearning_rate = 1.0",
        ),
        (
            "[space]\nlearning_rate = inf",
            4,
            &["learning_rate", "inf"],
            "[space]\nlearning_rate = 1e-3",
        ),
        (
            "[space]\nlearning_rate = \"0.1\"",
            4,
            &["learning_rate", "0.1"],
            "[space]\nlearning_rate = 0.1",
        ),
        (
            "[space]\nlearning_rate = []",
            4,
            &["learning_rate"],
            "[space]\nlearning_rate = [0.1]",
        ),
        (
            "[space]\nlearning_rate = { log = [0.1, 0.001], points = 3 }",
            4,
            &["learning_rate", "lower end"],
            "[space]\nlearning_rate = { log = [0.001, 0.1], points = 3 }",
        ),
        (
            "[space]\nlearning_rate = { log = [0.001, 0.1], pionts = 3 }",
            4,
            &["pionts", "points"],
            "[space]\nlearning_rate = { log = [0.001, 0.1], points = 3 }",
        ),
        (
            "[space]\noptimizer = \"sdg\"",
            4,
            &["sdg", "sgd"],
            "[space]\noptimizer = \"sgd\"",
        ),
        (
            "[space]\noptimizer = [\"sgd\", \"adam\"]\nmomentum = 0.9",
            5,
            &["momentum", "adam"],
            "[space]\noptimizer = [\"sgd\", \"adam\"]\nmomentum = { value = 0.9, when = { optimizer = \"sgd\" } }",
        ),
        (
            "[space]\nhidden = [0]",
            4,
            &["hidden", "0"],
            "[space]\nhidden = [1]",
        ),
        (
            "[space]\nhidden = [100000000000000000000]",
            4,
            &["100000000000000000000"],
            "[space]\nhidden = [1]",
        ),
        (
            "[train]\nepochs = 0",
            4,
            &["epochs", "0"],
            "[train]\nepochs = 1",
        ),
        (
            "[train]\nobjective = \"accuracy\"",
            4,
            &["accuracy", "val_accuracy"],
            "[train]\nobjective = \"val_f1\"",
        ),
        (
            "[search]\nstrategy = \"greed\"",
            4,
            &["greed", "grid"],
            "[search]\nstrategy = \"grid\"",
        ),
        (
            "[search]\nseed = -1",
            4,
            &["seed", "-1"],
            "[search]\nseed = 1",
        ),
        (
            "[search]\nseed = 1\nseed = 2",
            5,
            &["duplicate key"],
            "[search]\nseed = 2",
        ),
        ("[space", 3, &["TOML"], "[space]"),
    ] {
        let bad_file = format!("[data]\nsource = \"iris\"\n{bad}\n");
        desk.write("bad.toml", &bad_file);
        desk.write("good.toml", format!("[data]\nsource = \"iris\"\n{twin}\n"));
        let place = format!("bad.toml:{line}");
        // What the data decides has no line.
        let place = if words.contains(&"rows") {
            "batch_size"
        } else {
            &place
        };
        let words = [&[place], words].concat();
        check(
            &desk,
            "bad.toml --out run",
            &words,
            "good.toml --epochs 1 --out run",
        );
    }
}

#[test]
fn data_settings_in_a_sweep_file() {
    let desk = Desk::new();
    for (bad, words, twin) in [
        ("folds = 1", &["folds", "1"][..], "folds = 2"),
        (
            "folds = 3\nholdout = 0.2",
            &["folds", "holdout"],
            "holdout = 0.2",
        ),
        ("holdout = 1.0", &["holdout", "1"], "holdout = 0.5"),
        ("test = 1.0", &["test", "1"], "test = 0.5"),
        ("test = \"given\"", &["given", "IDX"], "test = 0"),
        (
            "scale = \"log\"",
            &["log", "standard"],
            "scale = \"minmax\"",
        ),
        (
            "split = \"random\"",
            &["random", "shuffled"],
            "split = \"shuffled\"",
        ),
        ("folds = 500", &["500", "rows"], "folds = 5"),
        ("fold = 3", &["fold", "folds"], "folds = 3"),
        ("group = \"subject\"", &["group", "CSV"], "repeats = 1"),
        ("repeats = 0", &["repeats", "0"], "repeats = 1"),
    ] {
        desk.write("bad.toml", format!("[data]\nsource = \"iris\"\n{bad}\n"));
        desk.write("good.toml", format!("[data]\nsource = \"iris\"\n{twin}\n"));
        check(
            &desk,
            "bad.toml --out run",
            words,
            &format!("good.toml {SHORT}"),
        );
    }
}

#[test]
fn sweep_files_that_cannot_be_read() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("folder.toml")).unwrap();
    desk.write("latin.toml", b"# gr\xf6\xdfe\n");
    desk.write("binary.toml", [0_u8, 159, 146, 150].repeat(100));
    desk.write("good.toml", "[data]\nsource = \"iris\"\n");
    for (bad, words) in [
        ("absent.toml", &["absent.toml", "sweep file"][..]),
        ("folder.toml", &["folder.toml", "directory"]),
        ("latin.toml", &["latin.toml", "UTF-8"]),
        ("binary.toml", &["binary.toml", "UTF-8"]),
    ] {
        check(&desk, bad, words, &format!("good.toml {SHORT}"));
    }
}

/// Refuses a CSV file, and accepts another under the same name.
#[track_caller]
fn check_csv(settings: &str, bad: impl AsRef<[u8]>, words: &[&str], twin: &str) {
    let desk = Desk::new();
    let settings = format!("--data my.csv {settings} {SHORT} --set batch_size=1");
    desk.write("my.csv", bad);
    desk.sweep(&settings)
        .refuses(2, &[&["my.csv"], words].concat());
    assert_eq!(desk.names("."), ["my.csv"], "something was written");
    desk.write("my.csv", twin);
    desk.sweep(&settings).succeeds();
}

const CSV: &str =
    "a,b,class\n1,2,x\n3,4,y\n5,6,x\n7,8,y\n9,1,x\n2,3,y\n4,5,x\n6,7,y\n8,9,x\n1,4,y\n";

#[test]
fn csv_files() {
    let with = |from: &str, to: &str| {
        assert_eq!(CSV.matches(from).count(), 1, "{from}");
        CSV.replace(from, to)
    };
    for (bad, words) in [
        (String::new(), &["no rows"][..]),
        ("\n\n".to_owned(), &["no rows"]),
        ("a,b,class\n".to_owned(), &["no rows"]),
        (with("5,6,x", "5,6"), &["line 4", "2 cells", "3"]),
        (with("5,6,x", "5,6,x,7"), &["line 4", "4 cells", "3"]),
        (with("5,6,x", "5,,x"), &["line 4", "`b`", "empty"]),
        (with("5,6,x", "5,6,"), &["line 4", "`class`", "empty"]),
        (
            with("5,6,x", "5,NaN,x"),
            &["line 4", "`b`", "NaN", "finite"],
        ),
        (
            with("5,6,x", "5,-inf,x"),
            &["line 4", "`b`", "-inf", "finite"],
        ),
        (with("5,6,x", "5,six,x"), &["line 4", "`b`", "six", "text"]),
        (with("5,6,x", "5,1e39,x"), &["line 4", "`b`", "1e39"]),
        (with("a,b,", "a,a,"), &["two columns", "`a`"]),
        (CSV.replace(",y", ",x"), &["class", "`x`", "two classes"]),
        (
            "a,b,class\n1,2,x\n3,4,y\n".to_owned(),
            &["2 rows", "2 classes"],
        ),
        ("class\nx\ny\nx\ny\n".to_owned(), &["no feature"]),
    ] {
        check_csv("", bad, words, CSV);
    }
    check_csv("", [0x00, 0xff, 0xfe, 0x80, b'\n'].repeat(200), &[], CSV);
    check_csv(
        "--target kind",
        CSV,
        &["`kind`", "a, b, class", "--target"],
        &with(",class", ",kind"),
    );
    check_csv(
        "--target 3",
        CSV,
        &["`3`", "a, b, class"],
        &with(",class", ",3"),
    );
}

#[test]
fn fewer_rows_than_folds() {
    let desk = Desk::new();
    desk.write("my.csv", CSV);
    let settings =
        |folds| format!("--data my.csv --test 0 --folds {folds} {SHORT} --set batch_size=1");
    check(
        &desk,
        &settings(11),
        &["10 rows", "11", "folds"],
        &settings(5),
    );
}

#[test]
fn csv_test_files() {
    let desk = Desk::new();
    desk.write("my.csv", CSV);
    let settings = |file| format!("--data my.csv --test {file} {SHORT} --set batch_size=1");
    for (content, words) in [
        ("a,class\n1,x\n", &["test.csv", "lacks", "b"][..]),
        ("a,b,c,class\n1,2,3,x\n", &["test.csv", "c"]),
        ("a,b,class\n1,2,z\n", &["test.csv", "`z`", "x, y"]),
        ("a,b,class\n1,two,x\n", &["test.csv", "two"]),
        ("a,b,class\n", &["test.csv", "no rows"]),
        ("", &["test.csv", "no rows"]),
    ] {
        desk.write("test.csv", content);
        desk.write("good.csv", "b,class,a\n1,x,2\n3,y,4\n");
        check(&desk, &settings("test.csv"), words, &settings("good.csv"));
    }
    check(
        &desk,
        &settings("absent.csv"),
        &["absent.csv", "does not exist"],
        &settings("good.csv"),
    );
}

#[test]
fn names_of_data_that_is_not_there() {
    let desk = Desk::new();
    desk.write("my.csv", CSV);
    desk.write("notes.txt", "hello");
    desk.write("folder/notes.txt", "hello");
    for (bad, words) in [
        ("ris", &["ris", "`iris`", "digits"][..]),
        ("absent.csv", &["absent.csv", "does not exist"]),
        ("folder/absent", &["folder/absent", "does not exist"]),
        ("notes.txt", &["notes.txt", ".csv", ".npy"]),
        ("folder", &["folder", "IDX"]),
        ("diabetes", &["diabetes", "regression", "iris"]),
    ] {
        let settings = |data| format!("--data {data} {SHORT} --set batch_size=1");
        check(&desk, &settings(bad), words, &settings("my.csv"));
    }
}

/// Images and labels that are accepted.
fn images() -> (Vec<u8>, Vec<u8>) {
    let labels: Vec<u8> = (0..30).map(|i| i % 2).collect();
    let pixels: Vec<u8> = (0..120).map(|i| i * 2).collect();
    (idx(&[30, 2, 2], &pixels), idx(&[30], &labels))
}

#[test]
fn idx_files() {
    let (images, labels) = images();
    let with = |at: usize, bytes: &[u8]| {
        let mut changed = images.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        changed
    };
    let huge = (1_u32 << 31).to_be_bytes();
    for (bad_images, bad_labels, words) in [
        (Vec::new(), labels.clone(), &["train-images"][..]),
        (images[..3].to_vec(), labels.clone(), &["train-images"]),
        (images[..10].to_vec(), labels.clone(), &["train-images"]),
        (
            images[..50].to_vec(),
            labels.clone(),
            &["train-images", "120", "34"],
        ),
        (
            [&images[..], b"more"].concat(),
            labels.clone(),
            &["train-images", "120", "more"],
        ),
        (with(4, &huge), labels.clone(), &["train-images"]),
        (with(4, &[0xff; 12]), labels.clone(), &["train-images"]),
        (
            with(0, b"\x89PNG"),
            labels.clone(),
            &["train-images", "IDX"],
        ),
        (
            with(2, &[0x0d]),
            labels.clone(),
            &["train-images", "float", "unsigned bytes"],
        ),
        (
            with(3, &[2]),
            labels.clone(),
            &["train-images", "dimensions"],
        ),
        (images.clone(), idx(&[29], &[0; 29]), &["30", "29"]),
        (
            images.clone(),
            idx(&[30], &[4; 30]),
            &["class `4`", "two classes"],
        ),
        (idx(&[0, 2, 2], &[]), idx(&[0], &[]), &["no rows"]),
        (idx(&[30, 0, 2], &[]), labels.clone(), &["no feature"]),
    ] {
        let desk = Desk::new();
        for (name, bytes) in [("images-idx3", &bad_images), ("labels-idx1", &bad_labels)] {
            desk.write(&format!("bad/train-{name}-ubyte"), bytes);
        }
        desk.write("good/train-images-idx3-ubyte", &images);
        desk.write("good/train-labels-idx1-ubyte", &labels);
        let settings = |data| format!("--data {data} {SHORT} --set batch_size=1");
        check(&desk, &settings("bad"), words, &settings("good"));
        check(
            &desk,
            &format!("{} --test given", settings("good")),
            &["good", "t10k"],
            &settings("good"),
        );
    }
}

#[test]
fn gz_files() {
    let (images, labels) = images();
    let packed = gzip(&images);
    let mut damaged = packed.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 4].copy_from_slice(&[0xff; 4]);
    for bad in [
        b"\x1f\x8b".to_vec(),
        packed[..packed.len() / 2].to_vec(),
        packed[..packed.len() - 4].to_vec(),
        damaged,
        gzip(b""),
        gzip(b"hello, this is no IDX file"),
    ] {
        let desk = Desk::new();
        desk.write("bad/train-images-idx3-ubyte.gz", &bad);
        desk.write("good/train-images-idx3-ubyte.gz", &packed);
        for folder in ["bad", "good"] {
            desk.write(&format!("{folder}/train-labels-idx1-ubyte"), &labels);
        }
        let settings = |data| format!("--data {data} {SHORT} --set batch_size=1");
        check(
            &desk,
            &settings("bad"),
            &["train-images-idx3-ubyte.gz"],
            &settings("good"),
        );
    }
}

#[test]
fn npy_files() {
    let values: Vec<f32> = (0..40).map(|i| i as f32).collect();
    let classes: Vec<i64> = (0..20).map(|i| i % 2).collect();
    let (x, y) = (npy_f32(20, 2, &values), npy_i64(&classes));
    let mut not_a_number = values.clone();
    not_a_number[7] = f32::NAN;
    let raw = &x[128..];
    for (bad_x, bad_y, words) in [
        (Vec::new(), y.clone(), &["x.npy"][..]),
        (x[..5].to_vec(), y.clone(), &["x.npy"]),
        (x[..100].to_vec(), y.clone(), &["x.npy"]),
        (x[..x.len() - 8].to_vec(), y.clone(), &["x.npy", "160"]),
        (
            b"\x89PNG\r\n\x1a\n and so on".to_vec(),
            y.clone(),
            &["x.npy"],
        ),
        (
            npy("<f4", "(40,)", raw),
            y.clone(),
            &["x.npy", "shape", "40"],
        ),
        (npy("<f4", "(2147483648, 2)", raw), y.clone(), &["x.npy"]),
        (
            npy("<f4", "(9223372036854775807, 2)", raw),
            y.clone(),
            &["x.npy"],
        ),
        (
            npy("<f4", "(4294967296, 4294967296)", raw),
            y.clone(),
            &["x.npy"],
        ),
        (npy("<f4", "(-20, 2)", raw), y.clone(), &["x.npy"]),
        (npy("<c8", "(10, 2)", raw), y.clone(), &["x.npy", "c8"]),
        (npy("|O", "(20, 2)", raw), y.clone(), &["x.npy"]),
        (
            npy_f32(20, 2, &not_a_number),
            y.clone(),
            &["x.npy", "NaN", "row 3"],
        ),
        (x.clone(), npy_i64(&classes[..19]), &["20", "19"]),
        (x.clone(), npy_i64(&[3; 20]), &["class `3`", "two classes"]),
        (x.clone(), npy_f32(20, 1, &[0.5; 20]), &["y.npy"]),
    ] {
        let desk = Desk::new();
        desk.write("bad/x.npy", &bad_x);
        desk.write("bad/y.npy", &bad_y);
        desk.write("good/x.npy", &x);
        desk.write("good/y.npy", &y);
        let settings = |data| format!("--data {data}/x.npy {SHORT} --set batch_size=1");
        check(&desk, &settings("bad"), words, &settings("good"));
    }
}

#[test]
fn npy_without_its_classes() {
    let desk = Desk::new();
    desk.write("x.npy", npy_f32(20, 2, &[1.0; 40]));
    let settings = format!("--data x.npy {SHORT} --set batch_size=1");
    desk.sweep(&settings)
        .refuses(2, &["y.npy", "does not exist"]);
    assert_eq!(desk.names("."), ["x.npy"]);
}

#[test]
fn npz_files() {
    let values: Vec<f32> = (0..40).map(|i| i as f32).collect();
    let classes: Vec<i64> = (0..20).map(|i| i % 2).collect();
    let (x, y) = (npy_f32(20, 2, &values), npy_i64(&classes));
    let good = zip(&[("x.npy", x.clone()), ("y.npy", y.clone())]);
    for (bad, words) in [
        (Vec::new(), &["my.npz"][..]),
        (b"PK\x03\x04".to_vec(), &["my.npz"]),
        (good[..good.len() / 2].to_vec(), &["my.npz"]),
        (b"not a zip archive at all".repeat(10), &["my.npz"]),
        (zip(&[("x.npy", x.clone())]), &["my.npz", "`y`", "x"]),
        (
            zip(&[("data.npy", x), ("y.npy", y)]),
            &["my.npz", "`x`", "data"],
        ),
    ] {
        let desk = Desk::new();
        desk.write("my.npz", &bad);
        desk.write("good.npz", &good);
        let settings = |data| format!("--data {data} {SHORT} --set batch_size=1");
        check(&desk, &settings("my.npz"), words, &settings("good.npz"));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_header_that_claims_too_much_is_not_believed() {
    let desk = Desk::new();
    let (images, labels) = images();
    let claim = [&images[..4], &(1_u32 << 31).to_be_bytes(), &images[8..]].concat();
    let labels_claim = [&labels[..4], &(1_u32 << 31).to_be_bytes(), &labels[8..]].concat();
    for (folder, images, labels) in [
        ("images", &claim, &labels_claim),
        ("labels", &images, &labels_claim),
        ("good", &images, &labels),
    ] {
        desk.write(&format!("{folder}/train-images-idx3-ubyte"), images);
        desk.write(&format!("{folder}/train-labels-idx1-ubyte"), labels);
        desk.write(
            &format!("{folder}.gz/train-images-idx3-ubyte.gz"),
            gzip(images),
        );
        desk.write(
            &format!("{folder}.gz/train-labels-idx1-ubyte.gz"),
            gzip(labels),
        );
    }
    desk.write("x.npy", npy("<f4", "(2147483648, 2)", &[0; 160]));
    desk.write("y.npy", npy("<i8", "(2147483648,)", &[0; 160]));
    let run = |data: &str| {
        // Less address space than the rows of the claim would take.
        let program = env!("CARGO_BIN_EXE_regatta");
        let line = format!(
            "ulimit -v 1000000; exec {program} sweep --threads 1 --data {data} {SHORT} --set batch_size=1"
        );
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &line]).current_dir(desk.path("."));
        command.output().unwrap()
    };
    for data in ["images", "labels", "images.gz", "labels.gz", "x.npy"] {
        let output = run(data);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{data}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{data}: {stderr}");
        assert!(!desk.exists("run"), "{data}");
    }
    let output = run("good");
    assert!(output.status.success(), "{output:?}");
}
