//! Evaluation: all rows of a part through the forward pass, then losses and counts.

use std::collections::BTreeMap;
use std::ops::Range;

use super::lists::{EvaluationTiles, Rows, evaluation_tiles};
use super::pace::Pace;
use super::placement::Placement;
use super::recording::{EvaluationBindings, Recorder, part as part_of};
use crate::engine::gpu::GpuDevice;
use crate::engine::gpu::evaluated::Evaluated;
use crate::engine::gpu::layout::{Cursor, Tile};
use crate::engine::gpu::timing::{Encoding, PassKind, Timer};
use crate::engine::gpu::transfer::{self, Allocator, Wanted};
use crate::engine::{EngineError, Part, TrainingData};

/// Evaluates the same rows of the same members again and again.
pub struct Evaluator {
    rows: Vec<Rows>,
    laid_out: EvaluationTiles,
    cursors: wgpu::Buffer,
    part_rows: wgpu::Buffer,
    tiles: wgpu::Buffer,
    partials: wgpu::Buffer,
}

impl Evaluator {
    /// Lays out the rows of a part for these slots; `activation_rows` go at once.
    ///
    /// # Errors
    /// [`EngineError::OutOfMemory`] when its lists do not fit.
    pub fn new(
        gpu: &GpuDevice,
        placement: &Placement,
        data: TrainingData<'_>,
        part: Part,
        rows: Vec<Rows>,
        tile_rows: u32,
        activation_rows: u32,
    ) -> Result<Self, EngineError> {
        let capacity = activation_rows / tile_rows;
        let laid_out = evaluation_tiles(&rows, tile_rows, capacity);
        let (part_rows, starts) = rows_of_folds(placement, data, part);
        let mut cursors = vec![Cursor::default(); placement.members.len()];
        for rows in &rows {
            let scaling = placement.data[rows.slot as usize].scaling;
            cursors[rows.slot as usize] = Cursor {
                first: starts[scaling as usize],
                rows: rows.rows,
                scaling,
                ..Cursor::default()
            };
        }
        let mut make = Allocator::new(gpu);
        Ok(Self {
            cursors: make.filled("evaluation_cursors", &cursors)?,
            part_rows: make.filled("evaluation_rows", &part_rows)?,
            tiles: make.filled("evaluation_tiles", &laid_out.tiles)?,
            partials: make.zeros("evaluation_partials", 4 * u64::from(laid_out.block_count))?,
            rows,
            laid_out,
        })
    }

    /// What is evaluated.
    pub fn rows(&self) -> &[Rows] {
        &self.rows
    }

    /// Counts and losses by slot. Each group is a submission of its own, so that none is long.
    ///
    /// # Errors
    /// When the device fails.
    pub fn evaluate(
        &self,
        recorder: &Recorder<'_, '_>,
        pace: &mut Pace,
        timer: Option<&Timer>,
    ) -> Result<BTreeMap<u32, Evaluated>, EngineError> {
        let gpu = recorder.gpu;
        let counts = &recorder.buffers.counts;
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        encoder.clear_buffer(counts, 0, None);
        gpu.queue.submit([encoder.finish()]);
        pace.begin();
        for group in &self.laid_out.groups {
            let count = group.end - group.start;
            pace.submit(gpu, self.encode(recorder, group, timer)?, f64::from(count))?;
        }
        let wanted = [
            Wanted::beginning(&self.partials, 4 * u64::from(self.laid_out.block_count)),
            Wanted::beginning(counts, counts.size()),
        ];
        let read = transfer::read(gpu, &wanted)?;
        Ok(self.collect(
            &transfer::values::<f32>(&read[0]),
            &transfer::values::<u32>(&read[1]),
            recorder.classes(),
        ))
    }

    fn encode(
        &self,
        recorder: &Recorder<'_, '_>,
        group: &Range<u32>,
        timer: Option<&Timer>,
    ) -> Result<wgpu::CommandBuffer, EngineError> {
        let each = size_of::<Tile>() as u64;
        let (begin, count) = (u64::from(group.start), group.end - group.start);
        let bindings = EvaluationBindings {
            cursors: &self.cursors,
            rows: &self.part_rows,
            tiles: part_of(&self.tiles, begin * each, u64::from(count) * each),
            partials: &self.partials,
        };
        let recording = recorder.evaluation(&bindings);
        let mut encoding = Encoding::new(recorder.gpu, timer)?;
        encoding.pass(PassKind::Evaluate, recording.commands.len(), |pass| {
            recording.play(pass, 0, count);
        });
        Ok(encoding.finish())
    }

    /// Blocks are added in their order, in f64.
    fn collect(
        &self,
        partials: &[f32],
        counts: &[u32],
        classes: usize,
    ) -> BTreeMap<u32, Evaluated> {
        let mut evaluated = BTreeMap::new();
        for (rows, blocks) in self.rows.iter().zip(&self.laid_out.blocks) {
            let blocks = blocks.start as usize..blocks.end as usize;
            let counted = &counts[rows.slot as usize * 2 * classes..][..2 * classes];
            let wide = |counts: &[u32]| counts.iter().map(|&c| u64::from(c)).collect();
            evaluated.insert(
                rows.slot,
                Evaluated {
                    loss_sum: partials[blocks].iter().map(|&loss| f64::from(loss)).sum(),
                    true_positives: wide(&counted[..classes]),
                    predicted: wide(&counted[classes..]),
                },
            );
        }
        evaluated
    }
}

/// The part's rows, fold after fold, and where each fold begins.
fn rows_of_folds(
    placement: &Placement,
    data: TrainingData<'_>,
    part: Part,
) -> (Vec<u32>, Vec<u32>) {
    let (mut rows, mut starts) = (Vec::new(), Vec::new());
    for id in &placement.folds {
        starts.push(u32::try_from(rows.len()).expect("rows are numbered in u32"));
        rows.extend_from_slice(part.rows(data.fold(*id)));
    }
    (rows, starts)
}
