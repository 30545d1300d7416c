//! Evaluations by the resident kernel: a part's rows, what is counted of them, and how they are cut into
//! dispatches.

use std::ops::Range;

use super::slices::FIRST_MEMBERS;
use crate::engine::gpu::GpuDevice;
use crate::engine::gpu::evaluated::Evaluated;
use crate::engine::gpu::layered::lists::BLOCK_ROWS;
use crate::engine::gpu::layered::placement::Placement;
use crate::engine::gpu::transfer::Allocator;
use crate::engine::{EngineError, Part, TrainingData};

/// A part's rows on the device, and room for what is counted of them.
#[derive(Debug)]
pub struct PartBuffers {
    /// For each fold where its rows begin and how many there are; then row numbers, fold after fold.
    pub rows: wgpu::Buffer,
    /// Slot after slot: counts of rightly given classes, of given classes, losses of blocks of rows.
    pub results: wgpu::Buffer,
    /// Words from one slot's results to the next.
    pub results_stride: u32,
    /// Rows of each fold, by the index of its scaling.
    folds: Vec<u32>,
}

impl PartBuffers {
    /// Those of a part, for all slots of a wave.
    ///
    /// # Errors
    /// [`EngineError::OutOfMemory`] or [`EngineError::BufferTooLarge`] when they do not fit.
    pub fn new(
        gpu: &GpuDevice,
        placement: &Placement,
        data: TrainingData<'_>,
        classes: usize,
        part: Part,
    ) -> Result<Self, EngineError> {
        let count = |rows: usize| u32::try_from(rows).expect("rows are numbered in u32");
        let of_folds: Vec<&[u32]> = placement
            .folds
            .iter()
            .map(|id| part.rows(data.fold(*id)))
            .collect();
        let folds: Vec<u32> = of_folds.iter().map(|rows| count(rows.len())).collect();
        let mut table = Vec::new();
        let mut begin = count(2 * folds.len());
        for rows in &folds {
            table.extend([begin, *rows]);
            begin += rows;
        }
        table.extend(of_folds.into_iter().flatten());
        let most = folds.iter().copied().max().unwrap_or(0);
        let results_stride = 2 * count(classes) + most.div_ceil(BLOCK_ROWS);
        let slots = placement.members.len() as u64;
        let mut make = Allocator::new(gpu);
        Ok(Self {
            rows: make.filled("evaluation_rows", &table)?,
            results: make.zeros("evaluation_results", 4 * slots * u64::from(results_stride))?,
            results_stride,
            folds,
        })
    }

    /// Rows of the largest fold.
    pub fn most_rows(&self) -> u32 {
        self.folds.iter().copied().max().unwrap_or(0)
    }

    /// What was counted of a slot whose fold has this scaling; `words` are all results.
    pub fn evaluated(&self, words: &[u32], slot: u32, scaling: u32, classes: usize) -> Evaluated {
        let stride = self.results_stride as usize;
        let of_slot = &words[slot as usize * stride..][..stride];
        let (counts, losses) = of_slot.split_at(2 * classes);
        let blocks = self.folds[scaling as usize].div_ceil(BLOCK_ROWS) as usize;
        let wide = |counts: &[u32]| counts.iter().map(|&count| u64::from(count)).collect();
        let losses = losses[..blocks].iter();
        Evaluated {
            // In the order of the blocks, in f64.
            loss_sum: losses.map(|&bits| f64::from(f32::from_bits(bits))).sum(),
            true_positives: wide(&counts[..classes]),
            predicted: wide(&counts[classes..]),
        }
    }
}

/// What an evaluated row costs, in rows that are trained on.
const EVALUATED_ROW: f64 = 0.4;

/// Rows that a workgroup takes at least, where the part has so many: it loads the member's weights first.
const LEAST_ROWS: u32 = 128;

/// A dispatch of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct EvaluationSlice {
    /// Rows of each member's part.
    pub rows: Range<u32>,
    /// Slots; some in between may have nothing to do.
    pub slots: Range<u32>,
    /// What it costs, in rows that are trained on of the network that costs most.
    pub work: f64,
}

/// The dispatches of an evaluation: rounds, in each of which some rows of every member are evaluated; a round
/// that takes too long is cut between members.
#[derive(Clone, Debug)]
pub struct EvaluationSlices {
    rows: u32,
    /// Slots that have something to do, ascending, with what a row costs each, in rows of the network that costs
    /// most.
    members: Vec<(u32, f64)>,
    most_rows: u32,
    /// Rows of this round, and how many members have made it.
    round: (Range<u32>, usize),
}

impl EvaluationSlices {
    /// All of these rows of the members in these slots, at most `most_rows` of each in a dispatch.
    pub fn new(rows: u32, members: Vec<(u32, f64)>, most_rows: u32) -> Self {
        Self {
            rows,
            most_rows,
            round: (0..0, members.len()),
            members,
        }
    }

    /// Nothing is left.
    pub fn are_over(&self) -> bool {
        let (rows, made) = &self.round;
        *made >= self.members.len() && (rows.end >= self.rows || self.members.is_empty())
    }

    /// Nothing is done yet.
    pub fn are_new(&self) -> bool {
        self.round.0.end == 0
    }

    /// The next dispatch, of about this much work but of a block of 16 rows of one member at least; `None`
    /// when nothing is left. No work is what is not known yet.
    pub fn next(&mut self, budget: f64) -> Option<EvaluationSlice> {
        if self.are_over() {
            return None;
        }
        let count = self.members.len();
        if self.round.1 >= count {
            let cost: f64 = self.members.iter().map(|(_, cost)| cost).sum();
            // Too large a number becomes the largest.
            let each = (budget / EVALUATED_ROW / cost) as u32;
            let least = if budget > 0.0 { LEAST_ROWS } else { BLOCK_ROWS };
            let rows = each.max(least).min(self.most_rows) / BLOCK_ROWS * BLOCK_ROWS;
            let begin = self.round.0.end;
            let end = begin.saturating_add(rows).min(self.rows);
            self.round = (begin..end, 0);
        }
        let (rows, made) = self.round.clone();
        let of_rows = EVALUATED_ROW * f64::from(rows.end - rows.start);
        let (mut end, mut cost) = (made, 0.0);
        while let Some((_, of_member)) = self.members.get(end) {
            let with = cost + of_member;
            let fits = match budget {
                0.0 => end - made < FIRST_MEMBERS as usize,
                _ => with <= budget / of_rows,
            };
            if end > made && !fits {
                break;
            }
            (end, cost) = (end + 1, with);
        }
        self.round.1 = end;
        Some(EvaluationSlice {
            rows,
            slots: self.members[made].0..self.members[end - 1].0 + 1,
            work: of_rows * cost,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slots whose rows cost the same.
    fn alike(slots: impl IntoIterator<Item = u32>) -> Vec<(u32, f64)> {
        slots.into_iter().map(|slot| (slot, 1.0)).collect()
    }

    /// Rows and slots of the next dispatch.
    fn next(slices: &mut EvaluationSlices, budget: f64) -> Option<(Range<u32>, Range<u32>)> {
        let slice = slices.next(budget)?;
        let count = |range: &Range<u32>| f64::from(range.end - range.start);
        let work = EVALUATED_ROW * count(&slice.rows) * count(&slice.slots);
        assert!(
            (slice.work - work).abs() < 1e-9 * work,
            "all have something to do"
        );
        Some((slice.rows, slice.slots))
    }

    #[test]
    fn evaluations_are_cut_at_blocks_of_rows() {
        let mut slices = EvaluationSlices::new(1000, alike(0..10), 960);
        assert!(slices.are_new());
        // Before anything is known, a block.
        assert_eq!(next(&mut slices, 0.0), Some((0..16, 0..10)));
        assert!(!slices.are_new());
        let rows = |rows: f64| 10.0 * rows * EVALUATED_ROW;
        assert_eq!(next(&mut slices, rows(200.5)), Some((16..208, 0..10)));
        assert_eq!(next(&mut slices, 1e12), Some((208..1000, 0..10)));
        assert!(slices.are_over());
        assert_eq!(next(&mut slices, 1e12), None);
        let mut limited = EvaluationSlices::new(1000, alike(0..10), 960);
        assert_eq!(next(&mut limited, 1e12), Some((0..960, 0..10)));
        for (rows, slots) in [(0, 10), (10, 0)] {
            let mut nothing = EvaluationSlices::new(rows, alike(0..slots), 64);
            assert_eq!(next(&mut nothing, 1e12), None);
        }
    }

    #[test]
    fn few_rows_of_many_members_are_cut_between_members() {
        let mut slices = EvaluationSlices::new(200, alike(0..10), 960);
        // 128 rows of four members, and of what is left of ten.
        let budget = 4.5 * 128.0 * EVALUATED_ROW;
        let mut seen = Vec::new();
        while let Some(slice) = next(&mut slices, budget) {
            seen.push(slice);
        }
        let expected = [
            (0..128, 0..4),
            (0..128, 4..8),
            (0..128, 8..10),
            (128..200, 0..8),
            (128..200, 8..10),
        ];
        assert_eq!(seen, expected);
        // Those that left are passed over, and are no work.
        let mut few = EvaluationSlices::new(128, alike([3, 500, 501, 900]), 960);
        let slice = few.next(2.0 * 128.0 * EVALUATED_ROW).expect("all is left");
        assert_eq!(
            (slice.slots, slice.work),
            (3..501, 2.0 * 128.0 * EVALUATED_ROW)
        );
        assert_eq!(next(&mut few, 1.0), Some((0..128, 501..502)));
        assert_eq!(next(&mut few, 1.0), Some((0..128, 900..901)));
        // Four rows of a small network cost as much as one of a large one.
        let mixed = vec![(0, 1.0), (1, 0.25), (2, 0.25), (3, 0.25)];
        let mut mixed = EvaluationSlices::new(128, mixed, 960);
        let slice = mixed.next(1.6 * 128.0 * EVALUATED_ROW);
        let slice = slice.expect("all is left");
        assert_eq!((slice.slots, slice.rows), (0..3, 0..128));
        assert_eq!(slice.work, 1.5 * 128.0 * EVALUATED_ROW);
        let mut many = EvaluationSlices::new(200, alike(0..3000), 960);
        assert_eq!(next(&mut many, 0.0), Some((0..16, 0..FIRST_MEMBERS)));
    }
}
