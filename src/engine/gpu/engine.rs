//! The engine of a GPU adapter.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::adapter::{AdapterKind, GpuAdapter, enumerate};
use super::device::GpuDevice;
use super::kernels::{Checks, Kernel, resident};
use super::layered::{Kernels, StepCost, Tiles, feature_bytes, predicted_bytes};
use super::layout::MemberData;
use super::resident::Resident;
use super::shader::{Iterations, Needs, ResidentTiles, ResidentVariant, Source, TileShape};
use super::split;
use super::timing::Timer;
use super::wave::GpuWave;
use crate::data::{Dataset, FeatureValues, Features};
use crate::engine::{AdapterDescription, Engine, EngineError, Running, SHAPE_VARIANT, WaveSetup};
use crate::plan::{BufferLayout, Footprint, Limits, arena_layout};
use crate::train::{Hyperparameters, Shape};

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
    /// The resident kernel leaves weights in storage also where they fit a workgroup's memory.
    pub weights_in_storage: bool,
    /// Bytes that the buffers of a wave may take; what is beyond counts as no room. For tests.
    pub most_bytes: Option<u64>,
}

impl Options {
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
                AdapterKind::Software => ResidentTiles {
                    threads: 8,
                    thread_rows: 16,
                    thread_columns_4: 4,
                    columns_4: 16,
                    inner_4: 8,
                },
                _ => ResidentTiles {
                    threads: 64,
                    thread_rows: 8,
                    thread_columns_4: 1,
                    columns_4: 16,
                    inner_4: 16,
                },
            },
            weights_in_storage: false,
            most_bytes: None,
        }
    }
}

/// What trains the members of a wave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// The resident engine where a member's weights fit a workgroup's memory, else the layered one.
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

/// Parameters of a network that one workgroup can sensibly train from storage, in bytes.
const MOST_RESIDENT_BYTES: u64 = 1 << 20;

/// Trains waves on one GPU.
#[derive(Debug)]
pub struct GpuEngine {
    options: Options,
    limits: Limits,
    layout: BufferLayout,
    timed: bool,
    opened: Mutex<Opened>,
}

/// A device and what was compiled for it. Waves share it; a lost one is replaced.
#[derive(Clone, Debug)]
struct Opened {
    gpu: Arc<GpuDevice>,
    /// Kernels by how features are stored, compiled when first needed.
    kernels: BTreeMap<Source, Arc<Kernels>>,
    /// Resident kernels by what is compiled in.
    resident: BTreeMap<ResidentVariant, Arc<Kernel>>,
}

impl Opened {
    fn new(gpu: GpuDevice) -> Self {
        Self {
            gpu: Arc::new(gpu),
            kernels: BTreeMap::new(),
            resident: BTreeMap::new(),
        }
    }
}

impl GpuEngine {
    /// An engine on an open device.
    pub fn new(gpu: GpuDevice, options: Options) -> Self {
        Self {
            options,
            limits: limits(&gpu, options),
            layout: layout(&gpu, options),
            timed: false,
            opened: Mutex::new(Opened::new(gpu)),
        }
    }

    /// The same engine with fewer workgroups along a dimension of a dispatch.
    #[cfg(test)]
    pub fn with_most_workgroups(self, most: u32) -> Self {
        let mut opened = self.opened();
        let gpu = Arc::get_mut(&mut opened.gpu).expect("no wave was started");
        gpu.limits.max_compute_workgroups_per_dimension = most;
        drop(opened);
        self
    }

    /// The same engine with other limits of a wave; results do not depend on them.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The device it works on now.
    pub fn device(&self) -> Arc<GpuDevice> {
        Arc::clone(&self.opened().gpu)
    }

    fn opened(&self) -> MutexGuard<'_, Opened> {
        // What is in there is never half done.
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same engine, whose waves measure what they cost ([`Running::timing`]): timestamps at the
    /// boundaries of passes, and the time of encoding. Results do not depend on it.
    pub fn with_timing(mut self) -> Self {
        self.timed = true;
        self
    }

    /// Whether the device has timestamps to measure with.
    pub fn has_timestamps(&self) -> bool {
        let features = self.device().features;
        features.contains(wgpu::Features::TIMESTAMP_QUERY)
    }

    /// Puts a wave on the adapter.
    ///
    /// # Errors
    /// When it does not fit, or the device fails.
    pub(super) fn wave<'r>(&'r self, wave: WaveSetup<'r>) -> Result<GpuWave<'r>, EngineError> {
        self.check_data(wave.data.dataset)?;
        let source = match wave.data.dataset.features.values() {
            FeatureValues::F32(_) => Source::FeaturesF32,
            FeatureValues::U8(_) => Source::FeaturesU8,
        };
        let begun = Instant::now();
        let (gpu, kernels) = self.compiled(source)?;
        let (layout, resident) = match self.resident(&gpu, &wave, source) {
            Some((variant, most_steps)) => {
                let kernel = self.compiled_resident(&gpu, variant)?;
                (self.layout, Some(Resident::new(kernel, most_steps)))
            }
            None => (self.layout.without_resident(), None),
        };
        let compile_s = begun.elapsed().as_secs_f64();
        let timer = self.timed.then(|| Timer::new(Arc::clone(&gpu)));
        let wave = GpuWave::new(gpu, kernels, resident, wave, layout, self.options)?;
        Ok(wave.compiled_in(compile_s).with_timer(timer))
    }

    /// Bytes that a wave will take on the adapter, dataset and lists included.
    pub fn predicted_bytes(&self, wave: &WaveSetup<'_>) -> u64 {
        predicted_bytes(wave, self.layout, self.options.tiles)
    }

    /// What a model says of one step of these members on these features.
    pub fn step_cost(
        &self,
        shape: &Shape,
        members: &[Hyperparameters],
        features: &Features,
    ) -> StepCost {
        let feature_row = feature_bytes(features) / features.rows().max(1) as u64;
        StepCost::new(shape, members, self.layout, feature_row)
    }

    /// The device, with the kernels for features that are stored like this.
    fn compiled(&self, source: Source) -> Result<(Arc<GpuDevice>, Arc<Kernels>), EngineError> {
        let mut opened = self.opened();
        let gpu = Arc::clone(&opened.gpu);
        if let Some(compiled) = opened.kernels.get(&source) {
            return Ok((gpu, Arc::clone(compiled)));
        }
        let compiled = Arc::new(Kernels::compile(&gpu, &self.options, source));
        gpu.check()?;
        opened.kernels.insert(source, Arc::clone(&compiled));
        Ok((gpu, compiled))
    }

    /// How the resident kernel trains a wave, and how many steps it may make in a dispatch; `None` where
    /// it does not.
    fn resident(
        &self,
        gpu: &GpuDevice,
        wave: &WaveSetup<'_>,
        source: Source,
    ) -> Option<(ResidentVariant, u32)> {
        let largest = wave.members.iter().map(|m| m.hyperparameters.batch_size);
        let batch = largest.max().unwrap_or(1);
        let tiles = self.options.resident;
        let variant = ResidentVariant {
            tiles,
            source,
            arena: self.arena_for(wave.shape, gpu),
            needs: needs(gpu.kind, wave),
        };
        let steps = most_steps(gpu.kind, Iterations::new(variant, wave.shape, batch));
        (self.layout.is_resident(wave.shape) && steps > 0).then_some((variant, steps))
    }

    /// `vec4`s of the arena for a shape's weights, rounded up so that shapes of about one size share a
    /// kernel; `None` where they do not fit.
    fn arena_for(&self, shape: &Shape, gpu: &GpuDevice) -> Option<u32> {
        let workgroup = gpu.limits.max_compute_workgroup_storage_size;
        let room = ResidentVariant::arena_room(self.options.resident, workgroup);
        let needed = u32::try_from(arena_layout(shape).1).ok()?;
        let fits = needed <= room && !self.options.weights_in_storage;
        // A GPU has room for more workgroups at once where each takes less; a software adapter has one
        // a core, and takes seconds to compile a kernel.
        let step = match gpu.kind {
            AdapterKind::Software => room,
            _ => ARENA_STEP,
        };
        fits.then(|| needed.next_multiple_of(step.max(1)).min(room))
    }

    fn compiled_resident(
        &self,
        gpu: &GpuDevice,
        variant: ResidentVariant,
    ) -> Result<Arc<Kernel>, EngineError> {
        let mut opened = self.opened();
        let does = |compiled: &ResidentVariant| {
            let alike = ResidentVariant {
                needs: variant.needs,
                ..*compiled
            };
            alike == variant && compiled.needs.hold(variant.needs)
        };
        if let Some((_, kernel)) = opened.resident.iter().find(|(compiled, _)| does(compiled)) {
            return Ok(Arc::clone(kernel));
        }
        let kernel = Arc::new(resident::compile(gpu, self.options.checks, variant));
        gpu.check()?;
        opened.resident.insert(variant, Arc::clone(&kernel));
        Ok(kernel)
    }

    /// The adapter, with the engine that trains most of these shapes and, for each, which does and how.
    fn description(&self, shapes: &BTreeSet<Shape>) -> AdapterDescription {
        let Options {
            checks,
            tiles,
            arena,
            engine,
            resident,
            ..
        } = self.options;
        let word = |yes: bool, no: &str, word: &str| if yes { word } else { no }.to_owned();
        let kernels = [
            ("tile_rows", tiles.rows.name()),
            ("tile_weights", tiles.weights.name()),
            ("tile_resident", resident.name()),
            ("update", word(arena, "fused", "arena")),
            ("checks", word(checks == Checks::On, "off", "on")),
            ("engine", engine.name().to_owned()),
        ];
        let mut variants: BTreeMap<String, String> = BTreeMap::new();
        variants.extend(kernels.map(|(name, value)| (name.to_owned(), value)));
        for shape in shapes {
            variants.insert(
                format!("{SHAPE_VARIANT}{shape}"),
                self.form(shape).to_owned(),
            );
        }
        let is_resident = |shape: &&Shape| self.layout.is_resident(shape);
        let of_resident = shapes.iter().filter(is_resident).count();
        let resident = match shapes.len() {
            0 => engine == EngineKind::Resident,
            all => 2 * of_resident >= all,
        };
        AdapterDescription {
            engine: word(resident, "layered", "resident"),
            variants,
            ..self.device().description.clone()
        }
    }

    /// Which engine trains a shape, and where its weights are.
    fn form(&self, shape: &Shape) -> &'static str {
        match self.arena_for(shape, &self.device()) {
            _ if !self.layout.is_resident(shape) => "layered",
            Some(_) => "resident, weights in workgroup memory",
            None => "resident, weights in storage",
        }
    }

    /// Whether the resident engine, where it alone was asked for, trains these networks.
    fn check_resident(&self, shape: &Shape, batch: usize) -> Result<(), EngineError> {
        if self.options.engine != EngineKind::Resident {
            return Ok(());
        }
        if !self.layout.is_resident(shape) {
            let available = self.layout.most_resident_bytes;
            return Err(EngineError::NotResident {
                needed: 16 * arena_layout(shape).1,
                available,
                adapter: self.name(),
                fits: what_fits(shape, |shape| self.layout.is_resident(shape)),
                shape: shape.clone(),
            });
        }
        let gpu = self.device();
        let variant = ResidentVariant {
            tiles: self.options.resident,
            source: Source::FeaturesF32,
            arena: self.arena_for(shape, &gpu),
            needs: Needs::ALL,
        };
        if most_steps(gpu.kind, Iterations::new(variant, shape, batch)) == 0 {
            return Err(EngineError::StepTooLong {
                shape: shape.clone(),
                batch,
                adapter: self.name(),
            });
        }
        Ok(())
    }

    fn name(&self) -> String {
        self.device().description.name.clone()
    }
}

impl Engine for GpuEngine {
    fn adapter(&self) -> AdapterDescription {
        self.description(&BTreeSet::new())
    }

    fn adapter_for(&self, shapes: &BTreeSet<Shape>) -> AdapterDescription {
        self.description(shapes)
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn check_data(&self, dataset: &Dataset) -> Result<(), EngineError> {
        let bytes = feature_bytes(&dataset.features);
        let available = self.layout.most_buffer_bytes;
        if bytes > available {
            return Err(EngineError::DataTooLarge {
                data: dataset.name.clone(),
                bytes,
                available,
                adapter: self.name(),
            });
        }
        Ok(())
    }

    fn capacity(&self, shape: &Shape, batch: usize) -> Result<u64, EngineError> {
        self.check_resident(shape, batch)?;
        let each = Footprint::new(shape, &Hyperparameters::largest(batch), Some(self.layout));
        let available = self.limits.most_bytes;
        let most_buffer = self.layout.most_buffer_bytes;
        if each.largest() > most_buffer || each.total() > available {
            return Err(EngineError::TooLarge {
                shape: shape.clone(),
                needed: each.total().max(each.largest()),
                available: if each.largest() > most_buffer {
                    most_buffer
                } else {
                    available
                },
                adapter: self.name(),
            });
        }
        let by_buffer = most_buffer / each.largest().max(1);
        let by_memory = available / each.total().max(1);
        Ok(by_buffer.min(by_memory).min(self.limits.most_members))
    }

    fn recover(&self) -> Result<String, EngineError> {
        let lost = self.device();
        let gpu = reopened(&lost)?;
        // A plan is kept to: what was planned for the old adapter must fit the new one.
        let found = layout(&gpu, self.options).most_buffer_bytes;
        if found < self.layout.most_buffer_bytes {
            return Err(EngineError::AdapterLacks {
                adapter: gpu.description.name,
                what: "bytes a buffer".to_owned(),
                value: found,
                needed: self.layout.most_buffer_bytes,
            });
        }
        let name = gpu.description.name.clone();
        *self.opened() = Opened::new(gpu);
        Ok(name)
    }

    fn start<'r>(&'r self, wave: WaveSetup<'r>) -> Result<Box<dyn Running + 'r>, EngineError> {
        split::start(self, wave)
    }
}

/// A new device: on the same adapter if it is still there, else on the first that can be used and
/// computes on the same kind of thing.
fn reopened(lost: &GpuDevice) -> Result<GpuDevice, EngineError> {
    let known = |a: &GpuAdapter| (a.backend().to_owned(), a.name().to_owned(), a.pci_id());
    let (was, kind) = (known(&lost.adapter), lost.kind);
    let mut usable: Vec<GpuAdapter> = enumerate()
        .into_iter()
        .filter(|a| a.refusal().is_none())
        .filter(|a| (a.kind() == AdapterKind::Software) == (kind == AdapterKind::Software))
        .collect();
    usable.sort_by_key(|a| known(a) != was);
    let mut error = lost.check().err();
    for adapter in usable {
        match adapter.open() {
            Ok(gpu) => return Ok(gpu),
            Err(reason) => error = Some(reason),
        }
    }
    Err(error.unwrap_or_else(|| EngineError::DeviceLost {
        adapter: lost.description.name.clone(),
        reason: "no other adapter is here".to_owned(),
    }))
}

/// What a wave's kernel is compiled for. Software adapters execute what their branches leave out, and
/// translate an expression alike wherever it stands. A GPU branches, and its compiler might draw
/// operations together in one kernel and not in another: there all members have the same kernel, so
/// that no member's bits depend on its neighbours.
fn needs(kind: AdapterKind, wave: &WaveSetup<'_>) -> Needs {
    if kind != AdapterKind::Software {
        return Needs::ALL;
    }
    let members = wave
        .members
        .iter()
        .map(|m| MemberData::new(&m.hyperparameters, [0; 2]));
    let members: Vec<MemberData> = members.collect();
    Needs::of(members.iter(), wave.shape.batch_norm())
}

/// Steps that a dispatch may make: see [`Iterations`].
fn most_steps(kind: AdapterKind, iterations: Iterations) -> u32 {
    if kind != AdapterKind::Software {
        return u32::MAX;
    }
    let most = MOST_ITERATIONS.saturating_sub(iterations.dispatch) / iterations.step;
    u32::try_from(most).unwrap_or(u32::MAX)
}

/// Iterations after which llvmpipe ends an invocation's loops, less some for what is not counted.
const MOST_ITERATIONS: u64 = 64_000;

/// Sizes of the arena are multiples of so many `vec4`s.
const ARENA_STEP: u32 = 128;

fn layout(gpu: &GpuDevice, options: Options) -> BufferLayout {
    let binding = gpu.limits.max_storage_buffer_binding_size;
    let workgroup = gpu.limits.max_compute_workgroup_storage_size;
    let arena = ResidentVariant::arena_room(options.resident, workgroup);
    BufferLayout {
        most_resident_bytes: match options.engine {
            _ if !gpu.adapter.has_coherent_buffers() => 0,
            EngineKind::Auto => 16 * u64::from(arena),
            EngineKind::Layered => 0,
            EngineKind::Resident => MOST_RESIDENT_BYTES,
        },
        most_buffer_bytes: binding.min(gpu.limits.max_buffer_size),
        row_tile: u64::from(options.tiles.rows.rows),
        gradients: options.arena,
    }
}

/// wgpu does not say how much memory an adapter has; these are what each kind has at least.
fn limits(gpu: &GpuDevice, options: Options) -> Limits {
    const GIB: u64 = 1 << 30;
    let most_bytes = match gpu.kind {
        AdapterKind::Discrete => 4 * GIB,
        _ => GIB,
    };
    Limits {
        most_bytes,
        most_members: 1 << 16,
        enough_bytes: most_bytes / 2,
        enough_members: 4096,
        layout: Some(layout(gpu, options)),
    }
}
