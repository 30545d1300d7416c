//! `[data]` to a [`DataConfig`].

use super::given::{Given, Raw, unknown};
use super::section::Section;
use super::spec::word;
use super::value::typed;
use super::{Overrides, SpaceError};
use crate::data::{DataConfig, Scale, SplitKind, TestPart};

/// Keys of `[data]`.
pub const KEYS: [&str; 10] = [
    "source",
    "target",
    "scale",
    "test",
    "folds",
    "holdout",
    "split",
    "group",
    "categorical",
    "repeats",
];
const SCALES: [(&str, Scale); 3] = [
    ("none", Scale::None),
    ("standard", Scale::Standard),
    ("minmax", Scale::Minmax),
];
const SPLITS: [(&str, SplitKind); 2] = [
    ("shuffled", SplitKind::Shuffled),
    ("ordered", SplitKind::Ordered),
];
/// Most folds or repeats: far beyond use, so that members can be counted in 64 bits.
const MOST: u32 = 1_000_000;

/// Puts the arguments in the place of the file's settings.
pub fn override_with(section: &mut Section, overrides: &Overrides) {
    let text = |text: &String| Raw::Text(text.clone());
    let whole = |number: &u64| Raw::Int(i128::from(*number));
    section.set("source", "--data", overrides.data.as_ref(), text);
    section.set("target", "--target", overrides.target.as_ref(), text);
    section.set("test", "--test", overrides.test.as_ref(), |test| word(test));
    section.set("repeats", "--repeats", overrides.repeats.as_ref(), whole);
    if overrides.folds.is_some() {
        section.remove("holdout");
    }
    if overrides.holdout.is_some() {
        section.remove("folds");
    }
    section.set("folds", "--folds", overrides.folds.as_ref(), whole);
    let number = overrides.holdout.map(typed);
    section.set("holdout", "--holdout", number, |text| word(&text));
}

/// The data's settings, with the section's defaults: a holdout of 0.2 without folds.
pub fn read(section: &Section) -> Result<DataConfig, SpaceError> {
    section.check_keys(("data", "a key of [data]"), &KEYS, &KEYS)?;
    let mut data = DataConfig::default();
    if let Some(given) = section.get("source") {
        let limit = "it must name a built-in dataset (digits, iris, wine, breast_cancer), a file or \
                     a folder";
        data.source = given.text("source", limit, "iris")?.to_owned();
    }
    if let Some(given) = section.get("scale") {
        data.scale = named(given, "scale", "a scale", &SCALES)?;
    }
    if let Some(given) = section.get("test") {
        data.test = test_part(given)?;
    }
    if let Some(given) = section.get("split") {
        data.split = named(given, "split", "a split", &SPLITS)?;
    }
    if let Some(given) = section.get("repeats") {
        data.repeats = given.whole("repeats", (1, MOST), 3)?;
    }
    data.target = section
        .get("target")
        .map(|given| column(given, "target"))
        .transpose()?;
    data.group = section
        .get("group")
        .map(|given| column(given, "group"))
        .transpose()?;
    data.categorical = section
        .get("categorical")
        .map(columns)
        .transpose()?
        .unwrap_or_default();
    read_folds(section, &mut data)?;
    data.validate().map_err(|error| SpaceError::Data {
        place: section.place.clone(),
        error: Box::new(error),
    })?;
    Ok(data)
}

fn read_folds(section: &Section, data: &mut DataConfig) -> Result<(), SpaceError> {
    let folds = section
        .get("folds")
        .map(|given| given.whole("folds", (2, MOST), 5))
        .transpose()?;
    let holdout = section.get("holdout").map(holdout).transpose()?;
    if let (Some(given), Some(_), Some(_)) = (section.get("holdout"), folds, holdout) {
        return Err(SpaceError::Conflict {
            place: given.place.clone(),
            problem: "`holdout` and `folds` cannot both be given".to_owned(),
            remedy: "leave out one of them".to_owned(),
        });
    }
    data.folds = folds;
    data.holdout = match folds {
        Some(_) => None,
        None => Some(holdout.unwrap_or(DataConfig::DEFAULT_HOLDOUT)),
    };
    Ok(())
}

fn holdout(given: &Given) -> Result<f64, SpaceError> {
    let fraction = given
        .as_number()
        .filter(|&fraction| fraction > 0.0 && fraction < 1.0);
    fraction.ok_or_else(|| {
        let limit = "it must be a fraction above 0 and below 1";
        given.refuse("holdout", limit, &given.example("holdout", "0.2"))
    })
}

fn test_part(given: &Given) -> Result<TestPart, SpaceError> {
    let part = match &given.value {
        Raw::Text(text) if !text.is_empty() => text.parse().ok(),
        _ => given
            .as_number()
            .map(|fraction| TestPart::Fraction(fraction + 0.0)),
    };
    part.filter(|part| !matches!(part, TestPart::Fraction(f) if !(0.0..1.0).contains(f)))
        .ok_or_else(|| {
            let limit = "it must be a fraction from 0 to below 1, \"given\" or a file's name";
            let remedy = given.example("test", "0.2") + ", or 0 for no test part";
            given.refuse("test", limit, &remedy)
        })
}

/// One of a few names.
fn named<T: Copy>(
    given: &Given,
    object: &str,
    kind: &'static str,
    names: &[(&str, T)],
) -> Result<T, SpaceError> {
    let known: Vec<&str> = names.iter().map(|(known, _)| *known).collect();
    let limit = format!("it must be one of {}", known.join(", "));
    let name = given.text(object, &limit, known[0])?;
    let found = names.iter().find(|(known, _)| *known == name);
    found
        .map(|(_, value)| *value)
        .ok_or_else(|| unknown(&given.place, name, kind, known.iter().copied()))
}

/// A column: its name, or its index from 0.
fn column(given: &Given, object: &str) -> Result<String, SpaceError> {
    match given.as_whole(0, i64::from(u32::MAX)) {
        Some(index) => Ok(index.to_string()),
        None if object == "categorical" => {
            let limit = "each item must be a column's name, or its index from 0";
            let name = given.as_text().filter(|name| !name.is_empty());
            let remedy = "write for example `categorical = [\"zip\"]`";
            name.map(str::to_owned)
                .ok_or_else(|| given.refuse(object, limit, remedy))
        }
        None => {
            let limit = "it must be a column's name, or its index from 0";
            Ok(given.text(object, limit, "label")?.to_owned())
        }
    }
}

fn columns(given: &Given) -> Result<Vec<String>, SpaceError> {
    match &given.value {
        Raw::List(items) => items
            .iter()
            .map(|item| column(item, "categorical"))
            .collect(),
        _ => {
            let limit = "it must be a list of columns";
            let remedy = "write their names in brackets, as [\"zip\"]";
            Err(given.refuse("categorical", limit, remedy))
        }
    }
}
