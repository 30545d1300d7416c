//! Values that begin where a cache line begins.

use aligned_vec::{AVec, ConstAlign};

use super::real::Real;

/// Bytes of a cache line, and of the widest vectors: one that lies across two lines is loaded and stored twice.
const LINE: usize = 64;

/// Values from the beginning of a cache line on.
pub type Aligned<T> = AVec<T, ConstAlign<LINE>>;

/// These values.
pub fn aligned<T>(values: impl IntoIterator<Item = T>) -> Aligned<T> {
    AVec::from_iter(LINE, values)
}

/// So many values of scratch, which grows when that is first needed.
pub fn room<T: Real>(scratch: &mut Aligned<T>, values: usize) -> &mut [T] {
    if scratch.len() < values {
        scratch.reserve_exact(values - scratch.len());
        scratch.resize(values, T::ZERO);
    }
    &mut scratch[..values]
}

/// So many zeros.
pub fn zeros<T: Real>(count: usize) -> Aligned<T> {
    aligned(std::iter::repeat_n(T::ZERO, count))
}
