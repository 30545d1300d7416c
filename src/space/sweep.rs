//! What a resolved sweep is: the space, the training, the search and the data, all settings filled in.

use serde::{Deserialize, Serialize};

use super::ParameterValue;
use super::axes::Axes;
use crate::data::DataConfig;
use crate::seed::Seed;

/// A resolved sweep: every setting of file, arguments and defaults, once.
///
/// It is stored in `run.json`; reading it back gives an equal one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// What to train on, and how it is split.
    pub data: DataConfig,
    /// How each member is trained.
    pub train: TrainConfig,
    /// Which hyperparameters are fixed, and which are swept.
    pub space: Space,
    /// Which trials are proposed.
    pub search: SearchConfig,
    /// Names of the parameters that neither the file nor an argument gave.
    #[serde(default)]
    pub defaults: Vec<String>,
}

/// How each member is trained (`[train]`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// Passes over the training rows; at least 1.
    pub epochs: u32,
    /// Metric that ranks the trials, as `val_accuracy`.
    pub objective: String,
    /// Whether the best trial is trained once more on all training rows.
    pub refit: Refit,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 20,
            objective: "val_accuracy".to_owned(),
            refit: Refit::On { epochs: None },
        }
    }
}

/// Whether the best trial is trained once more on all training rows (`refit`).
///
/// Off is `false` in JSON and TOML, on is a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "RefitForm", into = "RefitForm")]
pub enum Refit {
    /// It is not.
    Off,
    /// It is.
    On {
        /// Epochs of the refit; `None` for the study's own choice.
        epochs: Option<u32>,
    },
}

/// How [`Refit`] is written.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum RefitForm {
    Switch(bool),
    Table { epochs: Option<u32> },
}

impl From<RefitForm> for Refit {
    fn from(form: RefitForm) -> Self {
        match form {
            RefitForm::Switch(false) => Self::Off,
            RefitForm::Switch(true) => Self::On { epochs: None },
            RefitForm::Table { epochs } => Self::On { epochs },
        }
    }
}

impl From<Refit> for RefitForm {
    fn from(refit: Refit) -> Self {
        match refit {
            Refit::Off => Self::Switch(false),
            Refit::On { epochs } => Self::Table { epochs },
        }
    }
}

/// Which trials are proposed (`[search]`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchConfig {
    /// The sampler.
    pub strategy: Strategy,
    /// The seed of every random choice of the study.
    pub seed: Seed,
}

impl Default for SearchConfig {
    fn default() -> Self {
        Self {
            strategy: Strategy::Grid,
            seed: Seed(0),
        }
    }
}

/// A sampler's name (`strategy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Every combination, the last parameter varying fastest.
    Grid,
}

/// The search space (`[space]`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Space {
    /// The parameters, in the order of the sweep; each name once.
    pub parameters: Vec<Parameter>,
}

impl Space {
    /// The parameter of this name, if the space has it.
    pub fn get(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|p| p.name == name)
    }

    /// The same space with only these parameters, and those that their conditions look at.
    pub fn only(&self, names: &[&str]) -> Self {
        let mut kept: Vec<&str> = names.to_vec();
        let mut at = 0;
        while let Some(name) = kept.get(at).copied() {
            let conditions = self
                .get(name)
                .into_iter()
                .flat_map(|parameter| &parameter.when);
            for condition in conditions {
                if !kept.contains(&condition.parameter.as_str()) {
                    kept.push(&condition.parameter);
                }
            }
            at += 1;
        }
        let parameters = self.parameters.iter();
        Self {
            parameters: parameters
                .filter(|parameter| kept.contains(&parameter.name.as_str()))
                .cloned()
                .collect(),
        }
    }

    /// The parameters that are swept, in the order of the sweep.
    pub fn swept(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(|p| p.domain.is_swept())
    }

    /// Number of trials of the full grid; `None` beyond `u64`.
    ///
    /// It is counted, not enumerated: a parameter whose condition does not hold counts as one.
    pub fn trials(&self) -> Option<u64> {
        Axes::new(self).count()
    }
}

/// A hyperparameter of the space.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name, as `learning_rate`.
    pub name: String,
    /// Its value or values.
    pub domain: Domain,
    /// Where it applies: all must hold; none means everywhere. Where it does not apply, it takes its default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<Condition>,
}

/// A condition of a parameter: another one has one of some values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// The other parameter: a swept one that stands earlier in the space.
    pub parameter: String,
    /// The values of it that fulfil the condition.
    pub values: Vec<ParameterValue>,
}

/// The value or values of a parameter. Both ends of a range belong to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Domain {
    /// One value, not swept.
    Fixed(ParameterValue),
    /// One of these values, in this order.
    Choices(Vec<ParameterValue>),
    /// Numbers evenly spaced in their logarithm.
    Log {
        /// The lowest, above 0.
        low: f64,
        /// The highest.
        high: f64,
        /// How many for a grid.
        points: Option<u32>,
    },
    /// Numbers evenly spaced.
    Linear {
        /// The lowest.
        low: f64,
        /// The highest.
        high: f64,
        /// How many for a grid.
        points: Option<u32>,
    },
    /// Whole numbers evenly spaced.
    Int {
        /// The lowest.
        low: i64,
        /// The highest.
        high: i64,
        /// How many for a grid, before equal ones are merged; `None` for each whole number.
        points: Option<u32>,
    },
    /// Whole numbers evenly spaced in their logarithm.
    LogInt {
        /// The lowest, above 0.
        low: i64,
        /// The highest.
        high: i64,
        /// How many for a grid, before equal ones are merged.
        points: Option<u32>,
    },
}

impl Domain {
    /// Whether it is swept: anything but one fixed value.
    pub fn is_swept(&self) -> bool {
        !matches!(self, Self::Fixed(_))
    }
}
