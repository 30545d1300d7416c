//! The one shuffle of row indices.

use rand::Rng;

/// Shuffles `rows` in place: Fisher-Yates from the last position down, with unbiased draws.
///
/// The draws are part of what a seed means: the same generator gives the same permutation in
/// every version of this crate.
pub fn shuffle(rows: &mut [u32], rng: &mut impl Rng) {
    for last in (1..rows.len()).rev() {
        let bound = u32::try_from(last + 1).expect("row indices are u32");
        rows.swap(last, below(bound, rng) as usize);
    }
}

/// An unbiased number below `bound` (> 0): Lemire's method, by multiplication and rejection
/// (<https://arxiv.org/abs/1805.10941>).
fn below(bound: u32, rng: &mut impl Rng) -> u32 {
    let rejected = bound.wrapping_neg() % bound;
    loop {
        let product = u64::from(rng.next_u32()) * u64::from(bound);
        if product as u32 >= rejected {
            return (product >> 32) as u32;
        }
    }
}
