//! Limits on the hidden layers: `hidden`, or `layers` x `units`.

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
        let remedy =
            "write for example `hidden = [64, 64]`, or `hidden = [[64], [128]]` for choices";
        return Err(given.refuse(entry.name, Kind::Widths.words(), remedy));
    };
    if weights(&widths) > u128::from(MOST_WEIGHTS) {
        return Err(given.refuse(entry.name, too_many(), "make the layers narrower, or fewer"));
    }
    Ok(widths)
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
