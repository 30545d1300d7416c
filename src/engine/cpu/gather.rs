//! Loading rows of the dataset into a batch.

use pulp::Arch;

use super::real::Real;
use crate::data::{FeatureValues, Features, Scaling};

/// Features as they are stored, with one fold's scaling in the engine's number type.
pub struct ScaledFeatures<'d, T> {
    features: &'d Features,
    offset: Vec<T>,
    factor: Vec<T>,
}

impl<'d, T: Real> ScaledFeatures<'d, T> {
    /// The features of all rows, to be scaled as they are loaded.
    pub fn new(features: &'d Features, scaling: &Scaling) -> Self {
        let convert = |values: &[f32]| values.iter().map(|&v| T::from_f32(v)).collect();
        Self {
            features,
            offset: convert(&scaling.offset),
            factor: convert(&scaling.factor),
        }
    }

    /// Features a row.
    pub fn columns(&self) -> usize {
        self.features.columns()
    }

    /// `batch[i] = (features[rows[i]] - offset) * factor`; `batch` is `[rows.len()][columns]`.
    pub fn gather(&self, arch: Arch, batch: &mut [T], rows: &[u32]) {
        match self.features.values() {
            FeatureValues::F32(values) => self.load(arch, batch, rows, values, T::from_f32),
            FeatureValues::U8(values) => self.load(arch, batch, rows, values, T::from_u8),
        }
    }

    #[inline(always)]
    fn load<V: Copy>(
        &self,
        arch: Arch,
        batch: &mut [T],
        rows: &[u32],
        values: &[V],
        convert: impl Fn(V) -> T,
    ) {
        let columns = self.columns();
        arch.dispatch(
            #[inline(always)]
            || {
                for (out, &row) in batch.chunks_exact_mut(columns).zip(rows) {
                    let row = &values[row as usize * columns..][..columns];
                    let scaling = self.offset.iter().zip(&self.factor);
                    for ((out, &value), (&offset, &factor)) in out.iter_mut().zip(row).zip(scaling)
                    {
                        *out = (convert(value) - offset) * factor;
                    }
                }
            },
        );
    }
}
