//! Products in f32 whose right side does not stay in the nearest caches: panel after panel of its columns.
//!
//! A panel is as wide as the widest tile, and is copied to where its rows lie one after another: so it stays in the second
//! cache, up to some thousand of them, while all rows of the left side are multiplied by it. Every value of the result is the chain that it is in
//! [`TileProduct`](super::tile_product::TileProduct).

use pulp::{Arch, Simd, WithSimd};

use super::aligned::{Aligned, room};
use super::matrix::{Matrix, transpose};
use super::simd::Workers;
use super::tile_product::Block;

/// Columns of a panel: those of the widest tile with the widest vectors, and whole tiles with any.
const PANEL: usize = 64;
/// Rows that a thread multiplies by what it packs, at least.
const LEAST_ROWS: usize = 16;

/// Values of scratch that products of so many rows take at most, of any of these depths.
pub fn most_room(rows: usize, depth: usize) -> u64 {
    let threads = rows.div_ceil(LEAST_ROWS) as u64;
    threads.saturating_mul((depth * PANEL) as u64)
}

/// `out = a b + bias`, row-major `[a.rows][b.columns]`, overwritten; `bias` is added to each row if it is not empty.
///
/// On several threads of the calling thread's pool where that pays. Each takes rows of the result, and packs panels for
/// itself: bits do not tell how many threads there were. `packed` is room for the panels; it grows when that is first
/// needed.
///
/// # Panics
/// When the shapes do not fit, or the values of `b` are not one after another by rows or by columns.
pub fn panel_product(
    workers: Workers,
    out: &mut [f32],
    a: Matrix<'_, f32>,
    b: Matrix<'_, f32>,
    bias: &[f32],
    packed: &mut Aligned<f32>,
) {
    assert_eq!(a.columns(), b.rows(), "inner dimensions of a product");
    assert_eq!(out.len(), a.rows() * b.columns(), "size of a product");
    let known = bias.is_empty() || bias.len() == b.columns();
    assert!(known, "a bias has a value a column");
    if out.is_empty() {
        return;
    }
    let by_rows = (b.row_stride(), b.column_stride()) == (b.columns(), 1);
    let by_columns = (b.row_stride(), b.column_stride()) == (1, b.rows());
    assert!(by_rows || by_columns, "the right side is dense");
    let operations = a.rows().saturating_mul(b.values().len());
    let shares = a.rows() / LEAST_ROWS;
    let threads = workers.for_product(shares, operations).max(1);
    let panel = b.rows() * b.columns().min(PANEL);
    let product = PanelProduct {
        out,
        a,
        b,
        bias,
        packed: room(packed, threads * panel),
        arch: workers.arch,
    };
    product.compute(threads);
}

/// [`panel_product`] with room for a panel of each thread.
struct PanelProduct<'p> {
    out: &'p mut [f32],
    a: Matrix<'p, f32>,
    b: Matrix<'p, f32>,
    bias: &'p [f32],
    packed: &'p mut [f32],
    arch: Arch,
}

impl PanelProduct<'_> {
    fn compute(self, threads: usize) {
        if threads < 2 {
            return self.arch.dispatch(self);
        }
        let here = threads / 2;
        let rows = self.a.rows() * here / threads;
        let (out, out_behind) = self.out.split_at_mut(rows * self.b.columns());
        let (a, a_behind) = self.a.split_rows(rows);
        let (packed, packed_behind) = self.packed.split_at_mut(self.packed.len() / threads * here);
        let first = PanelProduct {
            out,
            a,
            packed,
            ..self
        };
        let second = PanelProduct {
            out: out_behind,
            a: a_behind,
            packed: packed_behind,
            ..self
        };
        rayon::join(|| first.compute(here), || second.compute(threads - here));
    }

    /// Columns of the right side from this one on, `[depth][width]` in the room for them.
    fn pack(&mut self, column: usize, width: usize) {
        let (b, depth) = (self.b, self.b.rows());
        let panel = &mut self.packed[..depth * width];
        if b.column_stride() != 1 {
            let columns = &b.values()[column * depth..][..depth * width];
            return transpose(self.arch, panel, columns, depth);
        }
        let rows = b.values().chunks_exact(b.columns());
        for (to, row) in panel.chunks_exact_mut(width).zip(rows) {
            to.copy_from_slice(&row[column..][..width]);
        }
    }
}

impl WithSimd for PanelProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let columns = self.b.columns();
        for column in (0..columns).step_by(PANEL) {
            let width = PANEL.min(columns - column);
            self.pack(column, width);
            let depth = self.b.rows();
            let panel = Matrix::new(&self.packed[..depth * width], depth, width);
            let bias = self.bias.get(column..column + width).unwrap_or(&[]);
            let out = &mut self.out[column..];
            simd.vectorize(Block::new(out, columns, self.a, panel, bias));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::cpu::aligned::zeros;
    use crate::engine::cpu::product::tests::values;
    use crate::engine::cpu::tile_product::TileProduct;

    /// `a b + bias`, with the right side row-major.
    fn in_tiles(a: Matrix<'_, f32>, b: Matrix<'_, f32>, bias: &[f32]) -> Vec<f32> {
        let mut out = vec![f32::NAN; a.rows() * b.columns()];
        let finish = ();
        let product = TileProduct {
            out: &mut out,
            a,
            b,
            bias,
            finish,
        };
        product.compute(Workers::one(Arch::new()));
        out
    }

    #[test]
    fn panels_of_either_layout_give_the_bits_of_tiles() {
        let mut packed = zeros(0);
        for (rows, depth, columns) in [
            (1, 1, 1),
            (3, 7, 63),
            (32, 40, 64),
            (7, 33, 65),
            (25, 9, 128),
            (40, 130, 200),
        ] {
            let (a, b) = (values(rows * depth, 3), values(depth * columns, 11));
            let mut by_columns = vec![0.0; b.len()];
            transpose(Arch::new(), &mut by_columns, &b, columns);
            let b = Matrix::new(&b, depth, columns);
            let b_by_columns = Matrix::new(&by_columns, columns, depth).transposed();
            let mut a_by_columns = vec![0.0; a.len()];
            transpose(Arch::new(), &mut a_by_columns, &a, depth);
            let a_by_columns = Matrix::new(&a_by_columns, depth, rows).transposed();
            let a = Matrix::new(&a, rows, depth);
            for bias in [Vec::new(), values(columns, 5)] {
                let expected = in_tiles(a, b, &bias);
                for (a, b) in [(a, b), (a, b_by_columns), (a_by_columns, b)] {
                    let mut out = vec![f32::NAN; rows * columns];
                    let workers = Workers::one(Arch::new());
                    panel_product(workers, &mut out, a, b, &bias, &mut packed);
                    assert_eq!(out, expected, "{rows}x{depth}x{columns}");
                }
            }
        }
    }

    #[test]
    fn threads_share_rows_and_have_panels_of_their_own() {
        let (rows, depth, columns) = (403, 317, 330);
        let (a, b) = (values(rows * depth, 5), values(depth * columns, 9));
        let a = Matrix::new(&a, rows, depth);
        let b = Matrix::new(&b, columns, depth).transposed();
        let compute = |threads: usize| {
            let (mut out, mut packed) = (vec![f32::NAN; rows * columns], zeros(0));
            let arch = Arch::new();
            panel_product(Workers { arch, threads }, &mut out, a, b, &[], &mut packed);
            (out, packed.len() / (depth * PANEL))
        };
        let (expected, panels) = compute(1);
        assert_eq!(panels, 1);
        for threads in [2, 3, 5] {
            assert_eq!(compute(threads), (expected.clone(), threads));
        }
    }
}
