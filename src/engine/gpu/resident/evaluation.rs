//! Evaluations by the resident kernel: a part's rows, what is counted of them, and how they are cut into
//! dispatches.

use std::ops::Range;

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

/// The dispatches of an evaluation.
#[derive(Clone, Debug)]
pub struct EvaluationSlices {
    done: u32,
    rows: u32,
    members: u32,
    most_rows: u32,
}

impl EvaluationSlices {
    /// All of these rows of so many members, at most `most_rows` of each in a dispatch.
    pub fn new(rows: u32, members: u32, most_rows: u32) -> Self {
        Self {
            done: 0,
            rows: if members == 0 { 0 } else { rows },
            members,
            most_rows,
        }
    }

    /// Nothing is left.
    pub fn are_over(&self) -> bool {
        self.done >= self.rows
    }

    /// Nothing is done yet.
    pub fn are_new(&self) -> bool {
        self.done == 0
    }

    /// The next rows of every member, of about this much work but of a block at least, and their work;
    /// `None` when nothing is left.
    pub fn next(&mut self, budget: f64) -> Option<(Range<u32>, f64)> {
        if self.are_over() {
            return None;
        }
        let a_row = EVALUATED_ROW * f64::from(self.members);
        // Too large a number becomes the largest.
        let rows = (budget / a_row) as u32 / BLOCK_ROWS * BLOCK_ROWS;
        let rows = rows.clamp(BLOCK_ROWS, self.most_rows);
        let range = self.done..self.done.saturating_add(rows).min(self.rows);
        self.done = range.end;
        let work = f64::from(range.end - range.start) * a_row;
        Some((range, work))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evaluations_are_cut_at_blocks_of_rows() {
        let mut slices = EvaluationSlices::new(100, 10, 64);
        assert!(slices.are_new());
        // Before anything is known, a block.
        assert_eq!(slices.next(0.0), Some((0..16, 16.0 * 10.0 * EVALUATED_ROW)));
        assert!(!slices.are_new());
        let budget = 39.0 * 10.0 * EVALUATED_ROW;
        assert_eq!(slices.next(budget).map(|(rows, _)| rows), Some(16..48));
        assert_eq!(slices.next(1e12).map(|(rows, _)| rows), Some(48..100));
        assert!(slices.are_over());
        assert_eq!(slices.next(1e12), None);
        let mut limited = EvaluationSlices::new(100, 10, 64);
        assert_eq!(limited.next(1e12).map(|(rows, _)| rows), Some(0..64));
        assert_eq!(EvaluationSlices::new(100, 0, 64).next(1e12), None);
    }
}
