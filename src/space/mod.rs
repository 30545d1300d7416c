//! The search space: parameters and their domains, the sweep file, and how both become one
//! resolved [`Sweep`].
//!
//! Data flows through the files in this order. `file` (TOML) and `spec` (arguments) give values
//! with the places where they were written (`given`, `section`). `data_section` and `settings`
//! check all but the space; `draft` merges the parameters of file and arguments; `domain` and
//! `architecture` check each against the `table` of parameters, `conditions` and `uses` check them
//! against each other. [`resolve()`] puts this together, `fit` adapts the result to the data.
//! `points` and `axes` lay a grid over a space; [`assign`] looks up all values of one trial.

mod architecture;
mod assignment;
mod axes;
mod conditions;
mod data_section;
mod domain;
mod draft;
mod elsewhere;
mod error;
mod file;
mod fit;
mod given;
mod overrides;
mod points;
mod resolve;
mod section;
mod settings;
mod spec;
mod sweep;
mod table;
#[cfg(test)]
mod tests;
mod uses;
mod value;

pub use assignment::{Assignment, assign};
pub use axes::{Axes, Position};
pub use error::{Place, SpaceError};
pub use overrides::{Overrides, SweepFile};
pub use points::Points;
pub use resolve::resolve;
pub use sweep::{
    Condition, Domain, Parameter, Refit, SearchConfig, Space, Strategy, Sweep, TrainConfig,
};
pub use value::ParameterValue;

/// A commented sweep file that says what the default sweep is, for `regatta init`.
pub fn sweep_file_template() -> &'static str {
    include_str!("template.toml")
}
