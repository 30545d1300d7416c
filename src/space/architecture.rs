//! Limits on the hidden layers: `hidden`, or `layers` x `units`.

use super::error::one_line;
use super::given::{Given, Raw};
use super::table::{Entry, Kind, MOST_LAYERS, MOST_WEIGHTS, WIDEST};
use super::{Domain, Points, Space, SpaceError};

/// One architecture: a list of widths, or a single width.
pub fn widths(entry: &Entry, given: &Given) -> Result<Vec<u64>, SpaceError> {
    let width = |item: &Given| {
        let width = item.as_whole(1, i64::try_from(WIDEST).unwrap_or(i64::MAX));
        width.and_then(|width| u64::try_from(width).ok())
    };
    let widths: Option<Vec<u64>> = match &given.value {
        Raw::List(items) => items.iter().map(width).collect(),
        Raw::Int(_) => width(given).map(|width| vec![width]),
        _ => None,
    };
    let Some(widths) = widths.filter(|widths| widths.len() <= MOST_LAYERS) else {
        return Err(no_widths(entry, given));
    };
    if weights(&widths) > u128::from(MOST_WEIGHTS) {
        let remedy = "make the layers narrower, or fewer";
        return Err(given.refuse_as(as_written(given), entry.name, too_many(), remedy));
    }
    Ok(widths)
}

fn no_widths(entry: &Entry, given: &Given) -> SpaceError {
    let at = |spec, toml| given.place.setting(entry.name, spec, toml);
    let remedy = format!(
        "write for example {} for two layers, or {} for choices",
        at("64x64", "[64, 64]"),
        at("64,128", "[[64], [128]]")
    );
    given.refuse_as(as_written(given), entry.name, Kind::Widths.words(), &remedy)
}

/// Widths as the command line or the sweep file has them.
fn as_written(given: &Given) -> String {
    match &given.value {
        Raw::List(items) if given.place.is_argument() => {
            let width = |item: &Given| item.as_text().map_or_else(|| item.to_string(), one_line);
            items.iter().map(width).collect::<Vec<_>>().join("x")
        }
        _ => given.to_string(),
    }
}

fn too_many() -> String {
    format!("there can be at most {MOST_WEIGHTS} weights between the hidden layers")
}

/// Weights between the hidden layers.
fn weights(widths: &[u64]) -> u128 {
    let pairs = widths.windows(2);
    pairs
        .map(|pair| u128::from(pair[0]) * u128::from(pair[1]))
        .sum()
}

/// The largest `layers` x `units`, if it has too many weights, in words.
pub fn largest_is_too_large(space: &Space) -> Option<String> {
    let largest = |name: &str| {
        let parameter = space.get(name)?;
        largest_whole(&parameter.domain)
    };
    let (layers, units) = (largest("layers")?, largest("units")?);
    let weights = u128::from(units).pow(2) * u128::from(layers.saturating_sub(1));
    let problem = format!(
        "{layers} layers of {units} units are among the trials, but {}",
        too_many()
    );
    (weights > u128::from(MOST_WEIGHTS)).then_some(problem)
}

/// The largest whole number of a domain.
fn largest_whole(domain: &Domain) -> Option<u64> {
    match domain {
        Domain::Int { high, .. } | Domain::LogInt { high, .. } => u64::try_from(*high).ok(),
        _ => Points::of(domain)
            .iter()
            .filter_map(|value| value.as_u64())
            .max(),
    }
}
