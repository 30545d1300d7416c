//! Whole sweeps: the default, the template, the examples, and their form in JSON.

use super::{domain_json, sweep_of, sweep_set};
use crate::data::{DataConfig, Scale, TestPart};
use crate::search::{Grid, Sampler};
use crate::seed::Seed;
use crate::space::{Refit, SearchConfig, Sweep, TrainConfig, assign, sweep_file_template};

/// The example files: (name, text, number of trials).
const EXAMPLES: [(&str, &str, u64); 3] = [
    (
        "keras-grid",
        include_str!("../../../examples/keras-grid.toml"),
        9,
    ),
    (
        "fashion-mnist",
        include_str!("../../../examples/fashion-mnist.toml"),
        6,
    ),
    (
        "architectures",
        include_str!("../../../examples/architectures.toml"),
        96,
    ),
];

fn default_sweep() -> Sweep {
    sweep_set(&[]).expect("the default sweep resolves")
}

#[test]
fn the_default_sweep_is_the_contracts() {
    let sweep = default_sweep();
    assert_eq!(sweep.space.trials(), Some(84));
    assert_eq!(
        sweep.data,
        DataConfig {
            folds: Some(3),
            ..DataConfig::default()
        }
    );
    assert_eq!(
        (sweep.data.source.as_str(), &sweep.data.test),
        ("digits", &TestPart::Fraction(0.2))
    );
    assert_eq!(sweep.train, TrainConfig::default());
    assert_eq!(sweep.train.epochs, 20);
    assert_eq!(sweep.search, SearchConfig::default());
    let names: Vec<&str> = sweep
        .space
        .parameters
        .iter()
        .map(|p| p.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "hidden",
            "learning_rate",
            "batch_size",
            "optimizer",
            "activation"
        ]
    );
    assert_eq!(domain_json(&sweep, "hidden"), r#"{"fixed":[64]}"#);
    assert_eq!(sweep.defaults, names);
}

#[test]
fn the_default_sweep_proposes_learning_rates_slowest_and_optimizers_fastest() {
    let trials = Grid::new(&default_sweep().space).propose(100);
    let show = |at: usize| {
        let params = trials[at]
            .params
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        params.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(show(0), "learning_rate=0.0001 batch_size=16 optimizer=sgd");
    assert_eq!(show(1), "learning_rate=0.0001 batch_size=16 optimizer=adam");
    assert_eq!(show(3), "learning_rate=0.0001 batch_size=32 optimizer=sgd");
    assert_eq!(
        show(12),
        "learning_rate=0.000316227766017 batch_size=16 optimizer=sgd"
    );
    assert_eq!(
        show(83),
        "learning_rate=0.1 batch_size=128 optimizer=rmsprop"
    );
    assert_eq!(trials.len(), 84);
}

#[test]
fn the_template_is_the_default_sweep_but_asked_for() {
    let from_file = sweep_of(sweep_file_template()).expect("the template is good");
    assert_eq!(from_file.defaults, ["activation"]);
    let defaults = default_sweep().defaults;
    assert_eq!(
        Sweep {
            defaults,
            ..from_file
        },
        default_sweep()
    );
}

#[test]
fn what_the_template_says_of_settings_left_out_is_true() {
    let empty = sweep_of("[space]").expect("it is good");
    assert_eq!(
        empty.data,
        DataConfig {
            holdout: Some(0.2),
            ..DataConfig::default()
        }
    );
    assert_eq!(
        (empty.data.scale, empty.train),
        (Scale::Standard, TrainConfig::default())
    );
    assert_eq!(empty.search, SearchConfig::default());
    let trial = assign(&empty.space, &[]);
    assert_eq!(
        (trial.f64("learning_rate"), trial.u64("batch_size")),
        (0.001, 32)
    );
    assert_eq!(
        (trial.text("optimizer"), trial.hidden()),
        ("adam", vec![64])
    );
    // The commented settings are what holds without them, too.
    for line in sweep_file_template()
        .lines()
        .filter(|line| line.starts_with("# "))
    {
        let Some((setting, _)) = line[2..].split_once(" # ") else {
            continue;
        };
        let Some((name, value)) = setting.split_once('=') else {
            continue;
        };
        let (name, value) = (name.trim(), value.trim().trim_matches('"'));
        if ["target", "group", "categorical"].contains(&name) {
            continue;
        }
        let found = trial.get(name).unwrap_or_else(|| panic!("no {name}"));
        let same = found.as_f64().map_or(found.to_string() == value, |number| {
            value.parse() == Ok(number)
        });
        assert!(same, "{name} is {found}, not {value}");
    }
}

#[test]
fn a_file_without_a_space_sweeps_the_default_grid() {
    let sweep = sweep_of("[data]\nsource = 'iris'").expect("it is good");
    assert_eq!(sweep.space, default_sweep().space);
    assert_eq!(sweep.defaults, default_sweep().defaults);
    assert_eq!((sweep.data.folds, sweep.data.holdout), (None, Some(0.2)));
    assert_eq!(sweep_of("").expect("it is good").space.trials(), Some(84));
    assert_eq!(
        sweep_of("[space]").expect("it is good").space.trials(),
        Some(1)
    );
}

#[test]
fn the_examples_resolve() {
    for (name, text, trials) in EXAMPLES {
        let sweep = sweep_of(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(sweep.space.trials(), Some(trials), "{name}");
        assert!(text.starts_with('#'), "{name} says what it is");
    }
}

#[test]
fn the_keras_example_is_the_grid_it_stands_for() {
    let sweep = sweep_of(EXAMPLES[0].1).expect("it resolves");
    assert_eq!(
        (sweep.data.source.as_str(), sweep.data.folds),
        ("digits", Some(3))
    );
    assert_eq!(
        (sweep.train.epochs, sweep.train.refit),
        (10, Refit::On { epochs: Some(10) })
    );
    assert_eq!(
        domain_json(&sweep, "learning_rate"),
        r#"{"choices":[0.001,0.01,0.1]}"#
    );
    assert_eq!(
        domain_json(&sweep, "batch_size"),
        r#"{"choices":[32,64,128]}"#
    );
    assert_eq!(domain_json(&sweep, "hidden"), r#"{"fixed":[64]}"#);
    assert_eq!(domain_json(&sweep, "optimizer"), r#"{"fixed":"adam"}"#);
}

#[test]
fn a_sweep_is_the_same_after_a_round_trip_through_json() {
    let mut sweeps = vec![default_sweep()];
    sweeps.extend(
        EXAMPLES
            .iter()
            .map(|(name, text, _)| sweep_of(text).expect(name)),
    );
    let odd = "[data]\nholdout = 0.1\ntest = 't.csv'\ncategorical = ['a', 2]\n[train]\nrefit = false\n\
        objective = 'val_loss'\n[search]\nseed = 9223372036854775807\n[space]\n\
        learning_rate = { linear = [1, 3], points = 3 }\nhidden = [[], [64, 32]]\n\
        batch_size = { int = [1, 9] }\noptimizer = ['sgd', 'adam']\n\
        momentum = { choice = [0, 0.30000000000000004], when = { optimizer = 'sgd' } }\n\
        nesterov = { choice = [true, false], when = { momentum = 0.30000000000000004 } }";
    sweeps.push(sweep_of(odd).expect("it is good"));
    sweeps[0].search.seed = Seed(u64::MAX);
    for sweep in sweeps {
        let text = serde_json::to_string(&sweep).expect("it can be written");
        assert_eq!(serde_json::from_str::<Sweep>(&text).expect(&text), sweep);
        let value = serde_json::to_value(&sweep).expect("it can be written");
        assert_eq!(serde_json::from_value::<Sweep>(value).expect(&text), sweep);
    }
}

#[test]
fn refit_has_each_of_its_forms() {
    let refit = |text: &str| {
        sweep_of(&format!("[train]\n{text}"))
            .expect(text)
            .train
            .refit
    };
    assert_eq!(refit("refit = false"), Refit::Off);
    assert_eq!(refit("refit = true"), Refit::On { epochs: None });
    assert_eq!(refit("refit = {}"), Refit::On { epochs: None });
    assert_eq!(
        refit("refit = { epochs = 3 }"),
        Refit::On { epochs: Some(3) }
    );
    assert_eq!(refit(""), Refit::On { epochs: None });
}
