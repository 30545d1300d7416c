//! The buffers of a wave.

mod predicted;
mod resident;
mod state;

use std::sync::Arc;

use super::placement::Placement;
use crate::engine::gpu::GpuDevice;
use crate::engine::gpu::kernels::{batch_norm_forward, batch_norm_statistics};
use crate::engine::gpu::layout::{Cursor, LayerData, State, Tile, pad_rows};
use crate::engine::gpu::options::Options;
use crate::engine::gpu::rows::Rows;
use crate::engine::gpu::shader::Tiles;
use crate::engine::gpu::transfer::{Allocator, Slice};
use crate::engine::{EngineError, TrainingData, WaveSetup};
use crate::plan::{BufferLayout, LayerBytes, NormBytes};
use crate::train::{MemberId, Shape};

pub use predicted::{feature_bytes, predicted_bytes};
pub use resident::ResidentBuffers;
pub use state::{LayerState, NormState};
use state::{joined_state, separate_state};

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
    /// All rows, once for all waves that are there.
    pub rows: Arc<Rows>,
    /// For each fold a row of offsets and one of factors.
    pub scaling: wgpu::Buffer,
}

/// The buffers of a wave that either engine has.
#[derive(Debug)]
pub struct WaveBuffers {
    /// What is kept from step to step: of each shape its layers.
    pub state: Vec<Vec<LayerState>>,
    /// The dataset.
    pub data: DataBuffers,
    /// `MemberData` of each slot.
    pub members: wgpu::Buffer,
    /// How far each slot is.
    pub states: wgpu::Buffer,
    /// Row orders of the epoch.
    pub orders: wgpu::Buffer,
    /// Bytes of all buffers.
    #[cfg(test)]
    pub bytes: u64,
}

/// What the engine that trains a wave needs beside these.
#[derive(Debug)]
pub enum OwnBuffers {
    /// The layered engine.
    Layered(LayeredBuffers),
    /// The resident engine.
    Resident(ResidentBuffers),
}

/// The buffers of the layered engine.
#[derive(Debug)]
pub struct LayeredBuffers {
    /// Layer after layer.
    pub layers: Vec<LayerBuffers>,
    /// The batch of the forward pass.
    pub forward: wgpu::Buffer,
    /// The batch of the backward pass.
    pub backward: wgpu::Buffer,
    /// A word a slot: its parameters are not all finite.
    pub marks: wgpu::Buffer,
    /// Slots that are kept.
    pub live: wgpu::Buffer,
    /// Tiles of the kept slots' batches.
    pub tiles: wgpu::Buffer,
    /// Loss of each 16 rows.
    pub partials: wgpu::Buffer,
    /// `[slots][2][classes]` counts of an evaluation.
    pub counts: wgpu::Buffer,
    /// Rows of the buffers of activations.
    pub rows: u32,
}

impl WaveBuffers {
    /// Makes the buffers of a wave; parameters, states and lists are still zeros.
    ///
    /// # Errors
    /// [`EngineError::OutOfMemory`] names the buffer that did not fit.
    pub fn new(
        gpu: &GpuDevice,
        setup: &WaveSetup<'_, '_>,
        placement: &Placement,
        layout: BufferLayout,
        options: &Options,
    ) -> Result<(Self, OwnBuffers), EngineError> {
        let mut make = Allocator::new(gpu)
            .with_most(options.most_bytes)
            .with_most_buffer(layout.most_buffer_bytes);
        let (state, own) = if layout.is_resident(&setup.shapes[0]) {
            let (state, joined) = joined_state(&mut make, &shape_bytes(setup, layout))?;
            let gathers = layout.gathers;
            let own =
                ResidentBuffers::new(&mut make, setup.shapes, gathers, &state, joined, placement)?;
            (state, OwnBuffers::Resident(own))
        } else {
            let (sums, rows) = layered_bytes(setup, placement, layout);
            let state = separate_state(&mut make, &sums)?;
            let own = LayeredBuffers::new(
                &mut make,
                setup,
                placement,
                &sums,
                &state,
                rows,
                options.tiles,
            )?;
            (vec![state], OwnBuffers::Layered(own))
        };
        let slots = placement.members.len() as u64;
        let buffers = Self {
            state,
            data: DataBuffers::new(gpu, &mut make, setup.data, &placement.folds)?,
            members: make.filled("members", &placement.data)?,
            states: make.zeros("states", slots * size_of::<State>() as u64)?,
            orders: make.zeros("orders", 4 * u64::from(placement.order_rows))?,
            #[cfg(test)]
            bytes: make.bytes(),
        };
        Ok((buffers, own))
    }
}

impl LayeredBuffers {
    fn new(
        make: &mut Allocator<'_>,
        setup: &WaveSetup<'_, '_>,
        placement: &Placement,
        sums: &[LayerBytes],
        state: &[LayerState],
        rows: u32,
        tiles: Tiles,
    ) -> Result<Self, EngineError> {
        let last = sums.len() - 1;
        let mut layers = Vec::with_capacity(sums.len());
        let shape = &setup.shapes[0];
        let each = shape.layers().into_iter().zip(sums).zip(state);
        for (l, ((layer, &bytes), state)) in each.enumerate() {
            let data = LayerData::new(&layer, l, l == last);
            layers.push(LayerBuffers::new(make, data, bytes, state.clone(), tiles)?);
        }
        let slots = placement.members.len() as u64;
        let classes = shape.outputs() as u64;
        let words = |count: u64| 4 * count;
        let cursors = slots * size_of::<Cursor>() as u64;
        Ok(Self {
            layers,
            forward: make.zeros("forward_cursors", cursors)?,
            backward: make.zeros("backward_cursors", cursors)?,
            marks: make.zeros("marks", words(slots))?,
            live: make.zeros("live", words(slots))?,
            tiles: make.zeros("tiles", tile_bytes(placement.rows, tiles))?,
            partials: make.zeros("partials", words(u64::from(rows) / 16))?,
            counts: make.zeros("counts", words(slots * 2 * classes))?,
            rows,
        })
    }
}

fn tile_bytes(rows: u32, tiles: Tiles) -> u64 {
    u64::from(rows / tiles.rows.rows) * size_of::<Tile>() as u64
}

/// Bytes of all members in the buffers of each layer of each shape.
fn shape_bytes(setup: &WaveSetup<'_, '_>, layout: BufferLayout) -> Vec<Vec<LayerBytes>> {
    let none = |shape: &Shape| vec![LayerBytes::default(); shape.layers().len()];
    let mut sums: Vec<Vec<LayerBytes>> = setup.shapes.iter().map(none).collect();
    for member in setup.members {
        let each = layout.member(setup.shape_of(member), &member.hyperparameters);
        for (sum, bytes) in sums[member.shape].iter_mut().zip(&each) {
            sum.add(bytes);
        }
    }
    sums
}

/// Bytes of each layer's buffers in the layered engine, which trains one shape: those of all members, and room for
/// the least rows; and how many rows that are.
fn layered_bytes(
    setup: &WaveSetup<'_, '_>,
    placement: &Placement,
    layout: BufferLayout,
) -> (Vec<LayerBytes>, u32) {
    let shape = &setup.shapes[0];
    let rows = activation_rows(shape, placement, layout);
    let mut sums = shape_bytes(setup, layout).swap_remove(0);
    for (sum, layer) in sums.iter_mut().zip(shape.layers()) {
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
    (sums, rows)
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
        gpu: &GpuDevice,
        make: &mut Allocator<'_>,
        data: TrainingData<'_>,
        folds: &[MemberId],
    ) -> Result<Self, EngineError> {
        let columns = data.dataset.features.columns();
        let mut scaling = Vec::new();
        for id in folds {
            let fold = &data.fold(*id).scaling;
            scaling.extend(pad_rows(&fold.offset, columns));
            scaling.extend(pad_rows(&fold.factor, columns));
        }
        Ok(Self {
            rows: gpu.rows.of(make, data.dataset)?,
            scaling: make.filled("scaling", &scaling)?,
        })
    }
}
