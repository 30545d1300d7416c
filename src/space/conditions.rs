//! `when`: on which earlier parameters a parameter depends.

use super::domain::value;
use super::draft::{Checked, Origin, known};
use super::given::{Field, Given, Raw};
use super::value::toml;
use super::{Condition, Domain, ParameterValue, Points, SpaceError};

/// What a condition comes to.
enum Outcome {
    /// It depends on the trial.
    Open(Condition),
    /// It always holds: an argument fixed the other parameter to one of its values.
    Always,
    /// It never holds: an argument took its values away.
    Never,
}

/// Fills in the conditions. Parameters that can no longer apply, since an argument changed what
/// they depend on, are left out.
pub fn connect(mut checked: Vec<Checked>) -> Result<Vec<Checked>, SpaceError> {
    let mut dropped: Vec<usize> = Vec::new();
    for i in 0..checked.len() {
        let Some(when) = checked[i].when.clone() else {
            continue;
        };
        for field in condition_fields(&checked[i], when)? {
            match condition(&checked, i, &field, &dropped)? {
                Outcome::Open(condition) => checked[i].parameter.when.push(condition),
                Outcome::Always => {}
                Outcome::Never if checked[i].origin == Origin::Argument => {
                    return Err(never(&checked[i], &field));
                }
                Outcome::Never => dropped.push(i),
            }
        }
    }
    let mut index = 0..;
    checked.retain(|_| index.next().is_none_or(|i| !dropped.contains(&i)));
    Ok(checked)
}

fn condition_fields(checked: &Checked, when: Given) -> Result<Vec<Field>, SpaceError> {
    let object = format!("when of {}", checked.parameter.name);
    match when.value {
        Raw::Table(fields) if !fields.is_empty() => Ok(fields),
        _ => {
            let limit = "it must be a table of at least one parameter and its values";
            Err(when.refuse(
                &object,
                limit,
                "write for example `when = { optimizer = \"sgd\" }`",
            ))
        }
    }
}

/// One condition of the parameter at `own`.
fn condition(
    all: &[Checked],
    own: usize,
    field: &Field,
    dropped: &[usize],
) -> Result<Outcome, SpaceError> {
    let target = target(all, own, field)?;
    if dropped.contains(&target) {
        return Ok(Outcome::Never);
    }
    let target = &all[target];
    let wanted = values(target, field)?;
    if let Domain::Fixed(fixed) = &target.parameter.domain {
        return Ok(if wanted.contains(fixed) {
            Outcome::Always
        } else {
            Outcome::Never
        });
    }
    if wanted.is_empty() {
        return Ok(Outcome::Never);
    }
    Ok(Outcome::Open(Condition {
        parameter: field.name.clone(),
        values: wanted,
    }))
}

/// Which parameter a condition is on: a swept one that stands earlier. (One that an argument
/// fixed was swept, as far as the file is concerned.)
fn target(all: &[Checked], own: usize, field: &Field) -> Result<usize, SpaceError> {
    known(&field.place, &field.name)?;
    let name = &all[own].parameter.name;
    let refuse = |problem: String, remedy: &str| SpaceError::Conflict {
        place: field.place.clone(),
        problem,
        remedy: remedy.to_owned(),
    };
    if field.name == *name {
        let problem = format!("`{name}` cannot depend on itself");
        return Err(refuse(problem, "name another parameter in `when`"));
    }
    let found = all
        .iter()
        .position(|other| other.parameter.name == field.name);
    let swept = |at: &usize| {
        let other = &all[*at];
        other.parameter.domain.is_swept() || other.origin == Origin::Argument
    };
    let Some(target) = found.filter(swept) else {
        let problem = format!("`{name}` depends on `{}`, which is not swept", field.name);
        return Err(refuse(
            problem,
            "leave `when` out, or give the other a list of choices",
        ));
    };
    if target > own {
        let problem = format!("`{name}` depends on `{}`, which stands later", field.name);
        return Err(refuse(problem, "move the other before it"));
    }
    Ok(target)
}

/// The values that a condition names: each must be one that the other parameter takes, or took
/// before an argument narrowed it.
fn values(target: &Checked, field: &Field) -> Result<Vec<ParameterValue>, SpaceError> {
    let name = &target.parameter.name;
    let entry = known(&field.place, name)?;
    let nested = |items: &[Given]| items.iter().any(|item| matches!(item.value, Raw::List(_)));
    let given: Vec<&Given> = match &field.value.value {
        Raw::List(items) if name != "hidden" || nested(items) => items.iter().collect(),
        _ => vec![&field.value],
    };
    if given.is_empty() {
        let limit = "a condition needs at least one value";
        return Err(field
            .value
            .refuse(name, limit, "name the values it waits for"));
    }
    let points = Points::of(&target.parameter.domain);
    let mut wanted = Vec::new();
    for item in given {
        let value = value(entry, item)?;
        let taken = points.position(&value).is_some();
        if !taken && target.origin != Origin::Argument {
            let limit = format!("no trial has this value of `{name}`");
            let remedy = format!("choose among {}", some_of(&points));
            return Err(item.refuse(&format!("when.{name}"), limit, &remedy));
        }
        if taken && !wanted.contains(&value) {
            wanted.push(value);
        }
    }
    Ok(wanted)
}

/// The first few points, as TOML spells them.
fn some_of(points: &Points) -> String {
    const SHOWN: u64 = 12;
    let mut shown: Vec<String> = (0..SHOWN)
        .filter_map(|i| points.get(i))
        .map(|v| toml(&v))
        .collect();
    if points.len() > SHOWN {
        shown.push("...".to_owned());
    }
    shown.join(", ")
}

fn never(checked: &Checked, field: &Field) -> SpaceError {
    let name = &checked.parameter.name;
    SpaceError::Conflict {
        place: checked.place.clone(),
        problem: format!(
            "`{name}` applies only when {} = {}, which no trial has any more",
            field.name, field.value
        ),
        remedy: format!(
            "leave this argument out, or change the one that sets `{}`",
            field.name
        ),
    }
}
