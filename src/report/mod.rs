//! What a person or another program reads of a run: a table, `cv_results.csv` and a page of HTML.
//!
//! Everything here is made from the records of [`crate::store`]. Nothing here trains, and nothing
//! here opens a file of a run: records come in as arguments, text goes out.

mod cv_results;
mod format;
mod html;
mod params;
mod rank;
mod table;

#[cfg(test)]
mod fixtures;

pub use cv_results::{CvLayout, CvResults, Scoring, TrialTimes};
pub use format::{count_text, duration_text, number_text, rate_text};
pub use html::{DRAWN_CURVES, HtmlInput, html};
pub use params::{add_param_names, param_names, params_text, value_text};
pub use rank::{Goal, Pair, Score, best_first, min_ranks, rank};
pub use table::{TableStyle, leaderboard, summary_text};

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The writer of `cv_results.csv` failed.
    #[error("cv_results.csv could not be written")]
    Csv(#[from] csv::Error),
    /// The last bytes of `cv_results.csv` could not be handed to the writer.
    #[error("cv_results.csv could not be flushed")]
    Flush(#[from] std::io::Error),
    /// A trial has more members than the table has columns for.
    #[error(
        "trial {trial} has {found} values of `{metric}`, and cv_results.csv was laid out for {splits} \
         splits; lay it out for folds x repeats of run.json"
    )]
    TooManySplits {
        /// Number of the trial.
        trial: u64,
        /// The metric, as the record names it.
        metric: String,
        /// Values in the record.
        found: usize,
        /// Columns in the table.
        splits: usize,
    },
}
