//! Passes over values as SIMD code.

use std::ops::{Add, Div, Mul, Sub};

use pulp::{Arch, Simd, WithSimd};

use super::real::Real;

/// Runs a pass compiled for the machine's SIMD level; the closure must be `#[inline(always)]`.
///
/// `Arch::dispatch` calls a closure by `FnOnce`. Where the closure consumes nothing, that is through
/// a shim, which the compiler leaves out of line where the pass is long: it is then compiled for the
/// least level. A call by `FnMut` needs no shim.
pub fn dispatch(arch: Arch, pass: impl FnMut()) {
    arch.dispatch(Pass(pass));
}

struct Pass<F>(F);

impl<F: FnMut()> WithSimd for Pass<F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        (self.0)();
    }
}

/// What a formula is written in: one number of any type, or a vector of f32.
pub trait Value:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// `self * factor + term`, rounded once where the vectors can.
    fn times_plus(self, factor: Self, term: Self) -> Self;
    /// The square root.
    fn root(self) -> Self;
    /// [`Real::square`].
    fn squared(self) -> Self;
    /// [`Real::flush`].
    fn flushed(self) -> Self;
    /// 0 where it is negative; NaN stays NaN.
    fn relu(self) -> Self;
    /// 0 where `other` is not above 0.
    fn where_positive(self, other: Self) -> Self;
    /// 0 where the magnitude is below `least`; NaN stays NaN.
    fn zero_below(self, least: Self) -> Self;
}

impl<T: Real> Value for T {
    #[inline(always)]
    fn times_plus(self, factor: Self, term: Self) -> Self {
        self * factor + term
    }
    #[inline(always)]
    fn root(self) -> Self {
        self.sqrt()
    }
    #[inline(always)]
    fn squared(self) -> Self {
        self.square()
    }
    #[inline(always)]
    fn flushed(self) -> Self {
        self.flush()
    }
    #[inline(always)]
    fn relu(self) -> Self {
        if self < T::ZERO { T::ZERO } else { self }
    }
    #[inline(always)]
    fn where_positive(self, other: Self) -> Self {
        if other > T::ZERO { self } else { T::ZERO }
    }
    #[inline(always)]
    fn zero_below(self, least: Self) -> Self {
        if self.abs() < least { T::ZERO } else { self }
    }
}

/// How a pass goes over slices of `T`.
pub trait Lanes<T>: Copy {
    /// What it takes at a time.
    type Value: Value;
    /// The same number in all lanes.
    fn splat(self, value: T) -> Self::Value;
    /// Replaces the values at each place by what `f` makes of them and of the inputs there.
    ///
    /// # Panics
    /// When the slices differ in length.
    fn each<const N: usize, const M: usize>(
        self,
        values: [&mut [T]; N],
        inputs: [&[T]; M],
        f: impl Fn([Self::Value; N], [Self::Value; M]) -> [Self::Value; N],
    );
    /// `out = softmax(rows) * share`, where probabilities below [`Real::LEAST_PROBABILITY`] are 0;
    /// both are `[rows][classes]`. `each` is given of each row in turn what
    /// [`exponential_sum`](Self::exponential_sum) returns.
    ///
    /// # Panics
    /// When there are no classes, or not as many values on both sides.
    fn softmax(self, out: &mut [T], rows: &[T], classes: usize, share: T, each: impl FnMut((T, T)));
    /// The largest value, and the sum of e to the power of each less the largest. A NaN makes the sum
    /// NaN, and so does the largest value when it is infinite.
    ///
    /// # Panics
    /// When there are no values.
    fn exponential_sum(self, row: &[T]) -> (T, T);
    /// `sums[i] = sum of values[row][i]` over the rows, ascending; `values` is `[rows][sums.len()]`.
    fn sum_rows(self, sums: &mut [T], values: &[T]);
}

/// One number at a time.
#[derive(Clone, Copy)]
pub struct OneByOne;

impl<T: Real> Lanes<T> for OneByOne {
    type Value = T;

    fn splat(self, value: T) -> T {
        value
    }

    fn each<const N: usize, const M: usize>(
        self,
        mut values: [&mut [T]; N],
        inputs: [&[T]; M],
        f: impl Fn([T; N], [T; M]) -> [T; N],
    ) {
        for at in 0..same_length(&values, &inputs) {
            let new = f(
                std::array::from_fn(|n| values[n][at]),
                std::array::from_fn(|m| inputs[m][at]),
            );
            for (values, new) in values.iter_mut().zip(new) {
                values[at] = new;
            }
        }
    }

    fn softmax(
        self,
        out: &mut [T],
        rows: &[T],
        classes: usize,
        share: T,
        mut each: impl FnMut((T, T)),
    ) {
        same_length(&[out], &[rows]);
        for (out, row) in out
            .chunks_exact_mut(classes)
            .zip(rows.chunks_exact(classes))
        {
            let (top, sum) = self.exponential_sum(row);
            let (scale, least) = (share / sum, T::LEAST_PROBABILITY * sum);
            self.each([out], [row], |_, [value]| {
                [(value - top).exp().zero_below(least) * scale]
            });
            each((top, sum));
        }
    }

    fn exponential_sum(self, row: &[T]) -> (T, T) {
        let larger = |top, &value: &T| if value > top { value } else { top };
        let top = row.iter().fold(row[0], larger);
        let sum = row
            .iter()
            .fold(T::ZERO, |sum, &value| sum + (value - top).exp());
        (top, sum)
    }

    fn sum_rows(self, sums: &mut [T], values: &[T]) {
        sums.fill(T::ZERO);
        for row in values.chunks_exact(sums.len()) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += value;
            }
        }
    }
}

/// The one length of all slices.
///
/// # Panics
/// When they differ.
pub fn same_length<T>(values: &[&mut [T]], inputs: &[&[T]]) -> usize {
    let length = values[0].len();
    let same = values.iter().all(|v| v.len() == length) && inputs.iter().all(|i| i.len() == length);
    assert!(same, "slices of a pass have one length");
    length
}

/// What is done to a product as it comes, or to other values.
///
/// The block's rows may be all of them or a few: a result must not depend on it.
pub trait Finish<T> {
    /// Nobody reads the values once they were taken: those of all blocks may take one place.
    const CONSUMES: bool = false;
    /// Takes a block of whole rows, of which `row` is the first.
    fn finish<L: Lanes<T>>(&mut self, lanes: L, row: usize, values: &mut [T]);
}

/// A [`Finish`] of which each of several threads may have its part.
pub trait Shared<T>: Finish<T> + Send {
    /// What is done to the first `rows` rows, and to the others, which are counted from 0 again.
    fn split(self, rows: usize) -> (Self, Self)
    where
        Self: Sized;
}

/// Nothing.
impl<T> Finish<T> for () {
    #[inline(always)]
    fn finish<L: Lanes<T>>(&mut self, _: L, _: usize, _: &mut [T]) {}
}

impl<T> Shared<T> for () {
    fn split(self, _: usize) -> (Self, Self) {
        ((), ())
    }
}

/// What computes a product.
#[derive(Clone, Copy, Debug)]
pub struct Workers {
    /// The SIMD level.
    pub arch: Arch,
    /// Threads of the pool that may share a large product.
    pub threads: usize,
}

impl Workers {
    /// The calling thread alone.
    pub fn one(arch: Arch) -> Self {
        Self { arch, threads: 1 }
    }

    /// How many of the threads are worth their while in a product of so many rows, and so many products and
    /// additions; each takes rows.
    pub fn for_product(&self, rows: usize, operations: usize) -> usize {
        self.threads.min(operations / LEAST_SHARE).min(rows)
    }
}

/// Products and additions that are worth a thread: 70 us at the least. With a tenth of it, wide
/// networks on two threads were slower than on one, for the time it takes to wake a thread.
const LEAST_SHARE: usize = 1 << 23;
