//! The rows of a dataset on a device: waves that are there at the same time have them once.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::layout::pad_rows;
use super::shader::Source;
use super::transfer::Allocator;
use crate::data::{Dataset, FeatureValues};
use crate::engine::EngineError;

/// Features and classes of all rows.
#[derive(Debug)]
pub struct Rows {
    /// Where the dataset is in the host's memory. A wave that holds these rows borrows it, so that no other can be
    /// there.
    dataset: usize,
    /// How the features are stored.
    pub source: Source,
    /// `[rows][inputs]`, rows padded to a whole `vec4` of values.
    pub features: wgpu::Buffer,
    /// Class of each row.
    pub targets: wgpu::Buffer,
}

/// The rows that waves on a device have now.
#[derive(Debug, Default)]
pub struct SharedRows(Mutex<Weak<Rows>>);

impl SharedRows {
    /// Those of a dataset: what another wave has there, or put there now. They are to be kept no longer than the
    /// dataset is borrowed.
    ///
    /// # Errors
    /// [`EngineError::OutOfMemory`] when they do not fit.
    pub fn of(
        &self,
        make: &mut Allocator<'_>,
        dataset: &Dataset,
    ) -> Result<Arc<Rows>, EngineError> {
        let address = std::ptr::from_ref(dataset) as usize;
        let there = self.there().upgrade();
        if let Some(rows) = there.filter(|rows| rows.dataset == address) {
            make.share("features", rows.features.size())?;
            make.share("targets", rows.targets.size())?;
            return Ok(rows);
        }
        let columns = dataset.features.columns();
        let (source, features) = match dataset.features.values() {
            FeatureValues::F32(values) => (
                Source::FeaturesF32,
                make.filled("features", &pad_rows(values, columns))?,
            ),
            FeatureValues::U8(values) => (
                Source::FeaturesU8,
                make.filled("features", &pad_rows(values, columns))?,
            ),
        };
        let rows = Arc::new(Rows {
            dataset: address,
            source,
            features,
            targets: make.filled("targets", &dataset.targets)?,
        });
        *self.there() = Arc::downgrade(&rows);
        Ok(rows)
    }

    fn there(&self) -> std::sync::MutexGuard<'_, Weak<Rows>> {
        // A pointer is never half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
