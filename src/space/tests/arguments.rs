//! Arguments: their grammar, and how they win over the file.

use super::{Overrides, check_twin, domain_json, set_of, sweep_set, sweep_with};
use crate::data::TestPart;
use crate::seed::Seed;
use crate::space::{Sweep, resolve};

/// Accepted SPECs: (argument, the domain it gives as JSON).
const SPECS: &[(&str, &str, &str)] = &[
    ("learning_rate=0.01", "learning_rate", r#"{"fixed":0.01}"#),
    (" learning_rate = 1 ", "learning_rate", r#"{"fixed":1.0}"#),
    (
        "learning_rate=1e-3,0.01",
        "learning_rate",
        r#"{"choices":[0.001,0.01]}"#,
    ),
    (
        "batch_size=16,32, 64",
        "batch_size",
        r#"{"choices":[16,32,64]}"#,
    ),
    (
        "optimizer=sgd,adam",
        "optimizer",
        r#"{"choices":["sgd","adam"]}"#,
    ),
    (
        "learning_rate=log:1e-4..1e-1:7",
        "learning_rate",
        r#"{"log":{"low":0.0001,"high":0.1,"points":7}}"#,
    ),
    (
        "learning_rate=linear:0.1..0.5:3",
        "learning_rate",
        r#"{"linear":{"low":0.1,"high":0.5,"points":3}}"#,
    ),
    (
        "batch_size=int:1..4",
        "batch_size",
        r#"{"int":{"low":1,"high":4,"points":null}}"#,
    ),
    (
        "batch_size=log_int:16..256:5",
        "batch_size",
        r#"{"log_int":{"low":16,"high":256,"points":5}}"#,
    ),
    (
        "hidden=64x64,128",
        "hidden",
        r#"{"choices":[[64,64],[128]]}"#,
    ),
    ("hidden=64x32", "hidden", r#"{"fixed":[64,32]}"#),
    ("hidden=[]", "hidden", r#"{"fixed":[]}"#),
    ("hidden=[],64", "hidden", r#"{"choices":[[],[64]]}"#),
    ("activation=tanh", "activation", r#"{"fixed":"tanh"}"#),
];

#[test]
fn every_form_of_the_grammar_is_read() {
    for (argument, name, expected) in SPECS {
        let sweep = sweep_set(&[argument]).expect(argument);
        assert_eq!(domain_json(&sweep, name), *expected, "{argument}");
    }
}

/// (refused arguments, words, accepted arguments)
const SETS: &[(&[&str], &[&str], &[&str])] = &[
    (
        &["learning_rat=0.1"],
        &[
            "--set learning_rat=0.1: `learning_rat` is not a parameter",
            "`learning_rate`?",
        ],
        &["learning_rate=0.1"],
    ),
    (
        &["learning_rate"],
        &["--set learning_rate: it has no `=`"],
        &["learning_rate=1"],
    ),
    (
        &["=0.1"],
        &["`` is not a parameter"],
        &["learning_rate=0.1"],
    ),
    (
        &["learning_rate="],
        &["`learning_rate` has an empty value"],
        &["learning_rate=0.1"],
    ),
    (
        &["batch_size=16,,32"],
        &["empty value"],
        &["batch_size=16,32"],
    ),
    (
        &["learning_rate=log:1e-4..1e-1"],
        &["a grid needs the number of points"],
        &["learning_rate=log:1e-4..1e-1:2"],
    ),
    (
        &["learning_rate=log:0.1:3"],
        &["is not a range", "LOW..HIGH"],
        &["learning_rate=log:0.1..0.2:3"],
    ),
    (
        &["learning_rate=log:a..b:3"],
        &["`learning_rate` is \"a\""],
        &["learning_rate=log:1..2:3"],
    ),
    (
        &["learning_rate=log:1..2:x"],
        &["`points of learning_rate` is \"x\""],
        &["learning_rate=log:1..2:3"],
    ),
    (
        &["learning_rate=lgo:1..2:3"],
        &["`lgo` is not a kind of range", "`log`?"],
        &["learning_rate=log:1..2:3"],
    ),
    (
        &["learning_rate=NaN"],
        &["`learning_rate` is NaN"],
        &["learning_rate=1"],
    ),
    (
        &["batch_size=1e2"],
        &["`batch_size` is 1e2"],
        &["batch_size=100"],
    ),
    (&["hidden=64x"], &["`hidden` is 64x, but"], &["hidden=64"]),
    (
        &["hidden=64xx64"],
        &["`hidden` is 64xx64"],
        &["hidden=64x64"],
    ),
    (
        &["hidden=64,64"],
        &["`hidden` lists 64 twice", "write 64x64"],
        &["hidden=64x64"],
    ),
    (
        &["hidden=[64,64]"],
        &["`[64,64]` has brackets"],
        &["hidden=64x64"],
    ),
    (
        &["optimizer=sgd,sgd"],
        &["`optimizer` lists \"sgd\" twice; leave one out"],
        &["optimizer=sgd,adam"],
    ),
    (
        &["learning_rate=1e-4..1e-1"],
        &["does not say what kind of range", "log:"],
        &["learning_rate=log:1e-4..1e-1:2"],
    ),
    (
        &["epochs=5"],
        &["`epochs` is not a parameter of the space, but a setting of [train]; use `--epochs 5`"],
        &["learning_rate=5"],
    ),
    (
        &["learning_rate=0.1", "learning_rate=0.2"],
        &["--set learning_rate=0.2: `learning_rate` is set twice"],
        &["learning_rate=0.1,0.2"],
    ),
    (
        &["optimizer=lamb"],
        &["--set optimizer=lamb: the optimizer `lamb` is known"],
        &["optimizer=sgd"],
    ),
    (
        &["momentum=0.9"],
        &[
            "--set momentum=0.9: `momentum` is not used by the optimizer `adam`",
            "set an optimizer that uses it too",
        ],
        &["momentum=0.9", "optimizer=sgd"],
    ),
    (&["l2=0.5"], &["--set l2=0.5: `l2` is known"], &["l2=0"]),
    (
        &["dropout=1"],
        &["--set dropout=1: `dropout` is 1", "from 0 to below 1"],
        &["dropout=0.999"],
    ),
    (
        &["batch_norm=1"],
        &["--set batch_norm=1: `batch_norm` is 1", "true or false"],
        &["batch_norm=false,true"],
    ),
    (
        &["layers=2"],
        &["without `units`"],
        &["layers=2", "units=16,32"],
    ),
    (
        &["hidden=64", "layers=2", "units=16"],
        &["both say the layers"],
        &["layers=2", "units=16"],
    ),
];

#[test]
fn set_arguments_are_refused_with_their_text_and_their_twins_accepted() {
    for (bad, words, good) in SETS {
        check_twin(sweep_set(bad), words, sweep_set(good));
    }
}

type Change = fn(&mut Overrides);

/// (refused flag, words, accepted flag)
const FLAGS: &[(Change, &[&str], Change)] = &[
    (
        |o| o.epochs = Some(0),
        &["--epochs 0: `epochs` is 0"],
        |o| o.epochs = Some(1),
    ),
    (
        |o| o.epochs = Some(u64::MAX),
        &["`epochs` is 18446744073709551615"],
        |o| o.epochs = Some(1_000_000),
    ),
    (
        |o| o.folds = Some(1),
        &["--folds 1: `folds` is 1"],
        |o| o.folds = Some(2),
    ),
    (
        |o| o.holdout = Some(1.0),
        &["--holdout 1: `holdout` is 1, but"],
        |o| o.holdout = Some(0.5),
    ),
    (
        |o| o.holdout = Some(f64::NAN),
        &["--holdout nan: `holdout` is nan, but"],
        |o| o.holdout = Some(0.5),
    ),
    (
        |o| o.holdout = Some(0.0),
        &["--holdout 0: `holdout` is 0, but", "`--holdout 0.2`"],
        |o| o.holdout = Some(0.1),
    ),
    (
        |o| (o.folds, o.holdout) = (Some(3), Some(0.2)),
        &["`holdout` and `folds`"],
        |o| o.folds = Some(3),
    ),
    (
        |o| o.test = Some("1.5".into()),
        &["--test 1.5: `test` is 1.5"],
        |o| o.test = Some("0".into()),
    ),
    (
        |o| o.test = Some(String::new()),
        &["--test '': `test` is \"\"", "`--test 0.2`"],
        |o| o.test = Some("t.csv".into()),
    ),
    (
        |o| o.data = Some(String::new()),
        &[
            "--data '': `source` is \"\", but it must name",
            "`--data iris`",
        ],
        |o| o.data = Some("iris".into()),
    ),
    (
        |o| o.repeats = Some(0),
        &["--repeats 0: `repeats` is 0"],
        |o| o.repeats = Some(2),
    ),
    (
        |o| o.strategy = Some("random".into()),
        &["--strategy random: the strategy `random` is known"],
        |o| o.strategy = Some("grid".into()),
    ),
    (
        |o| o.strategy = Some("gird".into()),
        &["`grid`?"],
        |o| o.strategy = Some("grid".into()),
    ),
    (
        |o| o.trials = Some(5),
        &["--trials 5: `trials` is not for the grid"],
        |o| o.seed = Some(5),
    ),
    (
        |o| o.scheduler = Some("pbt".into()),
        &["the scheduler `pbt` is known"],
        |o| o.scheduler = Some("none".into()),
    ),
    (
        |o| o.stop_at = Some(0.97),
        &["--stop-at 0.97: `stop_at` is known"],
        |o| o.seed = Some(u64::MAX),
    ),
    (
        |o| o.timeout = Some(60.0),
        &["--timeout 60: `timeout_s` is known"],
        |o| o.seed = Some(0),
    ),
    (
        |o| o.hidden = Some("0".into()),
        &["--hidden 0: `hidden` is 0, but"],
        |o| o.hidden = Some("64x64,128".into()),
    ),
    (
        |o| (o.hidden, o.set) = (Some("64".into()), vec!["hidden=32".into()]),
        &["--set hidden=32: `hidden` is set twice"],
        |o| (o.hidden, o.set) = (Some("64".into()), vec!["batch_size=32".into()]),
    ),
];

fn sweep_flagged(change: Change) -> Result<Sweep, String> {
    let mut overrides = Overrides::default();
    change(&mut overrides);
    resolve(None, &overrides).map_err(|error| error.to_string())
}

#[test]
fn flags_are_refused_with_their_text_and_their_twins_accepted() {
    for (bad, words, good) in FLAGS {
        check_twin(sweep_flagged(*bad), words, sweep_flagged(*good));
    }
}

#[test]
fn settings_that_are_no_parameters_are_told_their_flag_or_section() {
    for (argument, remedy) in [
        ("epochs=5", "[train]; use `--epochs 5`"),
        ("Epochs=5", "[train]; use `--epochs 5`"),
        ("folds=3", "[data]; use `--folds 3`"),
        ("holdout=0.20", "[data]; use `--holdout 0.20`"),
        ("repeats=2", "[data]; use `--repeats 2`"),
        ("data=iris", "[data]; use `--data iris`"),
        ("source=iris", "[data]; use `--data iris`"),
        ("target=x", "[data]; use `--target x`"),
        ("test=0", "[data]; use `--test 0`"),
        ("seed=1", "[search]; use `--seed 1`"),
        ("strategy=grid", "[search]; use `--strategy grid`"),
        ("trials=9", "[search]; use `--trials 9`"),
        (
            "scale=none",
            "[data]; set `scale` in [data] of a sweep file",
        ),
        ("refit=false", "[train]; set `refit` in [train] of"),
        ("learning-rate=1", "did you mean `learning_rate`?"),
        ("lr=0.1", "did you mean `learning_rate`?"),
        ("batch=16", "did you mean `batch_size`?"),
    ] {
        check_twin(sweep_set(&[argument]), &[remedy], sweep_set(&[]));
    }
}

#[test]
fn flags_win_over_the_file() {
    let file =
        "[data]\nsource = 'wine'\nfolds = 5\ntarget = 'a'\n[train]\nepochs = 3\n[search]\nseed = 4";
    let overrides = Overrides {
        data: Some("iris".into()),
        target: Some("2".into()),
        test: Some("given".into()),
        holdout: Some(0.25),
        repeats: Some(2),
        epochs: Some(7),
        seed: Some(u64::MAX),
        ..Overrides::default()
    };
    let sweep = sweep_with(file, &overrides).expect("it is good");
    assert_eq!(
        (sweep.data.source.as_str(), sweep.data.target.as_deref()),
        ("iris", Some("2"))
    );
    assert_eq!((sweep.data.folds, sweep.data.holdout), (None, Some(0.25)));
    assert_eq!((sweep.data.test, sweep.data.repeats), (TestPart::Given, 2));
    assert_eq!((sweep.train.epochs, sweep.search.seed), (7, Seed(u64::MAX)));
}

#[test]
fn folds_and_holdout_take_each_others_place() {
    let folds = Overrides {
        folds: Some(4),
        ..Overrides::default()
    };
    let sweep = sweep_with("[data]\nholdout = 0.3", &folds).expect("it is good");
    assert_eq!((sweep.data.folds, sweep.data.holdout), (Some(4), None));
    let holdout = Overrides {
        holdout: Some(0.3),
        ..Overrides::default()
    };
    let sweep = resolve(None, &holdout).expect("it is good");
    assert_eq!((sweep.data.folds, sweep.data.holdout), (None, Some(0.3)));
}

const CONDITIONAL: &str = "[space]
optimizer = ['sgd', 'adam', 'rmsprop']
momentum = { choice = [0.0, 0.9], when = { optimizer = ['sgd', 'rmsprop'] } }
nesterov = { value = true, when = { momentum = 0.9, optimizer = 'sgd' } }
learning_rate = 0.1";

#[test]
fn set_keeps_the_place_and_the_condition_of_a_parameter_and_appends_new_ones() {
    let set = set_of(&["momentum=0.5,0.9", "batch_size=8,16"]);
    let sweep = sweep_with(CONDITIONAL, &set).expect("it is good");
    let names: Vec<&str> = sweep
        .space
        .parameters
        .iter()
        .map(|p| p.name.as_str())
        .collect();
    let expected = [
        "optimizer",
        "momentum",
        "nesterov",
        "learning_rate",
        "batch_size",
        "hidden",
        "activation",
    ];
    assert_eq!(names, expected);
    assert_eq!(sweep.space.parameters[1].when.len(), 1);
    assert_eq!(domain_json(&sweep, "momentum"), r#"{"choices":[0.5,0.9]}"#);
    assert_eq!(sweep.defaults, ["hidden", "activation"]);
}

#[test]
fn what_depends_on_a_value_that_an_argument_took_away_is_left_out() {
    let cases: [(&str, &[&str]); 4] = [
        ("optimizer=adam", &[]),
        ("optimizer=rmsprop,adam", &["momentum"]),
        ("optimizer=sgd", &["momentum", "nesterov"]),
        ("momentum=0.5", &["momentum"]),
    ];
    for (argument, left) in cases {
        let sweep = sweep_with(CONDITIONAL, &set_of(&[argument])).expect(argument);
        let has = |name: &&str| sweep.space.get(name).is_some();
        let found: Vec<&str> = ["momentum", "nesterov"].into_iter().filter(has).collect();
        assert_eq!(found, left, "{argument}");
    }
    let sgd = sweep_with(CONDITIONAL, &set_of(&["optimizer=sgd"])).expect("it is good");
    assert!(sgd.space.get("momentum").is_some_and(|p| p.when.is_empty()));
}

#[test]
fn an_argument_that_can_no_longer_apply_is_refused() {
    let bad = sweep_with(CONDITIONAL, &set_of(&["optimizer=adam", "momentum=0.9"]));
    let words = ["--set momentum=0.9: `momentum` applies only when optimizer ="];
    check_twin(
        bad,
        &words,
        sweep_with(CONDITIONAL, &set_of(&["momentum=0.9"])),
    );
}

#[test]
fn hidden_and_layers_take_each_others_place() {
    let file = "[space]\nlayers = [1, 2]\nunits = 32";
    let sweep = sweep_with(file, &set_of(&["hidden=16"])).expect("it is good");
    assert!(sweep.space.get("layers").is_none() && sweep.space.get("units").is_none());
    let sweep = sweep_set(&["layers=2", "units=16"]).expect("it is good");
    assert!(sweep.space.get("hidden").is_none());
}
