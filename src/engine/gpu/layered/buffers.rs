//! The buffers of a wave.

use super::placement::Placement;
use crate::data::{FeatureValues, Features};
use crate::engine::gpu::GpuDevice;
use crate::engine::gpu::engine::Options;
use crate::engine::gpu::kernels::{batch_norm_forward, batch_norm_statistics};
use crate::engine::gpu::layout::{
    Cursor, LayerData, MemberData, ResidentLayer, Run, State, Tile, pad_rows,
};
use crate::engine::gpu::shader::{Source, TileShape};
use crate::engine::gpu::transfer::{Allocator, Joined, LEAST_BYTES, Slice};
use crate::engine::{EngineError, TrainingData, WaveSetup};
use crate::plan::{BufferLayout, LayerBytes, NormBytes, ScratchLayout, arena_layout};
use crate::train::{MemberId, Shape};

/// Rows that the buffers of activations have at least where they fit, so that evaluations of few
/// members are not made of tiny dispatches.
pub const LEAST_ROWS: u32 = 1024;

/// Rows of the buffers of activations: those of all batches, and at least so many as fit.
fn activation_rows(shape: &Shape, placement: &Placement, layout: BufferLayout) -> u32 {
    let widths = shape.widths()[1..].iter();
    let widest = widths.map(|w| 4 * w.next_multiple_of(4) as u64).max();
    let fit = layout.most_buffer_bytes / widest.unwrap_or(4);
    let least = fit.min(u64::from(LEAST_ROWS)) / layout.row_tile * layout.row_tile;
    let least = u32::try_from(least).expect("no more than the least rows");
    placement.rows.max(least)
}

/// How product kernels cut their results: of rows by columns, and of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tiles {
    /// Of `dense_forward` and `dense_backward_input`; its rows are those of all lists of tiles.
    pub rows: TileShape,
    /// Of `dense_backward_weights`.
    pub weights: TileShape,
    /// Rows that an invocation holds where the result is narrow: fewer make more invocations, which
    /// fill a GPU's subgroup; more make longer chains, which software adapters like.
    pub narrow_thread_rows: u32,
}

impl Tiles {
    /// The tile of rows for a result of so many columns.
    pub fn rows_for(&self, columns: u32) -> TileShape {
        self.rows.for_columns(columns, self.narrow_thread_rows)
    }

    /// The tile of weights for a result of so many columns.
    pub fn weights_for(&self, columns: u32) -> TileShape {
        self.weights.for_columns(columns, self.narrow_thread_rows)
    }
}

/// The buffers of one dense layer.
#[derive(Debug)]
pub struct LayerBuffers {
    /// The layer.
    pub data: LayerData,
    /// Uniform of `dense_forward` in training.
    pub forward: wgpu::Buffer,
    /// Uniform of `dense_forward` in evaluation: without dropout.
    pub evaluation: wgpu::Buffer,
    /// Uniform of `dense_backward_input`.
    pub backward_input: wgpu::Buffer,
    /// Uniform of `dense_backward_weights` and `update`.
    pub backward_weights: wgpu::Buffer,
    /// Column tiles of `dense_forward`.
    pub forward_columns: u32,
    /// Column tiles of `dense_backward_input`.
    pub input_columns: u32,
    /// Tiles of a member in `dense_backward_weights`.
    pub weight_tiles: u32,
    /// Weights and biases, slot after slot.
    pub weights: Slice,
    /// Moment vectors.
    pub moments: Slice,
    /// Outputs; logits and their gradient for the last layer.
    pub outputs: wgpu::Buffer,
    /// Gradients of the outputs; none for the last layer.
    pub output_gradients: Option<wgpu::Buffer>,
    /// Gradients of the weights, where they have a buffer of their own.
    pub gradients: Option<wgpu::Buffer>,
    /// The batch norm that follows the layer.
    pub norm: Option<NormBuffers>,
}

/// The buffers of one batch norm.
#[derive(Debug)]
pub struct NormBuffers {
    /// Uniform of `batch_norm_forward` in training, and of `batch_norm_backward`.
    pub forward: wgpu::Buffer,
    /// Uniform of `batch_norm_forward` in evaluation: without dropout.
    pub evaluation: wgpu::Buffer,
    /// Uniform of the kernels that make statistics and sums.
    pub statistics_layer: wgpu::Buffer,
    /// Uniform of kernels that take gamma and beta as a member's parameters.
    pub scale_layer: wgpu::Buffer,
    /// Workgroups that the units are cut into by `batch_norm_forward` and `batch_norm_backward`.
    pub columns: u32,
    /// Workgroups that the units are cut into by the kernels of statistics and sums.
    pub statistics_columns: u32,
    /// `vec4`s of a member in `scale` and `running`.
    pub member_stride: u32,
    /// Outputs of the dense layer, `[rows][units]`.
    pub inputs: wgpu::Buffer,
    /// `[slots][2][units]`: gamma, then beta.
    pub scale: Slice,
    /// Moment vectors of gamma and beta.
    pub moments: Slice,
    /// `[slots][2][units]`: running means, then variances.
    pub running: Slice,
    /// `[slots][2][units]`: means of the batch, then variances.
    pub statistics: wgpu::Buffer,
    /// `[slots][3][units]`: sums of the backward pass.
    pub sums: wgpu::Buffer,
    /// Gradients of gamma and beta, where they have a buffer of their own.
    pub gradients: Option<wgpu::Buffer>,
}

/// The dataset on the device.
#[derive(Debug)]
pub struct DataBuffers {
    /// How the features are stored.
    pub source: Source,
    /// `[rows][inputs]`, rows padded to a whole `vec4` of values.
    pub features: wgpu::Buffer,
    /// Class of each row.
    pub targets: wgpu::Buffer,
    /// For each fold a row of offsets and one of factors.
    pub scaling: wgpu::Buffer,
}

/// What of a layer is kept from step to step.
struct LayerState {
    weights: Slice,
    moments: Slice,
    norm: Option<NormState>,
}

/// What of a batch norm is kept from step to step.
struct NormState {
    scale: Slice,
    moments: Slice,
    running: Slice,
}

/// Everything that is kept from step to step: in a buffer a layer, as the layered engine has it, or in
/// two for the whole network, as the resident kernel reads it.
struct StateBuffers {
    layers: Vec<LayerState>,
    /// Parameters and running statistics, and moments, of all layers.
    joined: Option<[wgpu::Buffer; 2]>,
}

impl StateBuffers {
    fn separate(make: &mut Allocator<'_>, sums: &[LayerBytes]) -> Result<Self, EngineError> {
        let mut layers = Vec::with_capacity(sums.len());
        for bytes in sums {
            let mut slice = |what, bytes| make.zeros(what, bytes).map(Slice::whole);
            let norm = if bytes.norm.scale == 0 {
                None
            } else {
                Some(NormState {
                    scale: slice("scale", bytes.norm.scale)?,
                    moments: slice("scale_moments", bytes.norm.moments)?,
                    running: slice("running", bytes.norm.scale)?,
                })
            };
            layers.push(LayerState {
                weights: slice("weights", bytes.weights)?,
                moments: slice("moments", bytes.moments)?,
                norm,
            });
        }
        Ok(Self {
            layers,
            joined: None,
        })
    }

    fn joined(make: &mut Allocator<'_>, sums: &[LayerBytes]) -> Result<Self, EngineError> {
        let [of_values, of_moments] = joined(sums);
        let values = make.zeros("values", of_values.bytes())?;
        let moments = make.zeros("moments", of_moments.bytes())?;
        let (mut next_value, mut next_moment) = (0.., 0..);
        let mut value = || of_values.slice(&values, next_value.next().unwrap_or_default());
        let mut moment = || of_moments.slice(&moments, next_moment.next().unwrap_or_default());
        let layers = sums.iter().map(|bytes| LayerState {
            weights: value(),
            moments: moment(),
            norm: (bytes.norm.scale > 0).then(|| NormState {
                scale: value(),
                moments: moment(),
                running: value(),
            }),
        });
        let layers = layers.collect();
        Ok(Self {
            layers,
            joined: Some([values, moments]),
        })
    }
}

/// The slices of parameters and running statistics, and those of moments, layer after layer.
fn joined(sums: &[LayerBytes]) -> [Joined; 2] {
    let [mut values, mut moments] = [Joined::default(), Joined::default()];
    for bytes in sums {
        values.add(bytes.weights);
        moments.add(bytes.moments);
        if bytes.norm.scale > 0 {
            values.add(bytes.norm.scale);
            moments.add(bytes.norm.moments);
            values.add(bytes.norm.scale);
        }
    }
    [values, moments]
}

/// What the resident kernel needs beside what both engines have.
#[derive(Debug)]
pub struct ResidentBuffers {
    /// [`Run`], uniform.
    pub run: wgpu::Buffer,
    /// [`ResidentLayer`]s.
    pub layers: wgpu::Buffer,
    /// Parameters and running statistics of all layers.
    pub values: wgpu::Buffer,
    /// Moments of all layers.
    pub moments: wgpu::Buffer,
    /// Activations and their gradients, member after member.
    pub scratch: wgpu::Buffer,
    /// `vec4`s of the scratch that each row of a batch takes.
    pub row_stride: u32,
    /// `vec4`s of the scratch that each member takes beside its rows.
    pub member_stride: u32,
}

impl ResidentBuffers {
    fn new(
        make: &mut Allocator<'_>,
        shape: &Shape,
        state: &StateBuffers,
        [values, moments]: &[wgpu::Buffer; 2],
        placement: &Placement,
    ) -> Result<Self, EngineError> {
        let scratch = ScratchLayout::new(shape);
        Ok(Self {
            run: make.uniform("run", &Run::default())?,
            layers: make.filled("layers", &resident_layers(shape, &scratch, state))?,
            values: values.clone(),
            moments: moments.clone(),
            scratch: make.zeros("scratch", scratch_bytes(&scratch, placement))?,
            row_stride: index(scratch.row_stride),
            member_stride: index(scratch.member_stride),
        })
    }
}

/// Places in a buffer: bindings are smaller than 2^32 bytes.
fn index(vec4s: u64) -> u32 {
    u32::try_from(vec4s).expect("bindings are smaller than 2^32 vec4s")
}

/// The table of layers; places in the arena count from where its weights begin.
fn resident_layers(
    shape: &Shape,
    scratch: &ScratchLayout,
    state: &StateBuffers,
) -> Vec<ResidentLayer> {
    let (in_arena, _) = arena_layout(shape);
    let place = |slice: &Slice| index(slice.offset / 16);
    let layers = shape.layers();
    let last = layers.len() - 1;
    let layer = |l: usize| {
        let (dense, of, at) = (&layers[l], &state.layers[l], &scratch.layers[l]);
        let data = LayerData::new(dense, l, l == last);
        let norm =
            |slice: fn(&NormState) -> &Slice| of.norm.as_ref().map_or(0, |n| place(slice(n)));
        ResidentLayer {
            inputs: data.inputs,
            outputs: data.outputs,
            input_stride: data.input_stride,
            output_stride: data.output_stride,
            bias: data.bias,
            hidden: u32::from(l < last),
            normalized: u32::from(dense.batch_norm()),
            weights: place(&of.weights),
            weights_stride: data.member_stride,
            moments: place(&of.moments),
            scale: norm(|n| &n.scale),
            running: norm(|n| &n.running),
            scale_moments: norm(|n| &n.moments),
            in_arena: index(in_arena[l]),
            h: index(at.h),
            dy: index(at.dy),
            z: index(at.z),
            statistics: index(at.statistics),
        }
    };
    (0..layers.len()).map(layer).collect()
}

/// All buffers of a wave.
#[derive(Debug)]
pub struct WaveBuffers {
    /// Layer after layer.
    pub layers: Vec<LayerBuffers>,
    /// The dataset.
    pub data: DataBuffers,
    /// [`MemberData`] of each slot.
    pub members: wgpu::Buffer,
    /// The batch of the forward pass.
    pub forward: wgpu::Buffer,
    /// The batch of the backward pass.
    pub backward: wgpu::Buffer,
    /// How far each slot is.
    pub states: wgpu::Buffer,
    /// A word a slot: its parameters are not all finite.
    pub marks: wgpu::Buffer,
    /// Slots that are kept.
    pub live: wgpu::Buffer,
    /// Tiles of the kept slots' batches.
    pub tiles: wgpu::Buffer,
    /// Loss of each 16 rows.
    pub partials: wgpu::Buffer,
    /// Row orders of the epoch.
    pub orders: wgpu::Buffer,
    /// `[slots][2][classes]` counts of an evaluation.
    pub counts: wgpu::Buffer,
    /// What the resident kernel needs besides, where it trains the wave.
    pub resident: Option<ResidentBuffers>,
    /// Rows of the buffers of activations.
    pub rows: u32,
    /// Bytes of all of them.
    #[cfg(test)]
    pub bytes: u64,
}

impl WaveBuffers {
    /// Makes the buffers of a wave; parameters, states and lists are still zeros.
    ///
    /// # Errors
    /// [`EngineError::OutOfMemory`] names the buffer that did not fit.
    pub fn new(
        gpu: &GpuDevice,
        setup: &WaveSetup<'_>,
        placement: &Placement,
        layout: BufferLayout,
        options: &Options,
    ) -> Result<Self, EngineError> {
        let mut make = Allocator::new(gpu)
            .with_most(options.most_bytes)
            .with_most_buffer(layout.most_buffer_bytes);
        let tiles = options.tiles;
        let rows = activation_rows(setup.shape, placement, layout);
        let slots = placement.members.len() as u64;
        let sums = layer_bytes(setup, layout, rows);
        let last = sums.len() - 1;
        let state = if layout.is_resident(setup.shape) {
            StateBuffers::joined(&mut make, &sums)?
        } else {
            StateBuffers::separate(&mut make, &sums)?
        };
        let resident = match &state.joined {
            Some(joined) => Some(ResidentBuffers::new(
                &mut make,
                setup.shape,
                &state,
                joined,
                placement,
            )?),
            None => None,
        };
        let mut layers = Vec::with_capacity(sums.len());
        let each = setup.shape.layers().into_iter().zip(sums).zip(state.layers);
        for (l, ((layer, bytes), state)) in each.enumerate() {
            let data = LayerData::new(&layer, l, l == last);
            layers.push(LayerBuffers::new(&mut make, data, bytes, state, tiles)?);
        }
        let classes = setup.shape.outputs() as u64;
        let words = |count: u64| 4 * count;
        Ok(Self {
            layers,
            data: DataBuffers::new(&mut make, setup.data, &placement.folds)?,
            members: make.filled("members", &placement.data)?,
            forward: make.zeros("forward_cursors", slots * size_of::<Cursor>() as u64)?,
            backward: make.zeros("backward_cursors", slots * size_of::<Cursor>() as u64)?,
            states: make.zeros("states", slots * size_of::<State>() as u64)?,
            marks: make.zeros("marks", words(slots))?,
            live: make.zeros("live", words(slots))?,
            tiles: make.zeros("tiles", tile_bytes(placement.rows, tiles))?,
            partials: make.zeros("partials", words(u64::from(rows) / 16))?,
            orders: make.zeros("orders", words(u64::from(placement.order_rows)))?,
            counts: make.zeros("counts", words(slots * 2 * classes))?,
            resident,
            rows,
            #[cfg(test)]
            bytes: make.bytes(),
        })
    }
}

fn tile_bytes(rows: u32, tiles: Tiles) -> u64 {
    u64::from(rows / tiles.rows.rows) * size_of::<Tile>() as u64
}

/// Bytes of each layer's buffers: those of all members, and room for the least rows.
fn layer_bytes(setup: &WaveSetup<'_>, layout: BufferLayout, rows: u32) -> Vec<LayerBytes> {
    let layers = setup.shape.layers();
    let mut sums = vec![LayerBytes::default(); layers.len()];
    for member in setup.members {
        let each = layout.member(setup.shape, &member.hyperparameters);
        for (sum, bytes) in sums.iter_mut().zip(&each) {
            sum.add(bytes);
        }
    }
    for (sum, layer) in sums.iter_mut().zip(&layers) {
        let row = 4 * layer.outputs.next_multiple_of(4) as u64;
        let least = u64::from(rows) * row;
        for bytes in [
            &mut sum.outputs,
            &mut sum.output_gradients,
            &mut sum.norm.inputs,
        ] {
            // 0 where there is no such buffer.
            *bytes = if *bytes > 0 { least } else { 0 };
        }
    }
    sums
}

/// Bytes that [`WaveBuffers::new`] will allocate, without allocating them.
pub fn predicted_bytes(setup: &WaveSetup<'_>, layout: BufferLayout, tiles: Tiles) -> u64 {
    let placement = Placement::new(setup, layout);
    let rows = activation_rows(setup.shape, &placement, layout);
    let least = |bytes: u64| bytes.max(LEAST_BYTES);
    let layers = layer_bytes(setup, layout, rows);
    let state = if layout.is_resident(setup.shape) {
        predicted_resident_bytes(setup.shape, &layers, &placement)
    } else {
        layers.iter().map(predicted_state_bytes).sum()
    };
    let of_layers: u64 = layers.iter().map(predicted_layer_bytes).sum();
    let slots = setup.members.len() as u64;
    let slot_bytes = [
        size_of::<MemberData>(),
        size_of::<Cursor>(),
        size_of::<Cursor>(),
    ];
    let others = slot_bytes.map(|bytes| slots * bytes as u64);
    let words = [
        slots * size_of::<State>() as u64,
        4 * slots,
        4 * slots,
        tile_bytes(placement.rows, tiles),
        u64::from(rows) / 4,
        4 * u64::from(placement.order_rows),
        8 * slots * setup.shape.outputs() as u64,
    ];
    let dataset = data_bytes(&setup.data, placement.folds.len());
    state + of_layers + others.into_iter().chain(words).map(least).sum::<u64>() + dataset
}

/// Bytes of what a layer keeps from step to step, in buffers of its own.
fn predicted_state_bytes(bytes: &LayerBytes) -> u64 {
    let norm = bytes.norm;
    let mut all = vec![bytes.weights, bytes.moments];
    if norm.scale > 0 {
        all.extend([norm.scale, norm.moments, norm.scale]);
    }
    all.into_iter().map(|bytes| bytes.max(LEAST_BYTES)).sum()
}

/// Bytes of what the resident kernel needs beside what both engines have.
fn predicted_resident_bytes(shape: &Shape, layers: &[LayerBytes], placement: &Placement) -> u64 {
    let [values, moments] = joined(layers);
    let table = (layers.len() * size_of::<ResidentLayer>()) as u64;
    let scratch = scratch_bytes(&ScratchLayout::new(shape), placement);
    let all = [table, values.bytes(), moments.bytes(), scratch];
    size_of::<Run>() as u64 + all.map(|bytes| bytes.max(LEAST_BYTES)).iter().sum::<u64>()
}

fn scratch_bytes(scratch: &ScratchLayout, placement: &Placement) -> u64 {
    let rows = u64::from(placement.rows) * scratch.row_stride;
    16 * (rows + placement.members.len() as u64 * scratch.member_stride)
}

/// Bytes of a layer's other buffers, uniforms included; one of 0 bytes is not made, but for those of
/// statistics and sums.
fn predicted_layer_bytes(bytes: &LayerBytes) -> u64 {
    let optional = |bytes: u64| if bytes > 0 { bytes.max(LEAST_BYTES) } else { 0 };
    let uniform = size_of::<LayerData>() as u64;
    let dense = 4 * uniform
        + optional(bytes.outputs)
        + optional(bytes.output_gradients)
        + optional(bytes.gradients);
    let norm = bytes.norm;
    if norm.scale == 0 {
        return dense;
    }
    dense
        + 4 * uniform
        + optional(norm.inputs)
        + norm.statistics.max(LEAST_BYTES)
        + norm.sums.max(LEAST_BYTES)
        + optional(norm.gradients)
}

/// Bytes of features, targets and scalings on the device.
pub fn data_bytes(data: &TrainingData<'_>, folds: usize) -> u64 {
    let features = feature_bytes(&data.dataset.features);
    let stride = 4 * data.dataset.features.columns().next_multiple_of(4) as u64;
    let targets = 4 * data.dataset.rows() as u64;
    [features, targets, 2 * folds as u64 * stride]
        .map(|bytes| bytes.max(LEAST_BYTES))
        .iter()
        .sum()
}

/// Bytes of the features on the device: rows padded to a whole `vec4` of values.
pub fn feature_bytes(features: &Features) -> u64 {
    let value = match features.values() {
        FeatureValues::F32(_) => 4,
        FeatureValues::U8(_) => 1,
    };
    features.rows() as u64 * features.columns().next_multiple_of(4) as u64 * value
}

impl LayerBuffers {
    fn new(
        make: &mut Allocator<'_>,
        data: LayerData,
        bytes: LayerBytes,
        state: LayerState,
        tiles: Tiles,
    ) -> Result<Self, EngineError> {
        let row_columns = |columns: u32| columns.div_ceil(tiles.rows_for(columns).columns);
        let forward = LayerData {
            column_tiles: row_columns(data.outputs),
            ..data
        };
        let evaluation = LayerData {
            dropped: 0,
            ..forward
        };
        let backward_input = LayerData {
            column_tiles: row_columns(data.inputs),
            ..data
        };
        let of_weights = tiles.weights_for(data.outputs);
        let backward_weights = LayerData {
            column_tiles: data.outputs.div_ceil(of_weights.columns),
            row_tiles: data.inputs.div_ceil(of_weights.rows),
            ..data
        };
        Ok(Self {
            data,
            forward: make.uniform("layer", &forward)?,
            evaluation: make.uniform("layer", &evaluation)?,
            backward_input: make.uniform("layer", &backward_input)?,
            backward_weights: make.uniform("layer", &backward_weights)?,
            forward_columns: forward.column_tiles,
            input_columns: backward_input.column_tiles,
            weight_tiles: backward_weights.column_tiles * backward_weights.row_tiles,
            weights: state.weights,
            moments: state.moments,
            outputs: make.zeros("outputs", bytes.outputs)?,
            output_gradients: optional(make, "output_gradients", bytes.output_gradients)?,
            gradients: optional(make, "gradients", bytes.gradients)?,
            norm: NormBuffers::new(make, data, bytes.norm, state.norm)?,
        })
    }
}

/// A buffer of so many bytes, if there are any.
fn optional(
    make: &mut Allocator<'_>,
    what: &str,
    bytes: u64,
) -> Result<Option<wgpu::Buffer>, EngineError> {
    (bytes > 0).then(|| make.zeros(what, bytes)).transpose()
}

impl NormBuffers {
    /// The buffers of the batch norm behind a layer; `None` where there is none.
    fn new(
        make: &mut Allocator<'_>,
        data: LayerData,
        bytes: NormBytes,
        state: Option<NormState>,
    ) -> Result<Option<Self>, EngineError> {
        let Some(state) = state else {
            return Ok(None);
        };
        let columns = |units: u32| data.output_stride.div_ceil(units / 4);
        let forward = LayerData {
            column_tiles: columns(batch_norm_forward::WORKGROUP_UNITS),
            activated: 1,
            dropped: 1,
            ..data
        };
        let evaluation = LayerData {
            dropped: 0,
            ..forward
        };
        let statistics = LayerData {
            column_tiles: columns(batch_norm_statistics::WORKGROUP_UNITS),
            ..data
        };
        let scale = LayerData {
            member_stride: 2 * data.output_stride,
            ..data
        };
        Ok(Some(Self {
            forward: make.uniform("norm", &forward)?,
            evaluation: make.uniform("norm", &evaluation)?,
            statistics_layer: make.uniform("norm", &statistics)?,
            scale_layer: make.uniform("norm", &scale)?,
            columns: forward.column_tiles,
            statistics_columns: statistics.column_tiles,
            member_stride: scale.member_stride,
            inputs: make.zeros("norm_inputs", bytes.inputs)?,
            scale: state.scale,
            moments: state.moments,
            running: state.running,
            statistics: make.zeros("statistics", bytes.statistics)?,
            sums: make.zeros("sums", bytes.sums)?,
            gradients: optional(make, "scale_gradients", bytes.gradients)?,
        }))
    }
}

impl DataBuffers {
    /// Puts the dataset on the device, with the scaling of each of these members' folds.
    fn new(
        make: &mut Allocator<'_>,
        data: TrainingData<'_>,
        folds: &[MemberId],
    ) -> Result<Self, EngineError> {
        let features = &data.dataset.features;
        let columns = features.columns();
        let (source, features) = match features.values() {
            FeatureValues::F32(values) => (
                Source::FeaturesF32,
                make.filled("features", &pad_rows(values, columns))?,
            ),
            FeatureValues::U8(values) => (
                Source::FeaturesU8,
                make.filled("features", &pad_rows(values, columns))?,
            ),
        };
        let mut scaling = Vec::new();
        for id in folds {
            let fold = &data.fold(*id).scaling;
            scaling.extend(pad_rows(&fold.offset, columns));
            scaling.extend(pad_rows(&fold.factor, columns));
        }
        Ok(Self {
            source,
            features,
            targets: make.filled("targets", &data.dataset.targets)?,
            scaling: make.filled("scaling", &scaling)?,
        })
    }
}
