//! Products in f32 whose right side is row-major, in register tiles.
//!
//! The products of small networks are too small for packing to pay: here both sides are read where
//! they lie. A tile holds a few rows times a few vectors of the result in registers over the whole
//! depth, so that every value of the result is one chain `acc = fma(a, b, acc)` with the depth
//! ascending, whatever the tile: its bits do not depend on the tiling.

use pulp::{MemMask, Simd, WithSimd};

use super::matrix::Matrix;

/// Values of the right side above which it no longer stays in a core's cache from tile to tile.
const LARGEST_RIGHT_SIDE: usize = 1 << 18;

/// Whether [`TileProduct`] is the right way to this product.
pub fn suits(b: &Matrix<'_, f32>) -> bool {
    b.column_stride() == 1 && b.rows() * b.columns() <= LARGEST_RIGHT_SIDE
}

/// `out = a b`, row-major `[a.rows][b.columns]`, overwritten.
pub struct TileProduct<'p> {
    out: &'p mut [f32],
    a: Matrix<'p, f32>,
    b: Matrix<'p, f32>,
}

impl<'p> TileProduct<'p> {
    /// A product to be dispatched.
    ///
    /// # Panics
    /// When the shapes do not fit, or `b` is not row-major.
    pub fn new(out: &'p mut [f32], a: Matrix<'p, f32>, b: Matrix<'p, f32>) -> Self {
        assert_eq!(a.columns(), b.rows(), "inner dimensions of a product");
        assert_eq!(out.len(), a.rows() * b.columns(), "size of a product");
        assert_eq!(b.column_stride(), 1, "the right side is row-major");
        Self { out, a, b }
    }
}

impl WithSimd for TileProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (columns, lanes) = (self.b.columns(), S::F32_LANES);
        let most_vectors = if S::REGISTER_COUNT >= 32 { 4 } else { 2 };
        let mut column = 0;
        while column < columns {
            let vectors = (columns - column).div_ceil(lanes).min(most_vectors);
            // Panels of 4, 2 or 1 vectors: 3 are taken as 2 and 1.
            let vectors = if vectors == 3 { 2 } else { vectors };
            let width = (vectors * lanes).min(columns - column);
            let panel = Panel {
                out: self.out.as_mut_ptr().wrapping_add(column),
                a: self.a.values().as_ptr(),
                b: self.b.values().as_ptr().wrapping_add(column),
                row_stride: self.a.row_stride(),
                depth_stride: self.a.column_stride(),
                columns,
                b_stride: self.b.row_stride(),
                rows: self.a.rows(),
                depth: self.b.rows(),
            };
            let rest = width - (vectors - 1) * lanes;
            let mask = (rest < lanes).then(|| {
                let rest = u32::try_from(rest).expect("a vector has few lanes");
                // Without the load and store functions that pulp puts beside a mask: they are calls
                // in the middle of the tile.
                MemMask::new(simd.mask_between_m32s(0, rest).mask())
            });
            // SAFETY: the asserts in `new` and in `Matrix` keep all rows, columns and depths of
            // the three matrices inside their slices; a panel starts at a column that exists, and
            // what its last vector has beyond the last column is masked.
            unsafe {
                match vectors {
                    1 => panel.one(simd, mask),
                    2 => panel.two(simd, mask),
                    _ => panel.four(simd, mask),
                }
            }
            column += width;
        }
    }
}

/// A few neighbouring columns of the result, from its first to its last row.
#[derive(Clone, Copy)]
struct Panel {
    out: *mut f32,
    a: *const f32,
    b: *const f32,
    row_stride: usize,
    depth_stride: usize,
    columns: usize,
    b_stride: usize,
    rows: usize,
    depth: usize,
}

/// Runs tiles of up to `most` rows, as even as possible, so that no last tile is left with too few
/// rows to hide the latency of its chains.
macro_rules! tiles {
    ($panel:ident, $simd:ident, $mask:ident, $vectors:literal, $most:literal: $($rows:literal)*) => {{
        let count = $panel.rows.div_ceil($most);
        let (height, taller) = ($panel.rows / count, $panel.rows % count);
        let mut row = 0;
        for tile in 0..count {
            let rows = height + usize::from(tile < taller);
            match (rows, $mask) {
                $(
                    ($rows, None) => unsafe { $panel.tile::<S, $rows, $vectors, false>($simd, row, None) },
                    ($rows, mask) => unsafe { $panel.tile::<S, $rows, $vectors, true>($simd, row, mask) },
                )*
                _ => unreachable!("a tile has 1 to {} rows", $most),
            }
            row += rows;
        }
    }};
}

impl Panel {
    #[inline(always)]
    unsafe fn one<S: Simd>(self, simd: S, mask: Option<MemMask<S::m32s>>) {
        tiles!(self, simd, mask, 1, 12: 1 2 3 4 5 6 7 8 9 10 11 12);
    }

    #[inline(always)]
    unsafe fn two<S: Simd>(self, simd: S, mask: Option<MemMask<S::m32s>>) {
        tiles!(self, simd, mask, 2, 6: 1 2 3 4 5 6);
    }

    #[inline(always)]
    unsafe fn four<S: Simd>(self, simd: S, mask: Option<MemMask<S::m32s>>) {
        tiles!(self, simd, mask, 4, 6: 1 2 3 4 5 6);
    }

    /// `ROWS` rows times `VECTORS` vectors of the result, the last one masked if `MASKED`.
    #[inline(always)]
    unsafe fn tile<S: Simd, const ROWS: usize, const VECTORS: usize, const MASKED: bool>(
        self,
        simd: S,
        row: usize,
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
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
        let (mut a, mut b) = (self.a.wrapping_add(row * self.row_stride), self.b);
        for _ in 0..self.depth {
            let mut right = [simd.splat_f32s(0.0); VECTORS];
            for (vector, right) in right.iter_mut().enumerate() {
                let at = b.wrapping_add(vector * lanes);
                *right = match masked(vector) {
                    // SAFETY: see `with_simd`; the mask covers what lies beyond the last column.
                    Some(mask) => unsafe { simd.mask_load_ptr_f32s(mask, at) },
                    None => unsafe { at.cast::<S::f32s>().read_unaligned() },
                };
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                // SAFETY: see `with_simd`.
                let left = unsafe { a.wrapping_add(r * self.row_stride).read() };
                let left = simd.splat_f32s(left);
                for (sum, &right) in sums.iter_mut().zip(&right) {
                    *sum = simd.mul_add_e_f32s(left, right, *sum);
                }
            }
            a = a.wrapping_add(self.depth_stride);
            b = b.wrapping_add(self.b_stride);
        }
        for (r, sums) in sums.iter().enumerate() {
            let out = self.out.wrapping_add((row + r) * self.columns);
            for (vector, &sum) in sums.iter().enumerate() {
                let at = out.wrapping_add(vector * lanes);
                match masked(vector) {
                    // SAFETY: see `with_simd`.
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

    /// Values that are sums of few powers of two: products of them are exact in f64.
    fn values(count: usize, seed: usize) -> Vec<f32> {
        let value = |i: usize| ((i * 7919 + seed) % 201) as f32 / 64.0 - 1.5;
        (0..count).map(value).collect()
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
        pulp::Arch::new().dispatch(TileProduct::new(out, left, right));
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
        pulp::Arch::new().dispatch(TileProduct::new(&mut all, Matrix::new(&a, 37, 29), right));
        for row in 0..37 {
            let mut one = vec![0.0; 50];
            let left = Matrix::new(&a[row * 29..][..29], 1, 29);
            pulp::Arch::new().dispatch(TileProduct::new(&mut one, left, right));
            assert_eq!(one, all[row * 50..][..50], "row {row}");
        }
    }
}
