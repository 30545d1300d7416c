//! Which units a step of dropout keeps: the same on every engine.
//!
//! Unit `u` of hidden layer `l` in row `r` of the batch of a member's step `s` (updates made before
//! it, low 32 bits) has the word `u % 4` of [`philox4x32`](super::philox4x32) at the counter
//! `[u / 4, r, l, s]` under the member's [`dropout_key`]. It is kept when the word is at least
//! [`dropout_threshold`], and then multiplied by 1 / (1 - rate): inverted dropout, so that
//! evaluation needs none.

use rand_chacha::rand_core::Rng;

use crate::seed::{Seed, Stream};

/// The key of all dropout masks of a member: low and high half of the first word of its stream.
///
/// All trials share it, so that they differ by their hyperparameters and not by luck.
pub fn dropout_key(seed: Seed, repeat: u32, fold: u32) -> [u32; 2] {
    let word = seed.rng(Stream::Dropout { repeat, fold }).next_u64();
    [word as u32, (word >> 32) as u32]
}

/// The random word from which on a unit is kept: `rate` in 2^-32, rounded, at most the largest word.
pub fn dropout_threshold(rate: f64) -> u32 {
    // A conversion to an integer saturates.
    (rate * 2.0_f64.powi(32)).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_from_none_to_almost_all() {
        assert_eq!(dropout_threshold(0.0), 0);
        assert_eq!(dropout_threshold(0.5), 1 << 31);
        assert_eq!(dropout_threshold(0.25), 1 << 30);
        assert_eq!(dropout_threshold(0.3), 1_288_490_189);
        assert_eq!(dropout_threshold(1.0 - 1e-12), u32::MAX);
    }

    /// Pinned: another value here means that results differ from those of earlier versions.
    #[test]
    fn the_keys_of_seed_0_never_change() {
        assert_eq!(dropout_key(Seed(0), 0, 0), [5943769, 1746720995]);
        assert_eq!(dropout_key(Seed(0), 1, 2), [1731059060, 3182165690]);
    }

    #[test]
    fn keys_are_the_halves_of_the_streams_first_word() {
        let [low, high] = dropout_key(Seed(3), 1, 2).map(u64::from);
        let stream = Stream::Dropout { repeat: 1, fold: 2 };
        assert_eq!(low | high << 32, Seed(3).rng(stream).next_u64());
    }
}
