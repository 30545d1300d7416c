//! How kernels are compiled, and which engine trains.

use super::adapter::{AdapterKind, GpuAdapter};
use super::kernels::Checks;
use super::shader::{ResidentTiles, TileShape, Tiles};

/// How kernels are compiled. Results do not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// wgpu's bounds checks.
    pub checks: Checks,
    /// How product kernels cut their results.
    pub tiles: Tiles,
    /// Gradients go to buffers of their own, and a kernel of its own updates from them.
    pub arena: bool,
    /// What trains.
    pub engine: EngineKind,
    /// How the resident kernel cuts its results.
    pub resident: ResidentTiles,
    /// How it does where the weights of a network have no room beside what these tiles stage, and have beside
    /// what fewer rows do.
    pub roomy: Option<ResidentTiles>,
    /// The resident kernel leaves weights in storage also where they fit a workgroup's memory.
    pub weights_in_storage: bool,
    /// Bytes that the buffers of a wave may take; what is beyond counts as no room. For tests.
    pub most_bytes: Option<u64>,
}

/// Tiles of which nothing is staged, by `benches/gpu_tiles.rs` on an NVIDIA H200.
pub const DIRECT: ResidentTiles = resident(256, 4, 1, 16, 0);

impl Options {
    /// What is fast on this adapter: nothing is staged where barriers order plain buffers, so that operands come
    /// through the nearest cache.
    pub fn for_adapter(adapter: &GpuAdapter) -> Self {
        let of_kind = Self::for_kind(adapter.kind());
        if !adapter.orders_plain_buffers() {
            return of_kind;
        }
        Self {
            resident: DIRECT,
            roomy: None,
            ..of_kind
        }
    }

    /// What is fast on adapters of this kind.
    pub fn for_kind(kind: AdapterKind) -> Self {
        let tile = |rows, columns, thread_rows| TileShape {
            rows,
            columns,
            thread_rows,
        };
        // By `benches/gpu_tiles.rs` on llvmpipe; for hardware by what recurs elsewhere.
        let (rows, weights) = (tile(32, 64, 8), tile(64, 64, 8));
        let narrow_thread_rows = match kind {
            AdapterKind::Software => 8,
            _ => 4,
        };
        Self {
            checks: Checks::Off,
            tiles: Tiles {
                rows,
                weights,
                narrow_thread_rows,
            },
            arena: false,
            engine: EngineKind::Auto,
            resident: match kind {
                AdapterKind::Software => resident(8, 16, 4, 16, 8),
                _ => resident(64, 8, 1, 16, 16),
            },
            roomy: Some(match kind {
                AdapterKind::Software => resident(8, 8, 4, 8, 8),
                _ => resident(64, 4, 1, 16, 16),
            }),
            weights_in_storage: false,
            most_bytes: None,
        }
    }
}

const fn resident(
    threads: u32,
    thread_rows: u32,
    thread_columns_4: u32,
    columns_4: u32,
    inner_4: u32,
) -> ResidentTiles {
    ResidentTiles {
        threads,
        thread_rows,
        thread_columns_4,
        columns_4,
        inner_4,
    }
}

/// What trains the members of a wave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// The resident engine where it is taken to be faster for networks of that size, else the layered one.
    Auto,
    /// A dispatch a layer.
    Layered,
    /// A workgroup a member.
    Resident,
}

impl EngineKind {
    /// As `--engine` and `run.json` have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Layered => "layered",
            Self::Resident => "resident",
        }
    }

    /// Of a word; `None` for another.
    pub fn of(word: &str) -> Option<Self> {
        let all = [Self::Auto, Self::Layered, Self::Resident];
        all.into_iter().find(|kind| kind.name() == word)
    }
}
