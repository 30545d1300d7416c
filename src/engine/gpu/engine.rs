//! The engine of a GPU adapter.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use super::adapter::AdapterKind;
use super::device::GpuDevice;
use super::forms::{Form, Tuned, WaveClass};
use super::kernels::Checks;
#[cfg(test)]
use super::kernels::Kernel;
use super::layered::{StepCost, feature_bytes, predicted_bytes};
use super::opened::{Opened, Wanted, reopened};
use super::options::{EngineKind, Options};
use super::resident::{Choice, Resident, ResidentForm};
#[cfg(test)]
use super::shader::ResidentKernel;
use super::shader::Source;
use super::side_by_side::is_side_by_side;
use super::split;
use super::timing::Timer;
use super::wave::{GpuWave, WaveKernels};
use crate::data::{Dataset, FeatureValues, Features};
use crate::engine::{
    AdapterDescription, Engine, EngineError, Running, SHAPE_VARIANT, TUNED_VARIANT, Trace,
    WaveSetup, cohorts,
};
use crate::plan::{BufferLayout, Footprint, Limits};
use crate::train::{Hyperparameters, Shape};

/// Trains waves on one GPU.
#[derive(Debug)]
pub struct GpuEngine {
    options: Options,
    limits: Limits,
    layout: BufferLayout,
    timed: bool,
    /// Waves are started beside others. A software adapter has the same cores to do that on, and compiles kernels in
    /// its queue, in front of what the other wave submits; by OpenGL the other wave would wait for compiling.
    beside: bool,
    trace: Trace,
    tuned: RwLock<Tuned>,
    /// The one shape that is trained, where that was said.
    only: RwLock<Option<Shape>>,
    opened: Mutex<Opened>,
}

impl GpuEngine {
    /// An engine on an open device.
    pub fn new(gpu: GpuDevice, options: Options) -> Self {
        Self {
            options,
            limits: limits(&gpu, options),
            layout: layout(&gpu, options),
            timed: false,
            beside: gpu.kind != AdapterKind::Software && is_side_by_side(&gpu),
            trace: Trace::default(),
            tuned: RwLock::default(),
            only: RwLock::default(),
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

    /// The same engine, which starts waves beside others whatever its adapter.
    #[cfg(test)]
    pub fn with_waves_beside(mut self) -> Self {
        self.beside = true;
        self
    }

    /// Compiles a resident kernel for waves like this from an edited text.
    #[cfg(test)]
    pub fn edit_resident(
        &self,
        kernel: ResidentKernel,
        wave: &WaveSetup<'_, '_>,
        edit: impl Fn(String) -> String,
    ) {
        let gpu = self.device();
        let options = self.options_for(&class_of(wave));
        let form = choice(&gpu, &options).of_wave(wave, source_of(wave));
        let form = form.expect("a wave of the resident engine");
        let variant = form.variant.of_kernel(kernel);
        let text = edit(variant.render(kernel, None));
        let compiled = Kernel::from_wgsl(&gpu, self.options.checks, kernel.name(), text);
        self.opened().put(kernel, variant, compiled);
    }

    /// How many kernels of the resident engine are compiled, and how many sets of the layered engine's.
    #[cfg(test)]
    pub fn compiled(&self) -> [usize; 2] {
        self.opened().compiled()
    }

    /// Whether kernels for waves of these shapes have the only one written in.
    pub fn is_written_in(&self, shapes: &[Shape]) -> bool {
        self.written_in(&self.device(), shapes).is_some()
    }

    /// Whether the resident engine trains a wave, and whether it is laid out for that.
    #[cfg(test)]
    pub fn trained_and_laid_out(&self, wave: &WaveSetup<'_, '_>) -> [bool; 2] {
        let gpu = self.device();
        let (options, form) = self.form_of(&gpu, wave);
        let layout = self.layout_in(&gpu, &options, form);
        [form.is_some(), layout.is_resident(&wave.shapes[0])]
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

    /// The same engine, whose waves measure what they cost and record each pass as a span.
    pub fn with_trace(self, trace: Trace) -> Self {
        Self {
            timed: self.timed || trace.is_on(),
            trace,
            ..self
        }
    }

    /// Whether the device has timestamps to measure with.
    pub fn has_timestamps(&self) -> bool {
        let features = self.device().features;
        features.contains(wgpu::Features::TIMESTAMP_QUERY)
    }

    /// Puts a wave on the adapter, whole: where nothing trains its shapes together, a wave for each.
    ///
    /// # Errors
    /// When it does not fit, or the device fails.
    pub(super) fn whole<'r>(
        &'r self,
        wave: WaveSetup<'r, '_>,
    ) -> Result<Box<dyn Running + 'r>, EngineError> {
        let gpu = self.device();
        let (options, form) = self.form_of(&gpu, &wave);
        if form.is_some() || wave.shapes.len() == 1 {
            return Ok(Box::new(self.wave_in(gpu, options, form, wave)?));
        }
        cohorts::start(wave, |of_shape| {
            let gpu = self.device();
            // Where the layered engine was measured for them together, it trains each; else each goes by its own
            // class.
            let (options, form) = match options.engine {
                EngineKind::Layered => (options, None),
                _ => self.form_of(&gpu, &of_shape),
            };
            Ok(Box::new(self.wave_in(gpu, options, form, of_shape)?))
        })
    }

    /// Whether a wave's members are trained in the same dispatches.
    pub fn trains_together(&self, wave: &WaveSetup<'_, '_>) -> bool {
        wave.shapes.len() == 1 || self.form_of(&self.device(), wave).1.is_some()
    }

    /// The options of a wave, and how the resident kernel trains it; `None` where the layered engine does. Where what
    /// was measured for its class cannot train shapes together, the engine's own options may.
    fn form_of(
        &self,
        gpu: &GpuDevice,
        wave: &WaveSetup<'_, '_>,
    ) -> (Options, Option<ResidentForm>) {
        let measured = self.options_for(&class_of(wave));
        let form = |options: &Options| choice(gpu, options).of_wave(wave, source_of(wave));
        let found = form(&measured);
        if found.is_none() && wave.shapes.len() > 1 && measured.engine != EngineKind::Layered {
            return (self.options, form(&self.options));
        }
        (measured, found)
    }

    /// Puts a wave on the adapter whose members are trained together.
    ///
    /// # Errors
    /// When it does not fit, or the device fails.
    #[cfg(test)]
    pub(super) fn wave<'r>(&'r self, wave: WaveSetup<'r, '_>) -> Result<GpuWave<'r>, EngineError> {
        let gpu = self.device();
        let (options, form) = self.form_of(&gpu, &wave);
        self.wave_in(gpu, options, form, wave)
    }

    /// The same by these options, in this form.
    fn wave_in<'r>(
        &'r self,
        gpu: Arc<GpuDevice>,
        options: Options,
        form: Option<ResidentForm>,
        wave: WaveSetup<'r, '_>,
    ) -> Result<GpuWave<'r>, EngineError> {
        self.check_data(wave.data.dataset)?;
        let source = source_of(&wave);
        let begun = Instant::now();
        let _span = self.trace.host("start a wave");
        let layout = self.layout_in(&gpu, &options, form);
        let kernels = match form {
            Some(form) => {
                let written = self.written_in(&gpu, wave.shapes);
                WaveKernels::Resident(self.compiled_resident(&gpu, form, written.as_ref())?)
            }
            None => WaveKernels::Layered(self.opened().layered(&gpu, source, &options)?),
        };
        let compile_s = begun.elapsed().as_secs_f64();
        let timer = self
            .timed
            .then(|| Timer::new(Arc::clone(&gpu), self.trace.clone()));
        let wave = GpuWave::new(gpu, kernels, wave, layout, options)?;
        Ok(wave.compiled_in(compile_s).with_timer(timer))
    }

    /// Bytes that a wave, whose members are trained together, will take on the adapter, dataset and lists included.
    pub fn predicted_bytes(&self, wave: &WaveSetup<'_, '_>) -> u64 {
        let gpu = self.device();
        let (options, form) = self.form_of(&gpu, wave);
        predicted_bytes(wave, self.layout_in(&gpu, &options, form), options.tiles)
    }

    /// The options of waves of a class: as measured, where it was.
    fn options_for(&self, class: &WaveClass) -> Options {
        let tuned = self.tuned.read().unwrap_or_else(PoisonError::into_inner);
        match tuned.of(class) {
            Some(form) => self.options.in_form(form),
            None => self.options,
        }
    }

    /// What it was made with; forms that were measured replace some of it for their classes.
    pub fn options(&self) -> Options {
        self.options
    }

    /// Waves that are started from now on are trained in these forms. Results do not depend on it.
    pub fn set_tuned(&self, tuned: Tuned) {
        *self.tuned.write().unwrap_or_else(PoisonError::into_inner) = tuned;
    }

    /// Whether a form can train a wave.
    pub fn trains_in(&self, form: Form, wave: &WaveSetup<'_, '_>) -> bool {
        let (gpu, options) = (self.device(), self.options.in_form(form));
        let resident = choice(&gpu, &options).of_wave(wave, source_of(wave));
        matches!(form, Form::Layered(_)) || resident.is_some()
    }

    /// Compiles what waves like this are trained with in these forms, side by side.
    ///
    /// # Errors
    /// When the device fails, or a form cannot be compiled; the others are there then.
    pub fn compile(&self, forms: &[Form], wave: &WaveSetup<'_, '_>) -> Result<(), EngineError> {
        let (gpu, source) = (self.device(), source_of(wave));
        let written = self.written_in(&gpu, wave.shapes);
        let mut wanted = Vec::new();
        for &form in forms {
            let options = self.options.in_form(form);
            match choice(&gpu, &options).of_wave(wave, source) {
                Some(form) => wanted.extend(Wanted::resident(form.variant, written.as_ref())),
                None => wanted.push(Wanted::Layered((source, options.tiles))),
            }
        }
        self.opened().compile(&gpu, &self.options, &wanted)
    }

    /// Whether [`compile`](Self::compile) does so on this adapter; else one follows the other.
    pub fn compiles_side_by_side(&self) -> bool {
        is_side_by_side(&self.device())
    }

    /// How a wave lies on the adapter: by the engine that trains it.
    fn layout_in(
        &self,
        gpu: &GpuDevice,
        options: &Options,
        form: Option<ResidentForm>,
    ) -> BufferLayout {
        match form {
            // Other tiles leave another room for weights.
            Some(_) => BufferLayout {
                most_resident_bytes: choice(gpu, options).most_bytes(),
                ..self.layout
            },
            None => self.layout.without_resident(),
        }
    }

    /// What a model says of one step of these members on these features.
    pub fn step_cost(
        &self,
        shape: &Shape,
        members: &[Hyperparameters],
        features: &Features,
    ) -> StepCost {
        let feature_row = feature_bytes(features) / features.rows().max(1) as u64;
        StepCost::new(shape, members, self.layout.without_resident(), feature_row)
    }

    /// The shape that is written into the resident kernels of a wave, where that is done.
    fn written_in(&self, gpu: &GpuDevice, shapes: &[Shape]) -> Option<Shape> {
        let only = self.only.read().unwrap_or_else(PoisonError::into_inner);
        let only = only.clone().filter(|only| shapes == [only.clone()])?;
        is_written(gpu, &only).then_some(only)
    }

    fn compiled_resident(
        &self,
        gpu: &GpuDevice,
        form: ResidentForm,
        written: Option<&Shape>,
    ) -> Result<Resident, EngineError> {
        let mut opened = self.opened();
        let [train, evaluate] = opened.resident(gpu, &self.options, form.variant, written)?;
        Ok(Resident {
            train,
            evaluate,
            form,
        })
    }

    /// The adapter, with the engine that trains most of these shapes and, for each, which does and how.
    fn description(&self, shapes: &BTreeSet<Shape>, batch: usize) -> AdapterDescription {
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
        let gpu = self.device();
        let mut of_resident = 0;
        for shape in shapes {
            // The form of the largest waves that were measured.
            let options = self.options_for(&WaveClass::new(shape, usize::MAX));
            let form = choice(&gpu, &options).form(shape, batch);
            let resident = form != "layered";
            of_resident += usize::from(resident);
            let written = resident && shapes.len() == 1 && is_written(&gpu, shape);
            let mut how = form.to_owned();
            let tiles = choice(&gpu, &options).tiles(shape);
            if resident && tiles != options.resident {
                how += &format!(", tiles {}", tiles.name());
            }
            if written {
                how += ", shape written in";
            }
            variants.insert(format!("{SHAPE_VARIANT}{shape}"), how);
        }
        let tuned = self.tuned.read().unwrap_or_else(PoisonError::into_inner);
        for (class, form) in tuned.iter() {
            variants.insert(format!("{TUNED_VARIANT}{class}"), form.name());
        }
        let resident = match shapes.len() {
            0 => engine == EngineKind::Resident,
            all => 2 * of_resident >= all,
        };
        AdapterDescription {
            engine: word(resident, "layered", "resident"),
            variants,
            ..gpu.description.clone()
        }
    }

    fn name(&self) -> String {
        self.device().description.name.clone()
    }
}

impl Engine for GpuEngine {
    fn adapter(&self) -> AdapterDescription {
        self.description(&BTreeSet::new(), 1)
    }

    fn adapter_for(&self, shapes: &BTreeSet<Shape>, batch: usize) -> AdapterDescription {
        self.description(shapes, batch)
    }

    fn will_train(&self, shapes: &BTreeSet<Shape>) {
        let only = shapes.first().filter(|_| shapes.len() == 1).cloned();
        *self.only.write().unwrap_or_else(PoisonError::into_inner) = only;
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
        choice(&self.device(), &self.options).check(shape, batch)?;
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

    fn start<'r>(&'r self, wave: WaveSetup<'r, '_>) -> Result<Box<dyn Running + 'r>, EngineError> {
        split::start(self, wave)
    }

    fn start_beside<'r>(
        &'r self,
        wave: WaveSetup<'r, '_>,
    ) -> Option<Result<Box<dyn Running + 'r>, EngineError>> {
        self.beside.then(|| self.whole(wave))
    }
}

/// Whether a study's only shape is written into the resident kernels: on adapters of which that was seen to be
/// faster, if it has no more than one hidden layer, since every layer has code of its own then.
fn is_written(gpu: &GpuDevice, only: &Shape) -> bool {
    let measured = gpu.kind == AdapterKind::Software || gpu.adapter.orders_plain_buffers();
    measured && only.layers().len() <= 2
}

fn class_of(wave: &WaveSetup<'_, '_>) -> WaveClass {
    WaveClass::of_shapes(wave.shapes, wave.members.len())
}

/// How the features of a wave's data are stored.
fn source_of(wave: &WaveSetup<'_, '_>) -> Source {
    match wave.data.dataset.features.values() {
        FeatureValues::F32(_) => Source::FeaturesF32,
        FeatureValues::U8(_) => Source::FeaturesU8,
    }
}

fn choice<'a>(gpu: &'a GpuDevice, options: &'a Options) -> Choice<'a> {
    Choice { gpu, options }
}

fn layout(gpu: &GpuDevice, options: Options) -> BufferLayout {
    let binding = gpu.limits.max_storage_buffer_binding_size;
    BufferLayout {
        most_resident_bytes: choice(gpu, &options).most_bytes(),
        most_mixed_bytes: choice(gpu, &options).most_mixed_bytes(),
        most_buffer_bytes: binding.min(gpu.limits.max_buffer_size),
        row_tile: u64::from(options.tiles.rows.rows),
        gradients: options.arena,
        // A measurement may choose a form that does, on hardware.
        gathers: options.resident.is_direct() || gpu.kind != AdapterKind::Software,
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
