//! Sweep files that are refused outside `[space]`, each with an accepted twin.

use super::{check_twin, sweep_of};

/// (refused file, words of the sentence, accepted file)
const FILES: &[(&str, &[&str], &str)] = &[
    // TOML and sections.
    ("[data\n", &["my.toml:1: this is not TOML:"], "[data]\n"),
    (
        "[train]\nepochs = 3\nepochs = 4\n",
        &["my.toml:3: this is not TOML: duplicate key `epochs`; leave one"],
        "[train]\nepochs = 3\n",
    ),
    (
        "[train]\nepochs = \n",
        &["my.toml:2: this is not TOML: `epochs` has no value"],
        "[train]\nepochs = 3",
    ),
    (
        "\n[trian]\n",
        &[
            "my.toml:2: `trian` is not a section",
            "did you mean `train`?",
        ],
        "\n[train]\n",
    ),
    (
        "epochs = 3",
        &[
            "my.toml:1: `epochs` is not a section",
            "but a setting of [train]; move it to that section",
        ],
        "train.epochs = 3",
    ),
    (
        "data = 3",
        &["my.toml:1: `data` is 3, but it must be a table"],
        "data = {}",
    ),
    (
        "[data]\nsource = iris",
        &["`iris` is a text without quotes; write `source = \"iris\"`"],
        "[data]\nsource = 'iris'",
    ),
    (
        "[data]\nsource = \"C:\\x.csv\"",
        &["my.toml:2: this is not TOML", "single quotes"],
        "[data]\nsource = 'C:\\x.csv'",
    ),
    (
        "[data]\nfolds = 3\n[data]\nrepeats = 2",
        &["my.toml:3: this is not TOML: duplicate key `data`"],
        "[data]\nfolds = 3\nrepeats = 2",
    ),
    (
        "[train]\nlearning_rate = 0.1",
        &["`learning_rate` is not a key of [train], but a setting of [space]"],
        "[space]\nlearning_rate = 0.1",
    ),
    (
        "[data]\nFolds = 3",
        &["`Folds` is not a key of [data]; did you mean `folds`?"],
        "[data]\nfolds = 3",
    ),
    (
        "[space]\nepochs = 5",
        &["`epochs` is not a parameter of the space, but a setting of [train]"],
        "[train]\nepochs = 5",
    ),
    (
        "[space]\nlearning_rate = '0.1'",
        &["write it without quotes, as `learning_rate = 0.001`"],
        "[space]\nlearning_rate = 0.1",
    ),
    (
        "[search]\nseed = 0xfffffffffffffffffffffffffffffffffffff",
        &["`seed` is 0xfffffffffffffffffffffffffffffffffffff, but it must be a whole number"],
        "[search]\nseed = 0xff",
    ),
    // [data]
    (
        "[data]\nsuorce = 'iris'",
        &["my.toml:2: `suorce` is not a key of [data]", "`source`?"],
        "[data]\nsource = 'iris'",
    ),
    (
        "[data]\nsource = ''",
        &["my.toml:2: `source` is \"\", but"],
        "[data]\nsource = 'a.csv'",
    ),
    (
        "[data]\nsource = 3",
        &[
            "`source` is 3, but it must name a built-in",
            "`source = \"iris\"`",
        ],
        "[data]\nsource = '3'",
    ),
    (
        "[data]\ntarget = 1.5",
        &["`target` is 1.5"],
        "[data]\ntarget = 1",
    ),
    (
        "[data]\nscale = 'Standard'",
        &["`Standard` is not a scale", "`standard`?"],
        "[data]\nscale = 'standard'",
    ),
    (
        "[data]\nscale = true",
        &["`scale` is true, but"],
        "[data]\nscale = 'none'",
    ),
    (
        "[data]\ntest = 1.0",
        &["my.toml:2: `test` is 1.0, but", "from 0 to below 1"],
        "[data]\ntest = 0.99",
    ),
    (
        "[data]\ntest = -0.1",
        &["`test` is -0.1"],
        "[data]\ntest = 0",
    ),
    (
        "[data]\ntest = nan",
        &["`test` is nan"],
        "[data]\ntest = 'given'",
    ),
    (
        "[data]\ntest = ''",
        &["`test` is \"\""],
        "[data]\ntest = 'test.csv'",
    ),
    (
        "[data]\nfolds = 1",
        &["my.toml:2: `folds` is 1", "from 2 to"],
        "[data]\nfolds = 2",
    ),
    (
        "[data]\nfolds = 2.5",
        &["`folds` is 2.5"],
        "[data]\nfolds = 3",
    ),
    (
        "[data]\nfolds = 99999999999",
        &["`folds` is 99999999999"],
        "[data]\nfolds = 3",
    ),
    (
        "[data]\nholdout = 0",
        &["`holdout` is 0", "above 0 and below 1"],
        "[data]\nholdout = 0.1",
    ),
    (
        "[data]\nholdout = 1",
        &["`holdout` is 1"],
        "[data]\nholdout = 0.9",
    ),
    (
        "[data]\nfolds = 3\nholdout = 0.1",
        &["my.toml:3: `holdout` and `folds`"],
        "[data]\nfolds = 3",
    ),
    (
        "[data]\nsplit = 'orderd'",
        &["`orderd` is not a split", "`ordered`?"],
        "[data]\nsplit = 'ordered'",
    ),
    (
        "[data]\nrepeats = 0",
        &["`repeats` is 0"],
        "[data]\nrepeats = 1",
    ),
    (
        "[data]\ncategorical = 'zip'",
        &["`categorical` is \"zip\"", "list"],
        "[data]\ncategorical = ['zip', 3]",
    ),
    (
        "[data]\nsplit = 'ordered'\ngroup = 'g'",
        &["my.toml:1:", "group"],
        "[data]\ngroup = 'g'",
    ),
    // [train]
    (
        "[train]\nepoch = 3",
        &["my.toml:2: `epoch` is not a key of [train]", "`epochs`?"],
        "[train]\nepochs = 3",
    ),
    (
        "[train]\nepochs = 0",
        &["my.toml:2: `epochs` is 0", "from 1 to 1000000"],
        "[train]\nepochs = 1",
    ),
    (
        "[train]\nepochs = 1000001",
        &["`epochs` is 1000001"],
        "[train]\nepochs = 1_000_000",
    ),
    (
        "[train]\nepochs = 3.0",
        &["`epochs` is 3.0, but it must be a whole number"],
        "[train]\nepochs = 3",
    ),
    (
        "[train]\nepochs = 2024-01-01",
        &["`epochs` is 2024-01-01"],
        "[train]\nepochs = 0x10",
    ),
    (
        "[train]\nobjective = 'accuracy'",
        &["`accuracy` is not a metric", "did you mean `val_accuracy`?"],
        "[train]\nobjective = 'val_f1_micro'",
    ),
    (
        "[train]\nobjective = 'test_accuracy'",
        &["`objective` is \"test_accuracy\"", "must not"],
        "[train]\nobjective = 'train_loss'",
    ),
    (
        "[train]\nearly_stopping = { patience = 5 }",
        &["my.toml:2: `early_stopping` is known, but not built"],
        "[train]\nearly_stopping = false",
    ),
    (
        "[train]\nrefit = { epoch = 3 }",
        &["`epoch` is not a key of refit", "`epochs`?"],
        "[train]\nrefit = { epochs = 3 }",
    ),
    (
        "[train]\nrefit = { epochs = 0 }",
        &["`refit.epochs` is 0"],
        "[train]\nrefit = {}",
    ),
    (
        "[train]\nrefit = 3",
        &["`refit` is 3"],
        "[train]\nrefit = false",
    ),
    // [search]
    (
        "[search]\nstrategy = 'gird'",
        &["`gird` is not a strategy", "`grid`?"],
        "[search]\nstrategy = 'grid'",
    ),
    (
        "[search]\nstrategy = 'tpe'",
        &["the strategy `tpe` is known, but not built"],
        "[search]\nstrategy = 'grid'",
    ),
    (
        "[search]\nstrategy = 'bayesian'",
        &["the strategy `bayesian` is known"],
        "[search]\n",
    ),
    (
        "[search]\ntrials = 10",
        &["my.toml:2: `trials` is not for the grid"],
        "[search]\n",
    ),
    (
        "[search]\nbatch = 32",
        &["`batch` is known, but not built"],
        "[search]\n",
    ),
    (
        "[search]\nscheduler = 'median'",
        &["the scheduler `median` is known"],
        "[search]\nscheduler = 'none'",
    ),
    (
        "[search]\nscheduler = 'medium'",
        &["`medium` is not a scheduler"],
        "[search]\nscheduler = 'none'",
    ),
    (
        "[search]\nmin_epochs = 1",
        &["`min_epochs` is known"],
        "[search]\n",
    ),
    (
        "[search]\nreduction_factor = 3",
        &["`reduction_factor` is known"],
        "[search]\n",
    ),
    (
        "[search]\nstop_at = 0.97",
        &["`stop_at` is known"],
        "[search]\n",
    ),
    (
        "[search]\ntimeout_s = 600",
        &["`timeout_s` is known"],
        "[search]\n",
    ),
    (
        "[search]\nseed = -1",
        &["`seed` is -1"],
        "[search]\nseed = 9_223_372_036_854_775_807",
    ),
    (
        "[search]\nseed = 0.5",
        &["`seed` is 0.5"],
        "[search]\nseed = 0",
    ),
];

#[test]
fn settings_are_refused_with_their_line_and_their_twins_accepted() {
    for (bad, words, good) in FILES {
        check_twin(sweep_of(bad), words, sweep_of(good));
    }
}

#[test]
fn lines_are_counted_with_windows_line_ends_and_non_ascii_text() {
    let bad = "# Größe\r\n[train]\r\nepochs = 0\r\n";
    check_twin(
        sweep_of(bad),
        &["my.toml:3: `epochs`"],
        sweep_of(&bad.replace('0', "1")),
    );
}

#[test]
fn a_number_of_any_length_is_named_and_long_values_are_cut() {
    let long = format!("[train]\nepochs = 1{}", "0".repeat(60));
    check_twin(
        sweep_of(&long),
        &["`epochs` is 1e60"],
        sweep_of("[train]\nepochs = 10"),
    );
    let text = format!("[data]\nholdout = '{}'", "é".repeat(100));
    check_twin(
        sweep_of(&text),
        &["éé..., but"],
        sweep_of("[data]\nholdout = 0.5"),
    );
}

#[test]
fn line_breaks_in_names_and_values_are_escaped() {
    let cases = [
        ("\"a\\nb\" = 1", "`a\\nb` is not a section"),
        ("[data]\nscale = \"a\\nb\"", "`a\\nb` is not a scale"),
        (
            "[data]\nholdout = { \"a\\nb\" = \"\\r\" }",
            "{ a\\nb = \"\\r\" }",
        ),
    ];
    for (bad, words) in cases {
        check_twin(sweep_of(bad), &[words], sweep_of("[data]"));
    }
}
