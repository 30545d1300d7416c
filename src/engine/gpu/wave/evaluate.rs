//! Evaluating a wave: which rows of which members, and what their counts mean.

use super::GpuWave;
use super::evaluation::{Evaluated, Evaluator};
use crate::engine::gpu::layered::lists::Rows;
use crate::engine::{EngineError, Evaluation, Part};

impl GpuWave<'_> {
    /// Makes the lists of both parts: a wave whose evaluations have no room is refused when it can
    /// still be halved.
    pub(super) fn prepare_evaluations(&mut self) -> Result<(), EngineError> {
        for part in [Part::Training, Part::Validation] {
            let evaluator = self.evaluator(part, self.slot_rows(part))?;
            self.evaluators.insert(part, evaluator);
        }
        Ok(())
    }

    /// Counts and losses of the kept members over a part of their rows.
    pub(super) fn evaluate_part(
        &mut self,
        part: Part,
    ) -> Result<Vec<Option<Evaluation>>, EngineError> {
        if self.lists.live.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.slot_rows(part);
        let evaluator = match self.evaluators.remove(&part) {
            // Members that diverged since are no longer in the list.
            Some(evaluator) if evaluator.rows() == rows => evaluator,
            _ => self.evaluator(part, rows)?,
        };
        let mut pace = std::mem::take(&mut self.evaluation_pace);
        let counted = evaluator.evaluate(&self.recorder(), &mut pace, self.timer.as_ref())?;
        self.evaluation_pace = pace;
        self.evaluators.insert(part, evaluator);
        let evaluations = self.kept.iter().map(|&slot| {
            let diverged = self.states[slot as usize].diverged != 0;
            (!diverged).then(|| self.evaluation(slot, part, &counted[&slot]))
        });
        Ok(evaluations.collect())
    }

    fn evaluator(&self, part: Part, rows: Vec<Rows>) -> Result<Evaluator, EngineError> {
        Evaluator::new(
            &self.gpu,
            &self.placement,
            self.data,
            part,
            rows,
            self.tile_rows(),
            self.buffers.rows,
        )
    }

    fn slot_rows(&self, part: Part) -> Vec<Rows> {
        let rows = |&slot: &u32| {
            let member = &self.placement.members[slot as usize];
            let diverged = self.states[slot as usize].diverged != 0;
            let rows = if diverged {
                0
            } else {
                part.rows(self.data.fold(member.id)).len()
            };
            Rows {
                slot,
                rows: u32::try_from(rows).expect("rows are numbered in u32"),
                first_row: 0,
            }
        };
        self.lists.live.iter().map(rows).collect()
    }

    /// The counts of a slot as an evaluation; the rows of each class are counted here.
    fn evaluation(&self, slot: u32, part: Part, counted: &Evaluated) -> Evaluation {
        let member = &self.placement.members[slot as usize];
        let rows = part.rows(self.data.fold(member.id));
        let mut actual = vec![0; self.shape.outputs()];
        for &row in rows {
            actual[self.data.dataset.targets[row as usize] as usize] += 1;
        }
        Evaluation {
            rows: rows.len() as u64,
            loss_sum: counted.loss_sum,
            true_positives: counted.true_positives.clone(),
            predicted: counted.predicted.clone(),
            actual,
        }
    }
}
