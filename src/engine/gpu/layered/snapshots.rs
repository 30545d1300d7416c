//! The state of members between the device's layout and [`MemberSnapshot`].

use std::collections::BTreeMap;
use std::ops::Range;

#[cfg(test)]
use super::buffers::LayeredBuffers;
use super::buffers::WaveBuffers;
use super::placement::Placement;
use crate::engine::gpu::GpuDevice;
use crate::engine::gpu::layout::{State, pad_rows, unpad_rows};
use crate::engine::gpu::transfer::{self, Slice, Wanted};
use crate::engine::{EngineError, MemberSnapshot};
use crate::train::{Member, Shape};

/// A part of a member's arena that lies in one buffer, rows padded. The regions of an arena follow
/// each other.
struct Region<'b> {
    /// Its values in the arena.
    range: Range<usize>,
    /// Values a row.
    width: usize,
    /// Slot after slot.
    slice: &'b Slice,
    /// Moment vectors; none for running statistics.
    moments: Option<&'b Slice>,
}

impl Region<'_> {
    /// Values of a slot on the device.
    fn stride(&self) -> usize {
        self.range.len() / self.width * self.width.next_multiple_of(4)
    }

    /// The same in bytes.
    fn bytes(&self) -> u64 {
        4 * self.stride() as u64
    }

    fn padded(&self, arena: &[f32]) -> Vec<f32> {
        pad_rows(&arena[self.range.clone()], self.width)
    }
}

/// The regions of the parameters: of each layer weights and biases, then gamma and beta.
fn parameter_regions<'b>(buffers: &'b WaveBuffers, shape: &Shape) -> Vec<Region<'b>> {
    let mut regions = Vec::new();
    for (layer, on_device) in shape.layers().iter().zip(&buffers.state) {
        regions.push(Region {
            range: layer.weights.start..layer.bias.end,
            width: layer.outputs,
            slice: &on_device.weights,
            moments: Some(&on_device.moments),
        });
        if let Some(norm) = &on_device.norm {
            regions.push(Region {
                range: layer.gamma.start..layer.beta.end,
                width: layer.outputs,
                slice: &norm.scale,
                moments: Some(&norm.moments),
            });
        }
    }
    regions
}

/// The regions of the running statistics.
fn running_regions<'b>(buffers: &'b WaveBuffers, shape: &Shape) -> Vec<Region<'b>> {
    let mut regions = Vec::new();
    for (layer, on_device) in shape.layers().iter().zip(&buffers.state) {
        if let Some(norm) = &on_device.norm {
            regions.push(Region {
                range: layer.running.clone(),
                width: layer.outputs,
                slice: &norm.running,
                moments: None,
            });
        }
    }
    regions
}

/// What of a snapshot a slot's buffers hold.
#[derive(Clone, Copy)]
pub struct SlotValues<'a> {
    /// Parameters, in the layout of [`Shape::layers`].
    pub parameters: &'a [f32],
    /// Running statistics, in the layout of [`Shape::layers`].
    pub running: &'a [f32],
    /// Moments, in the layout of the parameters.
    pub moments: &'a [Vec<f32>],
}

impl<'a> SlotValues<'a> {
    /// Those of a snapshot.
    pub fn of(snapshot: &'a MemberSnapshot) -> Self {
        Self {
            parameters: &snapshot.parameters,
            running: &snapshot.running,
            moments: &snapshot.moments,
        }
    }
}

/// Gives all slots what a member begins with: the parameters of its repeat. Moments are zeros from the start.
pub fn write_initial(
    gpu: &GpuDevice,
    buffers: &WaveBuffers,
    placement: &Placement,
    shape: &Shape,
    parameters: &BTreeMap<u32, Vec<f32>>,
    running: &[f32],
) {
    let members = &placement.members;
    for region in parameter_regions(buffers, shape) {
        let padded = parameters.iter();
        let padded: BTreeMap<u32, Vec<f32>> = padded
            .map(|(&repeat, arena)| (repeat, region.padded(arena)))
            .collect();
        let vectors = members.iter().map(|m| padded[&m.id.repeat].as_slice());
        transfer::write_vectors(gpu, region.slice, vectors);
    }
    for region in running_regions(buffers, shape) {
        let padded = region.padded(running);
        let vectors = members.iter().map(|_| padded.as_slice());
        transfer::write_vectors(gpu, region.slice, vectors);
    }
}

/// Writes parameters, running statistics and moments of all slots; a slot without values gets zeros.
pub fn write_values<'a>(
    gpu: &GpuDevice,
    buffers: &WaveBuffers,
    placement: &Placement,
    shape: &Shape,
    values: impl Fn(usize) -> Option<SlotValues<'a>>,
) {
    let slots = placement.members.len();
    let put = |region: &Region<'_>, of: fn(&SlotValues<'a>) -> &'a [f32]| {
        let mut all = vec![0.0; slots * region.stride()];
        for (slot, out) in all.chunks_exact_mut(region.stride()).enumerate() {
            if let Some(values) = values(slot) {
                out.copy_from_slice(&region.padded(of(&values)));
            }
        }
        transfer::write_slice(gpu, region.slice, &all);
    };
    for region in parameter_regions(buffers, shape) {
        put(&region, |values| values.parameters);
        let has_moments = |slot: usize| values(slot).is_some_and(|v| !v.moments.is_empty());
        let Some(slice) = region.moments.filter(|_| (0..slots).any(has_moments)) else {
            continue;
        };
        let mut moments = vec![0.0; moment_vectors(placement) * region.stride()];
        for (slot, data) in placement.data.iter().enumerate() {
            let vectors = values(slot).map_or(&[][..], |values| values.moments);
            for (at, moment) in (data.first_moment as usize..).zip(vectors) {
                moments[at * region.stride()..][..region.stride()]
                    .copy_from_slice(&region.padded(moment));
            }
        }
        transfer::write_slice(gpu, slice, &moments);
    }
    for region in running_regions(buffers, shape) {
        put(&region, |values| values.running);
    }
}

/// Writes parameters, running statistics and moments of one slot; the others stay.
pub fn write_slot(
    gpu: &GpuDevice,
    buffers: &WaveBuffers,
    placement: &Placement,
    shape: &Shape,
    slot: u32,
    values: SlotValues<'_>,
) {
    let put = |region: &Region<'_>, slice: &Slice, at: u32, arena: &[f32]| {
        let padded = region.padded(arena);
        let offset = slice.offset + u64::from(at) * region.bytes();
        let bytes = bytemuck::cast_slice(&padded);
        gpu.queue.write_buffer(&slice.buffer, offset, bytes);
    };
    let first = placement.data[slot as usize].first_moment;
    for region in parameter_regions(buffers, shape) {
        put(&region, region.slice, slot, values.parameters);
        for (at, moment) in (first..).zip(values.moments) {
            if let Some(slice) = region.moments {
                put(&region, slice, at, moment);
            }
        }
    }
    for region in running_regions(buffers, shape) {
        put(&region, region.slice, slot, values.running);
    }
}

fn moments_of(member: &Member) -> usize {
    member.hyperparameters.optimizer.moments()
}

fn moment_vectors(placement: &Placement) -> usize {
    placement.members.iter().map(moments_of).sum()
}

/// Reads one vector of each region, and joins them.
fn read_arena(gpu: &GpuDevice, regions: &[Region<'_>], slot: u32) -> Result<Vec<f32>, EngineError> {
    let wanted = regions.iter().map(|region| Wanted {
        buffer: &region.slice.buffer,
        offset: region.slice.offset + u64::from(slot) * region.bytes(),
        bytes: region.bytes(),
    });
    let wanted: Vec<Wanted<'_>> = wanted.collect();
    let mut arena = Vec::new();
    for (region, bytes) in regions.iter().zip(transfer::read(gpu, &wanted)?) {
        unpad_rows(&transfer::values::<f32>(&bytes), region.width, &mut arena);
    }
    Ok(arena)
}

/// Parameters of one slot.
///
/// # Errors
/// When the device fails.
pub fn read_parameters(
    gpu: &GpuDevice,
    buffers: &WaveBuffers,
    shape: &Shape,
    slot: u32,
) -> Result<Vec<f32>, EngineError> {
    read_arena(gpu, &parameter_regions(buffers, shape), slot)
}

/// Gradients of one slot from the last step, in the layout of the parameters.
#[cfg(test)]
pub fn read_gradients(
    gpu: &GpuDevice,
    buffers: &WaveBuffers,
    own: &LayeredBuffers,
    shape: &Shape,
    slot: u32,
) -> Result<Vec<f32>, EngineError> {
    let mut regions = parameter_regions(buffers, shape);
    let mut gradients = Vec::new();
    for layer in &own.layers {
        gradients.extend(&layer.gradients);
        gradients.extend(layer.norm.as_ref().and_then(|norm| norm.gradients.as_ref()));
    }
    assert_eq!(gradients.len(), regions.len(), "an engine with an arena");
    let gradients: Vec<Slice> = gradients.into_iter().cloned().map(Slice::whole).collect();
    for (region, slice) in regions.iter_mut().zip(&gradients) {
        region.slice = slice;
    }
    read_arena(gpu, &regions, slot)
}

/// All slots' vectors of some regions, as they were read.
struct ReadRegions<'b> {
    regions: Vec<Region<'b>>,
    values: Vec<Vec<f32>>,
}

impl<'b> ReadRegions<'b> {
    fn new(
        gpu: &GpuDevice,
        regions: Vec<Region<'b>>,
        vectors: usize,
        slice: fn(&Region<'b>) -> &'b Slice,
    ) -> Result<Self, EngineError> {
        let wanted = regions.iter().map(|region| Wanted {
            buffer: &slice(region).buffer,
            offset: slice(region).offset,
            bytes: vectors as u64 * region.bytes(),
        });
        let wanted: Vec<Wanted<'_>> = wanted.collect();
        let read = transfer::read(gpu, &wanted)?;
        Ok(Self {
            values: read.iter().map(|bytes| transfer::values(bytes)).collect(),
            regions,
        })
    }

    /// One vector, regions joined.
    fn arena(&self, vector: usize) -> Vec<f32> {
        let mut arena = Vec::new();
        for (region, values) in self.regions.iter().zip(&self.values) {
            let stride = region.stride();
            unpad_rows(
                &values[vector * stride..][..stride],
                region.width,
                &mut arena,
            );
        }
        arena
    }
}

/// The whole state of these slots.
///
/// # Errors
/// When the device fails.
pub fn read_snapshots(
    gpu: &GpuDevice,
    buffers: &WaveBuffers,
    placement: &Placement,
    shape: &Shape,
    slots: &[u32],
    states: &[State],
) -> Result<Vec<MemberSnapshot>, EngineError> {
    let count = placement.members.len();
    let regions = || parameter_regions(buffers, shape);
    let parameters = ReadRegions::new(gpu, regions(), count, |region| region.slice)?;
    let moments = ReadRegions::new(gpu, regions(), moment_vectors(placement), |region| {
        region.moments.unwrap_or(region.slice)
    })?;
    let running = running_regions(buffers, shape);
    let running = ReadRegions::new(gpu, running, count, |region| region.slice)?;
    let snapshot = |&slot: &u32| {
        let slot = slot as usize;
        let (member, state) = (&placement.members[slot], &states[slot]);
        let first = placement.data[slot].first_moment as usize;
        let vectors = first..first + moments_of(member);
        MemberSnapshot {
            id: member.id,
            parameters: parameters.arena(slot),
            moments: vectors.map(|vector| moments.arena(vector)).collect(),
            running: running.arena(slot),
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
