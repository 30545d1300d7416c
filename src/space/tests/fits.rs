//! Batch sizes against the number of training rows.

use super::{domain_json, space_of, sweep_of, sweep_set};
use crate::space::Sweep;

/// The batch sizes that remain, as JSON, and the warning.
fn fitted(sweep: Sweep, rows: usize) -> Result<(String, String), String> {
    let (sweep, warnings) = sweep.fit_to_rows(rows).map_err(|error| error.to_string())?;
    Ok((domain_json(&sweep, "batch_size"), warnings.join("|")))
}

#[test]
fn default_batch_sizes_above_the_training_rows_are_left_out_with_a_warning() {
    let cases = [
        (958, r#"{"choices":[16,32,64,128]}"#, ""),
        (128, r#"{"choices":[16,32,64,128]}"#, ""),
        (127, r#"{"choices":[16,32,64]}"#, "batch_size 128 left out"),
        (
            40,
            r#"{"choices":[16,32]}"#,
            "batch_size 64, 128 left out of the default grid: the smallest training part has 40 rows",
        ),
        (
            9,
            r#"{"choices":[9]}"#,
            "batch_size 16, 32, 64, 128 left out",
        ),
    ];
    for (rows, sizes, words) in cases {
        let (found, warning) = fitted(sweep_set(&[]).expect("the default"), rows).expect("it fits");
        assert_eq!(found, sizes);
        assert!(
            warning.contains(words) && warning.is_empty() == words.is_empty(),
            "{warning}"
        );
    }
}

#[test]
fn the_default_of_the_table_is_lowered_with_a_warning() {
    let found = fitted(space_of("").expect("it is good"), 20).expect("it fits");
    let warning =
        "batch_size is 20 instead of the default 32: the smallest training part has 20 rows";
    assert_eq!(found, (r#"{"fixed":20}"#.to_owned(), warning.to_owned()));
    let found = fitted(space_of("").expect("it is good"), 32).expect("it fits");
    assert_eq!(found, (r#"{"fixed":32}"#.to_owned(), String::new()));
}

#[test]
fn a_batch_size_that_was_asked_for_is_an_error() {
    let asked = [
        (
            "batch_size = 64",
            "[space]: `batch_size` is 64, but the smallest training part has 63 rows",
        ),
        ("batch_size = [16, 64]", "`batch_size` is 64"),
        ("batch_size = { int = [60, 64] }", "`batch_size` is 64"),
        (
            "batch_size = { log_int = [16, 64], points = 3 }",
            "`batch_size` is 64",
        ),
    ];
    for (line, words) in asked {
        let sweep = || space_of(line).expect(line);
        let sentence = fitted(sweep(), 63).expect_err(line);
        assert!(sentence.contains(words), "{sentence}");
        assert!(fitted(sweep(), 64).is_ok_and(|(_, warning)| warning.is_empty()));
    }
    let sweep = sweep_set(&["batch_size=64"]).expect("it is good");
    assert!(fitted(sweep, 63).is_err());
}

#[test]
fn a_conditional_batch_size_is_checked_with_its_default() {
    let line =
        "optimizer = ['sgd', 'adam']\nbatch_size = { value = 4, when = { optimizer = 'sgd' } }";
    let sentence = fitted(space_of(line).expect(line), 31).expect_err("32 elsewhere");
    assert!(
        sentence.contains("is 32 where its `when` does not hold"),
        "{sentence}"
    );
    assert!(fitted(space_of(line).expect(line), 32).is_ok());
}

#[test]
fn no_training_rows_is_an_error() {
    assert!(fitted(sweep_of("").expect("it is good"), 0).is_err());
    assert!(fitted(sweep_of("").expect("it is good"), 1).is_ok());
}
