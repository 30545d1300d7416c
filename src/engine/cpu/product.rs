//! Products in f32, each by what is fastest for their shapes.

use super::aligned::{Aligned, room};
use super::matrix::{Matrix, transpose};
use super::panel_product::panel_product;
use super::real::{Real, add_to_rows};
use super::simd::{Shared, Workers};
use super::tile_product::{self, TileProduct};

/// Rows of one tile: a right side is read once for them.
const FEW_ROWS: usize = 6;

/// [`Real::product_then`] of f32.
///
/// # Panics
/// When the shapes do not fit.
pub fn fastest_product(
    workers: Workers,
    out: &mut [f32],
    a: Matrix<'_, f32>,
    b: Matrix<'_, f32>,
    bias: &[f32],
    packed: &mut Aligned<f32>,
    finish: impl Shared<f32>,
) {
    let arch = workers.arch;
    if exchanging_pays(&a, &b) {
        exchanged_product(workers, out, a, b, packed);
        add_to_rows(out, bias);
        return f32::pass(arch, out, finish);
    }
    // What is multiplied by a few rows alone is not worth packing.
    let once = a.rows() <= FEW_ROWS && b.column_stride() == 1;
    if !tile_product::suits(&b) && !once {
        panel_product(workers, out, a, b, bias, packed);
        return f32::pass(arch, out, finish);
    }
    let b = if b.column_stride() == 1 {
        b
    } else {
        let values = b.values();
        let packed = room(packed, values.len());
        transpose(arch, packed, values, b.rows());
        Matrix::new(packed, b.rows(), b.columns())
    };
    let product = TileProduct {
        out,
        a,
        b,
        bias,
        finish,
    };
    product.compute(workers);
}

/// Whether a product of row-major `a` and column-major `b` is better computed as `(b^T a^T)^T`, which
/// transposes `a` and the result in place of `b`.
fn exchanging_pays(a: &Matrix<'_, f32>, b: &Matrix<'_, f32>) -> bool {
    let transposed = a.rows() * (a.columns() + b.columns());
    let less = transposed < b.values().len() && tile_product::suits(&a.transposed());
    less && a.column_stride() == 1 && b.column_stride() != 1
}

/// `out = (b^T a^T)^T`: every value is the same chain as in `a b`. `packed` is room for the sides that
/// are transposed.
fn exchanged_product(
    workers: Workers,
    out: &mut [f32],
    a: Matrix<'_, f32>,
    b: Matrix<'_, f32>,
    packed: &mut Aligned<f32>,
) {
    let (arch, depth) = (workers.arch, a.columns());
    let (right, result) = room(packed, a.values().len() + out.len()).split_at_mut(a.values().len());
    transpose(arch, right, a.values(), depth);
    let product = TileProduct {
        out: result,
        a: b.transposed(),
        b: Matrix::new(right, depth, a.rows()),
        bias: &[],
        finish: (),
    };
    product.compute(workers);
    transpose(arch, out, result, a.rows());
}

#[cfg(test)]
pub(super) mod tests {
    use pulp::Arch;

    use super::*;

    /// So many values that differ.
    pub fn values(count: usize, seed: usize) -> Vec<f32> {
        let value = |i: usize| ((i * 7919 + seed) % 211) as f32 / 57.0 - 1.7;
        (0..count).map(value).collect()
    }

    #[test]
    fn a_transposed_right_side_gives_the_bits_of_a_row_major_one() {
        let mut exchanged = 0;
        for (rows, depth, columns) in [
            (1, 3, 2),
            (1, 40, 50),
            (5, 33, 47),
            (32, 10, 64),
            (30, 65, 96),
            (32, 128, 128),
            (128, 128, 128),
            (7, 130, 200),
        ] {
            let (a, weights) = (values(rows * depth, 3), values(columns * depth, 11));
            let mut row_major = vec![f32::NAN; weights.len()];
            transpose(Arch::new(), &mut row_major, &weights, depth);
            let a = Matrix::new(&a, rows, depth);
            let b = Matrix::new(&weights, columns, depth).transposed();
            exchanged += usize::from(exchanging_pays(&a, &b));
            let (mut actual, mut expected) =
                (vec![f32::NAN; rows * columns], vec![0.0; rows * columns]);
            f32::product(Arch::new(), &mut actual, a, b);
            f32::product(
                Arch::new(),
                &mut expected,
                a,
                Matrix::new(&row_major, depth, columns),
            );
            assert_eq!(actual, expected, "{rows}x{depth}x{columns}");
        }
        assert_eq!(exchanged, 6, "shapes of both kinds");
    }

    #[test]
    fn a_large_right_side_gives_a_row_the_same_bits_beside_few_rows_and_many() {
        const SIDE: usize = 520;
        const MANY: usize = 3 * FEW_ROWS;
        let (a, b) = (values(MANY * SIDE, 3), values(SIDE * SIDE, 11));
        let right = Matrix::new(&b, SIDE, SIDE);
        assert!(!tile_product::suits(&right));
        let product = |rows: &[f32]| {
            let mut out = vec![f32::NAN; rows.len()];
            let left = Matrix::new(rows, rows.len() / SIDE, SIDE);
            f32::product(Arch::new(), &mut out, left, right);
            out
        };
        let many = product(&a);
        for count in [1, FEW_ROWS, FEW_ROWS + 1] {
            let few = count * SIDE;
            assert_eq!(product(&a[..few]), many[..few], "{count} rows");
        }
    }
}
