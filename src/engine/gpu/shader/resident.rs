//! Variants of the resident kernel: tiles, and how much of the workgroup's memory is for what.

use minijinja::value::merge_maps;
use minijinja::{Value, context};

use super::{Needs, Rendered, Source, render_with};
use crate::engine::gpu::layout::{Cursor, MemberData, ResidentLayer, State};
use crate::plan::ScratchLayout;
use crate::train::Shape;

/// How the resident kernel cuts results into tiles. Bits do not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResidentTiles {
    /// Invocations of a workgroup; a power of 2, at least 4.
    pub threads: u32,
    /// Rows (of weights: inputs) that an invocation holds; a multiple of 4.
    pub thread_rows: u32,
    /// `vec4`s of columns that an invocation holds; a power of 2 that divides `columns_4`.
    pub thread_columns_4: u32,
    /// `vec4`s of columns of a tile; a power of 2.
    pub columns_4: u32,
    /// `vec4`s of the inner dimension that are staged at once; a power of 2. 0: nothing is staged, operands
    /// are read where they lie.
    pub inner_4: u32,
}

/// Rows of a batch that are staged at once for gradients of weights.
pub(super) const CHUNK_ROWS: u32 = 16;
/// `vec4`s of the inner dimension that are staged at once where weights are staged too.
const STORAGE_INNER_4: u32 = 4;
/// `vec4`s of an invocation up to which what follows a product is written once for each, where nothing is staged.
const MOST_UNROLLED: u32 = 4;
/// Steps of the inner dimension of a product that are written out, where nothing is staged: on an H200 2 were faster
/// than 1 and 4.
pub(super) const UNROLL: u32 = 2;
/// `vec4`s of columns of a narrow tile.
pub(super) const NARROW_4: u32 = 4;

/// What of the resident kernel is compiled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResidentVariant {
    /// How results are cut.
    pub tiles: ResidentTiles,
    /// How features are stored: f32 or bytes.
    pub source: Source,
    /// `vec4`s of weights and biases that the arena has room for; `None`: they stay in storage.
    pub arena: Option<u32>,
    /// What it is compiled for.
    pub needs: Needs,
    /// Buffers through which invocations exchange values are marked coherent.
    pub coherent: bool,
}

/// The kernels of the resident engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResidentKernel {
    /// Trains.
    Train,
    /// Counts and losses of rows.
    Evaluate,
}

impl ResidentKernel {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Train, Self::Evaluate];

    /// Of its shader, and of its entry point.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "resident",
            Self::Evaluate => "resident_evaluate",
        }
    }
}

/// One way to cut a result, as the templates have it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Product {
    name: &'static str,
    /// Invocations side by side.
    lanes: u32,
    pub rows: u32,
    pub columns_4: u32,
    thread_rows: u32,
    thread_columns_4: u32,
    /// Where gradients are staged behind inputs, for products of weights.
    gradients_at: u32,
}

impl Product {
    fn new(
        name: &'static str,
        threads: u32,
        columns_4: u32,
        thread_rows: u32,
        thread_columns_4: u32,
    ) -> Self {
        let lanes = columns_4 / thread_columns_4;
        let rows = threads / lanes * thread_rows;
        Self {
            name,
            lanes,
            rows,
            columns_4,
            thread_rows,
            thread_columns_4,
            gradients_at: CHUNK_ROWS * rows / 4,
        }
    }

    /// `vec4`s that an invocation holds.
    pub(super) fn held(self) -> u32 {
        self.thread_rows * self.thread_columns_4
    }

    fn values(self) -> Value {
        context! {
            name => self.name,
            lanes => self.lanes,
            rows => self.rows,
            columns_4 => self.columns_4,
            thread_rows => self.thread_rows,
            thread_columns_4 => self.thread_columns_4,
            gradients_at => self.gradients_at,
        }
    }
}

impl ResidentTiles {
    /// Whether nothing is staged.
    pub fn is_direct(self) -> bool {
        self.inner_4 == 0
    }

    pub(super) fn wide(self) -> Product {
        Product::new(
            "wide",
            self.threads,
            self.columns_4,
            self.thread_rows,
            self.thread_columns_4,
        )
    }

    /// Of gradients of inputs: an invocation holds at most 8 rows, beyond which compiling takes longer and
    /// training hardly less.
    pub(super) fn wide_back(self) -> Product {
        Product::new(
            "wide",
            self.threads,
            self.columns_4,
            self.thread_rows.min(8),
            self.thread_columns_4,
        )
    }

    /// As many rows as a wide tile, or a row an invocation.
    pub(super) fn narrow(self) -> Product {
        let rows = (self.wide().rows * NARROW_4 / self.threads).max(1);
        Product::new("narrow", self.threads, NARROW_4, rows, 1)
    }

    pub(super) fn narrow_weights(self) -> Product {
        let inputs = (64 * NARROW_4 / self.threads).clamp(4, 16);
        Product::new("narrow", self.threads, NARROW_4, inputs, 1)
    }

    /// `vec4`s of the arena that hold staged inputs of a product.
    fn staged_inputs(self) -> u32 {
        self.wide().rows.max(self.narrow().rows) * (self.inner_4 + 1)
    }

    /// `vec4`s of the arena that are staged, with weights in the arena or without.
    pub fn staged(self, weights_in_arena: bool) -> u32 {
        let products = [self.wide(), self.narrow()];
        let weights = products.map(|p| p.columns_4 * (4 * self.inner_4 + 1));
        let weights = if weights_in_arena { [0; 2] } else { weights };
        let inputs = self.staged_inputs() + weights[0].max(weights[1]);
        let of_weights = [self.wide(), self.narrow_weights()];
        let chunks = of_weights.map(|p| p.gradients_at + CHUNK_ROWS * p.columns_4);
        // Gradients of biases are a row more than those of weights.
        let results = [
            (self.narrow(), 0),
            (self.wide(), 1),
            (self.narrow_weights(), 1),
        ];
        let results = results.map(|(p, more)| (p.rows + more) * p.columns_4);
        let all = [inputs, chunks[0], chunks[1], 2 * self.threads];
        all.into_iter().chain(results).max().unwrap_or_default()
    }

    /// As records name them: invocations, then rows x columns of a tile and of an invocation.
    pub fn name(self) -> String {
        let wide = self.wide();
        format!(
            "{}: {}x{} by {}x{}, {}",
            self.threads,
            wide.rows,
            4 * wide.columns_4,
            wide.thread_rows,
            4 * wide.thread_columns_4,
            match self.inner_4 {
                0 => "direct".to_owned(),
                inner_4 => format!("inner {}", 4 * inner_4),
            },
        )
    }

    pub(super) fn losses(self) -> u32 {
        self.threads.clamp(16, 64)
    }
}

/// What of a layer is the same for all waves of a shape.
fn layer_values(layer: ResidentLayer) -> Value {
    context! {
        inputs => layer.inputs,
        outputs => layer.outputs,
        input_stride => layer.input_stride,
        output_stride => layer.output_stride,
        bias => layer.bias,
        hidden => layer.hidden,
        normalized => layer.normalized,
        weights_stride => layer.weights_stride,
        in_arena => layer.in_arena,
        h => layer.h,
        dy => layer.dy,
        z => layer.z,
        statistics => layer.statistics,
        x => layer.x,
        gradients => layer.gradients,
    }
}

/// Bytes of the workgroup's memory beside the arena: this batch and the next, member, state, mark, losses of rows.
fn bytes_beside(tiles: ResidentTiles) -> u32 {
    let state = 2 * size_of::<Cursor>() + size_of::<MemberData>() + size_of::<State>();
    state as u32 + 4 + 4 * tiles.losses()
}

/// Bytes that drivers may lose to aligning these.
const ALIGNMENT_BYTES: u32 = 64;

impl ResidentVariant {
    /// `vec4`s that weights may take in the arena where a workgroup has so many bytes.
    pub fn arena_room(tiles: ResidentTiles, workgroup_bytes: u32) -> u32 {
        let arena = workgroup_bytes.saturating_sub(bytes_beside(tiles) + ALIGNMENT_BYTES) / 16;
        arena.saturating_sub(tiles.staged(true))
    }

    /// Bytes of the workgroup's memory.
    pub fn workgroup_bytes(self) -> u32 {
        16 * self.arena_vec4s() + bytes_beside(self.tiles)
    }

    fn arena_vec4s(self) -> u32 {
        if self.tiles.is_direct() {
            // What batch norm exchanges.
            return if self.needs.batch_norm {
                2 * self.tiles.threads
            } else {
                1
            };
        }
        self.cut().staged(self.arena.is_some()) + self.arena.unwrap_or(0)
    }

    /// The tiles as they are cut: weights that are staged too would need room for long chunks.
    pub(super) fn cut(self) -> ResidentTiles {
        let inner_4 = match self.arena {
            Some(_) => self.tiles.inner_4,
            None => self.tiles.inner_4.min(STORAGE_INNER_4),
        };
        ResidentTiles {
            inner_4,
            ..self.tiles
        }
    }

    /// Whether what follows a product is there once for all values of an invocation, and not for each.
    fn is_looped(self) -> bool {
        self.tiles.wide().held() > MOST_UNROLLED || self.needs.is_much()
    }

    /// The same for one of the kernels: what it has no use for is not compiled in.
    pub fn of_kernel(self, kernel: ResidentKernel) -> Self {
        match kernel {
            ResidentKernel::Train => self,
            ResidentKernel::Evaluate => Self {
                needs: self.needs.of_evaluations(),
                ..self
            },
        }
    }

    /// A kernel's text; with a shape, for networks of it alone.
    pub fn render(self, kernel: ResidentKernel, written: Option<&Shape>) -> String {
        let gathers = self.tiles.is_direct();
        let layers = written.map_or_else(Vec::new, |shape| ResidentLayer::of_shape(shape, gathers));
        let row_stride = written.map(|shape| ScratchLayout::new(shape, gathers).row_stride);
        let of_kernel = context! {
            evaluates => kernel == ResidentKernel::Evaluate,
            row_stride,
            written => layers.into_iter().map(layer_values).collect::<Vec<_>>(),
        };
        let needs = self.of_kernel(kernel).needs;
        let values = merge_maps([of_kernel, self.values()]);
        render_with(kernel.name(), needs, values)
    }

    fn values(self) -> Value {
        let tiles = self.cut();
        context! {
            THREADS => tiles.threads,
            INNER_4 => tiles.inner_4,
            CHUNK_ROWS => CHUNK_ROWS,
            ARENA => self.arena_vec4s(),
            WEIGHTS_AT => tiles.staged_inputs(),
            WEIGHTS_IN_ARENA => tiles.staged(true),
            LOSS_ROWS => tiles.losses(),
            GROUP_COLUMNS => tiles.threads.min(8),
            in_arena => self.arena.is_some(),
            direct => tiles.is_direct(),
            UNROLL => UNROLL,
            judges_late => tiles.is_direct() && !self.needs.batch_norm,
            looped => self.is_looped(),
            coherent => self.coherent,
            source => self.source.name(),
            wide => tiles.wide().values(),
            wide_back => tiles.wide_back().values(),
            narrow => tiles.narrow().values(),
            wide_weights => tiles.wide().values(),
            narrow_weights => tiles.narrow_weights().values(),
        }
    }

    /// Every different text with these tiles, with weights in the least adapter's arena or not, and with a
    /// shape written in or not.
    pub fn every_text(tiles: &[ResidentTiles]) -> Vec<Rendered> {
        let mut texts = Vec::new();
        let written = Shape::new(9, &[20], 5).with_batch_norm(true);
        let little = Needs::of(std::iter::once(MemberData::default()), true);
        for &tiles in tiles {
            for source in [Source::FeaturesF32, Source::FeaturesU8] {
                for arena in [None, Some(64)] {
                    for (needs, coherent) in [(Needs::ALL, true), (little, false)] {
                        let variant = Self {
                            tiles,
                            source,
                            arena,
                            needs,
                            coherent,
                        };
                        texts.extend(variant.texts(&written));
                    }
                }
            }
        }
        texts
    }

    /// Of both kernels, with a shape written in and without.
    fn texts(self, written: &Shape) -> Vec<Rendered> {
        let mut texts = Vec::new();
        for (written, suffix) in [(None, ""), (Some(written), "-written")] {
            texts.extend(ResidentKernel::ALL.map(|kernel| Rendered {
                kernel: kernel.name(),
                variant: format!("{}{suffix}", self.name()),
                wgsl: self.render(kernel, written),
            }));
        }
        texts
    }

    fn name(self) -> String {
        let ResidentTiles {
            threads,
            thread_rows,
            thread_columns_4,
            ..
        } = self.tiles;
        let weights = match self.arena {
            _ if self.tiles.is_direct() => "direct",
            Some(_) => "arena",
            None => "storage",
        };
        let source = self.source.name();
        let needs = if self.needs == Needs::ALL {
            ""
        } else {
            "-little"
        };
        format!("{threads}_{thread_rows}x{thread_columns_4}-{source}-{weights}{needs}")
    }
}
