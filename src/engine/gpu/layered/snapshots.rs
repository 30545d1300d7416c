//! The state of members between the device's layout and [`MemberSnapshot`].

use super::buffers::WaveBuffers;
use super::placement::Placement;
use crate::engine::gpu::GpuDevice;
use crate::engine::gpu::layout::{LayerData, State, pad_rows, unpad_rows};
use crate::engine::gpu::transfer::{self, Wanted};
use crate::engine::{EngineError, MemberSnapshot};
use crate::train::{DenseLayer, Shape};

/// Bytes of one member's parameters in a layer.
fn member_bytes(layer: &LayerData) -> u64 {
    16 * u64::from(layer.member_stride)
}

/// One layer's part of an arena of parameters, rows padded: weights, then biases.
fn padded(arena: &[f32], layer: &DenseLayer) -> Vec<f32> {
    pad_rows(&arena[layer.weights.start..layer.bias.end], layer.outputs)
}

/// The values of an arena from those of its layers, `layers[l]` padded.
fn assembled(shape: &Shape, layers: &[&[f32]]) -> Vec<f32> {
    let mut arena = Vec::with_capacity(shape.parameters());
    for (layer, padded) in shape.layers().iter().zip(layers) {
        unpad_rows(padded, layer.outputs, &mut arena);
    }
    arena
}

/// What of a snapshot a slot's buffers hold.
pub struct SlotValues<'a> {
    /// Parameters, in the layout of [`Shape::layers`].
    pub parameters: &'a [f32],
    /// Moments, in the same layout.
    pub moments: &'a [Vec<f32>],
}

/// Writes parameters and moments of slots; a slot without values keeps zeros.
pub fn write_values<'a>(
    gpu: &GpuDevice,
    buffers: &WaveBuffers,
    placement: &Placement,
    shape: &Shape,
    values: impl Fn(usize) -> Option<SlotValues<'a>>,
) {
    for (layer, on_device) in shape.layers().iter().zip(&buffers.layers) {
        let stride = 4 * on_device.data.member_stride as usize;
        let vectors: usize = placement.members.iter().map(moments_of).sum();
        let mut weights = vec![0.0; placement.members.len() * stride];
        let mut moments = vec![0.0; vectors * stride];
        for (slot, data) in placement.data.iter().enumerate() {
            let Some(values) = values(slot) else {
                continue;
            };
            weights[slot * stride..][..stride].copy_from_slice(&padded(values.parameters, layer));
            for (j, moment) in values.moments.iter().enumerate() {
                let at = (data.first_moment as usize + j) * stride;
                moments[at..][..stride].copy_from_slice(&padded(moment, layer));
            }
        }
        transfer::write(gpu, &on_device.weights, &weights);
        transfer::write(gpu, &on_device.moments, &moments);
    }
}

fn moments_of(member: &crate::train::Member) -> usize {
    member.hyperparameters.optimizer.moments()
}

/// Parameters of one slot.
pub fn read_parameters(
    gpu: &GpuDevice,
    buffers: &WaveBuffers,
    shape: &Shape,
    slot: u32,
) -> Result<Vec<f32>, EngineError> {
    let wanted: Vec<Wanted<'_>> = buffers
        .layers
        .iter()
        .map(|layer| Wanted {
            buffer: &layer.weights,
            offset: u64::from(slot) * member_bytes(&layer.data),
            bytes: member_bytes(&layer.data),
        })
        .collect();
    let layers: Vec<Vec<f32>> = transfer::read(gpu, &wanted)?
        .iter()
        .map(|bytes| transfer::values(bytes))
        .collect();
    let layers: Vec<&[f32]> = layers.iter().map(Vec::as_slice).collect();
    Ok(assembled(shape, &layers))
}

/// The whole state of these slots.
pub fn read_snapshots(
    gpu: &GpuDevice,
    buffers: &WaveBuffers,
    placement: &Placement,
    shape: &Shape,
    slots: &[u32],
    states: &[State],
) -> Result<Vec<MemberSnapshot>, EngineError> {
    let vectors: usize = placement.members.iter().map(moments_of).sum();
    let mut wanted = Vec::new();
    for layer in &buffers.layers {
        let each = member_bytes(&layer.data);
        let all = placement.members.len() as u64 * each;
        wanted.push(Wanted::beginning(&layer.weights, all));
        wanted.push(Wanted::beginning(&layer.moments, vectors as u64 * each));
    }
    let read: Vec<Vec<f32>> = transfer::read(gpu, &wanted)?
        .iter()
        .map(|bytes| transfer::values(bytes))
        .collect();
    let arena = |of_moments: usize, vector: usize| {
        let layers: Vec<&[f32]> = buffers
            .layers
            .iter()
            .enumerate()
            .map(|(l, layer)| {
                let stride = 4 * layer.data.member_stride as usize;
                &read[2 * l + of_moments][vector * stride..][..stride]
            })
            .collect();
        assembled(shape, &layers)
    };
    let snapshot = |&slot: &u32| {
        let slot = slot as usize;
        let (member, state) = (&placement.members[slot], &states[slot]);
        let first = placement.data[slot].first_moment as usize;
        let moments = first..first + moments_of(member);
        MemberSnapshot {
            id: member.id,
            parameters: arena(0, slot),
            moments: moments.map(|vector| arena(1, vector)).collect(),
            steps: u64::from(state.steps),
            samples: state.samples(),
            epoch: state.epoch,
            cursor: u64::from(state.position),
            loss_sum: f64::from(state.loss_sum) + f64::from(state.loss_rest),
            train_loss: f64::from(state.train_loss),
            diverged: state.diverged != 0,
        }
    };
    Ok(slots.iter().map(snapshot).collect())
}

/// A member's state from a snapshot.
pub fn state_of(snapshot: &MemberSnapshot) -> State {
    let narrow = |value: u64| u32::try_from(value).expect("rows and steps are counted in u32");
    let loss_sum = snapshot.loss_sum as f32;
    State {
        position: narrow(snapshot.cursor),
        steps: narrow(snapshot.steps),
        epoch: snapshot.epoch,
        diverged: u32::from(snapshot.diverged),
        loss_sum,
        loss_rest: (snapshot.loss_sum - f64::from(loss_sum)) as f32,
        train_loss: snapshot.train_loss as f32,
        ..State::default()
    }
    .with_samples(snapshot.samples)
}

/// Writes parameters and moments of one slot; the others stay.
pub fn write_slot(
    gpu: &GpuDevice,
    buffers: &WaveBuffers,
    placement: &Placement,
    shape: &Shape,
    slot: u32,
    snapshot: &MemberSnapshot,
) {
    let first = placement.data[slot as usize].first_moment;
    for (layer, on_device) in shape.layers().iter().zip(&buffers.layers) {
        let each = member_bytes(&on_device.data);
        let put = |buffer: &wgpu::Buffer, at: u32, arena: &[f32]| {
            let values = padded(arena, layer);
            let bytes = bytemuck::cast_slice(&values);
            gpu.queue.write_buffer(buffer, u64::from(at) * each, bytes);
        };
        put(&on_device.weights, slot, &snapshot.parameters);
        for (at, moment) in (first..).zip(&snapshot.moments) {
            put(&on_device.moments, at, moment);
        }
    }
}
