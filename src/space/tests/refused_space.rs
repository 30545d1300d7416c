//! `[space]` tables that are refused, each with an accepted twin.

use super::{check_twin, space_of};

/// (refused line of `[space]`, words of the sentence, accepted line)
const VALUES: &[(&str, &[&str], &str)] = &[
    (
        "learning_rat = 0.1",
        &[
            "my.toml:2: `learning_rat` is not a parameter",
            "did you mean `learning_rate`?",
        ],
        "learning_rate = 0.1",
    ),
    ("dropuot = 0.1", &["did you mean `dropout`?"], "dropout = 0"),
    (
        "learning_rate = 0",
        &[
            "my.toml:2: `learning_rate` is 0, but",
            "above 0",
            "`learning_rate = 0.001`",
        ],
        "learning_rate = 1",
    ),
    (
        "learning_rate = -0.1",
        &["`learning_rate` is -0.1"],
        "learning_rate = 0.1",
    ),
    (
        "learning_rate = inf",
        &["`learning_rate` is inf"],
        "learning_rate = 100.0",
    ),
    (
        "learning_rate = -nan",
        &["`learning_rate` is -nan"],
        "learning_rate = 1e-3",
    ),
    (
        "learning_rate = 1e300",
        &["`learning_rate` is 1e300", "32-bit"],
        "learning_rate = 1e30",
    ),
    (
        "learning_rate = 1e-60",
        &["`learning_rate` is 1e-60"],
        "learning_rate = 1e-30",
    ),
    (
        "learning_rate = '0.1'",
        &["`learning_rate` is \"0.1\""],
        "learning_rate = 0.1",
    ),
    (
        "learning_rate = true",
        &["`learning_rate` is true"],
        "learning_rate = [0.1, 1]",
    ),
    (
        "learning_rate = 07:30:00",
        &["`learning_rate` is 07:30:00"],
        "learning_rate = 0.7",
    ),
    (
        "learning_rate = [0.1, 0]",
        &["`learning_rate` is 0, but"],
        "learning_rate = [0.1, 0.01]",
    ),
    (
        "learning_rate = []",
        &["`learning_rate` is [], but", "empty"],
        "learning_rate = [0.1]",
    ),
    (
        "learning_rate = [0.1, 1e-1]",
        &["`learning_rate` lists 0.1 twice"],
        "learning_rate = [0.1, 0.2]",
    ),
    (
        "learning_rate = [[0.1]]",
        &["`learning_rate` is [0.1]"],
        "learning_rate = [0.1]",
    ),
    (
        "batch_size = 0",
        &["`batch_size` is 0", "from 1 to"],
        "batch_size = 1",
    ),
    (
        "batch_size = 1.5",
        &["`batch_size` is 1.5", "whole number"],
        "batch_size = 2",
    ),
    (
        "batch_size = -16",
        &["`batch_size` is -16"],
        "batch_size = 16",
    ),
    (
        "batch_size = 32.0",
        &["`batch_size` is 32.0"],
        "batch_size = 32",
    ),
    (
        "batch_size = [16, 16]",
        &["`batch_size` lists 16 twice"],
        "batch_size = [16, 32]",
    ),
    (
        "optimizer = 'adem'",
        &["`adem` is not an optimizer", "`adam`?"],
        "optimizer = 'adam'",
    ),
    (
        "optimizer = 'ADAM'",
        &["did you mean `adam`?"],
        "optimizer = 'adam'",
    ),
    (
        "optimizer = 'lion'",
        &[
            "my.toml:2: the optimizer `lion` is known, but not built",
            "sgd, adam, rmsprop",
        ],
        "optimizer = 'sgd'",
    ),
    (
        "optimizer = ['sgd', 'adamw']",
        &["the optimizer `adamw` is known"],
        "optimizer = ['sgd', 'adam']",
    ),
    (
        "optimizer = 3",
        &["`optimizer` is 3", "sgd, adam, rmsprop"],
        "optimizer = 'rmsprop'",
    ),
    (
        "activation = 'relo'",
        &["`relo` is not an activation", "`relu`?"],
        "activation = ['relu', 'tanh']",
    ),
    (
        "activation = 'gelu'",
        &["the activation `gelu` is known"],
        "activation = 'identity'",
    ),
    (
        "activation = { int = [1, 2] }",
        &["no ranges", "brackets"],
        "activation = { choice = ['relu'] }",
    ),
    (
        "optimizer = 'sgd'\nmomentum = 1.0",
        &["my.toml:3: `momentum` is 1.0", "below 1"],
        "optimizer = 'sgd'\nmomentum = 0.99",
    ),
    (
        "beta_2 = 0.99999999999",
        &["`beta_2` is 0.99999999999", "32-bit"],
        "beta_2 = 0.9999",
    ),
    ("epsilon = 0", &["`epsilon` is 0"], "epsilon = 1e-7"),
    (
        "optimizer = 'rmsprop'\nrho = -0.5",
        &["`rho` is -0.5"],
        "optimizer = 'rmsprop'\nrho = 0.9",
    ),
    // Ranges.
    (
        "learning_rate = { log = [1e-1, 1e-4], points = 3 }",
        &["`learning_rate` is [1e-1, 1e-4]", "lower end"],
        "learning_rate = { log = [1e-4, 1e-1], points = 3 }",
    ),
    (
        "learning_rate = { log = [0, 0.1], points = 3 }",
        &["`learning_rate` is 0"],
        "learning_rate = { log = [0.01, 0.1], points = 3 }",
    ),
    (
        "beta_1 = { log = [0, 0.9], points = 3 }",
        &["`log` must start above 0"],
        "beta_1 = { linear = [0, 0.9], points = 3 }",
    ),
    (
        "learning_rate = { log = [0.01, 0.1], points = 0 }",
        &["`points of learning_rate` is 0"],
        "learning_rate = { log = [0.01, 0.1], points = 2 }",
    ),
    (
        "learning_rate = { log = [0.01, 0.1], points = 1 }",
        &["`points` is 1"],
        "learning_rate = { log = [0.1, 0.1], points = 1 }",
    ),
    (
        "learning_rate = { log = [0.1, 0.1], points = 2 }",
        &["ends are equal"],
        "learning_rate = { linear = [0.1, 0.1], points = 1 }",
    ),
    (
        "learning_rate = { log = [0.01, 0.1] }",
        &["a grid needs the number of points"],
        "learning_rate = { log = [0.01, 0.1], points = 2 }",
    ),
    (
        "learning_rate = { linear = [0.01, 0.1] }",
        &["a grid needs the number of points"],
        "learning_rate = { linear = [0.01, 0.1], points = 2 }",
    ),
    (
        "learning_rate = { log = [0.01, 0.1], points = 1.5 }",
        &["`points of learning_rate` is 1.5"],
        "learning_rate = { log = [0.01, 0.1], points = 5 }",
    ),
    (
        "learning_rate = { log = [0.01, 0.1], points = 1_000_001 }",
        &["`points of learning_rate` is 1000001"],
        "learning_rate = { log = [0.01, 0.1], points = 1_000_000 }",
    ),
    (
        "learning_rate = { log = [0.1, 0.10000000000001], points = 9 }",
        &["no 9 different values"],
        "learning_rate = { log = [0.1, 0.10000000000001], points = 2 }",
    ),
    (
        "learning_rate = { log = [0.01], points = 2 }",
        &["two ends"],
        "learning_rate = { log = [0.01, 0.1], points = 2 }",
    ),
    (
        "learning_rate = { log = 0.01, points = 2 }",
        &["two ends"],
        "learning_rate = { value = 0.01 }",
    ),
    (
        "learning_rate = { int = [1, 3] }",
        &["a range of it is not `int`", "`log` or `linear`"],
        "learning_rate = { linear = [1, 3], points = 3 }",
    ),
    (
        "learning_rate = { lgo = [0.01, 0.1], points = 2 }",
        &["`lgo` is not a key of a parameter's table", "`log`?"],
        "learning_rate = { log = [0.01, 0.1], points = 2 }",
    ),
    (
        "learning_rate = { points = 2 }",
        &["exactly one of"],
        "learning_rate = { choice = [0.1, 0.2] }",
    ),
    (
        "learning_rate = { log = [0.01, 0.1], linear = [0.01, 0.1], points = 2 }",
        &["exactly one of"],
        "learning_rate = { linear = [0.01, 0.1], points = 2 }",
    ),
    (
        "learning_rate = { value = 0.1, points = 2 }",
        &["only a range"],
        "learning_rate = { value = 0.1 }",
    ),
    (
        "learning_rate = { choice = 0.1 }",
        &["`choice` takes a list"],
        "learning_rate = { choice = [0.1] }",
    ),
    (
        "batch_size = { log = [16, 64], points = 3 }",
        &["`int` or `log_int`"],
        "batch_size = { log_int = [16, 64], points = 3 }",
    ),
    (
        "batch_size = { log_int = [16, 64] }",
        &["a grid needs the number of points"],
        "batch_size = { int = [16, 64] }",
    ),
    (
        "batch_size = { int = [4, 1] }",
        &["lower end"],
        "batch_size = { int = [4, 4] }",
    ),
    (
        "batch_size = { int = [1, 4.5] }",
        &["`batch_size` is 4.5"],
        "batch_size = { int = [1, 4], points = 2 }",
    ),
    // Architecture.
    (
        "hidden = [0]",
        &["`hidden` is [0]", "from 1 to 65536"],
        "hidden = [1]",
    ),
    (
        "hidden = [100000000000000000000]",
        &["`hidden` is [100000000000000000000]"],
        "hidden = [65536]",
    ),
    (
        "hidden = [65537]",
        &["`hidden` is [65537]"],
        "hidden = 65536",
    ),
    (
        "hidden = [65536, 65536]",
        &["at most 2147483647 weights"],
        "hidden = [65536, 32767]",
    ),
    (
        "hidden = [[64], [64]]",
        &["`hidden` lists [64] twice"],
        "hidden = [[64], [64, 64], []]",
    ),
    (
        "hidden = '64x64'",
        &["`hidden` is \"64x64\"", "`hidden = [64, 64]`"],
        "hidden = [64, 64]",
    ),
    ("hidden = [1.5]", &["`hidden` is [1.5]"], "hidden = []"),
    (
        "hidden = [[[64]]]",
        &["`hidden` is [[64]]"],
        "hidden = [[64]]",
    ),
    (
        "hidden = { int = [1, 3] }",
        &["no ranges"],
        "hidden = { choice = [64, [32, 32]] }",
    ),
    (
        "hidden = [64]\nlayers = 2\nunits = 32",
        &["my.toml:3: `hidden` and `layers` both"],
        "layers = 2\nunits = 32",
    ),
    (
        "layers = 2",
        &["`layers` is given without `units`"],
        "layers = [1, 2]\nunits = [32, 64]",
    ),
    (
        "units = 32",
        &["`units` is given without `layers`"],
        "layers = 1\nunits = 32",
    ),
    (
        "dropout = 1.0",
        &["my.toml:2", "`dropout` is 1", "from 0 to below 1"],
        "dropout = 0.999",
    ),
    (
        "dropout = 0.99999999",
        &["`dropout` is 0.99999999", "32-bit number"],
        "dropout = 0.9999999",
    ),
    (
        "dropout = -0.1",
        &["`dropout` is -0.1"],
        "dropout = { linear = [0.0, 0.5], points = 3 }",
    ),
    (
        "dropout = [0.0, 0]",
        &["`dropout` lists 0 twice"],
        "dropout = [0.0, 0.5]",
    ),
    (
        "dropout = [[0.1, 0.2]]",
        &["`dropout` is [0.1, 0.2]"],
        "dropout = [0.1, 0.2]",
    ),
    (
        "batch_norm = 'yes'",
        &["`batch_norm` is \"yes\"", "true or false"],
        "batch_norm = true",
    ),
    (
        "batch_norm = [true, true]",
        &["`batch_norm` lists true twice"],
        "batch_norm = [false, true]",
    ),
    (
        "layers = 65\nunits = 32",
        &["`layers` is 65", "from 1 to 64"],
        "layers = 64\nunits = 32",
    ),
    (
        "layers = 0\nunits = 32",
        &["`layers` is 0"],
        "layers = { int = [1, 3] }\nunits = 32",
    ),
    (
        "layers = [1, 2]\nunits = 60000",
        &["2 layers of 60000 units", "at most 2147483647"],
        "layers = [1, 2]\nunits = 46340",
    ),
];

#[test]
fn values_are_refused_with_their_line_and_their_twins_accepted() {
    for (bad, words, good) in VALUES {
        check_twin(space_of(bad), words, space_of(good));
    }
    let many = format!("hidden = {:?}", [8; 65]);
    let fewer = format!("hidden = {:?}", [8; 64]);
    check_twin(space_of(&many), &["up to 64 widths"], space_of(&fewer));
}

/// (known, not built; accepted since it is off)
const NOT_BUILT: &[(&str, &str)] = &[
    ("amsgrad = true", "amsgrad = false"),
    ("centered = [false, true]", "centered = [false]"),
    ("weight_decay = 0.01", "weight_decay = 0"),
    ("l1 = 1e-4", "l1 = 0.0"),
    ("l2 = { log = [1e-5, 1e-3], points = 3 }", "l2 = 0.0"),
    ("gradient_clip_norm = 1.0", "gradient_clip_norm = 0"),
    ("label_smoothing = 0.1", "label_smoothing = 0"),
    ("init = 'he_normal'", "init = 'glorot_uniform'"),
    ("schedule = 'cosine'", "schedule = 'constant'"),
    ("schedule = ['constant', 'step']", "schedule = ['constant']"),
    ("gamma = 0.1", ""),
    ("step_size = 10", ""),
    ("power = 1", ""),
    ("min_learning_rate = 0", ""),
    ("period = 10", ""),
    ("plateau_patience = 10", ""),
    ("pct_start = 0.3", ""),
    ("warmup_epochs = 5", "warmup_epochs = 0"),
    ("train_fraction = 0.5", "train_fraction = 1"),
];

#[test]
fn what_is_not_built_is_named_as_known_and_its_off_value_accepted() {
    for (bad, good) in NOT_BUILT {
        let words = ["my.toml:2:", "is known, but not built into this version"];
        let good = space_of(good);
        let added = good
            .as_ref()
            .map_or(0, |sweep| sweep.space.parameters.len());
        check_twin(space_of(bad), &words, good);
        assert_eq!(added, 5, "an off value adds no parameter: {bad}");
    }
}

#[test]
fn a_wrong_value_of_what_is_not_built_is_named_first() {
    let bad = [
        ("l2 = 'x'", "`l2` is \"x\""),
        ("init = 'he_norm'", "`he_normal`?"),
    ];
    for (line, words) in bad {
        check_twin(space_of(line), &[words], space_of(""));
    }
}
