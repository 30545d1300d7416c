//! Folds of a time series.

use super::super::DataError;
use super::{Parts, check_count};

/// Expanding windows: `folds` validation parts of equal size at the end, one after the other,
/// each trained on all rows before it (scikit-learn's `TimeSeriesSplit`).
pub(super) fn folds(rows: &[u32], folds: usize) -> Result<Vec<Parts>, DataError> {
    check_count("row", rows.len(), folds + 1)?;
    let size = rows.len() / (folds + 1);
    let begin = |fold: usize| rows.len() - (folds - fold) * size;
    let parts = |fold| Parts {
        keep: rows[..begin(fold)].to_vec(),
        out: rows[begin(fold)..begin(fold + 1)].to_vec(),
    };
    Ok((0..folds).map(parts).collect())
}
