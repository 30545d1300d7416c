//! What the tables of `softmax_cross_entropy` and `evaluate` have in common.

use super::numbers::Numbers;
use super::oracle::loss_and_classes;
use super::scene::{DATA_ROWS, Scene};
use super::stage::POISON;
use super::tally::Expected;
use crate::engine::gpu::layout::LayerData;
use crate::train::Shape;

/// Numbers of classes: one, primes, a whole number of `vec4`s, many.
const CLASSES: [usize; 6] = [1, 2, 3, 10, 17, 100];
/// Of every so many rows of a member with logits that are not finite, one has them.
const SOUND_ROWS: usize = 19;
/// Rows whose losses are summed together.
pub const BLOCK_ROWS: usize = 16;

/// What is special about the logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A few units apart.
    Ordinary,
    /// Up to 10^4 in magnitude: exponentials over- and underflow.
    Large,
    /// Whole numbers, many of them equal.
    Equal,
    /// Members of even slots have rows with a logit that is NaN or infinite.
    NotFinite,
}

/// Logits of the batches of a scene.
#[derive(Clone, Debug)]
pub struct Logits {
    /// The members and their batches.
    pub scene: Scene,
    /// Classes.
    pub classes: usize,
    /// What is special about the logits.
    pub kind: Kind,
}

impl Logits {
    /// All numbers of classes with the most members, all scenes, and all kinds.
    pub fn all() -> Vec<Self> {
        let with = |scene, classes, kind| Self {
            scene,
            classes,
            kind,
        };
        let classes = CLASSES.into_iter();
        let mut cases: Vec<Self> = classes
            .map(|classes| with(Scene::largest(), classes, Kind::Ordinary))
            .collect();
        let scenes = Scene::all().into_iter();
        cases.extend(scenes.map(|scene| with(scene, 7, Kind::Ordinary)));
        let kinds = [Kind::Large, Kind::Equal, Kind::NotFinite].into_iter();
        cases.extend(kinds.map(|kind| with(Scene::largest(), 10, kind)));
        cases
    }

    /// What is special about it.
    pub fn name(&self) -> String {
        let kind = match self.kind {
            Kind::Ordinary => "",
            Kind::Large => "large ",
            Kind::Equal => "equal ",
            Kind::NotFinite => "infinite ",
        };
        format!(
            "{kind}logits of {} classes, {}",
            self.classes, self.scene.name
        )
    }

    /// The layer that gives the logits.
    pub fn data(&self) -> LayerData {
        LayerData::new(&Shape::new(5, &[], self.classes).layers()[0], 0, true)
    }

    /// Class of each row of the dataset.
    pub fn targets(&self) -> Vec<u32> {
        let mut numbers = Numbers::of(&[9, self.classes as u64]);
        let classes = self.classes as u32;
        (0..DATA_ROWS).map(|_| numbers.below(classes)).collect()
    }

    /// Classes of a slot's batch.
    pub fn batch_targets(&self, slot: usize) -> Vec<u32> {
        let targets = self.targets();
        let rows = self.scene.batch_rows(slot).iter();
        rows.map(|&row| targets[row as usize]).collect()
    }

    /// Whether a row has a logit that is not finite.
    pub fn is_unsound(&self, slot: usize, row: usize) -> bool {
        self.kind == Kind::NotFinite && slot.is_multiple_of(2) && row.is_multiple_of(SOUND_ROWS)
    }

    /// Logits of a slot's batch, `[rows][classes]`.
    pub fn logits(&self, slot: usize, changed: Option<usize>) -> Vec<f32> {
        let rows = self.scene.rows(slot);
        if changed == Some(slot) {
            return vec![f32::NAN; rows * self.classes];
        }
        let mut numbers = Numbers::of(&[10, self.classes as u64, slot as u64]);
        let scale = if self.kind == Kind::Large { 1e4 } else { 3.0 };
        let mut values = numbers.symmetric(rows * self.classes, scale);
        if self.kind == Kind::Equal {
            values.iter_mut().for_each(|v| *v = v.round());
        }
        for (row, values) in values.chunks_exact_mut(self.classes).enumerate() {
            if self.is_unsound(slot, row) {
                let bad = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][(slot / 2 + row) % 3];
                values[row % self.classes] = bad;
            }
        }
        values
    }

    /// Words of the buffer of blocks.
    pub fn blocks(&self) -> usize {
        self.scene.activation_rows / BLOCK_ROWS
    }

    /// Each block of a slot's batch: its index, its rows' logits and classes, and whether all are
    /// finite.
    pub fn batch_blocks(&self, slot: usize) -> Vec<(usize, Vec<f32>, Vec<u32>, bool)> {
        let first = self.scene.place(slot).start / BLOCK_ROWS;
        let (logits, targets) = (self.logits(slot, None), self.batch_targets(slot));
        let logits = logits.chunks(BLOCK_ROWS * self.classes);
        let blocks = logits.zip(targets.chunks(BLOCK_ROWS)).enumerate();
        blocks
            .map(|(b, (logits, targets))| {
                let mut rows = BLOCK_ROWS * b..BLOCK_ROWS * b + targets.len();
                let sound = !rows.any(|row| self.is_unsound(slot, row));
                (first + b, logits.to_vec(), targets.to_vec(), sound)
            })
            .collect()
    }

    /// Blocks of a slot's place.
    pub fn place_blocks(&self, slot: usize) -> std::ops::Range<usize> {
        let place = self.scene.place(slot);
        place.start / BLOCK_ROWS..place.end / BLOCK_ROWS
    }

    /// What a kernel writes for each block: the sum of its losses, or `unsound` where a logit is not
    /// finite. Blocks of no batch stay poisoned.
    pub fn expected_partials(&self, unsound: Expected) -> Vec<Expected> {
        let mut expected = vec![Expected::Bits(POISON); self.blocks()];
        for slot in self.scene.training() {
            for (block, logits, targets, sound) in self.batch_blocks(slot) {
                expected[block] = if sound {
                    Expected::Near(loss_and_classes(&logits, &targets, self.classes).0)
                } else {
                    unsound
                };
            }
        }
        expected
    }
}
