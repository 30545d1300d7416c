//! The command line's grammar of values, SPEC:
//! `0.01 | 16,32,64 | sgd,adam | log:1e-4..1e-1:7 | linear:0..0.5:3 | int:1..4 | 64x64,128`.

use super::error::one_line;
use super::given::{Field, Given, Raw, unknown};
use super::{Place, SpaceError};

/// Ranges of the grammar; as keys of the sweep file they are the same.
pub const RANGES: [&str; 4] = ["log", "linear", "int", "log_int"];

/// `NAME=SPEC` as a field, with the argument as its place.
pub fn setting(argument: &str) -> Result<Field, SpaceError> {
    let place = Place::argument("--set", argument);
    let Some((name, spec)) = argument.split_once('=') else {
        return Err(SpaceError::Syntax {
            place,
            problem: "it has no `=`".to_owned(),
            remedy: "write NAME=SPEC, as `--set learning_rate=0.01,0.1`".to_owned(),
        });
    };
    let name = name.trim().to_owned();
    let value = parse(&name, spec, &place)?;
    Ok(Field { name, place, value })
}

/// A SPEC for the parameter `name`.
pub fn parse(name: &str, spec: &str, place: &Place) -> Result<Given, SpaceError> {
    let spec = spec.trim();
    let given = |value| Given {
        place: place.clone(),
        value,
    };
    let range = spec
        .split_once(':')
        .filter(|(kind, _)| RANGES.contains(&kind.trim()));
    if let Some((kind, rest)) = range {
        return Ok(given(Raw::Table(parse_range(kind.trim(), rest, place)?)));
    }
    check_form(spec, place)?;
    let items: Vec<&str> = spec.split(',').map(str::trim).collect();
    if items.contains(&"") {
        return Err(SpaceError::Syntax {
            place: place.clone(),
            problem: format!("`{}` has an empty value", one_line(name)),
            remedy: "write values with single commas between them, as 16,32,64".to_owned(),
        });
    }
    let item = |text: &&str| {
        given(if name == "hidden" {
            widths(text, place)
        } else {
            word(text)
        })
    };
    Ok(match &items[..] {
        [single] => item(single),
        several => given(Raw::List(several.iter().map(item).collect())),
    })
}

/// Refuses ranges of no known kind, and brackets.
fn check_form(spec: &str, place: &Place) -> Result<(), SpaceError> {
    if let Some((low, _)) = spec.split_once("..") {
        if let Some((kind, _)) = low.split_once(':') {
            return Err(unknown(place, kind, "a kind of range", RANGES.into_iter()));
        }
        return Err(SpaceError::Syntax {
            place: place.clone(),
            problem: format!("`{}` does not say what kind of range it is", one_line(spec)),
            remedy: "write for example log:1e-4..1e-1:7, linear:0.1..0.5:3 or int:1..4".to_owned(),
        });
    }
    if spec.contains(['[', ']']) && !spec.split(',').any(|item| item.trim() == "[]") {
        return Err(SpaceError::Syntax {
            place: place.clone(),
            problem: format!("`{}` has brackets", one_line(spec)),
            remedy: "write choices as 16,32 and hidden layers as 64x64, without brackets"
                .to_owned(),
        });
    }
    Ok(())
}

/// `LOW..HIGH` or `LOW..HIGH:POINTS` behind `log:` and the like, as the sweep file's table.
fn parse_range(kind: &str, rest: &str, place: &Place) -> Result<Vec<Field>, SpaceError> {
    let (ends, points) = match rest.split_once(':') {
        Some((ends, points)) => (ends, Some(points)),
        None => (rest, None),
    };
    let Some((low, high)) = ends.split_once("..") else {
        return Err(SpaceError::Syntax {
            place: place.clone(),
            problem: format!("`{kind}:{}` is not a range", one_line(rest)),
            remedy: "write LOW..HIGH and the number of points, as log:1e-4..1e-1:7".to_owned(),
        });
    };
    let given = |value| Given {
        place: place.clone(),
        value,
    };
    let field = |name: &str, value| Field {
        name: name.to_owned(),
        place: place.clone(),
        value: given(value),
    };
    let ends = [low, high].map(|end| given(word(end)));
    let mut fields = vec![field(kind, Raw::List(ends.into()))];
    fields.extend(points.map(|points| field("points", word(points))));
    Ok(fields)
}

/// A switch, number or name.
pub fn word(text: &str) -> Raw {
    let text = text.trim();
    match text {
        "true" => Raw::Bool(true),
        "false" => Raw::Bool(false),
        _ => text
            .parse()
            .map(Raw::Int)
            .or_else(|_| {
                text.parse()
                    .map(|number| Raw::Float(number, text.to_owned()))
            })
            .unwrap_or_else(|_| Raw::Text(text.to_owned())),
    }
}

/// Widths of hidden layers, as `64x64`; `[]` for none.
fn widths(text: &str, place: &Place) -> Raw {
    let width = |text| Given {
        place: place.clone(),
        value: word(text),
    };
    if text == "[]" {
        return Raw::List(Vec::new());
    }
    Raw::List(text.split('x').map(width).collect())
}
