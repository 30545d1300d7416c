//! Bytes of a wave's buffers, without making them.

use super::resident::predicted_resident_bytes;
use super::{layered_bytes, shape_bytes, tile_bytes};
use crate::data::{FeatureValues, Features};
use crate::engine::gpu::layered::placement::Placement;
use crate::engine::gpu::layout::{Cursor, LayerData, MemberData, State};
use crate::engine::gpu::shader::Tiles;
use crate::engine::gpu::transfer::LEAST_BYTES;
use crate::engine::{TrainingData, WaveSetup};
use crate::plan::{BufferLayout, LayerBytes};

/// Bytes that [`WaveBuffers::new`](super::WaveBuffers::new) will allocate, without allocating them.
pub fn predicted_bytes(setup: &WaveSetup<'_, '_>, layout: BufferLayout, tiles: Tiles) -> u64 {
    let placement = Placement::new(setup, layout);
    let own = if layout.is_resident(&setup.shapes[0]) {
        predicted_resident_bytes(&shape_bytes(setup, layout), &placement)
    } else {
        let (layers, rows) = layered_bytes(setup, &placement, layout);
        predicted_layered_bytes(setup, &layers, &placement, rows, tiles)
    };
    let slots = setup.members.len() as u64;
    let of_both = [
        slots * size_of::<MemberData>() as u64,
        slots * size_of::<State>() as u64,
        4 * u64::from(placement.order_rows),
    ];
    let dataset = data_bytes(&setup.data, placement.folds.len());
    own + of_both
        .map(|bytes| bytes.max(LEAST_BYTES))
        .iter()
        .sum::<u64>()
        + dataset
}

/// Bytes of the layered engine's buffers, and of the state that it has in a buffer a layer.
fn predicted_layered_bytes(
    setup: &WaveSetup<'_, '_>,
    layers: &[LayerBytes],
    placement: &Placement,
    rows: u32,
    tiles: Tiles,
) -> u64 {
    let of_layers =
        |bytes: &LayerBytes| predicted_state_bytes(bytes) + predicted_layer_bytes(bytes);
    let slots = setup.members.len() as u64;
    let cursors = slots * size_of::<Cursor>() as u64;
    let others = [
        cursors,
        cursors,
        4 * slots,
        4 * slots,
        tile_bytes(placement.rows, tiles),
        u64::from(rows) / 4,
        8 * slots * setup.shapes[0].outputs() as u64,
    ];
    let others: u64 = others.map(|bytes| bytes.max(LEAST_BYTES)).iter().sum();
    layers.iter().map(of_layers).sum::<u64>() + others
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
fn data_bytes(data: &TrainingData<'_>, folds: usize) -> u64 {
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
