//! `[train]` and `[search]` to their configurations.

use super::given::{Given, Raw, unknown, unknown_of};
use super::section::Section;
use super::spec::word;
use super::value::typed;
use super::{Overrides, Refit, SearchConfig, SpaceError, Strategy, TrainConfig};
use crate::seed::Seed;

/// Keys of `[train]`.
pub const TRAIN_KEYS: [&str; 4] = ["epochs", "objective", "early_stopping", "refit"];
/// Keys of `[search]`.
pub const SEARCH_KEYS: [&str; 9] = [
    "strategy",
    "trials",
    "batch",
    "scheduler",
    "min_epochs",
    "reduction_factor",
    "seed",
    "stop_at",
    "timeout_s",
];
const STRATEGIES: [&str; 5] = ["grid", "random", "sobol", "tpe", "bayesian"];
const SCHEDULERS: [&str; 5] = ["none", "median", "successive_halving", "hyperband", "pbt"];
/// Most epochs.
const MOST_EPOCHS: u32 = 1_000_000;

/// Puts the arguments in the place of the file's `[train]` settings.
pub fn override_train(section: &mut Section, overrides: &Overrides) {
    section.set("epochs", "--epochs", overrides.epochs, |n| {
        Raw::Int(i128::from(n))
    });
}

/// Puts the arguments in the place of the file's `[search]` settings.
pub fn override_search(section: &mut Section, overrides: &Overrides) {
    let text = |text: &String| Raw::Text(text.clone());
    let whole = |number: u64| Raw::Int(i128::from(number));
    section.set("strategy", "--strategy", overrides.strategy.as_ref(), text);
    section.set("trials", "--trials", overrides.trials, whole);
    section.set(
        "scheduler",
        "--scheduler",
        overrides.scheduler.as_ref(),
        text,
    );
    section.set("seed", "--seed", overrides.seed, whole);
    let number = |text: String| word(&text);
    section.set("stop_at", "--stop-at", overrides.stop_at.map(typed), number);
    section.set(
        "timeout_s",
        "--timeout",
        overrides.timeout.map(typed),
        number,
    );
}

/// How members are trained.
pub fn read_train(section: &Section) -> Result<TrainConfig, SpaceError> {
    section.check_keys(
        ("train", "a key of [train]"),
        &TRAIN_KEYS,
        &["epochs", "objective", "refit"],
    )?;
    let mut train = TrainConfig::default();
    if let Some(given) = section.get("epochs") {
        train.epochs = given.whole("epochs", (1, MOST_EPOCHS), 20)?;
    }
    if let Some(given) = section.get("objective") {
        train.objective = objective(given)?;
    }
    if let Some(given) = section.get("early_stopping")
        && !matches!(given.value, Raw::Bool(false))
    {
        return Err(not_built(given, "`early_stopping`", "leave it out"));
    }
    if let Some(given) = section.get("refit") {
        train.refit = refit(given)?;
    }
    Ok(train)
}

/// Metrics that can rank trials. Those of the test rows cannot: the test would be used up.
fn objectives() -> Vec<String> {
    let forms = ["loss", "accuracy", "precision", "recall", "f1"];
    let averaged = ["precision", "recall", "f1"];
    let mut names = Vec::new();
    for part in ["val", "train"] {
        names.extend(forms.map(|form| format!("{part}_{form}")));
        for average in ["micro", "weighted"] {
            names.extend(averaged.map(|form| format!("{part}_{form}_{average}")));
        }
    }
    names
}

fn objective(given: &Given) -> Result<String, SpaceError> {
    let limit = "it must name a metric";
    let name = given.text("objective", limit, "val_accuracy")?;
    if name.starts_with("test_") {
        let limit = "test rows must not choose the best trial";
        return Err(given.refuse(
            "objective",
            limit,
            "choose a metric of the validation rows, as val_accuracy",
        ));
    }
    let names = objectives();
    if names.iter().any(|known| known == name) {
        return Ok(name.to_owned());
    }
    let kind = "a metric that ranks trials";
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let listed = "val_ or train_ with loss, accuracy, precision, recall or f1, as val_f1";
    Err(unknown_of(&given.place, name, kind, &names, &[listed]))
}

fn refit(given: &Given) -> Result<Refit, SpaceError> {
    let fields = match &given.value {
        Raw::Bool(false) => return Ok(Refit::Off),
        Raw::Bool(true) => return Ok(Refit::On { epochs: None }),
        Raw::Table(fields) => fields,
        _ => {
            let limit = "it must be a table, true or false";
            let remedy = "write `refit = { epochs = 10 }`, or `refit = false`";
            return Err(given.refuse("refit", limit, remedy));
        }
    };
    let mut epochs = None;
    for field in fields {
        if field.name != "epochs" {
            let known = ["epochs"].into_iter();
            return Err(unknown(&field.place, &field.name, "a key of refit", known));
        }
        epochs = Some(field.value.whole("refit.epochs", (1, MOST_EPOCHS), 10)?);
    }
    Ok(Refit::On { epochs })
}

/// Which trials are proposed.
pub fn read_search(section: &Section) -> Result<SearchConfig, SpaceError> {
    section.check_keys(
        ("search", "a key of [search]"),
        &SEARCH_KEYS,
        &["strategy", "scheduler", "seed"],
    )?;
    let mut search = SearchConfig::default();
    if let Some(given) = section.get("strategy") {
        search.strategy = strategy(given)?;
    }
    if let Some(given) = section.get("trials") {
        return Err(SpaceError::Conflict {
            place: given.place.clone(),
            problem: "`trials` is not for the grid, whose number of trials follows from [space]"
                .to_owned(),
            remedy: "leave it out, and change the points of [space]".to_owned(),
        });
    }
    if let Some(given) = section.get("scheduler") {
        check_scheduler(given)?;
    }
    for key in [
        "batch",
        "min_epochs",
        "reduction_factor",
        "stop_at",
        "timeout_s",
    ] {
        if let Some(given) = section.get(key) {
            return Err(not_built(given, &format!("`{key}`"), "leave it out"));
        }
    }
    if let Some(given) = section.get("seed") {
        search.seed = seed(given)?;
    }
    Ok(search)
}

fn strategy(given: &Given) -> Result<Strategy, SpaceError> {
    match given.text("strategy", "it must be grid", "grid")? {
        "grid" => Ok(Strategy::Grid),
        name if STRATEGIES.contains(&name) => {
            let object = format!("the strategy `{name}`");
            Err(not_built(given, &object, "use `grid`"))
        }
        name => {
            let kind = "a strategy";
            Err(unknown_of(&given.place, name, kind, &STRATEGIES, &["grid"]))
        }
    }
}

fn check_scheduler(given: &Given) -> Result<(), SpaceError> {
    match given.text("scheduler", "it must be none", "none")? {
        "none" => Ok(()),
        name if SCHEDULERS.contains(&name) => {
            let object = format!("the scheduler `{name}`");
            Err(not_built(given, &object, "use `none`"))
        }
        name => {
            let kind = "a scheduler";
            Err(unknown_of(&given.place, name, kind, &SCHEDULERS, &["none"]))
        }
    }
}

fn seed(given: &Given) -> Result<Seed, SpaceError> {
    let seed = match given.value {
        Raw::Int(number) => u64::try_from(number).ok(),
        _ => None,
    };
    seed.map(Seed).ok_or_else(|| {
        let limit = format!("it must be a whole number from 0 to {}", u64::MAX);
        given.refuse("seed", limit, &given.example("seed", "0"))
    })
}

fn not_built(given: &Given, object: &str, remedy: &str) -> SpaceError {
    SpaceError::NotBuilt {
        place: given.place.clone(),
        object: object.to_owned(),
        remedy: remedy.to_owned(),
    }
}
