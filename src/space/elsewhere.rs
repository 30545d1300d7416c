//! Settings that were written where they do not belong.

use super::error::one_line;
use super::given::Given;
use super::{Place, SpaceError, data_section, settings, table};

/// Flags of settings, by section and key. `data` and `timeout` are no keys, but may be typed.
const FLAGS: [(&str, &str); 14] = [
    ("data", "--data"),
    ("source", "--data"),
    ("target", "--target"),
    ("test", "--test"),
    ("folds", "--folds"),
    ("holdout", "--holdout"),
    ("repeats", "--repeats"),
    ("epochs", "--epochs"),
    ("strategy", "--strategy"),
    ("trials", "--trials"),
    ("scheduler", "--scheduler"),
    ("seed", "--seed"),
    ("stop_at", "--stop-at"),
    ("timeout_s", "--timeout"),
];

/// The section that has a setting of this name.
fn section(name: &str) -> Option<&'static str> {
    let sections = [
        ("data", &data_section::KEYS[..]),
        ("train", &settings::TRAIN_KEYS),
        ("search", &settings::SEARCH_KEYS),
    ];
    let found = sections.iter().find(|(_, keys)| keys.contains(&name));
    let parameter = || table::entry(name).map(|_| "space");
    found.map(|(section, _)| *section).or_else(parameter)
}

/// The error that a key is not `kind` but a setting of a section other than `own`; `None` if it is
/// none.
pub fn misplaced(
    place: &Place,
    (written, value): (&str, &Given),
    kind: &'static str,
    own: &str,
) -> Option<SpaceError> {
    let name = match written.to_lowercase().replace('-', "_").as_str() {
        "data" if place.is_argument() => "source".to_owned(),
        "timeout" => "timeout_s".to_owned(),
        name => name.to_owned(),
    };
    let section = section(&name).filter(|&section| section != own)?;
    let flag = FLAGS.iter().find(|(key, _)| *key == name);
    let remedy = match (place.is_argument(), flag) {
        (false, _) => "move it to that section".to_owned(),
        (true, Some((_, flag))) => {
            let value = value.as_text().map_or_else(|| value.to_string(), one_line);
            format!("use `{flag} {value}`")
        }
        (true, None) => format!("set `{name}` in [{section}] of a sweep file"),
    };
    Some(SpaceError::Conflict {
        place: place.clone(),
        problem: format!(
            "`{}` is not {kind}, but a setting of [{section}]",
            one_line(written)
        ),
        remedy,
    })
}
