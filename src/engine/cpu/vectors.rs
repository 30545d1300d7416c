//! Passes over f32 in vectors of the machine's SIMD level.
//!
//! Closures given to a pass are `#[inline(always)]` where they are more than an operation or two: one
//! that is left out of line is compiled for the least level.

use pulp::{MemMask, Simd};

use super::real::Real;
use super::simd::{Lanes, Value, same_length};
use super::vector::Vector;

/// Vectors of f32, the last one masked.
#[derive(Clone, Copy)]
pub struct Vectors<S>(pub S);

impl<S: Simd> Lanes<f32> for Vectors<S> {
    type Value = Vector<S>;

    #[inline(always)]
    fn splat(self, value: f32) -> Vector<S> {
        Vector(self.0, [self.0.splat_f32s(value)])
    }

    #[inline(always)]
    fn each<const N: usize, const M: usize>(
        self,
        mut values: [&mut [f32]; N],
        inputs: [&[f32]; M],
        f: impl Fn([Vector<S>; N], [Vector<S>; M]) -> [Vector<S>; N],
    ) {
        let length = same_length(&values, &inputs);
        let mut at = 0;
        // SAFETY: so many values lie behind `at` in each slice.
        unsafe {
            while at + S::F32_LANES <= length {
                self.at_once(&mut values, &inputs, at, S::F32_LANES, &f);
                at += S::F32_LANES;
            }
            if at < length {
                self.at_once(&mut values, &inputs, at, length - at, &f);
            }
        }
    }

    #[inline(always)]
    fn softmax(
        self,
        out: &mut [f32],
        rows: &[f32],
        classes: usize,
        share: f32,
        mut each: impl FnMut((f32, f32)),
    ) {
        let count = same_length(&[out], &[rows]) / classes;
        let mut row = 0;
        if classes <= S::F32_LANES {
            row = self.softmax_of_rows::<8>(row, out, rows, classes, share, &mut each);
            row = self.softmax_of_rows::<1>(row, out, rows, classes, share, &mut each);
        }
        for row in row..count {
            let range = row * classes..(row + 1) * classes;
            each(self.softmax_of_row(&mut out[range.clone()], &rows[range], share));
        }
    }

    #[inline(always)]
    fn exponential_sum(self, row: &[f32]) -> (f32, f32) {
        let top = self.largest(row);
        let (simd, tops) = (self.0, self.splat(top));
        let sums = self.fold(
            row,
            f32::NEG_INFINITY,
            self.splat(0.0),
            #[inline(always)]
            |sums, v| sums + (v - tops).exp(),
            |a, b| a + b,
        );
        (top, simd.reduce_sum_f32s(sums.1[0]))
    }

    #[inline(always)]
    fn sum_rows(self, sums: &mut [f32], values: &[f32]) {
        let columns = sums.len();
        assert_eq!(values.len() % columns, 0, "whole rows");
        for at in (0..columns).step_by(S::F32_LANES) {
            let len = columns - at;
            let mut sum = self.splat(0.0);
            for row in 0..values.len() / columns {
                let from = values.as_ptr().wrapping_add(row * columns + at);
                // SAFETY: so many values of the row lie there.
                sum = sum + unsafe { self.load(from, len, 0.0) };
            }
            // SAFETY: so many sums lie there.
            unsafe { self.store(sums.as_mut_ptr().wrapping_add(at), len, sum) };
        }
    }
}

impl<S: Simd> Vectors<S> {
    /// Softmax of rows that are not longer than a vector, from this one on, as long as there are `ROWS`
    /// together; returns the next row.
    #[inline(always)]
    fn softmax_of_rows<const ROWS: usize>(
        self,
        mut row: usize,
        out: &mut [f32],
        rows: &[f32],
        classes: usize,
        share: f32,
        each: &mut impl FnMut((f32, f32)),
    ) -> usize {
        while (row + ROWS) * classes <= rows.len() {
            let range = row * classes..(row + ROWS) * classes;
            let (out, rows) = (&mut out[range.clone()], &rows[range]);
            for of_row in self.softmax_in_registers::<ROWS>(out, rows, classes, share) {
                each(of_row);
            }
            row += ROWS;
        }
        row
    }

    /// Softmax of `ROWS` rows that are not longer than a vector: what is loaded right after it was
    /// stored with a mask would have to wait.
    #[inline(always)]
    fn softmax_in_registers<const ROWS: usize>(
        self,
        out: &mut [f32],
        rows: &[f32],
        classes: usize,
        share: f32,
    ) -> [(f32, f32); ROWS] {
        let simd = self.0;
        let mut e = Vector(simd, [simd.splat_f32s(0.0); ROWS]);
        let (mut tops, mut scales, mut least) = (e, e, e);
        let mut sums = [(0.0, 0.0); ROWS];
        for (row, (top, _)) in sums.iter_mut().enumerate() {
            let from = rows[row * classes..][..classes].as_ptr();
            // SAFETY: a row has so many values.
            e.1[row] = unsafe { self.load(from, classes, f32::NEG_INFINITY) }.1[0];
            *top = simd.reduce_max_f32s(e.1[row]);
            tops.1[row] = simd.splat_f32s(*top);
        }
        e = (e - tops).exp();
        for (row, (_, sum)) in sums.iter_mut().enumerate() {
            *sum = simd.reduce_sum_f32s(e.1[row]);
            scales.1[row] = simd.splat_f32s(share / *sum);
            least.1[row] = simd.splat_f32s(<f32 as Real>::LEAST_PROBABILITY * *sum);
        }
        e = e.zero_below(least) * scales;
        for row in 0..ROWS {
            let to = out[row * classes..][..classes].as_mut_ptr();
            // SAFETY: a row has so many values.
            unsafe { self.store(to, classes, Vector(simd, [e.1[row]])) };
        }
        sums
    }

    #[inline(always)]
    fn softmax_of_row(self, out: &mut [f32], row: &[f32], share: f32) -> (f32, f32) {
        let top = self.largest(row);
        self.each(
            [out],
            [row],
            #[inline(always)]
            |_, [v]| [(v - self.splat(top)).exp()],
        );
        let sum = self.sum(out);
        let scale = self.splat(share / sum);
        let least = self.splat(<f32 as Real>::LEAST_PROBABILITY * sum);
        self.each(
            [out],
            [],
            #[inline(always)]
            |[e], []| [e.zero_below(least) * scale],
        );
        (top, sum)
    }

    /// The first `len` values from `from` on, at most a vector; `fill` in the lanes behind them.
    ///
    /// # Safety
    /// So many values can be read there.
    #[inline(always)]
    unsafe fn load(self, from: *const f32, len: usize, fill: f32) -> Vector<S> {
        let simd = self.0;
        if len >= S::F32_LANES {
            // SAFETY: the caller's.
            return Vector(simd, [unsafe { from.cast::<S::f32s>().read_unaligned() }]);
        }
        let mask = mask(simd, len);
        // SAFETY: the caller's; the other lanes are masked.
        let values = unsafe { simd.mask_load_ptr_f32s(mask, from) };
        let fill = simd.splat_f32s(fill);
        Vector(simd, [simd.select_f32s(mask.mask(), values, fill)])
    }

    /// The first `len` lanes, at most all, to `to` on.
    ///
    /// # Safety
    /// So many values can be written there.
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, len: usize, values: Vector<S>) {
        if len >= S::F32_LANES {
            // SAFETY: the caller's.
            return unsafe { to.cast::<S::f32s>().write_unaligned(values.1[0]) };
        }
        let mask = mask(self.0, len);
        // SAFETY: the caller's; the other lanes are masked.
        unsafe { self.0.mask_store_ptr_f32s(mask, to, values.1[0]) };
    }

    /// One vector of [`each`](Lanes::each): `len` values from `at` on.
    ///
    /// By loops, not by `map`, which the compiler leaves out of line where it is long.
    ///
    /// # Safety
    /// Each slice has so many.
    #[inline(always)]
    unsafe fn at_once<const N: usize, const M: usize>(
        self,
        values: &mut [&mut [f32]; N],
        inputs: &[&[f32]; M],
        at: usize,
        len: usize,
        f: &impl Fn([Vector<S>; N], [Vector<S>; M]) -> [Vector<S>; N],
    ) {
        let zero = self.splat(0.0);
        let (mut old, mut given) = ([zero; N], [zero; M]);
        // SAFETY: the caller's.
        unsafe {
            for n in 0..N {
                old[n] = self.load(values[n].as_ptr().wrapping_add(at), len, 0.0);
            }
            for m in 0..M {
                given[m] = self.load(inputs[m].as_ptr().wrapping_add(at), len, 0.0);
            }
            let new = f(old, given);
            for n in 0..N {
                self.store(values[n].as_mut_ptr().wrapping_add(at), len, new[n]);
            }
        }
    }

    /// Folds vector after vector, lane by lane, as if vectors had [`WIDEST`] lanes, and then halves upon
    /// halves: to the same bits at every SIMD level. `fill` stands for values behind the last.
    #[inline(always)]
    fn fold(
        self,
        values: &[f32],
        fill: f32,
        first: Vector<S>,
        f: impl Fn(Vector<S>, Vector<S>) -> Vector<S>,
        merge: impl Fn(Vector<S>, Vector<S>) -> Vector<S>,
    ) -> Vector<S> {
        let lanes = S::F32_LANES;
        let mut parts = [first; WIDEST];
        for widest in (0..values.len()).step_by(WIDEST) {
            // As often for every number of values: so the parts can be registers.
            for (i, part) in parts.iter_mut().take(WIDEST / lanes).enumerate() {
                let at = widest + i * lanes;
                if at < values.len() {
                    let from = values.as_ptr().wrapping_add(at);
                    // SAFETY: so many values lie behind `at`.
                    let next = unsafe { self.load(from, values.len() - at, fill) };
                    *part = f(*part, next);
                }
            }
        }
        let mut count = WIDEST / lanes;
        while count > 1 {
            count /= 2;
            for part in 0..count {
                parts[part] = merge(parts[part], parts[part + count]);
            }
        }
        parts[0]
    }

    #[inline(always)]
    fn largest(self, values: &[f32]) -> f32 {
        assert!(!values.is_empty(), "the largest of no values");
        let (simd, lowest) = (self.0, f32::NEG_INFINITY);
        let larger = |a: Vector<S>, b: Vector<S>| Vector(simd, [simd.max_f32s(a.1[0], b.1[0])]);
        let lanes = self.fold(values, lowest, self.splat(lowest), larger, larger);
        simd.reduce_max_f32s(lanes.1[0])
    }

    #[inline(always)]
    fn sum(self, values: &[f32]) -> f32 {
        let add = |a, b| a + b;
        let lanes = self.fold(values, 0.0, self.splat(0.0), add, add);
        self.0.reduce_sum_f32s(lanes.1[0])
    }
}

/// Lanes of the widest vectors there are.
const WIDEST: usize = 16;

/// The first `lanes` lanes of a vector.
///
/// Without the load and store functions that pulp puts beside a mask: they are calls in the middle
/// of a loop.
#[inline(always)]
pub fn mask<S: Simd>(simd: S, lanes: usize) -> MemMask<S::m32s> {
    let lanes = u32::try_from(lanes).expect("a vector has few lanes");
    MemMask::new(simd.mask_between_m32s(0, lanes).mask())
}

#[cfg(test)]
mod tests {
    use pulp::{Arch, WithSimd};

    use super::*;
    use crate::engine::cpu::simd::OneByOne;

    /// Runs a check at the machine's SIMD level.
    struct AtLevel<F>(F);

    impl<F: FnOnce(&dyn Passes)> WithSimd for AtLevel<F> {
        type Output = ();
        fn with_simd<S: Simd>(self, simd: S) {
            (self.0)(&Vectors(simd));
        }
    }

    /// What the tests call, without the level in its type.
    trait Passes {
        fn flushed(&self, values: &mut [f32]);
        fn softmax(&self, out: &mut [f32], rows: &[f32], classes: usize) -> Vec<(f32, f32)>;
        fn exponential_sum(&self, row: &[f32]) -> (f32, f32);
    }

    impl<S: Simd> Passes for Vectors<S> {
        fn flushed(&self, values: &mut [f32]) {
            self.each([values], [], |[v], []| [v.flushed()]);
        }
        fn softmax(&self, out: &mut [f32], rows: &[f32], classes: usize) -> Vec<(f32, f32)> {
            let mut sums = Vec::new();
            Lanes::softmax(*self, out, rows, classes, 0.5, |sum| sums.push(sum));
            sums
        }
        fn exponential_sum(&self, row: &[f32]) -> (f32, f32) {
            Lanes::exponential_sum(*self, row)
        }
    }

    fn at_level(check: impl FnOnce(&dyn Passes)) {
        Arch::new().dispatch(AtLevel(check));
    }

    #[test]
    fn vectors_flush_what_numbers_flush() {
        let special = [
            1e-31,
            -9e-31,
            1e-45,
            -0.0,
            1.1e-30,
            -2e-30,
            3.0,
            f32::INFINITY,
        ];
        for count in 1..40 {
            let values: Vec<f32> = (0..count).map(|i| special[i % 8]).collect();
            let mut flushed = values.clone();
            at_level(|passes| passes.flushed(&mut flushed));
            let expected: Vec<f32> = values.iter().map(|v| v.flush()).collect();
            assert_eq!(flushed, expected);
        }
        let mut nan = [f32::NAN; 17];
        at_level(|passes| passes.flushed(&mut nan));
        assert!(nan.iter().all(|v| v.is_nan()));
    }

    #[test]
    fn softmax_of_any_width_is_that_of_single_numbers() {
        for classes in 1..=40 {
            for count in [1, 3, 4, 5, 9] {
                let value = |i: usize| ((i * 7919 + 11) % 131) as f32 / 9.0 - 7.0;
                let rows: Vec<f32> = (0..count * classes).map(value).collect();
                let (mut expected, mut sums) = (vec![f32::NAN; rows.len()], Vec::new());
                OneByOne.softmax(&mut expected, &rows, classes, 0.5, |sum| sums.push(sum));
                let mut guarded = vec![f32::NAN; rows.len() + 40];
                let out = &mut guarded[..rows.len()];
                let mut actual = Vec::new();
                at_level(|passes| actual = passes.softmax(out, &rows, classes));
                assert_eq!(actual.len(), count);
                for ((a, b), row) in actual.iter().zip(&sums).zip(rows.chunks(classes)) {
                    assert_eq!(a.0, b.0, "largest of {classes}");
                    assert!((a.1 / b.1 - 1.0).abs() < 1e-5, "{classes}: {a:?} {b:?}");
                    at_level(|passes| {
                        let alone = passes.exponential_sum(row);
                        assert!((alone.1 / b.1 - 1.0).abs() < 1e-5, "{classes}: {alone:?}");
                    });
                }
                for (a, b) in guarded.iter().zip(&expected) {
                    assert!((a - b).abs() <= 1e-5 * b, "{classes} classes: {a} {b}");
                }
                assert!(
                    guarded[rows.len()..].iter().all(|v| v.is_nan()),
                    "wrote beyond"
                );
            }
        }
    }

    #[test]
    fn a_nan_reaches_the_sum_of_its_row_alone() {
        for classes in [1, 3, 10, 16, 17, 40] {
            for at in 0..4 * classes {
                let mut rows = vec![0.5; 4 * classes];
                rows[at] = f32::NAN;
                let mut out = rows.clone();
                at_level(|passes| {
                    let sums = passes.softmax(&mut out, &rows, classes);
                    for (row, (_, sum)) in sums.into_iter().enumerate() {
                        assert_eq!(sum.is_nan(), row == at / classes, "{classes}, {at}: {sum}");
                    }
                });
            }
        }
    }
}
