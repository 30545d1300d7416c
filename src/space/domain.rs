//! What was written for one parameter to its domain, checked against the table.

use super::given::{Field, Given, Raw, unknown, unknown_of};
use super::points::Points;
use super::spec::{RANGES, word};
use super::table::{self, Built, Entry, Kind, built, list};
use super::{Domain, ParameterValue, Place, SpaceError, architecture};

/// Most points of a range.
const MOST_POINTS: i64 = 1_000_000;

/// The domain of a parameter: a scalar, a list of choices, a range table, or one of these in a
/// table under `value`, `choice`. (The caller has taken `when` out.)
pub fn domain(entry: &Entry, given: &Given) -> Result<Domain, SpaceError> {
    match &given.value {
        Raw::Table(fields) => table_form(entry, given, fields),
        Raw::List(items) if !is_fixed_widths(entry, items) => choices(entry, given, items),
        _ => Ok(Domain::Fixed(value(entry, given)?)),
    }
}

/// Whether a list is one architecture, rather than a list of choices.
fn is_fixed_widths(entry: &Entry, items: &[Given]) -> bool {
    let nested = items.iter().any(|item| matches!(item.value, Raw::List(_)));
    matches!(entry.kind, Kind::Widths) && !nested
}

/// Whether what was written only switches off a parameter that this version does not train.
pub fn is_switched_off(entry: &Entry, given: &Given) -> Result<bool, SpaceError> {
    let off = match entry.built {
        Built::Yes => return Ok(false),
        Built::Off(off) => Some(off.value()),
        Built::No => None,
    };
    let given_values = match &given.value {
        Raw::List(items) if !items.is_empty() => items.iter().collect(),
        _ => vec![given],
    };
    let remedy = match &off {
        Some(off) => format!("leave it out, or set it to {}", super::value::toml(off)),
        None => "leave it out".to_owned(),
    };
    for item in given_values {
        let table = matches!(item.value, Raw::Table(_));
        if table || Some(value(entry, item)?) != off {
            return Err(SpaceError::NotBuilt {
                place: given.place.clone(),
                object: format!("`{}`", entry.name),
                remedy,
            });
        }
    }
    Ok(true)
}

/// One value of a parameter.
pub fn value(entry: &Entry, given: &Given) -> Result<ParameterValue, SpaceError> {
    let value = match entry.kind {
        Kind::Number(limits) => given
            .as_number()
            .filter(|&number| limits.hold(number))
            // Adding 0 turns -0 into 0.
            .map(|number| ParameterValue::Float(number + 0.0)),
        Kind::Whole(low, high) => given.as_whole(low, high).map(ParameterValue::Int),
        Kind::Flag => match given.value {
            Raw::Bool(on) => Some(ParameterValue::Bool(on)),
            _ => None,
        },
        Kind::Name(names) => match given.as_text() {
            Some(name) => Some(named(entry, names, given, name)?),
            None => None,
        },
        Kind::Widths => return architecture::widths(entry, given).map(ParameterValue::Widths),
    };
    value.ok_or_else(|| given.refuse(entry.name, entry.kind.words(), &remedy(entry, given)))
}

/// How the value should have been written.
fn remedy(entry: &Entry, given: &Given) -> String {
    let example = entry.example_at(&given.place);
    match (&entry.kind, given.as_text()) {
        (Kind::Number(_) | Kind::Whole(..) | Kind::Flag, Some(text))
            if !given.place.is_argument() && !matches!(word(text), Raw::Text(_)) =>
        {
            format!("write it without quotes, as {example}")
        }
        (Kind::Number(_), Some(text)) if text.contains("..") => {
            "write a range as { log = [1e-4, 1e-1], points = 7 }".to_owned()
        }
        _ => format!("write for example {example}"),
    }
}

/// A name, if this version trains it.
fn named(
    entry: &Entry,
    names: &'static [table::Name],
    given: &Given,
    name: &str,
) -> Result<ParameterValue, SpaceError> {
    let kind = match entry.name {
        "optimizer" => "an optimizer",
        "activation" => "an activation",
        "schedule" => "a schedule",
        _ => "an initialisation",
    };
    match names.iter().find(|known| known.name == name) {
        Some(known) if known.built => Ok(ParameterValue::Text(name.to_owned())),
        Some(_) => Err(SpaceError::NotBuilt {
            place: given.place.clone(),
            object: format!("the {} `{name}`", entry.name),
            remedy: format!("choose among {}", list(built(names))),
        }),
        None => {
            let known: Vec<&str> = names.iter().map(|known| known.name).collect();
            let built: Vec<&str> = built(names).collect();
            Err(unknown_of(&given.place, name, kind, &known, &built))
        }
    }
}

/// A list of choices: at least one, each once.
fn choices(entry: &Entry, given: &Given, items: &[Given]) -> Result<Domain, SpaceError> {
    if items.is_empty() {
        let remedy = format!("give at least one value, as [{}]", entry.example());
        return Err(given.refuse(entry.name, "a list of choices must not be empty", &remedy));
    }
    let mut values: Vec<ParameterValue> = Vec::with_capacity(items.len());
    for item in items {
        let value = value(entry, item)?;
        if values.contains(&value) {
            return Err(twice(entry, &item.place, &value));
        }
        values.push(value);
    }
    Ok(Domain::Choices(values))
}

/// The error that a list has a choice twice.
fn twice(entry: &Entry, place: &Place, value: &ParameterValue) -> SpaceError {
    let argument = place.is_argument();
    let remedy = match value {
        ParameterValue::Widths(widths) if argument => {
            let [first, ..] = widths[..] else {
                return conflict(entry, place, "[]", "leave one out");
            };
            format!("leave one out, or write {first}x{first} for two layers")
        }
        _ => "leave one out".to_owned(),
    };
    let shown = match value {
        ParameterValue::Widths(_) if argument => value.to_string(),
        _ => super::value::toml(value),
    };
    conflict(entry, place, &shown, &remedy)
}

fn conflict(entry: &Entry, place: &Place, shown: &str, remedy: &str) -> SpaceError {
    SpaceError::Conflict {
        place: place.clone(),
        problem: format!("`{}` lists {shown} twice", entry.name),
        remedy: remedy.to_owned(),
    }
}

/// The keys of a parameter's table that say its values.
fn forms() -> impl Iterator<Item = &'static str> {
    RANGES.into_iter().chain(["value", "choice"])
}

/// A table: a range, or `value`, `choice`.
fn table_form(entry: &Entry, given: &Given, fields: &[Field]) -> Result<Domain, SpaceError> {
    let keys = || forms().chain(["points", "when"]);
    for field in fields {
        if !keys().any(|key| key == field.name) {
            let kind = "a key of a parameter's table";
            return Err(unknown(&field.place, &field.name, kind, keys()));
        }
    }
    let mut given_forms = fields.iter().filter(|f| forms().any(|form| form == f.name));
    let (Some(form), None) = (given_forms.next(), given_forms.next()) else {
        let limit = format!("its table must have exactly one of {}", list(forms()));
        let remedy = "give one of them, as { log = [1e-4, 1e-1], points = 7 }";
        return Err(given.refuse(entry.name, limit, remedy));
    };
    let points = fields.iter().find(|field| field.name == "points");
    match (form.name.as_str(), &form.value.value, points) {
        ("value", ..) if points.is_none() => Ok(Domain::Fixed(value(entry, &form.value)?)),
        ("choice", Raw::List(items), None) => choices(entry, &form.value, items),
        ("choice", _, None) => {
            let limit = "`choice` takes a list";
            Err(given.refuse(entry.name, limit, "write its values in brackets"))
        }
        ("value" | "choice", ..) => {
            let limit = "only a range has `points`";
            Err(given.refuse(entry.name, limit, "leave `points` out"))
        }
        _ => range(entry, form, points.map(|points| &points.value)),
    }
}

/// A range, of a kind that fits the parameter.
fn range(entry: &Entry, form: &Field, points: Option<&Given>) -> Result<Domain, SpaceError> {
    let Raw::List(ends) = &form.value.value else {
        return Err(not_two(entry, form));
    };
    let [low, high] = &ends[..] else {
        return Err(not_two(entry, form));
    };
    let fits = match entry.kind {
        Kind::Number(_) => ["log", "linear"],
        Kind::Whole(..) => ["int", "log_int"],
        _ => {
            let remedy = match form.place.is_argument() {
                true => "list its values with commas between them",
                false => "list its values in brackets",
            };
            return Err(form.value.refuse(entry.name, "it has no ranges", remedy));
        }
    };
    if !fits.contains(&form.name.as_str()) {
        let limit = format!("a range of it is not `{}`", form.name);
        let remedy = format!("use `{}` or `{}`", fits[0], fits[1]);
        return Err(form.value.refuse(entry.name, limit, &remedy));
    }
    let points = points
        .map(|points| number_of_points(entry, points))
        .transpose()?;
    let domain = match (value(entry, low)?, value(entry, high)?) {
        (ParameterValue::Int(low), ParameterValue::Int(high)) if form.name == "int" => {
            Domain::Int { low, high, points }
        }
        (ParameterValue::Int(low), ParameterValue::Int(high)) => {
            Domain::LogInt { low, high, points }
        }
        (low, high) => {
            let (low, high) = (low.as_f64().unwrap_or(0.0), high.as_f64().unwrap_or(0.0));
            if form.name == "log" {
                Domain::Log { low, high, points }
            } else {
                Domain::Linear { low, high, points }
            }
        }
    };
    check_range(entry, form, &domain)?;
    Ok(domain)
}

fn not_two(entry: &Entry, form: &Field) -> SpaceError {
    let limit = format!("`{}` takes the two ends of the range", form.name);
    form.value
        .refuse(entry.name, limit, "write them as [LOW, HIGH]")
}

fn number_of_points(entry: &Entry, given: &Given) -> Result<u32, SpaceError> {
    let points = given.as_whole(1, MOST_POINTS);
    points
        .and_then(|points| u32::try_from(points).ok())
        .ok_or_else(|| {
            let limit = format!("it must be a whole number from 1 to {MOST_POINTS}");
            let remedy = match given.place.is_argument() {
                true => "end the range with how many values to try, as `log:1e-4..1e-1:7`",
                false => "give how many values to try, as `points = 7`",
            };
            given.refuse(&format!("points of {}", entry.name), limit, remedy)
        })
}

/// Checks the ends of a range against each other, and its points against its ends.
fn check_range(entry: &Entry, form: &Field, domain: &Domain) -> Result<(), SpaceError> {
    let (low, high, points) = match *domain {
        Domain::Log { low, high, points } | Domain::Linear { low, high, points } => {
            (low, high, points)
        }
        Domain::Int { low, high, points } | Domain::LogInt { low, high, points } => {
            (low as f64, high as f64, points)
        }
        Domain::Fixed(_) | Domain::Choices(_) => return Ok(()),
    };
    let refuse = |limit: &str, remedy: &str| Err(form.value.refuse(entry.name, limit, remedy));
    if low > high {
        return refuse("the lower end comes first", "exchange the two ends");
    }
    if low <= 0.0 && form.name == "log" {
        return refuse(
            "`log` must start above 0",
            "raise the lower end, or use `linear`",
        );
    }
    match points {
        None if form.name == "int" => Ok(()),
        None => {
            let remedy = match form.place.is_argument() {
                true => "add it at the end, as `:5`",
                false => "add `points = 5`",
            };
            refuse("a grid needs the number of points", remedy)
        }
        Some(1) if low < high => refuse(
            "its ends differ and `points` is 1",
            "set points to 2 or more",
        ),
        Some(2..) if low == high => {
            refuse("its ends are equal", "write the one value, or move an end")
        }
        Some(points) if !is_ascending(&Points::of(domain)) => {
            let limit = format!("it has no {points} different values of 12 digits");
            refuse(&limit, "use fewer points, or move an end")
        }
        Some(_) => Ok(()),
    }
}

/// Whether each point is above the one before.
fn is_ascending(points: &Points) -> bool {
    let mut before = f64::NEG_INFINITY;
    points
        .iter()
        .filter_map(|point| point.as_f64())
        .all(|point| {
            let ascends = point > before;
            before = point;
            ascends
        })
}
