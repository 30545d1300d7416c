//! Which networks the resident kernel trains, and in which form.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::gpu::GpuDevice;
use crate::engine::gpu::adapter::AdapterKind;
use crate::engine::gpu::layered::lists::BLOCK_ROWS;
use crate::engine::gpu::layout::MemberData;
use crate::engine::gpu::options::{EngineKind, Options};
use crate::engine::gpu::shader::{Iterations, Needs, ResidentTiles, ResidentVariant, Source};
use crate::engine::{EngineError, WaveSetup};
use crate::plan::arena_layout;
use crate::train::Shape;

/// How a wave is trained by the resident kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResidentForm {
    /// What is compiled in.
    pub variant: ResidentVariant,
    /// Steps that a dispatch may make.
    pub most_steps: u32,
    /// Rows of each member that a dispatch may evaluate.
    pub most_rows: u32,
    /// Members that keep the adapter busy.
    pub at_once: usize,
    /// Workgroups of a dispatch are executed in so many chunks side by side, each of neighbours: software adapters
    /// cut them so, where hardware takes one workgroup after another.
    pub chunks: u32,
}

/// The sizes of the batches of each shape's members.
type Batches<'w> = BTreeMap<&'w Shape, BTreeSet<usize>>;

/// What an adapter and its options allow.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// The adapter.
    pub gpu: &'a GpuDevice,
    /// How its kernels are compiled.
    pub options: &'a Options,
}

impl Choice<'_> {
    /// Bytes that the parameters of a shape, as they would lie in a workgroup's memory, may take to be trained by
    /// the resident kernel; 0: it trains none.
    pub fn most_bytes(self) -> u64 {
        match self.options.engine {
            _ if !self.gpu.adapter.has_coherent_buffers() => 0,
            EngineKind::Auto => {
                let Options {
                    resident, roomy, ..
                } = *self.options;
                if resident.is_direct() {
                    return MOST_DIRECT_BYTES;
                }
                let rooms = [Some(resident), roomy].into_iter().flatten();
                let most = rooms.map(|tiles| self.arena_room(tiles)).max();
                16 * u64::from(most.unwrap_or(0))
            }
            EngineKind::Layered => 0,
            EngineKind::Resident => MOST_RESIDENT_BYTES,
        }
    }

    /// Whether it trains networks of this shape, whatever their batches.
    fn takes(self, shape: &Shape) -> bool {
        16 * arena_layout(shape).1 <= self.most_bytes()
    }

    /// Bytes that the parameters of shapes may take that share a wave: by the usual tiles they lie in the
    /// workgroup's memory, or nothing does. 0: each shape has waves of its own.
    pub fn most_mixed_bytes(self) -> u64 {
        let usual = self.options.resident;
        if self.options.weights_in_storage {
            return 0;
        }
        if usual.is_direct() {
            return self.most_bytes();
        }
        self.most_bytes()
            .min(16 * u64::from(self.arena_room(usual)))
    }

    /// How it trains a wave; `None` where the layered engine trains it, each shape for itself.
    pub fn of_wave(self, wave: &WaveSetup<'_, '_>, source: Source) -> Option<ResidentForm> {
        let mut sizes: Batches<'_> = BTreeMap::new();
        for member in wave.members {
            let of_shape = sizes.entry(wave.shape_of(member)).or_default();
            of_shape.insert(member.hyperparameters.batch_size);
        }
        self.of_batches(&sizes, source, Self::needs(wave))
    }

    /// The same for members with batches of these sizes.
    fn of_batches(self, sizes: &Batches<'_>, source: Source, needs: Needs) -> Option<ResidentForm> {
        let largest = sizes.keys().max_by_key(|shape| arena_layout(shape).1)?;
        let tiles = self.tiles(largest);
        let variant = ResidentVariant {
            tiles,
            source,
            arena: self.arena(largest, tiles),
            needs,
            coherent: !self.gpu.adapter.orders_plain_buffers(),
        };
        let (mut most_steps, mut most_rows) = (u32::MAX, u32::MAX);
        for (shape, sizes) in sizes {
            let batch = sizes.last().copied().unwrap_or(1);
            let steps = self.most_steps(Iterations::new(variant, shape, batch));
            most_steps = most_steps.min(steps);
            for &size in sizes {
                most_rows = most_rows.min(self.most_rows(variant, shape, size));
            }
        }
        let fits = variant.workgroup_bytes() <= self.workgroup_bytes();
        let trains = self.takes(largest) && fits && most_steps > 0 && most_rows > 0;
        trains.then_some(ResidentForm {
            variant,
            most_steps,
            most_rows,
            at_once: self.at_once(),
            chunks: self.chunks(),
        })
    }

    /// The same, whatever the members need.
    fn of_batch(self, shape: &Shape, batch: usize) -> Option<ResidentForm> {
        let batches = BTreeMap::from([(shape, BTreeSet::from([batch]))]);
        self.of_batches(&batches, Source::FeaturesF32, Needs::ALL)
    }

    /// Which engine trains networks of a shape with batches of up to so many rows, for records.
    pub fn form(self, shape: &Shape, batch: usize) -> &'static str {
        match self.of_batch(shape, batch) {
            None => "layered",
            Some(form) if form.variant.arena.is_some() => "resident, weights in workgroup memory",
            Some(_) => "resident, weights in storage",
        }
    }

    /// Whether the resident engine, where it alone was asked for, trains these networks.
    ///
    /// # Errors
    /// [`EngineError::NotResident`] says what would fit; [`EngineError::StepTooLong`] names the batch.
    pub fn check(self, shape: &Shape, batch: usize) -> Result<(), EngineError> {
        if self.options.engine != EngineKind::Resident {
            return Ok(());
        }
        let adapter = || self.gpu.description.name.clone();
        if !self.takes(shape) {
            return Err(EngineError::NotResident {
                shape: shape.clone(),
                needed: 16 * arena_layout(shape).1,
                available: self.most_bytes(),
                adapter: adapter(),
                fits: what_fits(shape, |shape| self.takes(shape)),
            });
        }
        match self.of_batch(shape, batch) {
            Some(_) => Ok(()),
            None => Err(EngineError::StepTooLong {
                shape: shape.clone(),
                batch,
                adapter: adapter(),
            }),
        }
    }

    fn workgroup_bytes(self) -> u32 {
        self.gpu.limits.max_compute_workgroup_storage_size
    }

    fn arena_room(self, tiles: ResidentTiles) -> u32 {
        ResidentVariant::arena_room(tiles, self.workgroup_bytes())
    }

    /// `vec4`s of a shape's weights in the arena, where these tiles leave them room there.
    fn in_arena(self, shape: &Shape, tiles: ResidentTiles) -> Option<u32> {
        let needed = u32::try_from(arena_layout(shape).1).ok()?;
        let stays = tiles.is_direct() || self.options.weights_in_storage;
        let fits = needed <= self.arena_room(tiles) && !stays;
        fits.then_some(needed)
    }

    /// How results of networks of this shape are cut.
    pub fn tiles(self, shape: &Shape) -> ResidentTiles {
        let usual = self.options.resident;
        let roomy = self.options.roomy.filter(|&roomy| {
            let fits = |tiles| self.in_arena(shape, tiles).is_some();
            !usual.is_direct() && !fits(usual) && fits(roomy)
        });
        roomy.unwrap_or(usual)
    }

    /// `vec4`s of the arena for a shape's weights, rounded up so that shapes of about one size share a
    /// kernel; `None` where they do not fit.
    fn arena(self, shape: &Shape, tiles: ResidentTiles) -> Option<u32> {
        let (needed, room) = (self.in_arena(shape, tiles)?, self.arena_room(tiles));
        // A GPU has room for more workgroups at once where each takes less; a software adapter has one
        // a core, and takes seconds to compile a kernel.
        let step = match self.gpu.kind {
            AdapterKind::Software => room.max(1),
            _ => ARENA_STEP,
        };
        Some(needed.next_multiple_of(step).min(room))
    }

    /// What a wave's kernel is compiled for. Software adapters execute what their branches leave out, and a GPU
    /// executes out of an instruction cache: with all optimizers compiled in, an H200 trained at a quarter of the
    /// rate. No bits are to depend on it: shaders leave a driver nothing to draw together.
    fn needs(wave: &WaveSetup<'_, '_>) -> Needs {
        let data = |hyperparameters| MemberData::new(hyperparameters, [0; 2]);
        let members = wave.members.iter().map(|m| data(&m.hyperparameters));
        let batch_norm = wave.members.iter().any(|m| wave.shape_of(m).batch_norm());
        Needs::of(members, batch_norm)
    }

    /// Members that keep the adapter busy, several for each workgroup that runs at once, so that those that take
    /// longer than others do not leave it idle.
    fn at_once(self) -> usize {
        match self.gpu.kind {
            AdapterKind::Software => SOFTWARE_MEMBERS * self.chunks() as usize,
            _ => HARDWARE_MEMBERS,
        }
    }

    /// llvmpipe gives each of its threads, one a core, as many workgroups as the others, and those in a row.
    fn chunks(self) -> u32 {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        match self.gpu.kind {
            // Two at least: what a machine with one core computes is then what others do.
            AdapterKind::Software => u32::try_from(cores().max(2)).expect("cores are few"),
            _ => 1,
        }
    }

    /// Steps that a dispatch may make: see [`Iterations`].
    fn most_steps(self, iterations: Iterations) -> u32 {
        if self.gpu.kind != AdapterKind::Software {
            return u32::MAX;
        }
        let most = MOST_ITERATIONS.saturating_sub(iterations.dispatch) / iterations.step;
        u32::try_from(most).unwrap_or(u32::MAX)
    }

    /// Rows of a member that a dispatch may evaluate, a multiple of [`BLOCK_ROWS`]; it takes as many at once
    /// as the member's batches have room for.
    fn most_rows(self, variant: ResidentVariant, shape: &Shape, batch: usize) -> u32 {
        let padded = batch.next_multiple_of(self.options.tiles.rows.rows as usize);
        let at_once = |rows: usize| {
            self.most_steps(Iterations::of_evaluation(variant, shape, rows))
                .saturating_mul(u32::try_from(rows).expect("batches are u32"))
        };
        let whole = at_once(padded);
        let least = BLOCK_ROWS as usize;
        let rows = if whole > 0 { whole } else { at_once(least) };
        rows / BLOCK_ROWS * BLOCK_ROWS
    }
}

/// Parameters of a network that a workgroup is taken to train faster than the layered engine does, in bytes, where
/// operands are read where they lie: on an H200 64-128-10 (40 KB) was faster, 64-256-10 (80 KB) was not.
const MOST_DIRECT_BYTES: u64 = 56 << 10;

/// Members that keep a core busy, and those that keep a GPU busy.
const SOFTWARE_MEMBERS: usize = 8;
const HARDWARE_MEMBERS: usize = 4096;

/// Parameters of a network that one workgroup can sensibly train from storage, in bytes.
const MOST_RESIDENT_BYTES: u64 = 1 << 20;

/// Iterations after which llvmpipe ends an invocation's loops, less some for what is not counted.
const MOST_ITERATIONS: u64 = 64_000;

/// Sizes of the arena are multiples of so many `vec4`s.
const ARENA_STEP: u32 = 128;

/// What would fit in place of a shape that does not, for people.
fn what_fits(shape: &Shape, fits: impl Fn(&Shape) -> bool) -> String {
    let widths = shape.widths();
    let depth = widths.len() - 2;
    let of_width = |width: u64| {
        let hidden = vec![width; depth];
        Shape::new(widths[0], &hidden, shape.outputs()).with_batch_norm(shape.batch_norm())
    };
    let widest = (1..=1 << 12)
        .rev()
        .find(|&width| depth > 0 && fits(&of_width(width)));
    match widest {
        Some(width) if depth == 1 => format!("a hidden layer of up to {width} units fits"),
        Some(width) => format!("{depth} hidden layers of up to {width} units each fit"),
        None => "use fewer features".to_owned(),
    }
}
