//! The value of every parameter in one trial.

use std::collections::BTreeMap;

use super::table;
use super::{ParameterValue, Space};

/// The value of every parameter in one trial: swept, else fixed where its condition holds, else
/// the table's default for the trial's optimizer.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    values: BTreeMap<String, ParameterValue>,
    hidden: Vec<u64>,
}

/// Looks up every parameter of a trial whose swept values are `params`, as a proposal has them.
pub fn assign(space: &Space, params: &[(String, ParameterValue)]) -> Assignment {
    let mut values = BTreeMap::new();
    for parameter in &space.parameters {
        let proposed = params.iter().find(|(name, _)| *name == parameter.name);
        let value = match (proposed, &parameter.domain) {
            (Some((_, value)), _) => Some(value),
            (None, super::Domain::Fixed(value)) if applies(parameter, &values) => Some(value),
            _ => None,
        };
        if let Some(value) = value {
            values.insert(parameter.name.clone(), value.clone());
        }
    }
    let hidden = hidden(&values);
    add_defaults(&mut values);
    Assignment { values, hidden }
}

/// Whether the conditions of a parameter hold among the values found so far.
fn applies(parameter: &super::Parameter, values: &BTreeMap<String, ParameterValue>) -> bool {
    parameter.when.iter().all(|condition| {
        let value = values.get(&condition.parameter);
        value.is_some_and(|value| condition.values.contains(value))
    })
}

/// The widths of the hidden layers: `units`, `layers` times, where these are used.
fn hidden(values: &BTreeMap<String, ParameterValue>) -> Vec<u64> {
    if let Some(widths) = values.get("hidden").and_then(ParameterValue::as_widths) {
        return widths.to_vec();
    }
    let whole = |name: &str| values.get(name).and_then(ParameterValue::as_u64);
    match (whole("layers"), whole("units")) {
        (None, None) => table::HIDDEN.to_vec(),
        (layers, units) => {
            let layers = usize::try_from(layers.unwrap_or(1)).unwrap_or(usize::MAX);
            vec![units.unwrap_or(table::HIDDEN[0]); layers.min(table::MOST_LAYERS)]
        }
    }
}

/// Fills in the parameters that nothing has set.
fn add_defaults(values: &mut BTreeMap<String, ParameterValue>) {
    let optimizer = values.get("optimizer").and_then(ParameterValue::as_str);
    let optimizer = optimizer.unwrap_or(table::OPTIMIZER).to_owned();
    for entry in table::PARAMETERS {
        if let Some(default) = entry.default_for(&optimizer) {
            values.entry(entry.name.to_owned()).or_insert(default);
        }
    }
}

impl Assignment {
    /// The value of a parameter; `None` for a name that is not in the table, and for `layers` and
    /// `units` where they are not used.
    pub fn get(&self, name: &str) -> Option<&ParameterValue> {
        self.values.get(name)
    }

    /// A number.
    ///
    /// # Panics
    ///
    /// When the table has no such parameter, or not of this type: a slip of the caller.
    #[track_caller]
    pub fn f64(&self, name: &str) -> f64 {
        expect(name, self.get(name).and_then(ParameterValue::as_f64))
    }

    /// A whole number.
    ///
    /// # Panics
    ///
    /// As [`Assignment::f64`].
    #[track_caller]
    pub fn u64(&self, name: &str) -> u64 {
        expect(name, self.get(name).and_then(ParameterValue::as_u64))
    }

    /// A name.
    ///
    /// # Panics
    ///
    /// As [`Assignment::f64`].
    #[track_caller]
    pub fn text(&self, name: &str) -> &str {
        expect(name, self.get(name).and_then(ParameterValue::as_str))
    }

    /// A switch.
    ///
    /// # Panics
    ///
    /// As [`Assignment::f64`].
    #[track_caller]
    pub fn bool(&self, name: &str) -> bool {
        expect(name, self.get(name).and_then(ParameterValue::as_bool))
    }

    /// The widths of the hidden layers, the first layer first, from `hidden` or `layers` x
    /// `units`; empty for a linear model.
    pub fn hidden(&self) -> Vec<u64> {
        self.hidden.clone()
    }
}

#[track_caller]
fn expect<T>(name: &str, value: Option<T>) -> T {
    let Some(value) = value else {
        panic!("the parameter table has no `{name}` of this type");
    };
    value
}
