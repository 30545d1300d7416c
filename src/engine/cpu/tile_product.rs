//! Products in f32 whose right side is row-major, in register tiles.
//!
//! The products of small networks are too small for packing to pay: here both sides are read where
//! they lie. A tile holds a few rows times a few vectors of the result in registers over the whole
//! depth, so that every value of the result is one chain `acc = fma(a, b, acc)` with the depth
//! ascending, whatever the tile: its bits do not depend on the tiling.

use std::hint::black_box;
use std::marker::PhantomData;

use pulp::{MemMask, Simd, WithSimd};

use super::matrix::Matrix;
use super::simd::{Finish, Shared, Workers};
use super::vectors::{Vectors, mask};

/// Values of the right side above which it no longer stays in a core's cache from block to block.
const LARGEST_RIGHT_SIDE: usize = 1 << 18;

/// Whether a right side of this size is one for [`TileProduct`].
pub fn suits(b: &Matrix<'_, f32>) -> bool {
    b.rows() * b.columns() <= LARGEST_RIGHT_SIDE
}

/// `out = a b + bias`, row-major `[a.rows][b.columns]`, overwritten; each block of whole rows is
/// handed to `finish` as soon as it is there. Where that [consumes](Finish::CONSUMES) them, `out` is
/// room for the blocks, and what it holds afterwards means nothing.
pub struct TileProduct<'p, F> {
    /// `[a.rows][b.columns]`.
    pub out: &'p mut [f32],
    /// In any layout.
    pub a: Matrix<'p, f32>,
    /// Row-major.
    pub b: Matrix<'p, f32>,
    /// What is added to each row, `[b.columns]`; empty for nothing.
    pub bias: &'p [f32],
    /// What is done to each block of rows.
    pub finish: F,
}

impl<F: Shared<f32>> TileProduct<'_, F> {
    /// Computes it, on several threads of the calling thread's pool where that pays. Each takes rows
    /// of the result, none of which depends on another: bits do not tell how many threads there were.
    ///
    /// # Panics
    /// When the shapes do not fit, or `b` is not row-major.
    pub fn compute(self, workers: Workers) {
        let rows = self.a.rows();
        let operations = rows.saturating_mul(self.b.rows() * self.b.columns());
        let threads = workers.for_product(rows, operations);
        if threads < 2 {
            return workers.arch.dispatch(self);
        }
        let here = threads / 2;
        let (first, second) = self.split(rows * here / threads);
        let of = |threads| Workers { threads, ..workers };
        rayon::join(
            || first.compute(of(here)),
            || second.compute(of(threads - here)),
        );
    }

    fn split(self, rows: usize) -> (Self, Self) {
        let (out, out_behind) = self.out.split_at_mut(rows * self.b.columns());
        let (a, a_behind) = self.a.split_rows(rows);
        let (finish, finish_behind) = self.finish.split(rows);
        let first = Self {
            out,
            a,
            finish,
            ..self
        };
        let second = Self {
            out: out_behind,
            a: a_behind,
            finish: finish_behind,
            ..self
        };
        (first, second)
    }
}

impl<F: Finish<f32>> WithSimd for TileProduct<'_, F> {
    type Output = ();

    /// # Panics
    /// When the shapes do not fit, or `b` is not row-major.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            out,
            a,
            b,
            bias,
            mut finish,
        } = self;
        assert_eq!(out.len(), a.rows() * b.columns(), "size of a product");
        let columns = b.columns();
        // As many rows at a time as leave both their values and what is done to them in the nearest
        // cache; of whole vectors, where passes over values are at their best.
        let most = (BLOCK / columns.max(1)).max(1);
        let most = most.next_multiple_of(S::F32_LANES);
        for row in (0..a.rows()).step_by(most) {
            let rows = most.min(a.rows() - row);
            // Blocks that nobody reads again take each other's place, and so stay in that cache.
            let at = if F::CONSUMES { 0 } else { row * columns };
            let values = &mut out[at..at + rows * columns];
            let (rows_behind, _) = a.split_rows(row).1.split_rows(rows);
            // A function of its own: all products share it, whatever they do behind it.
            simd.vectorize(Block::new(values, columns, rows_behind, b, bias));
            finish.finish(Vectors(simd), row, values);
        }
    }
}

/// Values of a block.
const BLOCK: usize = 4096;

/// Neighbouring rows of a product, all columns or neighbouring ones.
#[derive(Clone, Copy)]
pub struct Block<'p> {
    out: *mut f32,
    out_stride: usize,
    a: *const f32,
    b: *const f32,
    bias: Option<*const f32>,
    row_stride: usize,
    depth_stride: usize,
    columns: usize,
    b_stride: usize,
    depth: usize,
    rows: usize,
    slices: PhantomData<&'p [f32]>,
}

impl<'p> Block<'p> {
    /// `a b + bias`, whose rows lie `out_stride` values apart in `out`; without a bias that is empty.
    ///
    /// # Panics
    /// When the shapes do not fit, or `b` is not row-major.
    #[inline(always)]
    pub fn new(
        out: &'p mut [f32],
        out_stride: usize,
        a: Matrix<'p, f32>,
        b: Matrix<'p, f32>,
        bias: &'p [f32],
    ) -> Self {
        let columns = b.columns();
        assert_eq!(a.columns(), b.rows(), "inner dimensions of a product");
        assert_eq!(b.column_stride(), 1, "the right side is row-major");
        let known = bias.is_empty() || bias.len() == columns;
        assert!(known, "a bias has a value a column");
        let last = a.rows().saturating_sub(1) * out_stride;
        let room = columns <= out_stride && last + columns <= out.len();
        assert!(room || a.rows() == 0, "room for a product");
        Self {
            out: out.as_mut_ptr(),
            out_stride,
            a: a.values().as_ptr(),
            b: b.values().as_ptr(),
            bias: (!bias.is_empty()).then_some(bias.as_ptr()),
            row_stride: a.row_stride(),
            depth_stride: a.column_stride(),
            columns,
            b_stride: b.row_stride(),
            depth: b.rows(),
            rows: a.rows(),
            slices: PhantomData,
        }
    }
}

/// Calls the tile of so many rows, which are constants to the compiler.
macro_rules! tile {
    ($panel:ident, $simd:ident, $mask:ident, $vectors:literal: $($rows:literal)*) => {
        match ($panel.rows, $mask) {
            $(
                // SAFETY: the asserts in `Block::new` and in `Matrix` keep all rows, columns and depths
                // of the three matrices inside their slices; a panel starts at a column that exists, and
                // its mask covers what lies beyond the last one.
                ($rows, None) => unsafe { $panel.tile::<S, $rows, $vectors, false>($simd, None) },
                ($rows, mask) => unsafe { $panel.tile::<S, $rows, $vectors, true>($simd, mask) },
            )*
            _ => unreachable!("a tile has at most 12 rows, or 6 of several vectors"),
        }
    };
}

impl WithSimd for Block<'_> {
    type Output = ();

    /// Tile after tile: all columns of a few rows, then the next rows.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // As many rows as hide the latency of their chains and leave registers for both operands.
        let most = if self.columns <= S::F32_LANES { 12 } else { 6 };
        // As even as possible, so that no last tile has too few.
        let count = self.rows.div_ceil(most).max(1);
        let (least, longer) = (self.rows / count, self.rows % count);
        let mut row = 0;
        for tile in 0..count {
            let rows = least + usize::from(tile < longer);
            let tiles = Self {
                out: self.out.wrapping_add(row * self.out_stride),
                a: self.a.wrapping_add(row * self.row_stride),
                rows,
                ..self
            };
            tiles.row_of_tiles(simd);
            row += rows;
        }
    }
}

impl Block<'_> {
    /// All columns of the block, which is no higher than a tile.
    #[inline(always)]
    fn row_of_tiles<S: Simd>(self, simd: S) {
        let lanes = S::F32_LANES;
        let most_vectors = if S::REGISTER_COUNT >= 32 { 4 } else { 2 };
        let mut column = 0;
        while column < self.columns {
            let left = self.columns - column;
            let vectors = left.div_ceil(lanes).min(most_vectors);
            let panel = Self {
                out: self.out.wrapping_add(column),
                b: self.b.wrapping_add(column),
                bias: self.bias.map(|bias| bias.wrapping_add(column)),
                ..self
            };
            // What the last vector has beyond the last column is masked.
            let rest = left - (vectors - 1) * lanes;
            let mask = (rest < lanes).then(|| mask(simd, rest));
            match vectors {
                1 => tile!(panel, simd, mask, 1: 1 2 3 4 5 6 7 8 9 10 11 12),
                2 => tile!(panel, simd, mask, 2: 1 2 3 4 5 6),
                3 => tile!(panel, simd, mask, 3: 1 2 3 4 5 6),
                _ => tile!(panel, simd, mask, 4: 1 2 3 4 5 6),
            }
            column += vectors * lanes;
        }
    }

    /// `ROWS` rows times `VECTORS` vectors of the result, the last one masked if `MASKED`.
    #[inline(always)]
    unsafe fn tile<S: Simd, const ROWS: usize, const VECTORS: usize, const MASKED: bool>(
        self,
        simd: S,
        mask: Option<MemMask<S::m32s>>,
    ) {
        let lanes = S::F32_LANES;
        let masked = |vector: usize| {
            if MASKED && vector + 1 == VECTORS {
                mask
            } else {
                None
            }
        };
        let load = |from: *const f32| {
            let mut right = [simd.splat_f32s(0.0); VECTORS];
            for (vector, right) in right.iter_mut().enumerate() {
                let at = from.wrapping_add(vector * lanes);
                *right = match masked(vector) {
                    // SAFETY: see `tile!`.
                    Some(mask) => unsafe { simd.mask_load_ptr_f32s(mask, at) },
                    None => unsafe { at.cast::<S::f32s>().read_unaligned() },
                };
            }
            right
        };
        let zeros = [simd.splat_f32s(0.0); VECTORS];
        let mut sums = [self.bias.map_or(zeros, load); ROWS];
        // Every fourth row, from which the others can be addressed. Hidden from the compiler, which
        // would go from each row to the next by an addition, on through the whole depth: a chain
        // that takes longer than the products of a narrow tile.
        let bases: [_; 3] = std::array::from_fn(|i| self.a.wrapping_add(4 * i * self.row_stride));
        let bases = black_box(bases);
        let (mut a, mut b) = (0, self.b);
        for _ in 0..self.depth {
            let right = load(b);
            for (r, sums) in sums.iter_mut().enumerate() {
                // SAFETY: see `tile!`.
                let at = a + r % 4 * self.row_stride;
                let left = unsafe { bases[r / 4].wrapping_add(at).read() };
                let left = simd.splat_f32s(left);
                for (sum, &right) in sums.iter_mut().zip(&right) {
                    *sum = simd.mul_add_e_f32s(left, right, *sum);
                }
            }
            a += self.depth_stride;
            b = b.wrapping_add(self.b_stride);
        }
        for (r, sums) in sums.iter().enumerate() {
            let out = self.out.wrapping_add(r * self.out_stride);
            for (vector, &sum) in sums.iter().enumerate() {
                let at = out.wrapping_add(vector * lanes);
                match masked(vector) {
                    // SAFETY: see `tile!`.
                    Some(mask) => unsafe { simd.mask_store_ptr_f32s(mask, at, sum) },
                    None => unsafe { at.cast::<S::f32s>().write_unaligned(sum) },
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::cpu::simd::Lanes;

    /// Values that are sums of few powers of two: products of them are exact in f64.
    fn values(count: usize, seed: usize) -> Vec<f32> {
        let value = |i: usize| ((i * 7919 + seed) % 201) as f32 / 64.0 - 1.5;
        (0..count).map(value).collect()
    }

    fn multiply(out: &mut [f32], a: Matrix<'_, f32>, b: Matrix<'_, f32>) {
        let (bias, finish) = (&[][..], ());
        pulp::Arch::new().dispatch(TileProduct {
            out,
            a,
            b,
            bias,
            finish,
        });
    }

    /// Against a plain loop: within 8 n 2^-24 of the sum of the terms' magnitudes.
    fn check(rows: usize, columns: usize, depth: usize, transposed: bool) {
        const GUARD: usize = 40;
        let (a, b) = (values(rows * depth, 3), values(depth * columns, 11));
        let left = if transposed {
            Matrix::new(&a, depth, rows).transposed()
        } else {
            Matrix::new(&a, rows, depth)
        };
        let mut guarded = vec![f32::NAN; rows * columns + GUARD];
        let out = &mut guarded[..rows * columns];
        let right = Matrix::new(&b, depth, columns);
        multiply(out, left, right);
        for row in 0..rows {
            for column in 0..columns {
                let terms = (0..depth).map(|k| {
                    let a = if transposed {
                        a[k * rows + row]
                    } else {
                        a[row * depth + k]
                    };
                    f64::from(a) * f64::from(b[k * columns + column])
                });
                let (sum, magnitude) =
                    terms.fold((0.0, 0.0), |(s, m), term| (s + term, m + term.abs()));
                let error = (f64::from(guarded[row * columns + column]) - sum).abs();
                let limit = 8.0 * depth as f64 * 2.0_f64.powi(-24) * magnitude;
                assert!(
                    error <= limit,
                    "{rows}x{columns}x{depth} at {row}, {column}: {error:e} > {limit:e}"
                );
            }
        }
        let guards = &guarded[rows * columns..];
        assert!(
            guards.iter().all(|v| v.is_nan()),
            "{rows}x{columns}x{depth}: wrote beyond"
        );
    }

    #[test]
    fn all_small_shapes_agree_with_a_plain_loop() {
        let columns = [
            1, 2, 3, 7, 8, 9, 10, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 100,
        ];
        for rows in (1..=15).chain([23, 24, 25, 32, 37]) {
            for columns in columns {
                for depth in [1, 2, 10, 33] {
                    check(rows, columns, depth, false);
                    check(rows, columns, depth, true);
                }
            }
        }
    }

    #[test]
    fn a_row_does_not_depend_on_the_rows_beside_it() {
        let (a, b) = (values(37 * 29, 5), values(29 * 50, 9));
        let mut all = vec![0.0; 37 * 50];
        let right = Matrix::new(&b, 29, 50);
        multiply(&mut all, Matrix::new(&a, 37, 29), right);
        for row in 0..37 {
            let mut one = vec![0.0; 50];
            let left = Matrix::new(&a[row * 29..][..29], 1, 29);
            multiply(&mut one, left, right);
            assert_eq!(one, all[row * 50..][..50], "row {row}");
        }
    }

    /// Notes for each row how often it was handed on.
    struct Seen<'s>(&'s mut [u32], usize);

    impl Finish<f32> for Seen<'_> {
        fn finish<L: Lanes<f32>>(&mut self, _: L, row: usize, values: &mut [f32]) {
            for seen in &mut self.0[row..row + values.len() / self.1] {
                *seen += 1;
            }
        }
    }

    impl Shared<f32> for Seen<'_> {
        fn split(self, rows: usize) -> (Self, Self) {
            let (first, second) = self.0.split_at_mut(rows);
            (Seen(first, self.1), Seen(second, self.1))
        }
    }

    /// Takes the values away; `.0` is where they go, `.1` how many there are a row.
    struct Taken<'t>(&'t mut [f32], usize);

    impl Finish<f32> for Taken<'_> {
        const CONSUMES: bool = true;

        fn finish<L: Lanes<f32>>(&mut self, _: L, row: usize, values: &mut [f32]) {
            self.0[row * self.1..][..values.len()].copy_from_slice(values);
        }
    }

    #[test]
    fn values_that_are_consumed_are_the_same_and_take_one_place() {
        let (rows, depth, columns) = (333, 5, 40);
        let (a, b) = (values(rows * depth, 5), values(depth * columns, 9));
        let (a, b) = (
            Matrix::new(&a, rows, depth),
            Matrix::new(&b, depth, columns),
        );
        let mut expected = vec![0.0; rows * columns];
        multiply(&mut expected, a, b);
        let (mut out, mut taken) = (vec![f32::NAN; rows * columns], vec![0.0; rows * columns]);
        pulp::Arch::new().dispatch(TileProduct {
            out: &mut out,
            a,
            b,
            bias: &[],
            finish: Taken(&mut taken, columns),
        });
        assert_eq!(taken, expected);
        let untouched = out.iter().filter(|value| value.is_nan()).count();
        assert!(untouched >= out.len() / 2, "{untouched} of {}", out.len());
    }

    #[test]
    fn threads_share_a_large_product_and_each_row_is_handed_on_once() {
        let (rows, depth, columns) = (403, 317, 330);
        let (a, b) = (values(rows * depth, 5), values(depth * columns, 9));
        let bias = values(columns, 2);
        for (threads, transposed) in [(1, false), (2, false), (3, true), (7, false), (7, true)] {
            let left = if transposed {
                Matrix::new(&a, depth, rows).transposed()
            } else {
                Matrix::new(&a, rows, depth)
            };
            let compute = |threads| {
                let (mut out, mut seen) = (vec![f32::NAN; rows * columns], vec![0; rows]);
                let product = TileProduct {
                    out: &mut out,
                    a: left,
                    b: Matrix::new(&b, depth, columns),
                    bias: &bias,
                    finish: Seen(&mut seen, columns),
                };
                let arch = pulp::Arch::new();
                product.compute(Workers { arch, threads });
                assert_eq!(seen, vec![1; rows], "{threads} threads");
                out
            };
            assert_eq!(compute(threads), compute(1), "{threads} threads");
        }
    }
}
