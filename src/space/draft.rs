//! The parameters of a sweep while it is resolved: what file and arguments give, merged.

use super::domain::{domain, is_switched_off};
use super::error::one_line;
use super::given::{Field, Given, Raw, unknown_of};
use super::table::{self, Built, Entry, PARAMETERS};
use super::{Domain, Overrides, Parameter, Place, SpaceError, elsewhere, spec};

/// Who gave a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody: the default sweep or the table of parameters.
    Default,
    /// The sweep file.
    File,
    /// An argument.
    Argument,
}

/// A parameter as given, not checked yet.
#[derive(Debug)]
struct Draft {
    name: String,
    place: Place,
    origin: Origin,
    given: Given,
    when: Option<Given>,
}

/// A parameter whose own values are checked; its conditions are not yet.
#[derive(Debug)]
pub struct Checked {
    /// The parameter; its conditions are filled in later.
    pub parameter: Parameter,
    /// Where it was given.
    pub place: Place,
    /// Who gave it.
    pub origin: Origin,
    /// Its conditions, as written.
    pub when: Option<Given>,
}

/// Parameters that a sweep always has, if only with their default; `hidden` unless `layers` and
/// `units` take its place.
const ALWAYS: [&str; 5] = [
    "learning_rate",
    "batch_size",
    "optimizer",
    "hidden",
    "activation",
];

/// The parameters of `[space]`, with the arguments in the place of what the file says, each
/// checked against the table; and those that a sweep always has.
pub fn parameters(
    fields: Vec<Field>,
    origin: Origin,
    overrides: &Overrides,
) -> Result<Vec<Checked>, SpaceError> {
    let mut drafts: Vec<Draft> = fields
        .into_iter()
        .map(|field| Draft::new(field, origin))
        .collect();
    let arguments = arguments(overrides)?;
    forget_other_architecture(&mut drafts, &arguments);
    for field in arguments {
        let draft = Draft::new(field, Origin::Argument);
        match drafts.iter_mut().find(|known| known.name == draft.name) {
            Some(known) => {
                *known = Draft {
                    when: known.when.take(),
                    ..draft
                }
            }
            None => drafts.push(draft),
        }
    }
    let mut checked = Vec::with_capacity(drafts.len() + ALWAYS.len());
    for draft in drafts {
        checked.extend(draft.check()?);
    }
    add_defaults(&mut checked);
    Ok(checked)
}

/// The parameters that arguments give, each name once.
fn arguments(overrides: &Overrides) -> Result<Vec<Field>, SpaceError> {
    let mut fields: Vec<Field> = Vec::new();
    if let Some(hidden) = &overrides.hidden {
        let place = Place::argument("--hidden", hidden);
        fields.push(Field {
            name: "hidden".to_owned(),
            value: spec::parse("hidden", hidden, &place)?,
            place,
        });
    }
    for argument in &overrides.set {
        let field = spec::setting(argument)?;
        if fields.iter().any(|known| known.name == field.name) {
            return Err(SpaceError::Conflict {
                problem: format!("`{}` is set twice", one_line(&field.name)),
                place: field.place,
                remedy: "leave one of the arguments out, or list both values in one".to_owned(),
            });
        }
        fields.push(field);
    }
    Ok(fields)
}

/// Arguments that give `hidden` take the place of the file's `layers` and `units`, and the other
/// way round.
fn forget_other_architecture(drafts: &mut Vec<Draft>, arguments: &[Field]) {
    let given = |name: &str| arguments.iter().any(|field| field.name == name);
    if given("hidden") {
        drafts.retain(|draft| draft.name != "layers" && draft.name != "units");
    }
    if given("layers") || given("units") {
        drafts.retain(|draft| draft.name != "hidden");
    }
}

/// Appends the parameters that a sweep always has and that are missing.
fn add_defaults(checked: &mut Vec<Checked>) {
    for entry in ALWAYS.iter().filter_map(|name| table::entry(name)) {
        let has = |name: &str| checked.iter().any(|c| c.parameter.name == name);
        let replaced = entry.name == "hidden" && (has("layers") || has("units"));
        let Some(default) = entry.default_for(table::OPTIMIZER) else {
            continue;
        };
        if has(entry.name) || replaced {
            continue;
        }
        checked.push(Checked {
            parameter: Parameter {
                name: entry.name.to_owned(),
                domain: Domain::Fixed(default),
                when: Vec::new(),
            },
            place: Place::Section("space"),
            origin: Origin::Default,
            when: None,
        });
    }
}

impl Draft {
    /// Takes the conditions out of a parameter's table.
    fn new(field: Field, origin: Origin) -> Self {
        let mut given = field.value;
        let mut when = None;
        if let Raw::Table(fields) = &mut given.value
            && let Some(at) = fields.iter().position(|field| field.name == "when")
        {
            when = Some(fields.remove(at).value);
        }
        Self {
            name: field.name,
            place: field.place,
            origin,
            given,
            when,
        }
    }

    /// Checks name and values; `None` when it only switches off what is not built.
    fn check(self) -> Result<Option<Checked>, SpaceError> {
        let kind = "a parameter of the space";
        let misplaced =
            || elsewhere::misplaced(&self.place, (&self.name, &self.given), kind, "space");
        if table::alias(&self.name).is_none()
            && let Some(error) = misplaced()
        {
            return Err(error);
        }
        let entry = known(&self.place, &self.name)?;
        if is_switched_off(entry, &self.given)? {
            return Ok(None);
        }
        let parameter = Parameter {
            domain: domain(entry, &self.given)?,
            name: self.name,
            when: Vec::new(),
        };
        Ok(Some(Checked {
            parameter,
            place: self.place,
            origin: self.origin,
            when: self.when,
        }))
    }
}

/// The table's row of a parameter, or the error that there is none.
pub fn known(place: &Place, name: &str) -> Result<&'static Entry, SpaceError> {
    let kind = "a parameter";
    table::entry(name).ok_or_else(|| {
        if let Some(meant) = table::alias(name) {
            return SpaceError::Unknown {
                place: place.clone(),
                name: one_line(name),
                kind,
                remedy: format!("did you mean `{meant}`?"),
            };
        }
        let names: Vec<&str> = PARAMETERS.iter().map(|entry| entry.name).collect();
        let built = PARAMETERS.iter().filter(|entry| entry.built == Built::Yes);
        let built: Vec<&str> = built.map(|entry| entry.name).collect();
        unknown_of(place, name, kind, &names, &built)
    })
}
