//! Tests of the space as a user meets it: a sweep file and arguments in, a sweep or a sentence out.

mod arguments;
mod assignments;
mod fits;
mod refused_files;
mod refused_relations;
mod refused_space;
mod sweeps;
mod values;

use super::{Overrides, Sweep, SweepFile, resolve};

/// What `text`, as the file my.toml, resolves to; an error as the user reads it.
fn sweep_of(text: &str) -> Result<Sweep, String> {
    sweep_with(text, &Overrides::default())
}

/// The same with arguments.
fn sweep_with(text: &str, overrides: &Overrides) -> Result<Sweep, String> {
    let file = SweepFile {
        path: "my.toml".into(),
        text: text.to_owned(),
    };
    resolve(Some(file), overrides).map_err(|error| error.to_string())
}

/// The default sweep with some `--set` arguments.
fn sweep_set(set: &[&str]) -> Result<Sweep, String> {
    resolve(None, &set_of(set)).map_err(|error| error.to_string())
}

fn set_of(set: &[&str]) -> Overrides {
    Overrides {
        set: set.iter().map(|&argument| argument.to_owned()).collect(),
        ..Overrides::default()
    }
}

/// The resolved sweep of a `[space]` with these lines.
fn space_of(lines: &str) -> Result<Sweep, String> {
    sweep_of(&format!("[space]\n{lines}"))
}

/// Checks that `bad` is refused with one sentence that has all of `words`, and `good` accepted.
#[track_caller]
fn check_twin(bad: Result<Sweep, String>, words: &[&str], good: Result<Sweep, String>) {
    let sentence = match bad {
        Ok(sweep) => panic!("accepted as {:?}", sweep.space),
        Err(sentence) => sentence,
    };
    for word in words {
        assert!(sentence.contains(word), "no {word:?} in: {sentence}");
    }
    assert!(
        !sentence.contains('\n') && !sentence.ends_with('.'),
        "{sentence}"
    );
    if let Err(sentence) = good {
        panic!("the accepted twin is refused: {sentence}");
    }
}

/// Where a parameter stands in the space of a sweep, with its domain, as JSON.
#[track_caller]
fn domain_json(sweep: &Sweep, name: &str) -> String {
    let parameter = sweep.space.get(name);
    let domain = &parameter.unwrap_or_else(|| panic!("no {name}")).domain;
    serde_json::to_string(domain).expect("a domain can be written")
}
