//! The order in which an epoch visits the training rows.

use crate::data::shuffle;
use crate::seed::{Seed, Stream};

/// The training rows of one epoch in the order of their visit.
///
/// A permutation of `rows` per (seed, repeat, fold, epoch), shared by all trials; a batch is the
/// next `batch_size` rows of it.
pub fn row_order(rows: &[u32], seed: Seed, repeat: u32, fold: u32, epoch: u32) -> Vec<u32> {
    let mut order = rows.to_vec();
    shuffle(
        &mut order,
        &mut seed.rng(Stream::RowOrder {
            repeat,
            fold,
            epoch,
        }),
    );
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_visits_every_row_once_in_an_order_of_its_own() {
        let rows: Vec<u32> = (10..110).collect();
        let first = row_order(&rows, Seed(0), 0, 0, 0);
        assert_ne!(first, rows);
        assert_ne!(first, row_order(&rows, Seed(0), 0, 0, 1));
        let mut sorted = first;
        sorted.sort_unstable();
        assert_eq!(sorted, rows);
    }
}
