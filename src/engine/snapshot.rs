//! The state of a member between two steps, in a form that every engine reads and writes.

use crate::train::{MemberId, Shape};

use super::EngineError;

/// All that training a member further depends on, beside its hyperparameters.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberSnapshot {
    /// Whose state it is.
    pub id: MemberId,
    /// Parameters in the layout of [`Shape::layers`].
    pub parameters: Vec<f32>,
    /// `moment_1`, `moment_2`: as many as the optimizer keeps, each as long as the parameters.
    pub moments: Vec<Vec<f32>>,
    /// Batch norm's running statistics in the layout of
    /// [`DenseLayer::running`](crate::train::DenseLayer::running).
    pub running: Vec<f32>,
    /// Optimizer updates made.
    pub steps: u64,
    /// Rows trained on, counted again each time.
    pub samples: u64,
    /// Epochs trained to their end.
    pub epoch: u32,
    /// Rows of the unfinished epoch that were trained on.
    pub cursor: u64,
    /// Loss over those rows, summed.
    pub loss_sum: f64,
    /// Mean loss of the last finished epoch; NaN before the first.
    pub train_loss: f64,
    /// The member is frozen.
    pub diverged: bool,
}

impl MemberSnapshot {
    /// The error of a state whose member is not in a wave.
    pub fn of_no_member(id: MemberId) -> EngineError {
        EngineError::StateMismatch {
            what: name(id),
            reason: "the wave has no such member".to_owned(),
        }
    }

    /// The error of a state of the first shape for a member whose network has the second.
    pub fn of_other_shape(id: MemberId, [found, expected]: [&Shape; 2]) -> EngineError {
        EngineError::StateMismatch {
            what: name(id),
            reason: format!("it is of a network of shape {found}, not {expected}"),
        }
    }

    /// Checks that the state belongs to the member `id` of this shape with this many moments, which trains on so many
    /// rows.
    ///
    /// # Errors
    /// [`EngineError::StateMismatch`] names what differs.
    pub fn check(
        &self,
        id: MemberId,
        shape: &Shape,
        moments: usize,
        rows: usize,
    ) -> Result<(), EngineError> {
        let mismatch = |reason: String| EngineError::StateMismatch {
            what: name(id),
            reason,
        };
        if self.id != id {
            return Err(mismatch(format!("it belongs to {:?}", self.id)));
        }
        let expected = shape.parameters();
        for tensor in std::iter::once(&self.parameters).chain(&self.moments) {
            if tensor.len() != expected {
                let found = tensor.len();
                return Err(mismatch(format!("{found} values, not {expected}")));
            }
        }
        let (found, expected) = (self.running.len(), shape.running());
        if found != expected {
            return Err(mismatch(format!(
                "{found} running statistics, not {expected}"
            )));
        }
        if self.moments.len() != moments {
            let found = self.moments.len();
            return Err(mismatch(format!("{found} moments, not {moments}")));
        }
        if self.cursor > rows as u64 {
            let cursor = self.cursor;
            return Err(mismatch(format!(
                "{cursor} rows of an epoch of {rows} were trained on"
            )));
        }
        Ok(())
    }
}

fn name(id: MemberId) -> String {
    format!("trial {}, fold {}, repeat {}", id.trial, id.fold, id.repeat)
}
