//! Matrices, their transposition, and their product in f64.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::real::Real;

/// A dense matrix that is read: `rows` x `columns` values at `row * row_stride + column * column_stride`.
#[derive(Clone, Copy)]
pub struct Matrix<'a, T> {
    values: &'a [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T: Real> Matrix<'a, T> {
    /// `[rows][columns]`, row-major.
    ///
    /// # Panics
    /// When `values` does not hold rows x columns values.
    pub fn new(values: &'a [T], rows: usize, columns: usize) -> Self {
        assert_eq!(
            Some(values.len()),
            rows.checked_mul(columns),
            "values of a {rows}x{columns} matrix"
        );
        Self {
            values,
            rows,
            columns,
            row_stride: columns,
            column_stride: 1,
        }
    }

    /// All values.
    pub fn values(&self) -> &'a [T] {
        self.values
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Values from one row to the next.
    pub fn row_stride(&self) -> usize {
        self.row_stride
    }

    /// Values from one column to the next.
    pub fn column_stride(&self) -> usize {
        self.column_stride
    }

    /// A matrix of the same form with these values.
    ///
    /// # Panics
    /// When there are not as many.
    pub fn with_values<'b, U: Real>(&self, values: &'b [U]) -> Matrix<'b, U> {
        assert_eq!(values.len(), self.values.len(), "values of a like matrix");
        Matrix {
            values,
            rows: self.rows,
            columns: self.columns,
            row_stride: self.row_stride,
            column_stride: self.column_stride,
        }
    }

    /// The first `rows` rows, and the others.
    ///
    /// # Panics
    /// When there are not as many.
    pub fn split_rows(self, rows: usize) -> (Self, Self) {
        assert!(rows <= self.rows, "rows to split off");
        let begin = rows * self.row_stride;
        let others = Self {
            values: &self.values[begin.min(self.values.len())..],
            rows: self.rows - rows,
            ..self
        };
        (Self { rows, ..self }, others)
    }

    /// The same values with rows and columns exchanged.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// `to = from^T`: `from` is `[rows][columns]`, `to` `[columns][rows]`, both row-major.
///
/// # Panics
/// When the sizes do not fit.
pub fn transpose(arch: Arch, to: &mut [f32], from: &[f32], columns: usize) {
    assert_eq!(to.len(), from.len(), "size of a transposed matrix");
    assert_eq!(from.len() % columns, 0, "whole rows of a matrix");
    let rows = from.len() / columns;
    arch.dispatch(Transpose {
        to,
        from,
        rows,
        columns,
    });
}

struct Transpose<'p> {
    to: &'p mut [f32],
    from: &'p [f32],
    rows: usize,
    columns: usize,
}

impl WithSimd for Transpose<'_> {
    type Output = ();

    /// In squares, which are exchanged in registers, and these within bands of 16 rows: so rows are
    /// read on and on, and a line of the result is whole when it is left.
    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        const BAND: usize = 16;
        for band in (0..self.rows).step_by(BAND) {
            let band = band..self.rows.min(band + BAND);
            let mut column = 0;
            if cfg!(target_arch = "x86_64") && S::F32_LANES >= 8 {
                column = self.strips::<8>(&band, column);
            }
            column = self.strips::<4>(&band, column);
            self.strips::<1>(&band, column);
        }
    }
}

impl Transpose<'_> {
    /// Of these rows, as many strips of `SIDE` columns as there are from this column on; returns the
    /// next column.
    #[inline(always)]
    fn strips<const SIDE: usize>(&mut self, band: &Range<usize>, mut column: usize) -> usize {
        let (rows, columns) = (self.rows, self.columns);
        let whole = band.end - band.len() % SIDE;
        while column + SIDE <= columns {
            for row in (band.start..whole).step_by(SIDE) {
                let from = self.from.as_ptr().wrapping_add(row * columns + column);
                let to = self.to.as_mut_ptr().wrapping_add(column * rows + row);
                // SAFETY: `from` is [rows][columns] and `to` [columns][rows]; the square lies inside.
                // Sides of 8 are for processors with AVX, see `with_simd`.
                unsafe { transpose_square::<SIDE>(to, rows, from, columns) };
            }
            for column in column..column + SIDE {
                for row in whole..band.end {
                    self.to[column * rows + row] = self.from[row * columns + column];
                }
            }
            column += SIDE;
        }
        column
    }
}

/// Exchanges rows and columns of a square; `to_stride` and `from_stride` are the values from one of
/// its rows to the next.
///
/// Where there are instructions for it, by name: of loops the compiler makes single loads and stores.
///
/// # Safety
/// The square lies inside what `from` may read and `to` may write. On x86-64 a side of 8 needs AVX.
#[inline(always)]
unsafe fn transpose_square<const SIDE: usize>(
    to: *mut f32,
    to_stride: usize,
    from: *const f32,
    from_stride: usize,
) {
    // SAFETY: the caller's.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        match SIDE {
            8 => return transpose_8(to, to_stride, from, from_stride),
            4 => return transpose_4(to, to_stride, from, from_stride),
            _ => {}
        }
        for i in 0..SIDE {
            for j in 0..SIDE {
                *to.wrapping_add(j * to_stride + i) = *from.wrapping_add(i * from_stride + j);
            }
        }
    }
}

/// [`transpose_square`] of side 4, which every x86-64 can.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn transpose_4(to: *mut f32, to_stride: usize, from: *const f32, from_stride: usize) {
    use std::arch::x86_64::{_MM_TRANSPOSE4_PS, _mm_loadu_ps, _mm_storeu_ps};
    // SAFETY: the caller's.
    unsafe {
        let line = |i: usize| _mm_loadu_ps(from.wrapping_add(i * from_stride));
        let [mut a, mut b, mut c, mut d] = [line(0), line(1), line(2), line(3)];
        _MM_TRANSPOSE4_PS(&mut a, &mut b, &mut c, &mut d);
        for (i, line) in [a, b, c, d].into_iter().enumerate() {
            _mm_storeu_ps(to.wrapping_add(i * to_stride), line);
        }
    }
}

/// [`transpose_square`] of side 8, four columns at a time: the upper halves of the vectors hold rows 4
/// to 7, so that each half is a square of 4.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn transpose_8(to: *mut f32, to_stride: usize, from: *const f32, from_stride: usize) {
    use std::arch::x86_64::{
        _mm_loadu_ps, _mm256_set_m128, _mm256_shuffle_ps, _mm256_storeu_ps, _mm256_unpackhi_ps,
        _mm256_unpacklo_ps,
    };
    /// The lower two of each four lanes of both vectors, and the upper two.
    const LOW: i32 = 0b01_00_01_00;
    const HIGH: i32 = 0b11_10_11_10;
    for column in [0, 4] {
        // SAFETY: the caller's.
        unsafe {
            let line = |i: usize| {
                let at = from.wrapping_add(i * from_stride + column);
                let below = at.wrapping_add(4 * from_stride);
                _mm256_set_m128(_mm_loadu_ps(below), _mm_loadu_ps(at))
            };
            let [a, b, c, d] = [line(0), line(1), line(2), line(3)];
            let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
            let (ab_high, cd_high) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
            let lines = [
                _mm256_shuffle_ps::<LOW>(ab, cd),
                _mm256_shuffle_ps::<HIGH>(ab, cd),
                _mm256_shuffle_ps::<LOW>(ab_high, cd_high),
                _mm256_shuffle_ps::<HIGH>(ab_high, cd_high),
            ];
            for (i, line) in lines.into_iter().enumerate() {
                _mm256_storeu_ps(to.wrapping_add((column + i) * to_stride), line);
            }
        }
    }
}

/// `out = a b` by the `matrixmultiply` crate, for any strides.
///
/// # Panics
/// When the shapes do not fit.
pub fn f64_product(out: &mut [f64], a: Matrix<'_, f64>, b: Matrix<'_, f64>) {
    assert_eq!(a.columns, b.rows, "inner dimensions of a product");
    assert_eq!(out.len(), a.rows * b.columns, "size of a product");
    let stride =
        |stride: usize| isize::try_from(stride).expect("slices are shorter than isize::MAX");
    // SAFETY: the asserts here and in `Matrix::new` keep every index that the shapes and strides
    // allow inside its slice, and `out` overlaps neither, being borrowed mutably.
    unsafe {
        matrixmultiply::dgemm(
            a.rows,
            a.columns,
            b.columns,
            1.0,
            a.values.as_ptr(),
            stride(a.row_stride),
            stride(a.column_stride),
            b.values.as_ptr(),
            stride(b.row_stride),
            stride(b.column_stride),
            0.0,
            out.as_mut_ptr(),
            stride(b.columns),
            1,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_small_matrices_and_their_transposes() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let b = [1.0, 0.0, 2.0, 1.0, 0.0, 3.0];
        let mut out = [f64::NAN; 4];
        f64_product(&mut out, Matrix::new(&a, 2, 3), Matrix::new(&b, 3, 2));
        assert_eq!(out, [5.0, 11.0, 14.0, 23.0]);
        let mut out = [f64::NAN; 9];
        let (at, bt) = (Matrix::new(&a, 2, 3), Matrix::new(&b, 3, 2));
        f64_product(&mut out, at.transposed(), bt.transposed());
        assert_eq!(out, [1.0, 6.0, 12.0, 2.0, 9.0, 15.0, 3.0, 12.0, 18.0]);
    }

    #[test]
    fn a_transposed_matrix_of_every_small_size() {
        for rows in 1..=21 {
            for columns in 1..=37 {
                let from: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
                let mut to = vec![f32::NAN; from.len()];
                transpose(Arch::new(), &mut to, &from, columns);
                for (i, &value) in from.iter().enumerate() {
                    let at = i % columns * rows + i / columns;
                    assert_eq!(to[at], value, "{rows}x{columns} at {i}");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "inner dimensions")]
    fn shapes_that_do_not_fit_are_refused() {
        let a = [0.0; 6];
        f64_product(&mut [0.0; 4], Matrix::new(&a, 2, 3), Matrix::new(&a, 2, 3));
    }
}
