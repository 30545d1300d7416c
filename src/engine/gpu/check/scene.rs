//! Members of a wave with their batches, as the kernels see them.

use std::ops::Range;

use super::bounded::Bounded;
use super::numbers::Numbers;
use super::stage::POISON;
use super::tally::Expected;
use crate::engine::gpu::layout::{Cursor, MemberData, Tile, pad_rows};
use crate::train::{Activation, Hyperparameters, Optimizer};

/// Rows of the dataset that batches are drawn from.
pub const DATA_ROWS: u32 = 150;
/// Folds, which differ in their scaling; slots take turns.
pub const FOLDS: u32 = 2;
/// Batches begin at multiples of this many rows, so that they lie alike for all tiles.
const PLACE_ROWS: u32 = 64;

const ACTIVATIONS: [Activation; 4] = [
    Activation::Relu,
    Activation::Tanh,
    Activation::Sigmoid,
    Activation::Identity,
];

/// Rates by slot; a wave mixes members with and without.
const DROPOUT: [f64; 8] = [0.0, 0.3, 0.0, 0.6, 0.0, 0.0, 0.25, 0.0];

const OPTIMIZERS: [Optimizer; 6] = [
    Optimizer::Adam {
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-8,
    },
    Optimizer::Sgd {
        momentum: 0.0,
        nesterov: false,
    },
    Optimizer::Sgd {
        momentum: 0.9,
        nesterov: false,
    },
    Optimizer::Rmsprop {
        rho: 0.99,
        epsilon: 1e-8,
        momentum: 0.0,
    },
    Optimizer::Sgd {
        momentum: 0.8,
        nesterov: true,
    },
    Optimizer::Rmsprop {
        rho: 0.9,
        epsilon: 1e-6,
        momentum: 0.5,
    },
];

/// What a member does in a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Its batch has this many rows.
    Trains(u32),
    /// It has no rows left in this epoch; its tiles are in the list.
    Waits,
    /// It has rows, and is not in the lists: it was not kept.
    Gone(u32),
}

/// A scene: for each slot the rows that a batch has at most, and what the member does.
type Cast = (&'static str, &'static [(u32, Part)]);

const CASTS: [Cast; 5] = [
    ("1 row", &[(1, Part::Trains(1))]),
    ("37 rows", &[(37, Part::Trains(37))]),
    ("23 rows of a batch of 64", &[(64, Part::Trains(23))]),
    // More rows than the groups of batch norm take at once.
    ("290 rows", &[(300, Part::Trains(290))]),
    (
        "8 members",
        &[
            (16, Part::Trains(16)),
            (1, Part::Trains(1)),
            (64, Part::Trains(64)),
            (33, Part::Trains(33)),
            (32, Part::Waits),
            (7, Part::Gone(7)),
            (128, Part::Trains(101)),
            (5, Part::Trains(5)),
        ],
    ),
];

/// Members with their batches at their places.
#[derive(Clone, Debug)]
pub struct Scene {
    /// What is special about it.
    pub name: &'static str,
    /// By slot.
    pub members: Vec<MemberData>,
    /// By slot.
    pub hyperparameters: Vec<Hyperparameters>,
    /// By slot.
    pub cursors: Vec<Cursor>,
    /// Slots that are trained, ascending; those that wait are among them.
    pub live: Vec<u32>,
    /// Row numbers of the dataset.
    pub orders: Vec<u32>,
    /// Rows of the buffers of activations.
    pub activation_rows: usize,
    /// Moment vectors of all members together.
    pub moment_vectors: usize,
}

impl Scene {
    /// All scenes.
    pub fn all() -> Vec<Self> {
        CASTS.iter().zip(0..).map(Self::new).collect()
    }

    /// The scene with the most members.
    pub fn largest() -> Self {
        let last = CASTS.len() - 1;
        Self::new((&CASTS[last], 0))
    }

    /// A scene; `first` is the optimizer that its first member has.
    fn new(((name, cast), first): (&Cast, usize)) -> Self {
        let mut scene = Self {
            name,
            members: Vec::new(),
            hyperparameters: Vec::new(),
            cursors: Vec::new(),
            live: Vec::new(),
            orders: Vec::new(),
            activation_rows: PLACE_ROWS as usize,
            moment_vectors: 0,
        };
        for &(batch, part) in *cast {
            scene.push(batch, part, first);
        }
        scene.place_rows();
        scene
    }

    fn push(&mut self, batch: u32, part: Part, first: usize) {
        let slot = self.members.len();
        let hyperparameters = hyperparameters(slot, slot + first, batch);
        let rows = match part {
            Part::Trains(rows) | Part::Gone(rows) => rows,
            Part::Waits => 0,
        };
        if !matches!(part, Part::Gone(_)) {
            self.live.push(slot as u32);
        }
        let fold_rows = 2 * batch + 3;
        // The batch is not the first of the epoch.
        let order_start = self.orders.len() as u32;
        let mut numbers = Numbers::of(&[1, slot as u64]);
        let order = (0..fold_rows).map(|_| numbers.below(DATA_ROWS));
        self.orders.extend(order);
        let scaling = slot as u32 % FOLDS;
        self.members.push(MemberData {
            order_start,
            rows: fold_rows,
            first_moment: self.moment_vectors as u32,
            scaling,
            ..MemberData::new(&hyperparameters, [77, slot as u32])
        });
        let steps = 2 + slot as u32;
        let (step_size, epsilon) = step_factors(&hyperparameters, u64::from(steps) + 1);
        self.cursors.push(Cursor {
            first: order_start + 3,
            rows,
            steps,
            scaling,
            step_size: step_size as f32,
            epsilon: epsilon as f32,
            inverse_rows: 1.0 / rows.max(1) as f32,
            unused: 0,
        });
        self.moment_vectors += hyperparameters.optimizer.moments();
        self.hyperparameters.push(hyperparameters);
    }

    /// Gives each batch its rows, later slots first: a kernel that mistakes slots for places fails.
    fn place_rows(&mut self) {
        for member in self.members.iter_mut().rev() {
            member.first_row = self.activation_rows as u32;
            let rows = member.batch_size.next_multiple_of(PLACE_ROWS);
            self.activation_rows += rows as usize;
        }
    }

    /// Slots that train: those whose values must change.
    pub fn training(&self) -> impl Iterator<Item = usize> {
        let live = self.live.iter().map(|&slot| slot as usize);
        live.filter(|&slot| self.cursors[slot].rows > 0)
    }

    /// Rows of a slot's batch.
    pub fn rows(&self, slot: usize) -> usize {
        self.cursors[slot].rows as usize
    }

    /// Rows of the buffers of activations that a slot has for itself.
    pub fn place(&self, slot: usize) -> Range<usize> {
        let member = &self.members[slot];
        let first = member.first_row as usize;
        first..first + member.batch_size.next_multiple_of(PLACE_ROWS) as usize
    }

    /// Row numbers of a slot's batch.
    pub fn batch_rows(&self, slot: usize) -> &[u32] {
        &self.orders[self.cursors[slot].first as usize..][..self.rows(slot)]
    }

    /// The slot that is changed to see that others are not: one in between.
    pub fn changeable(&self) -> Option<usize> {
        (self.members.len() > 2).then_some(2)
    }

    /// The cursors; the batch of a changed slot is shorter.
    pub fn cursors(&self, changed: Option<usize>) -> Vec<Cursor> {
        let mut cursors = self.cursors.clone();
        if let Some(slot) = changed {
            cursors[slot].rows /= 2;
        }
        cursors
    }

    /// Words of a slot's place in a buffer of activations with so many words a row.
    pub fn place_words(&self, slot: usize, row_words: usize) -> Range<usize> {
        let place = self.place(slot);
        place.start * row_words..place.end * row_words
    }

    /// Rows of each slot that trains at their places, poison everywhere else: no kernel may read it.
    pub fn placed(&self, width: usize, rows: impl Fn(usize) -> Vec<f32>) -> Vec<f32> {
        let row_words = width.next_multiple_of(4);
        let mut all = vec![f32::from_bits(POISON); self.activation_rows * row_words];
        for slot in self.training() {
            let padded = pad_rows(&rows(slot), width);
            let at = self.place(slot).start * row_words;
            all[at..at + padded.len()].copy_from_slice(&padded);
        }
        all
    }

    /// What a buffer of rows should be: `right` where a batch is, 0 in the padding of its rows,
    /// nothing written elsewhere.
    pub fn expected_rows(
        &self,
        width: usize,
        right: impl Fn(usize) -> Vec<Bounded>,
    ) -> Vec<Expected> {
        let row_words = width.next_multiple_of(4);
        let mut expected = vec![Expected::Bits(POISON); self.activation_rows * row_words];
        for slot in self.training() {
            let place = self.place_words(slot, row_words);
            let rows = expected[place].chunks_exact_mut(row_words);
            for (out, row) in rows.zip(right(slot).chunks_exact(width)) {
                out.fill(Expected::ZERO);
                for (out, &value) in out.iter_mut().zip(row) {
                    *out = Expected::Near(value);
                }
            }
        }
        expected
    }

    /// The tiles of the live slots' batches, cut as the engine cuts them.
    pub fn tiles(&self, tile_rows: u32) -> Vec<Tile> {
        let mut tiles = Vec::new();
        for &slot in &self.live {
            let member = &self.members[slot as usize];
            for row in (0..member.batch_size).step_by(tile_rows as usize) {
                let activation_row = member.first_row + row;
                tiles.push(Tile {
                    slot,
                    row,
                    activation_row,
                    block: activation_row / 16,
                });
            }
        }
        tiles
    }
}

/// Every optimizer and activation comes up among a few slots, in other pairs in other scenes.
fn hyperparameters(slot: usize, optimizer: usize, batch: u32) -> Hyperparameters {
    Hyperparameters {
        learning_rate: [0.01, 0.003, 0.1][slot % 3],
        batch_size: batch as usize,
        optimizer: OPTIMIZERS[optimizer % OPTIMIZERS.len()],
        activation: ACTIVATIONS[slot % ACTIVATIONS.len()],
        dropout: DROPOUT[slot % DROPOUT.len()],
    }
}

/// The optimizer's step size and epsilon of the update that is the `step`-th, from 1: Adam's bias
/// corrections are drawn into them.
pub fn step_factors(hyperparameters: &Hyperparameters, step: u64) -> (f64, f64) {
    let rate = hyperparameters.learning_rate;
    match hyperparameters.optimizer {
        Optimizer::Sgd { .. } => (rate, 0.0),
        Optimizer::Rmsprop { epsilon, .. } => (rate, epsilon),
        Optimizer::Adam {
            beta_1,
            beta_2,
            epsilon,
        } => {
            let correction = |beta: f64| 1.0 - beta.powf(step as f64);
            let root = correction(beta_2).sqrt();
            (rate * root / correction(beta_1), epsilon * root)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn scenes_have_what_the_tables_count_on() {
        let scenes = Scene::all();
        let largest = Scene::largest();
        let numbers = |of: fn(&MemberData) -> u32| -> BTreeSet<u32> {
            largest
                .training()
                .map(|s| of(&largest.members[s]))
                .collect()
        };
        let all = scenes
            .iter()
            .flat_map(|scene| scene.training().map(|slot| scene.members[slot].optimizer));
        assert_eq!(all.collect::<BTreeSet<_>>().len(), 6, "optimizers");
        assert_eq!(numbers(|m| m.activation).len(), 4, "activations");
        assert!(largest.live.len() < largest.members.len(), "one is gone");
        assert!(largest.training().count() < largest.live.len(), "one waits");
        let changed = largest.changeable().unwrap();
        assert!(largest.training().any(|slot| slot == changed));
    }

    #[test]
    fn batches_lie_apart_and_within_their_orders() {
        for scene in Scene::all() {
            let mut taken = vec![false; scene.activation_rows];
            for slot in 0..scene.members.len() {
                for row in scene.place(slot) {
                    assert!(!std::mem::replace(&mut taken[row], true), "{}", scene.name);
                }
                let (member, cursor) = (&scene.members[slot], &scene.cursors[slot]);
                let end = member.order_start + member.rows;
                assert!(cursor.first + cursor.rows <= end, "{}", scene.name);
            }
        }
    }
}
