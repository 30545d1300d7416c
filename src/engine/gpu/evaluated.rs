//! What an evaluation counts, as both engines give it.

/// What an evaluation counted for one slot.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluated {
    /// Cross-entropy in nats, summed over the rows; NaN where a logit is not finite.
    pub loss_sum: f64,
    /// Rows of each class that were given that class.
    pub true_positives: Vec<u64>,
    /// Rows that were given each class.
    pub predicted: Vec<u64>,
}
