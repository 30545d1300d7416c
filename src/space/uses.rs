//! Checks of parameters against each other: who uses them, and what excludes what.

use super::architecture::largest_is_too_large;
use super::draft::Checked;
use super::table::{self, Entry, Kind, built, list};
use super::value::toml;
use super::{Condition, Domain, Parameter, ParameterValue, Place, Points, Space, SpaceError};

/// Most trials: above, a JSON number would not be exact.
const MOST_TRIALS: u64 = 1 << 53;

/// Checks all parameters of a sweep against each other and makes them a space.
pub fn space(checked: &[Checked], section: &Place) -> Result<Space, SpaceError> {
    let space = Space {
        parameters: checked.iter().map(|c| c.parameter.clone()).collect(),
    };
    check_architecture(checked, &space)?;
    for c in checked {
        check_use(&space, c)?;
    }
    check_nesterov(checked, &space)?;
    if space.trials().is_none_or(|trials| trials > MOST_TRIALS) {
        return Err(SpaceError::Conflict {
            place: section.clone(),
            problem: format!("the grid has more than {MOST_TRIALS} trials"),
            remedy: "give fewer choices or points".to_owned(),
        });
    }
    Ok(space)
}

fn conflict(checked: &Checked, problem: String, remedy: String) -> SpaceError {
    SpaceError::Conflict {
        place: checked.place.clone(),
        problem,
        remedy,
    }
}

/// `hidden`, or `layers` with `units`, and not too large.
fn check_architecture(checked: &[Checked], space: &Space) -> Result<(), SpaceError> {
    let find = |name: &str| checked.iter().find(|c| c.parameter.name == name);
    let either = find("layers").or_else(|| find("units"));
    if let (Some(other), Some(_)) = (either, find("hidden")) {
        let problem = format!(
            "`hidden` and `{}` both say the layers",
            other.parameter.name
        );
        return Err(conflict(other, problem, "leave out one of them".to_owned()));
    }
    match (find("layers"), find("units")) {
        (Some(layers), None) => {
            let problem = "`layers` is given without `units`".to_owned();
            let units = layers.place.setting("units", "64", "64");
            Err(conflict(
                layers,
                problem,
                format!("add {units}, or use `hidden`"),
            ))
        }
        (None, Some(units)) => {
            let problem = "`units` is given without `layers`".to_owned();
            let layers = units.place.setting("layers", "1", "1");
            Err(conflict(
                units,
                problem,
                format!("add {layers}, or use `hidden`"),
            ))
        }
        (Some(layers), Some(_)) => largest_is_too_large(space).map_or(Ok(()), |problem| {
            Err(conflict(
                layers,
                problem,
                "lower the largest of them".to_owned(),
            ))
        }),
        (None, None) => Ok(()),
    }
}

/// The optimizers under which a parameter applies.
fn optimizers(space: &Space, parameter: &Parameter) -> Vec<String> {
    let mut names = Vec::new();
    if let Some(optimizer) = space.get("optimizer") {
        let points = Points::of(&optimizer.domain);
        names.extend(points.iter().map(|name| name.to_string()));
        if !optimizer.when.is_empty() {
            names.push(table::OPTIMIZER.to_owned());
        }
    }
    for condition in &parameter.when {
        let among: Vec<String> = match space.get(&condition.parameter) {
            Some(other) if other.name != "optimizer" => optimizers(space, other),
            _ => condition
                .values
                .iter()
                .map(ParameterValue::to_string)
                .collect(),
        };
        names.retain(|name| among.contains(name));
    }
    names
}

/// Refuses a parameter where an optimizer would ignore it.
fn check_use(space: &Space, checked: &Checked) -> Result<(), SpaceError> {
    let parameter = &checked.parameter;
    let Some(entry) = table::entry(&parameter.name) else {
        return Ok(());
    };
    let uses = |name: &str| entry.used_by.is_none_or(|users| users.contains(&name));
    let names = optimizers(space, parameter);
    match names.iter().find(|name| !uses(name)) {
        None => Ok(()),
        Some(stranger) => {
            let users: Vec<&str> = names
                .iter()
                .map(String::as_str)
                .filter(|n| uses(n))
                .collect();
            let problem = format!(
                "`{}` is not used by the optimizer `{stranger}`",
                parameter.name
            );
            Err(conflict(checked, problem, say_when(checked, entry, &users)))
        }
    }
}

/// How to make a parameter conditional on the optimizers that use it.
fn say_when(checked: &Checked, entry: &Entry, users: &[&str]) -> String {
    let parameter = &checked.parameter;
    let users = match users {
        [] => {
            let users = entry.used_by.unwrap_or_default();
            let Some(Kind::Name(names)) = table::entry("optimizer").map(|e| &e.kind) else {
                return "leave it out".to_owned();
            };
            let users = list(built(names).filter(|name| users.contains(name)));
            return format!("leave it out, or sweep an optimizer that uses it ({users})");
        }
        [one] => format!("\"{one}\""),
        several => format!("{several:?}"),
    };
    let written = format!(
        "`{} = {{ {}, when = {{ optimizer = {users} }} }}`",
        parameter.name,
        domain_fields(&parameter.domain)
    );
    match checked.place {
        Place::Argument(_) => {
            format!("set an optimizer that uses it too, or write {written} in a sweep file")
        }
        _ => format!("say where it applies: {written}"),
    }
}

/// The keys of a parameter's table that say a domain.
fn domain_fields(domain: &Domain) -> String {
    let range = |kind: &str, low: String, high: String, points: Option<u32>| {
        let points = points.map(|points| format!(", points = {points}"));
        format!("{kind} = [{low}, {high}]{}", points.unwrap_or_default())
    };
    let number = |number: f64| toml(&ParameterValue::Float(number));
    match domain {
        Domain::Fixed(value) => format!("value = {}", toml(value)),
        Domain::Choices(values) => {
            let values: Vec<String> = values.iter().map(toml).collect();
            format!("choice = [{}]", values.join(", "))
        }
        Domain::Log { low, high, points } => range("log", number(*low), number(*high), *points),
        Domain::Linear { low, high, points } => {
            range("linear", number(*low), number(*high), *points)
        }
        Domain::Int { low, high, points } => {
            range("int", low.to_string(), high.to_string(), *points)
        }
        Domain::LogInt { low, high, points } => {
            range("log_int", low.to_string(), high.to_string(), *points)
        }
    }
}

/// Refuses Nesterov's momentum without momentum, as PyTorch does.
fn check_nesterov(checked: &[Checked], space: &Space) -> Result<(), SpaceError> {
    let Some(nesterov) = checked.iter().find(|c| c.parameter.name == "nesterov") else {
        return Ok(());
    };
    let on = Points::of(&nesterov.parameter.domain)
        .iter()
        .any(|v| v.as_bool() == Some(true));
    if !on || has_momentum(space, &nesterov.parameter) {
        return Ok(());
    }
    let problem = "`nesterov` needs a momentum above 0 wherever it applies".to_owned();
    let momentum = nesterov.place.setting("momentum", "0.9", "0.9");
    let remedy = format!(
        "add {momentum}, or in a sweep file name the values above 0, as \
        `nesterov = {{ value = true, when = {{ momentum = 0.9 }} }}`"
    );
    Err(conflict(nesterov, problem, remedy))
}

/// Whether momentum is above 0 wherever `nesterov` applies.
fn has_momentum(space: &Space, nesterov: &Parameter) -> bool {
    let positive = |value: &ParameterValue| value.as_f64().is_some_and(|number| number > 0.0);
    let named = nesterov.when.iter().find(|c| c.parameter == "momentum");
    if let Some(condition) = named {
        return condition.values.iter().all(positive);
    }
    let Some(momentum) = space.get("momentum") else {
        return false;
    };
    let implied = |condition: &Condition| {
        let own = nesterov
            .when
            .iter()
            .find(|c| c.parameter == condition.parameter);
        own.is_some_and(|own| own.values.iter().all(|v| condition.values.contains(v)))
            || always(space, condition)
    };
    Points::of(&momentum.domain).iter().all(|v| positive(&v)) && momentum.when.iter().all(implied)
}

/// Whether a condition holds in every trial.
fn always(space: &Space, condition: &Condition) -> bool {
    space.get(&condition.parameter).is_some_and(|other| {
        let points = Points::of(&other.domain);
        // Values are listed once each, so that equal numbers mean all.
        other.when.is_empty() && points.len() == condition.values.len() as u64
    })
}
