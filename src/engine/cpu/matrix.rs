//! Matrix products on one thread.

use pulp::Arch;

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

/// `out = a b`, row-major `[a.rows][b.columns]`, overwritten.
///
/// # Panics
/// When the shapes do not fit.
pub fn product<T: Real>(arch: Arch, out: &mut [T], a: Matrix<'_, T>, b: Matrix<'_, T>) {
    T::product(arch, out, a, b);
}

/// `out = a b` by the `gemm` crate, for any strides and either type.
///
/// # Panics
/// When the shapes do not fit.
pub fn gemm_product<T: Real>(out: &mut [T], a: Matrix<'_, T>, b: Matrix<'_, T>) {
    assert_eq!(a.columns, b.rows, "inner dimensions of a product");
    assert_eq!(out.len(), a.rows * b.columns, "size of a product");
    let stride =
        |stride: usize| isize::try_from(stride).expect("slices are shorter than isize::MAX");
    // SAFETY: the asserts here and in `Matrix::new` keep every index that the shapes and strides
    // allow inside its slice, and `out` overlaps neither, being borrowed mutably. Both element
    // types of `Real` are ones that `gemm` knows.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out.as_mut_ptr(),
            1,
            stride(b.columns),
            false,
            a.values.as_ptr(),
            stride(a.column_stride),
            stride(a.row_stride),
            b.values.as_ptr(),
            stride(b.column_stride),
            stride(b.row_stride),
            T::ZERO,
            T::ONE,
            false,
            false,
            false,
            gemm::Parallelism::None,
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
        gemm_product(&mut out, Matrix::new(&a, 2, 3), Matrix::new(&b, 3, 2));
        assert_eq!(out, [5.0, 11.0, 14.0, 23.0]);
        let mut out = [f64::NAN; 9];
        let (at, bt) = (Matrix::new(&a, 2, 3), Matrix::new(&b, 3, 2));
        gemm_product(&mut out, at.transposed(), bt.transposed());
        assert_eq!(out, [1.0, 6.0, 12.0, 2.0, 9.0, 15.0, 3.0, 12.0, 18.0]);
    }

    #[test]
    #[should_panic(expected = "inner dimensions")]
    fn shapes_that_do_not_fit_are_refused() {
        let a = [0.0_f32; 6];
        gemm_product(&mut [0.0; 4], Matrix::new(&a, 2, 3), Matrix::new(&a, 2, 3));
    }
}
