//! Parameters and moments of the members of a layer, before and after an update.

use std::ops::Range;

use super::bounded::Bounded;
use super::dense::Dense;
use super::oracle::{convert, updated};
use super::tally::Expected;
use crate::engine::cpu::Real;
use crate::engine::gpu::layout::pad_rows;
use crate::train::Optimizer;

impl Dense {
    /// Words of one member's parameters, or of one of its moment vectors.
    pub fn member_words(&self) -> usize {
        4 * self.data().member_stride as usize
    }

    /// A slot's moment vectors, not padded. Mean squares are not negative; every seventh moment is
    /// still 0.
    pub fn moments(&self, slot: usize) -> Vec<Vec<f32>> {
        let optimizer = self.scene.hyperparameters[slot].optimizer;
        let squares = match optimizer {
            Optimizer::Sgd { .. } => [false, false],
            Optimizer::Adam { .. } => [false, true],
            Optimizer::Rmsprop { .. } => [true, false],
        };
        let vector = |(j, square): (usize, bool)| {
            let low = if square { 0.001 } else { -0.5 };
            let mut values = self.moment_numbers(slot, j, low, 0.5);
            values.iter_mut().step_by(7).for_each(|v| *v = 0.0);
            values
        };
        let vectors = squares.into_iter().enumerate().map(vector);
        vectors.take(optimizer.moments()).collect()
    }

    /// Moments of all slots as the device has them.
    pub fn padded_moments(&self) -> Vec<f32> {
        let slots = 0..self.scene.members.len();
        let vectors = slots.flat_map(|slot| self.moments(slot));
        vectors
            .flat_map(|vector| pad_rows(&vector, self.layer.outputs))
            .collect()
    }

    /// A slot's parameters and moments after the update.
    pub fn updated<T: Real>(&self, slot: usize, gradients: &[T]) -> (Vec<T>, Vec<Vec<T>>) {
        let moments = self.moments(slot);
        updated(
            convert(&self.parameters(slot, None)),
            gradients,
            moments.iter().map(|vector| convert(vector)).collect(),
            &self.scene.hyperparameters[slot],
            u64::from(self.scene.cursors[slot].steps) + 1,
        )
    }

    /// What parameters and moments should be after the update: new where a slot trains, untouched
    /// elsewhere, 0 in the padding.
    pub fn expected_update(&self, gradients: impl Fn(usize) -> Vec<Bounded>) -> Vec<Vec<Expected>> {
        let mut parameters = untouched(&self.padded_parameters(None));
        let mut all_moments = untouched(&self.padded_moments());
        for slot in self.scene.training() {
            let (new, moments) = self.updated(slot, &gradients(slot));
            self.put(&mut parameters, slot, &new);
            let first = self.scene.members[slot].first_moment as usize;
            for (vector, new) in (first..).zip(moments) {
                self.put(&mut all_moments, vector, &new);
            }
        }
        vec![parameters, all_moments]
    }

    /// Puts the values of a member, or of a moment vector, at its place.
    pub fn put(&self, all: &mut [Expected], index: usize, values: &[Bounded]) {
        let (words, width) = (self.member_words(), self.layer.outputs);
        let place = &mut all[index * words..][..words];
        let rows = place.chunks_exact_mut(width.next_multiple_of(4));
        for (out, row) in rows.zip(values.chunks_exact(width)) {
            out.fill(Expected::ZERO);
            for (out, &value) in out.iter_mut().zip(row) {
                *out = Expected::Near(value);
            }
        }
    }

    /// Words of a slot among the parameters, and among the moments.
    pub fn own_words(&self, slot: usize) -> Vec<Range<usize>> {
        let words = self.member_words();
        let first = self.scene.members[slot].first_moment as usize;
        let moments = self.scene.hyperparameters[slot].optimizer.moments();
        vec![
            slot * words..(slot + 1) * words,
            first * words..(first + moments) * words,
        ]
    }
}

/// Every word as it is. No moments at all are a buffer of 4 poisoned words.
fn untouched(values: &[f32]) -> Vec<Expected> {
    use super::stage::POISON;
    if values.is_empty() {
        return vec![Expected::Bits(POISON); 4];
    }
    let bits = values.iter().map(|v| Expected::Bits(v.to_bits()));
    bits.collect()
}
