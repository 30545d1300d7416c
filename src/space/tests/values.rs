//! Single values and the points of ranges.

use crate::space::{Domain, ParameterValue, Points};

#[test]
fn values_are_shown_as_the_command_line_spells_them() {
    let cases = [
        (ParameterValue::Float(0.001), "0.001"),
        (ParameterValue::Float(1.0), "1"),
        (ParameterValue::Float(0.0), "0"),
        (ParameterValue::Float(1e-8), "1e-8"),
        (
            ParameterValue::Float(0.000316227766017),
            "0.000316227766017",
        ),
        (ParameterValue::Float(1e20), "1e20"),
        (ParameterValue::Int(32), "32"),
        (ParameterValue::Bool(true), "true"),
        (ParameterValue::Text("adam".into()), "adam"),
        (ParameterValue::Widths(vec![64, 64]), "64x64"),
        (ParameterValue::Widths(vec![64]), "64"),
        (ParameterValue::Widths(vec![]), "[]"),
    ];
    for (value, shown) in cases {
        assert_eq!(value.to_string(), shown);
    }
}

#[test]
fn values_are_plain_in_json_and_keep_their_type() {
    let cases = [
        (ParameterValue::Float(1.0), "1.0"),
        (ParameterValue::Float(0.1 + 0.2), "0.30000000000000004"),
        (ParameterValue::Int(1), "1"),
        (ParameterValue::Int(i64::MIN), "-9223372036854775808"),
        (ParameterValue::Bool(false), "false"),
        (ParameterValue::Text("1".into()), "\"1\""),
        (ParameterValue::Widths(vec![64, 32]), "[64,32]"),
        (ParameterValue::Widths(vec![]), "[]"),
    ];
    for (value, json) in cases {
        assert_eq!(
            serde_json::to_string(&value).expect("it can be written"),
            json
        );
        assert_eq!(
            serde_json::from_str::<ParameterValue>(json).expect(json),
            value
        );
    }
}

#[test]
fn a_value_is_had_as_its_own_type_only() {
    let one = ParameterValue::Int(1);
    assert_eq!(
        (one.as_f64(), one.as_u64(), one.as_bool()),
        (Some(1.0), Some(1), None)
    );
    assert_eq!(ParameterValue::Int(-1).as_u64(), None);
    assert_eq!(ParameterValue::Float(1.0).as_u64(), None);
    assert_eq!(ParameterValue::Bool(true).as_bool(), Some(true));
    assert_eq!(ParameterValue::Text("a".into()).as_str(), Some("a"));
    assert_eq!(ParameterValue::Widths(vec![1]).as_widths(), Some(&[1][..]));
    assert_eq!(ParameterValue::Text("a".into()).as_widths(), None);
}

/// The points of a domain, as shown.
fn points(domain: &Domain) -> String {
    let shown: Vec<String> = Points::of(domain)
        .iter()
        .map(|value| value.to_string())
        .collect();
    shown.join(" ")
}

fn log(low: f64, high: f64, points: u32) -> Domain {
    let points = Some(points);
    Domain::Log { low, high, points }
}

fn linear(low: f64, high: f64, points: u32) -> Domain {
    let points = Some(points);
    Domain::Linear { low, high, points }
}

#[test]
fn points_of_ranges_are_short_decimals_with_exact_ends() {
    let thirds = "0.0001 0.000316227766017 0.001 0.00316227766017 0.01 0.0316227766017 0.1";
    let cases = [
        (log(1e-4, 1e-1, 7), thirds),
        (log(1e-5, 1e-1, 5), "1e-5 0.0001 0.001 0.01 0.1"),
        (
            log(1e-10, 1.0, 11),
            "1e-10 1e-9 1e-8 1e-7 1e-6 1e-5 0.0001 0.001 0.01 0.1 1",
        ),
        (log(2e-3, 2e-1, 3), "0.002 0.02 0.2"),
        (log(0.1, 0.1, 1), "0.1"),
        (linear(0.0, 0.9, 3), "0 0.45 0.9"),
        (linear(0.1, 0.7, 7), "0.1 0.2 0.3 0.4 0.5 0.6 0.7"),
        (linear(0.0, 0.5, 3), "0 0.25 0.5"),
        (
            Domain::Int {
                low: 1,
                high: 4,
                points: None,
            },
            "1 2 3 4",
        ),
        (
            Domain::Int {
                low: 0,
                high: 10,
                points: Some(3),
            },
            "0 5 10",
        ),
        (
            Domain::Int {
                low: 1,
                high: 3,
                points: Some(9),
            },
            "1 2 3",
        ),
        (
            Domain::LogInt {
                low: 16,
                high: 256,
                points: Some(5),
            },
            "16 32 64 128 256",
        ),
        (
            Domain::LogInt {
                low: 1,
                high: 4,
                points: Some(6),
            },
            "1 2 3 4",
        ),
        (
            Domain::LogInt {
                low: 16,
                high: 256,
                points: None,
            },
            "",
        ),
        (
            Domain::Log {
                low: 0.1,
                high: 1.0,
                points: None,
            },
            "",
        ),
    ];
    for (domain, expected) in cases {
        assert_eq!(points(&domain), expected, "{domain:?}");
    }
}

#[test]
fn ends_are_exact_and_points_stay_between_them() {
    let (low, high) = (0.1 + 0.2, 0.9000000000000001);
    for domain in [log(low, high, 50), linear(low, high, 50)] {
        let points: Vec<f64> = Points::of(&domain)
            .iter()
            .filter_map(|p| p.as_f64())
            .collect();
        assert_eq!((points[0], points[49]), (low, high));
        assert!(points.is_sorted() && points.len() == 50);
    }
}

#[test]
fn a_point_is_found_by_its_value() {
    let whole = Points::of(&Domain::Int {
        low: -5,
        high: i64::MAX,
        points: None,
    });
    assert_eq!(whole.position(&ParameterValue::Int(-5)), Some(0));
    assert_eq!(
        whole.position(&ParameterValue::Int(i64::MAX)),
        Some(whole.len() - 1)
    );
    assert_eq!(
        whole.get(whole.len() - 1),
        Some(ParameterValue::Int(i64::MAX))
    );
    assert_eq!(
        (
            whole.get(whole.len()),
            whole.position(&ParameterValue::Int(-6))
        ),
        (None, None)
    );
    let rates = Points::of(&log(1e-4, 1e-1, 7));
    assert_eq!(rates.position(&ParameterValue::Float(0.001)), Some(2));
    assert_eq!(rates.position(&ParameterValue::Float(0.002)), None);
}
