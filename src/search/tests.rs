//! The grid: order, count and size.

use super::{Grid, Proposal, Sampler};
use crate::space::{Condition, Domain, Parameter, ParameterValue, Space};

fn parameter(name: &str, domain: Domain, when: &[(&str, &[&str])]) -> Parameter {
    let condition = |(on, values): &(&str, &[&str])| Condition {
        parameter: (*on).to_owned(),
        values: values.iter().map(|value| text(value)).collect(),
    };
    Parameter {
        name: name.to_owned(),
        domain,
        when: when.iter().map(condition).collect(),
    }
}

fn text(value: &str) -> ParameterValue {
    ParameterValue::Text(value.to_owned())
}

fn choices(values: &str) -> Domain {
    Domain::Choices(values.split(' ').map(text).collect())
}

fn space(parameters: &[Parameter]) -> Space {
    Space {
        parameters: parameters.to_vec(),
    }
}

/// One trial as `a=1 b=2`.
fn show(proposal: &Proposal) -> String {
    let params = proposal
        .params
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    params.collect::<Vec<_>>().join(" ")
}

/// All trials, and a check that ids and total agree with them.
#[track_caller]
fn all(space: &Space) -> Vec<String> {
    let mut grid = Grid::new(space);
    let trials = grid.propose(10_000);
    assert!(
        trials
            .iter()
            .map(|trial| trial.trial)
            .eq(0..trials.len() as u64)
    );
    assert_eq!(grid.total(), Some(trials.len() as u64));
    assert!(grid.propose(1).is_empty(), "a finished grid stays finished");
    trials.iter().map(show).collect()
}

#[test]
fn the_last_parameter_varies_fastest_and_fixed_ones_are_absent() {
    let space = space(&[
        parameter("a", choices("1 2"), &[]),
        parameter("f", Domain::Fixed(text("x")), &[]),
        parameter("b", choices("p q r"), &[]),
    ]);
    assert_eq!(
        all(&space),
        [
            "a=1 b=p", "a=1 b=q", "a=1 b=r", "a=2 b=p", "a=2 b=q", "a=2 b=r"
        ]
    );
}

#[test]
fn a_space_without_swept_parameters_has_one_trial() {
    assert_eq!(all(&Space::default()), [""]);
    assert_eq!(
        all(&space(&[parameter("f", Domain::Fixed(text("x")), &[])])),
        [""]
    );
}

#[test]
fn a_range_without_points_has_no_trial() {
    let log = Domain::Log {
        low: 0.1,
        high: 1.0,
        points: None,
    };
    let space = space(&[
        parameter("a", choices("1 2"), &[]),
        parameter("b", log, &[]),
    ]);
    assert!(all(&space).is_empty());
}

#[test]
fn a_parameter_is_absent_where_its_condition_does_not_hold() {
    let space = space(&[
        parameter("o", choices("sgd adam rms"), &[]),
        parameter("m", choices("0 9"), &[("o", &["sgd", "rms"])]),
        parameter("n", choices("f t"), &[("o", &["sgd"]), ("m", &["9"])]),
        parameter("b", choices("1"), &[]),
    ]);
    let expected = [
        "o=sgd m=0 b=1",
        "o=sgd m=9 n=f b=1",
        "o=sgd m=9 n=t b=1",
        "o=adam b=1",
        "o=rms m=0 b=1",
        "o=rms m=9 b=1",
    ];
    assert_eq!(all(&space), expected);
}

#[test]
fn a_condition_on_a_fixed_conditional_parameter_holds_where_that_applies() {
    let space = space(&[
        parameter("o", choices("sgd adam"), &[]),
        parameter("m", Domain::Fixed(text("9")), &[("o", &["sgd"])]),
        parameter("n", choices("f t"), &[("m", &["9"])]),
    ]);
    assert_eq!(all(&space), ["o=sgd n=f", "o=sgd n=t", "o=adam"]);
}

#[test]
fn a_condition_that_cannot_hold_makes_its_parameter_absent() {
    let space = space(&[
        parameter("a", choices("1 2"), &[("later", &["x"])]),
        parameter("b", choices("1 2"), &[("nowhere", &["x"])]),
        parameter("c", choices("1 2"), &[("c", &["1"])]),
        parameter("later", choices("x y"), &[]),
    ]);
    assert_eq!(all(&space), ["later=x", "later=y"]);
}

#[test]
fn proposals_in_parts_are_the_same_as_at_once() {
    let space = space(&[
        parameter("a", choices("1 2 3"), &[]),
        parameter("b", choices("1 2 3"), &[("a", &["2"])]),
    ]);
    let mut grid = Grid::new(&space);
    let mut parts = Vec::new();
    assert!(grid.propose(0).is_empty());
    loop {
        let part = grid.propose(2);
        if part.is_empty() {
            break;
        }
        parts.extend(part);
    }
    assert_eq!(parts, Grid::new(&space).propose(usize::MAX));
}

fn int(high: i64) -> Domain {
    Domain::Int {
        low: 1,
        high,
        points: None,
    }
}

#[test]
fn a_large_grid_is_counted_and_begun_without_being_made() {
    let space = space(&[
        parameter("o", choices("sgd adam"), &[]),
        parameter("a", int(1_000_000), &[]),
        parameter("b", int(1_000_000), &[("o", &["sgd"])]),
        parameter("c", int(1000), &[]),
    ]);
    let mut grid = Grid::new(&space);
    assert_eq!(grid.total(), Some(1_000_000_000_000_000 + 1_000_000_000));
    assert_eq!(show(&grid.propose(1001)[1000]), "o=sgd a=1 b=2 c=1");
}

#[test]
fn a_count_beyond_64_bits_is_none() {
    let most = parameter("a", int(i64::MAX), &[]);
    let twice = parameter("b", int(2), &[]);
    let again = parameter("c", int(2), &[]);
    assert_eq!(
        Grid::new(&space(&[most.clone(), twice.clone()])).total(),
        Some(u64::MAX - 1)
    );
    assert_eq!(Grid::new(&space(&[most, twice, again])).total(), None);
}
