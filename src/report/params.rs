//! Hyperparameters as text.

use serde_json::{Map, Value};

use super::format::{MISSING, number_text};
use crate::store::TrialRecord;

/// Names of the swept parameters over all trials, in the order in which they first occur.
///
/// A conditional parameter is missing from the trials that it does not apply to.
pub fn param_names<'a>(trials: impl IntoIterator<Item = &'a TrialRecord>) -> Vec<String> {
    let mut names = Vec::new();
    for trial in trials {
        add_param_names(&mut names, trial);
    }
    names
}

/// Adds the names that a trial has and `names` lacks, for a reader that sees one trial at a time.
pub fn add_param_names(names: &mut Vec<String>, trial: &TrialRecord) {
    for name in trial.params.keys() {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
}

/// A parameter's value, exact: `0.001`, `adam`, `true`; lists of numbers as `64x64`.
///
/// An empty list is `[]`, `null` is empty, and anything else is JSON.
pub fn value_text(value: &Value) -> String {
    text(value, |number| number.to_string())
}

/// As [`value_text`], with numbers to four significant digits: for reading, not for repeating.
pub(crate) fn short_value(value: &Value) -> String {
    match value {
        Value::Null => MISSING.to_owned(),
        _ => text(value, |number| {
            number
                .as_f64()
                .map_or_else(|| number.to_string(), |v| number_text(v, 4))
        }),
    }
}

fn text(value: &Value, number_text: impl Fn(&serde_json::Number) -> String) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number_text(number),
        Value::String(word) => word.clone(),
        Value::Array(items) if is_flat_list(items) => {
            let items: Vec<String> = items
                .iter()
                .filter_map(Value::as_number)
                .map(number_text)
                .collect();
            items.join("x")
        }
        other => other.to_string(),
    }
}

fn is_flat_list(items: &[Value]) -> bool {
    !items.is_empty() && items.iter().all(Value::is_number)
}

/// A trial's parameter for reading; a dash where it does not apply.
pub(crate) fn param_text(trial: &TrialRecord, name: &str) -> String {
    trial
        .params
        .get(name)
        .map_or_else(|| MISSING.to_owned(), short_value)
}

/// All parameters on one line: `batch_size=32 learning_rate=0.003162 optimizer=adam`.
pub fn params_text(params: &Map<String, Value>) -> String {
    let pairs: Vec<String> = params
        .iter()
        .map(|(name, value)| format!("{name}={}", short_value(value)))
        .collect();
    if pairs.is_empty() {
        "no swept parameters".to_owned()
    } else {
        pairs.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_exact_or_short() {
        let cases = [
            (
                json!(0.0031622776601683794),
                "0.0031622776601683794",
                "0.003162",
            ),
            (json!(1e-8), "1e-8", "1e-8"),
            (json!(128), "128", "128"),
            (json!("adam"), "adam", "adam"),
            (json!(true), "true", "true"),
            (json!([64, 64]), "64x64", "64x64"),
            (json!([0.1, 0.25]), "0.1x0.25", "0.1x0.25"),
            (json!([]), "[]", "[]"),
            (json!(["a", 1]), r#"["a",1]"#, r#"["a",1]"#),
            (json!(null), "", MISSING),
        ];
        for (value, exact, short) in cases {
            assert_eq!(value_text(&value), exact);
            assert_eq!(short_value(&value), short);
        }
    }

    #[test]
    fn a_line_of_parameters() {
        let Value::Object(params) = json!({"batch_size": 32, "learning_rate": 0.0031622776}) else {
            unreachable!("an object was written")
        };
        assert_eq!(params_text(&params), "batch_size=32 learning_rate=0.003162");
        assert_eq!(params_text(&Map::new()), "no swept parameters");
    }
}
