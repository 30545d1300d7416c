//! The values of one trial.

use super::space_of;
use crate::search::{Grid, Sampler};
use crate::space::{Assignment, ParameterValue, assign};

/// The assignments of all trials of a `[space]`.
fn all(lines: &str) -> Vec<Assignment> {
    let space = space_of(lines).expect(lines).space;
    let trials = Grid::new(&space).propose(1000);
    trials
        .iter()
        .map(|trial| assign(&space, &trial.params))
        .collect()
}

#[test]
fn an_empty_space_has_the_tables_defaults() {
    let trials = all("");
    let [only] = &trials[..] else {
        panic!("one trial")
    };
    assert_eq!(only.f64("learning_rate"), 0.001);
    assert_eq!(only.u64("batch_size"), 32);
    assert_eq!(
        (only.text("optimizer"), only.text("activation")),
        ("adam", "relu")
    );
    assert_eq!((only.f64("beta_1"), only.f64("beta_2")), (0.9, 0.999));
    assert_eq!((only.f64("epsilon"), only.f64("momentum")), (1e-8, 0.0));
    assert_eq!((only.f64("rho"), only.bool("nesterov")), (0.99, false));
    assert_eq!(
        (only.f64("dropout"), only.text("init")),
        (0.0, "glorot_uniform")
    );
    assert!(!only.bool("batch_norm"));
    assert_eq!(only.hidden(), [64]);
    assert_eq!(only.get("hidden"), Some(&ParameterValue::Widths(vec![64])));
}

#[test]
fn a_parameter_has_its_default_where_its_condition_does_not_hold() {
    let trials = all("optimizer = ['sgd', 'adam']\n\
        momentum = { choice = [0.5, 0.9], when = { optimizer = 'sgd' } }\n\
        nesterov = { value = true, when = { momentum = 0.9 } }");
    let found: Vec<_> = trials
        .iter()
        .map(|t| (t.text("optimizer"), t.f64("momentum"), t.bool("nesterov")))
        .collect();
    assert_eq!(
        found,
        [
            ("sgd", 0.5, false),
            ("sgd", 0.9, true),
            ("adam", 0.0, false)
        ]
    );
}

#[test]
fn dropout_and_batch_norm_are_swept_and_may_have_conditions() {
    let trials = all("batch_norm = [false, true]\n\
        dropout = { linear = [0.0, 0.5], points = 3, when = { batch_norm = false } }");
    let found: Vec<_> = trials
        .iter()
        .map(|t| (t.bool("batch_norm"), t.f64("dropout")))
        .collect();
    let expected = [(false, 0.0), (false, 0.25), (false, 0.5), (true, 0.0)];
    assert_eq!(found, expected);
}

#[test]
fn layers_times_units_are_the_hidden_layers() {
    let trials = all("layers = { int = [1, 3] }\nunits = [8, 16]");
    let hidden: Vec<Vec<u64>> = trials.iter().map(Assignment::hidden).collect();
    assert_eq!(hidden[..3], [vec![8], vec![16], vec![8, 8]]);
    assert_eq!(hidden[5], [16, 16, 16]);
    let linear = all("hidden = [[], [4, 5]]");
    assert_eq!(
        (linear[0].hidden(), linear[1].hidden()),
        (vec![], vec![4, 5])
    );
}

#[test]
fn units_that_do_not_apply_have_their_default() {
    let trials = all("layers = [1, 2]\nunits = { choice = [8], when = { layers = 2 } }");
    assert_eq!(
        (trials[0].hidden(), trials[1].hidden()),
        (vec![64], vec![8, 8])
    );
}

#[test]
#[should_panic(expected = "no `learning_rat`")]
fn a_name_that_is_not_in_the_table_is_a_slip_of_the_caller() {
    all("")[0].f64("learning_rat");
}
