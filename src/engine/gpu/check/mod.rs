//! Every kernel against the oracle, on this machine's drivers: what `regatta check` and the tests
//! run.
//!
//! Each kernel has a `Table` of cases in a file of its name: sizes of 1, primes and multiples of
//! nothing, members with different batches, members that wait and members that are gone. A case puts
//! its buffers between guard zones (`stage`), outputs poisoned with NaN, dispatches the kernel once,
//! and compares every word with what the cpu engine's function gives on `Bounded` numbers: the value
//! in f64 with the most that f32 may be off. Then one member is changed, and nothing of the others
//! may change by a bit.
//!
//! To add a kernel: a file here with a `TABLE`, and its line in `TABLES`.

mod batch_norm_backward;
mod batch_norm_backward_statistics;
mod batch_norm_forward;
mod batch_norm_statistics;
mod bits;
mod bounded;
mod dense;
mod dense_backward_input;
mod dense_backward_weights;
mod dense_forward;
mod end_of_epoch;
mod evaluate;
mod find_non_finite;
mod functions;
mod logits;
mod norm;
mod numbers;
mod oracle;
mod parameters;
mod scene;
mod softmax_cross_entropy;
mod stage;
mod step;
mod table;
mod tally;
#[cfg(test)]
mod tests;
mod update;

use super::GpuDevice;
use super::kernels::Checks;
use super::shader::TileShape;
use super::shader::Tiles;
use crate::engine::EngineError;
use table::Table;

pub use bits::{Load, agreement, bit_identity};
pub use tally::KernelReport;

/// The tables of all kernels, in the order of a step.
const TABLES: &[Table] = &[
    functions::TABLE,
    dense_forward::TABLE,
    batch_norm_statistics::TABLE,
    batch_norm_forward::TABLE,
    softmax_cross_entropy::TABLE,
    step::TABLE,
    batch_norm_backward_statistics::TABLE,
    batch_norm_backward::TABLE,
    dense_backward_input::TABLE,
    dense_backward_weights::TABLE,
    update::TABLE,
    find_non_finite::TABLE,
    end_of_epoch::TABLE,
    evaluate::TABLE,
];

/// A tile that is cheap to compile, and smaller than most results.
pub const SMALL: Tiles = Tiles {
    rows: TileShape {
        rows: 16,
        columns: 16,
        thread_rows: 4,
    },
    weights: TileShape {
        rows: 16,
        columns: 16,
        thread_rows: 4,
    },
    narrow_thread_rows: 4,
};

/// The tiles that are checked for an engine with these: its wide and its narrow ones, and small ones.
pub fn tiles_of(tiles: Tiles) -> [Tiles; 3] {
    let narrow = Tiles {
        rows: tiles.rows_for(1),
        weights: tiles.weights_for(1),
        ..tiles
    };
    [tiles, narrow, SMALL]
}

/// Runs the tables of all kernels on a device, in all tiles of [`tiles_of`]; `note` gets each report
/// as it is made.
///
/// # Errors
/// When the device fails. A kernel that is wrong is no error; its report says so.
pub fn check(
    gpu: &GpuDevice,
    checks: Checks,
    tiles: Tiles,
    note: &mut dyn FnMut(&KernelReport),
) -> Result<Vec<KernelReport>, EngineError> {
    let mut reports = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        let compile = |variant| (table.compile)(gpu, checks, variant);
        let report = table.check(gpu, &tiles_of(tiles), &compile)?;
        note(&report);
        reports.push(report);
    }
    Ok(reports)
}

/// Runs the same tables on the cpu engine's functions in f32, where it has them in the same pieces.
pub fn check_native(note: &mut dyn FnMut(&KernelReport)) -> Vec<KernelReport> {
    let reports = TABLES
        .iter()
        .filter_map(|table| table.check_native(&[SMALL]));
    reports.inspect(|report| note(report)).collect()
}
