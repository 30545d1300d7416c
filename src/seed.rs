//! The seed of a study and the random streams that are derived from it.
//!
//! Every random choice of a study has a stream of its own, named by [`Stream`], so that adding a
//! choice, or drawing more from one, never changes the others. All streams are ChaCha8, keyed by
//! the seed, the kind of choice and its indices: the same on every machine and engine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

/// The seed of a study (`[search] seed`, `--seed`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(pub u64);

/// What a random stream is used for. The indices are part of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Which rows are held out as the test part.
    TestPart,
    /// Which rows go to which fold, or to the holdout.
    Folds,
    /// Initial weights of one dense layer, shared by all trials and folds.
    InitialWeights {
        /// Repeat, from 0.
        repeat: u32,
        /// Dense layer, from 0 at the input.
        layer: u32,
    },
    /// Order of the training rows of one epoch, shared by all trials.
    RowOrder {
        /// Repeat, from 0.
        repeat: u32,
        /// Fold, from 0; [`u32::MAX`] for the refit on all training rows.
        fold: u32,
        /// Epoch, from 0.
        epoch: u32,
    },
    /// Key of the dropout masks, shared by all trials.
    Dropout {
        /// Repeat, from 0.
        repeat: u32,
        /// Fold, from 0; [`u32::MAX`] for the refit on all training rows.
        fold: u32,
    },
}

impl Seed {
    /// The random generator of one stream, at its beginning.
    pub fn rng(self, stream: Stream) -> ChaCha8Rng {
        let (kind, indices) = match stream {
            Stream::TestPart => (1, [0, 0, 0]),
            Stream::Folds => (2, [0, 0, 0]),
            Stream::InitialWeights { repeat, layer } => (3, [repeat, layer, 0]),
            Stream::RowOrder {
                repeat,
                fold,
                epoch,
            } => (4, [repeat, fold, epoch]),
            Stream::Dropout { repeat, fold } => (5, [repeat, fold, 0]),
        };
        let mut key = [0_u8; 32];
        key[..8].copy_from_slice(&self.0.to_le_bytes());
        for (i, word) in [kind, indices[0], indices[1], indices[2]]
            .iter()
            .enumerate()
        {
            let at = 8 + 4 * i;
            key[at..at + 4].copy_from_slice(&u32::to_le_bytes(*word));
        }
        ChaCha8Rng::from_seed(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::Rng;

    #[test]
    fn streams_differ_by_seed_kind_and_every_index() {
        let order = |repeat, fold, epoch| Stream::RowOrder {
            repeat,
            fold,
            epoch,
        };
        let keys = [
            (0, Stream::TestPart),
            (1, Stream::TestPart),
            (0, Stream::Folds),
            (0, order(0, 0, 0)),
            (0, order(1, 0, 0)),
            (0, order(0, 1, 0)),
            (0, order(0, 0, 1)),
            (0, Stream::Dropout { repeat: 0, fold: 0 }),
            (0, Stream::Dropout { repeat: 0, fold: 1 }),
            (0, Stream::Dropout { repeat: 1, fold: 0 }),
            (
                0,
                Stream::InitialWeights {
                    repeat: 0,
                    layer: 0,
                },
            ),
            (
                0,
                Stream::InitialWeights {
                    repeat: 0,
                    layer: 1,
                },
            ),
        ];
        let mut first: Vec<u64> = keys
            .iter()
            .map(|&(seed, stream)| Seed(seed).rng(stream).next_u64())
            .collect();
        first.sort_unstable();
        first.dedup();
        assert_eq!(first.len(), keys.len());
    }

    #[test]
    fn a_stream_starts_the_same_every_time() {
        let draw = || Seed(7).rng(Stream::Folds).next_u64();
        assert_eq!(draw(), draw());
    }
}
