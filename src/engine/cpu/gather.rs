//! Loading rows of the dataset into a batch.

use pulp::Arch;

use super::aligned::{Aligned, aligned};
use super::real::Real;
use super::simd::dispatch;
use crate::data::{FeatureValues, Features, Scaling};

/// Bytes of a row from which on the next one is fetched ahead: short ones are here soon anyway.
const LONG_ROW: usize = 512;
/// Bytes of it that are fetched: the processor foresees what follows them, and the nearest cache holds them.
const FETCHED: usize = 4096;

/// Features as they are stored, with one fold's scaling in the engine's number type.
pub struct ScaledFeatures<'d, T> {
    features: &'d Features,
    offset: Aligned<T>,
    factor: Aligned<T>,
}

impl<'d, T: Real> ScaledFeatures<'d, T> {
    /// The features of all rows, to be scaled as they are loaded.
    pub fn new(features: &'d Features, scaling: &Scaling) -> Self {
        let convert = |values: &[f32]| aligned(values.iter().map(|&v| T::from_f32(v)));
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
        dispatch(
            arch,
            #[inline(always)]
            || {
                let row = |row: u32| &values[row as usize * columns..][..columns];
                let long = columns * size_of::<V>() >= LONG_ROW;
                let next = rows.iter().skip(1).chain(rows.last());
                let batch = batch.chunks_exact_mut(columns);
                for ((out, &at), &next) in batch.zip(rows).zip(next) {
                    if long {
                        let next = row(next);
                        prefetch(&next[..columns.min(FETCHED / size_of::<V>())]);
                    }
                    let row = row(at);
                    let scaling = self.offset.iter().zip(self.factor.iter());
                    for ((out, &value), (&offset, &factor)) in out.iter_mut().zip(row).zip(scaling)
                    {
                        *out = (convert(value) - offset) * factor;
                    }
                }
            },
        );
    }
}

/// Has these values brought near, which are read soon: rows lie anywhere in the dataset, so that the processor does not
/// foresee the next one.
#[inline(always)]
fn prefetch<V>(values: &[V]) {
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
    #[cfg(target_arch = "x86_64")]
    for at in (0..size_of_val(values)).step_by(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: any address may be prefetched, and x86-64 has the instruction.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(values.as_ptr().cast::<i8>().wrapping_add(at)) };
    }
}
