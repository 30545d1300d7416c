//! Parameters that do not go together, each with an accepted twin.

use super::{check_twin, space_of};

/// (refused, words, accepted), where parameters depend on each other.
const RELATIONS: &[(&str, &[&str], &str)] = &[
    (
        "optimizer = ['sgd', 'adam']\nmomentum = { linear = [0.0, 0.9], points = 3 }",
        &[
            "my.toml:3: `momentum` is not used by the optimizer `adam`",
            "`momentum = { linear = [0, 0.9], points = 3, when = { optimizer = \"sgd\" } }`",
        ],
        "optimizer = ['sgd', 'adam']\nmomentum = { linear = [0, 0.9], points = 3, when = { optimizer = \"sgd\" } }",
    ),
    (
        "optimizer = ['sgd', 'adam', 'rmsprop']\nmomentum = 0.9",
        &["`momentum = { value = 0.9, when = { optimizer = [\"sgd\", \"rmsprop\"] } }`"],
        "optimizer = ['sgd', 'adam', 'rmsprop']\nmomentum = { value = 0.9, when = { optimizer = [\"sgd\", \"rmsprop\"] } }",
    ),
    (
        "momentum = [0.5, 0.9]",
        &[
            "not used by the optimizer `adam`",
            "leave it out, or sweep an optimizer that uses it (sgd, rmsprop)",
        ],
        "optimizer = 'sgd'\nmomentum = [0.5, 0.9]",
    ),
    (
        "optimizer = 'sgd'\nepsilon = 1e-8",
        &["`epsilon` is not used by the optimizer `sgd`"],
        "optimizer = 'rmsprop'\nepsilon = 1e-8",
    ),
    (
        "rho = 0.9",
        &["`rho` is not used by the optimizer `adam`"],
        "beta_1 = 0.8",
    ),
    (
        "optimizer = ['sgd', 'rmsprop']\nmomentum = [0.0, 0.9]\nnesterov = { value = true, when = { momentum = 0.9 } }",
        &["my.toml:4: `nesterov` is not used by the optimizer `rmsprop`"],
        "optimizer = ['sgd', 'rmsprop']\nmomentum = [0.0, 0.9]\nnesterov = { value = true, when = { momentum = 0.9, optimizer = 'sgd' } }",
    ),
    (
        "optimizer = 'sgd'\nnesterov = true",
        &["my.toml:3: `nesterov` needs a momentum above 0"],
        "optimizer = 'sgd'\nmomentum = 0.9\nnesterov = true",
    ),
    (
        "optimizer = 'sgd'\nnesterov = true",
        &["`nesterov`"],
        "optimizer = 'sgd'\nnesterov = false",
    ),
    (
        "optimizer = 'sgd'\nmomentum = 0\nnesterov = true",
        &["`nesterov`"],
        "optimizer = 'sgd'\nmomentum = 0.1\nnesterov = true",
    ),
    (
        "optimizer = 'sgd'\nmomentum = [0.0, 0.9]\nnesterov = [false, true]",
        &["`nesterov` needs a momentum above 0"],
        "optimizer = 'sgd'\nmomentum = [0.0, 0.9]\nnesterov = { choice = [false, true], when = { momentum = 0.9 } }",
    ),
    (
        "optimizer = ['sgd', 'adam']\nbatch_size = [16, 32]\nmomentum = { value = 0.9, when = { optimizer = 'sgd', batch_size = 16 } }\nnesterov = { value = true, when = { optimizer = 'sgd' } }",
        &["`nesterov` needs a momentum above 0"],
        "optimizer = ['sgd', 'adam']\nmomentum = { value = 0.9, when = { optimizer = 'sgd' } }\nnesterov = { value = true, when = { optimizer = 'sgd' } }",
    ),
    // Conditions.
    (
        "momentum = { value = 0.9, when = { optimiser = 'sgd' } }",
        &["`optimiser` is not a parameter", "`optimizer`?"],
        "optimizer = ['sgd', 'adam']\nmomentum = { value = 0.9, when = { optimizer = 'sgd' } }",
    ),
    (
        "momentum = { value = 0.9, when = { optimizer = 'sgd' } }\noptimizer = ['sgd', 'adam']",
        &["my.toml:2: `momentum` depends on `optimizer`, which stands later"],
        "optimizer = ['sgd', 'adam']\nmomentum = { value = 0.9, when = { optimizer = 'sgd' } }",
    ),
    (
        "optimizer = 'sgd'\nmomentum = { value = 0.9, when = { optimizer = 'sgd' } }",
        &["depends on `optimizer`, which is not swept"],
        "optimizer = ['sgd']\nmomentum = { value = 0.9, when = { optimizer = 'sgd' } }",
    ),
    (
        "momentum = { value = 0.9, when = { optimizer = 'sgd' } }",
        &["depends on `optimizer`, which is not swept"],
        "optimizer = 'sgd'\nmomentum = { value = 0.9 }",
    ),
    (
        "optimizer = ['sgd', 'adam']\nmomentum = { choice = [0.1, 0.9], when = { momentum = 0.9 } }",
        &["cannot depend on itself"],
        "optimizer = ['sgd', 'adam']\nmomentum = { choice = [0.1, 0.9], when = { optimizer = 'sgd' } }",
    ),
    (
        "optimizer = ['sgd', 'adam']\nrho = { value = 0.9, when = { optimizer = 'rmsprop' } }",
        &[
            "no trial has this value of `optimizer`",
            "choose among \"sgd\", \"adam\"",
        ],
        "optimizer = ['sgd', 'rmsprop']\nrho = { value = 0.9, when = { optimizer = 'rmsprop' } }",
    ),
    (
        "optimizer = ['sgd', 'adam']\nmomentum = { value = 0.9, when = { optimizer = 'sdg' } }",
        &["`sdg` is not an optimizer", "`sgd`?"],
        "optimizer = ['sgd', 'adam']\nmomentum = { value = 0.9, when = { optimizer = ['sgd'] } }",
    ),
    (
        "optimizer = ['sgd', 'adam']\nmomentum = { value = 0.9, when = {} }",
        &["`when of momentum` is {}"],
        "optimizer = ['sgd', 'adam']\nmomentum = { value = 0.9, when = { optimizer = 'sgd' } }",
    ),
    (
        "optimizer = ['sgd', 'adam']\nmomentum = { value = 0.9, when = 'sgd' }",
        &["`when of momentum` is \"sgd\""],
        "optimizer = ['sgd', 'adam']\nbeta_1 = { value = 0.8, when = { optimizer = 'adam' } }",
    ),
    (
        "optimizer = ['sgd', 'adam']\nmomentum = { value = 0.9, when = { optimizer = [] } }",
        &["at least one value"],
        "optimizer = ['sgd', 'adam']\nbatch_size = { choice = [1, 2], when = { optimizer = ['adam', 'sgd'] } }",
    ),
    (
        "layers = { int = [1, 3] }\nunits = { choice = [32], when = { layers = 4 } }",
        &["no trial has this value of `layers`", "1, 2, 3"],
        "layers = { int = [1, 3] }\nunits = { choice = [32], when = { layers = [2, 3] } }",
    ),
    (
        "hidden = [[64], [32]]\nbatch_size = { value = 8, when = { hidden = [16] } }",
        &["no trial has this value", "[64], [32]"],
        "hidden = [[64], [32]]\nbatch_size = { value = 8, when = { hidden = [[64]] } }",
    ),
    (
        "learning_rate = { log = [0.001, 0.1], points = 3 }\nbatch_size = { value = 8, when = { learning_rate = 0.02 } }",
        &["no trial has this value"],
        "learning_rate = { log = [0.001, 0.1], points = 3 }\nbatch_size = { value = 8, when = { learning_rate = 0.01 } }",
    ),
    // Too many trials.
    (
        "learning_rate = { log = [1e-4, 1], points = 1_000_000 }\nbatch_size = { int = [1, 1_000_000] }\nbeta_1 = { linear = [0, 0.9], points = 10_000 }",
        &["my.toml:1: the grid has more than 9007199254740992 trials"],
        "learning_rate = { log = [1e-4, 1], points = 1_000_000 }\nbatch_size = { int = [1, 1_000_000] }\nbeta_1 = { linear = [0, 0.9], points = 9_000 }",
    ),
    (
        "learning_rate = { log = [1e-4, 1], points = 1_000_000 }\nbatch_size = { int = [1, 2_000_000_000] }\nbeta_1 = { linear = [0, 0.9], points = 1_000_000 }",
        &["more than 9007199254740992"],
        "learning_rate = { log = [1e-4, 1], points = 1_000 }\nbatch_size = { int = [1, 2_000_000_000] }\nbeta_1 = { linear = [0, 0.9], points = 1_000 }",
    ),
];

#[test]
fn relations_are_refused_with_a_remedy_and_their_twins_accepted() {
    for (bad, words, good) in RELATIONS {
        check_twin(space_of(bad), words, space_of(good));
    }
}
