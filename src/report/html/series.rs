//! Trials told apart by colour: one series an optimizer.

use crate::store::TrialRecord;

use super::Study;
use super::escape::Text;
use super::levels::Levels;
use super::palette::{SERIES, series_class};

/// The parameter that colours plots of all trials.
const PARAM: &str = "optimizer";

/// The series of a study; a single one where the optimizer is not swept.
pub(super) struct Series {
    levels: Option<Levels>,
}

impl Series {
    pub(super) fn of(study: &Study) -> Self {
        let levels = study.is_swept(PARAM).then(|| {
            let values = study
                .input
                .trials
                .iter()
                .filter_map(|trial| trial.params.get(PARAM));
            Levels::of(values)
        });
        Self { levels }
    }

    pub(super) fn len(&self) -> usize {
        self.levels.as_ref().map_or(1, Levels::len)
    }

    /// The series of a trial.
    pub(super) fn index(&self, trial: &TrialRecord) -> usize {
        let place = || self.levels.as_ref()?.index(trial.params.get(PARAM)?);
        place().unwrap_or(0)
    }

    /// The name of a series, empty for a single one.
    pub(super) fn label(&self, series: usize) -> &str {
        self.levels
            .as_ref()
            .map_or("", |levels| &levels.labels()[series])
    }

    /// The class that colours it; those beyond the colours there are share a grey.
    pub(super) fn class(series: usize) -> String {
        if series < SERIES {
            series_class(series)
        } else {
            "c-rest".to_owned()
        }
    }

    /// A legend as HTML, with `extra` entries; empty where there is nothing to tell apart.
    pub(super) fn legend(&self, extra: &str) -> String {
        let entry = |series: usize| {
            let (class, label) = (Self::class(series), Text(self.label(series)));
            format!("<li><i class=\"swatch {class}\"></i>{label}</li>\n")
        };
        let entries: String = match self.levels {
            Some(_) => (0..self.len()).map(entry).collect(),
            None => String::new(),
        };
        if entries.is_empty() && extra.is_empty() {
            return String::new();
        }
        format!("<ul class=\"legend\">\n{entries}{extra}</ul>\n")
    }
}
