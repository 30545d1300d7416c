//! The state of members between the device's layout and [`MemberSnapshot`].

use std::collections::BTreeMap;
use std::ops::Range;

use super::buffers::LayerState;
#[cfg(test)]
use super::buffers::LayeredBuffers;
use super::placement::Placement;
use crate::engine::gpu::GpuDevice;
use crate::engine::gpu::layout::{MemberData, State, pad_rows, unpad_rows};
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
    /// Member after member.
    slice: &'b Slice,
    /// Moment vectors; none for running statistics.
    moments: Option<&'b Slice>,
}

impl Region<'_> {
    /// Values of a member on the device.
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

/// The members of one shape in a wave, and where their state lies.
#[derive(Clone, Copy)]
pub struct Cohort<'b> {
    /// Their shape.
    pub shape: &'b Shape,
    /// Its layers.
    pub state: &'b [LayerState],
    /// Their slots, in the order in which they lie there.
    pub slots: &'b [u32],
}

impl<'b> Cohort<'b> {
    /// The regions of the parameters: of each layer weights and biases, then gamma and beta.
    fn parameter_regions(&self) -> Vec<Region<'b>> {
        let mut regions = Vec::new();
        for (layer, on_device) in self.shape.layers().iter().zip(self.state) {
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
    fn running_regions(&self) -> Vec<Region<'b>> {
        let mut regions = Vec::new();
        for (layer, on_device) in self.shape.layers().iter().zip(self.state) {
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

    /// Moment vectors of its members.
    fn moment_vectors(&self, placement: &Placement) -> usize {
        let moments = |&slot: &u32| moments_of(&placement.members[slot as usize]);
        self.slots.iter().map(moments).sum()
    }
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

/// Gives the members of a shape what they begin with: the parameters of their repeats. Moments are zeros from the
/// start.
pub fn write_initial(
    gpu: &GpuDevice,
    cohort: Cohort<'_>,
    placement: &Placement,
    parameters: &BTreeMap<u32, Vec<f32>>,
    running: &[f32],
) {
    let repeat = |&slot: &u32| placement.members[slot as usize].id.repeat;
    for region in cohort.parameter_regions() {
        let padded = parameters.iter();
        let padded: BTreeMap<u32, Vec<f32>> = padded
            .map(|(&repeat, arena)| (repeat, region.padded(arena)))
            .collect();
        let vectors = cohort.slots.iter().map(|s| padded[&repeat(s)].as_slice());
        transfer::write_vectors(gpu, region.slice, vectors);
    }
    for region in cohort.running_regions() {
        let padded = region.padded(running);
        let vectors = cohort.slots.iter().map(|_| padded.as_slice());
        transfer::write_vectors(gpu, region.slice, vectors);
    }
}

/// Writes parameters, running statistics and moments of all members of a shape; a slot without values gets zeros.
pub fn write_values<'a>(
    gpu: &GpuDevice,
    cohort: Cohort<'_>,
    placement: &Placement,
    values: impl Fn(u32) -> Option<SlotValues<'a>>,
) {
    let put = |region: &Region<'_>, of: fn(&SlotValues<'a>) -> &'a [f32]| {
        let mut all = vec![0.0; cohort.slots.len() * region.stride()];
        for (&slot, out) in cohort
            .slots
            .iter()
            .zip(all.chunks_exact_mut(region.stride()))
        {
            if let Some(values) = values(slot) {
                out.copy_from_slice(&region.padded(of(&values)));
            }
        }
        transfer::write_slice(gpu, region.slice, &all);
    };
    for region in cohort.parameter_regions() {
        put(&region, |values| values.parameters);
        let has_moments = |&slot: &u32| values(slot).is_some_and(|v| !v.moments.is_empty());
        let any = cohort.slots.iter().any(has_moments);
        let Some(slice) = region.moments.filter(|_| any) else {
            continue;
        };
        let mut moments = vec![0.0; cohort.moment_vectors(placement) * region.stride()];
        for &slot in cohort.slots {
            let first = placement.data[slot as usize].first_moment;
            let vectors = values(slot).map_or(&[][..], |values| values.moments);
            for (at, moment) in (first as usize..).zip(vectors) {
                moments[at * region.stride()..][..region.stride()]
                    .copy_from_slice(&region.padded(moment));
            }
        }
        transfer::write_slice(gpu, slice, &moments);
    }
    for region in cohort.running_regions() {
        put(&region, |values| values.running);
    }
}

/// Writes parameters, running statistics and moments of a slot, which is of this shape; the others stay.
pub fn write_slot(
    gpu: &GpuDevice,
    cohort: Cohort<'_>,
    placement: &Placement,
    slot: u32,
    values: SlotValues<'_>,
) {
    let put = |region: &Region<'_>, slice: &Slice, at: u32, arena: &[f32]| {
        let padded = region.padded(arena);
        let offset = slice.offset + u64::from(at) * region.bytes();
        let bytes = bytemuck::cast_slice(&padded);
        gpu.queue.write_buffer(&slice.buffer, offset, bytes);
    };
    let data = &placement.data[slot as usize];
    for region in cohort.parameter_regions() {
        put(&region, region.slice, data.index, values.parameters);
        for (at, moment) in (data.first_moment..).zip(values.moments) {
            if let Some(slice) = region.moments {
                put(&region, slice, at, moment);
            }
        }
    }
    for region in cohort.running_regions() {
        put(&region, region.slice, data.index, values.running);
    }
}

fn moments_of(member: &Member) -> usize {
    member.hyperparameters.optimizer.moments()
}

/// Reads one vector of each region, and joins them.
fn read_arena(
    gpu: &GpuDevice,
    regions: &[Region<'_>],
    index: u32,
) -> Result<Vec<f32>, EngineError> {
    let wanted = regions.iter().map(|region| Wanted {
        buffer: &region.slice.buffer,
        offset: region.slice.offset + u64::from(index) * region.bytes(),
        bytes: region.bytes(),
    });
    let wanted: Vec<Wanted<'_>> = wanted.collect();
    let mut arena = Vec::new();
    for (region, bytes) in regions.iter().zip(transfer::read(gpu, &wanted)?) {
        unpad_rows(&transfer::values::<f32>(&bytes), region.width, &mut arena);
    }
    Ok(arena)
}

/// Parameters of one member of a shape.
///
/// # Errors
/// When the device fails.
pub fn read_parameters(
    gpu: &GpuDevice,
    cohort: Cohort<'_>,
    index: u32,
) -> Result<Vec<f32>, EngineError> {
    read_arena(gpu, &cohort.parameter_regions(), index)
}

/// Gradients of one member of a shape from the last step, in the layout of the parameters.
#[cfg(test)]
pub fn read_gradients(
    gpu: &GpuDevice,
    cohort: Cohort<'_>,
    own: &LayeredBuffers,
    index: u32,
) -> Result<Vec<f32>, EngineError> {
    let mut regions = cohort.parameter_regions();
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
    read_arena(gpu, &regions, index)
}

/// Vectors of some regions, one behind the other: of all members of a shape, or of all their moments.
struct Vectors<'b> {
    regions: Vec<Region<'b>>,
    /// Where they are, by region.
    slices: Vec<&'b Slice>,
    count: usize,
    /// By region, once they are read.
    values: Vec<Vec<f32>>,
}

impl<'b> Vectors<'b> {
    fn new(regions: Vec<Region<'b>>, slice: fn(&Region<'b>) -> &'b Slice, count: usize) -> Self {
        Self {
            slices: regions.iter().map(slice).collect(),
            regions,
            count,
            values: Vec::new(),
        }
    }

    fn wanted(&self) -> impl Iterator<Item = Wanted<'b>> {
        let regions = self.regions.iter().zip(&self.slices);
        regions.map(|(region, slice)| Wanted {
            buffer: &slice.buffer,
            offset: slice.offset,
            bytes: self.count as u64 * region.bytes(),
        })
    }

    /// Takes what was read of them.
    fn take(&mut self, read: &mut impl Iterator<Item = Vec<u8>>) {
        let read = read.by_ref().take(self.regions.len());
        self.values = read.map(|bytes| transfer::values(&bytes)).collect();
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

/// The whole state of the members of a shape.
pub struct ReadCohort<'b> {
    parameters: Vectors<'b>,
    moments: Vectors<'b>,
    running: Vectors<'b>,
}

impl<'b> ReadCohort<'b> {
    fn new(cohort: Cohort<'b>, placement: &Placement) -> Self {
        let count = cohort.slots.len();
        Self {
            parameters: Vectors::new(cohort.parameter_regions(), |region| region.slice, count),
            moments: Vectors::new(
                cohort.parameter_regions(),
                |region| region.moments.unwrap_or(region.slice),
                cohort.moment_vectors(placement),
            ),
            running: Vectors::new(cohort.running_regions(), |region| region.slice, count),
        }
    }

    /// Reads the members of these shapes, all in one go.
    ///
    /// # Errors
    /// When the device fails.
    pub fn read(
        gpu: &GpuDevice,
        cohorts: impl Iterator<Item = Cohort<'b>>,
        placement: &Placement,
    ) -> Result<Vec<Self>, EngineError> {
        let mut cohorts: Vec<Self> = cohorts.map(|c| Self::new(c, placement)).collect();
        let wanted: Vec<Wanted<'_>> = cohorts
            .iter()
            .flat_map(|c| [&c.parameters, &c.moments, &c.running])
            .flat_map(Vectors::wanted)
            .collect();
        let mut read = transfer::read(gpu, &wanted)?.into_iter();
        for cohort in &mut cohorts {
            cohort.parameters.take(&mut read);
            cohort.moments.take(&mut read);
            cohort.running.take(&mut read);
        }
        Ok(cohorts)
    }

    /// The state of a member of this shape.
    pub fn snapshot(&self, member: &Member, data: &MemberData, state: &State) -> MemberSnapshot {
        let first = data.first_moment as usize;
        let vectors = first..first + moments_of(member);
        MemberSnapshot {
            id: member.id,
            parameters: self.parameters.arena(data.index as usize),
            moments: vectors.map(|vector| self.moments.arena(vector)).collect(),
            running: self.running.arena(data.index as usize),
            steps: u64::from(state.steps),
            samples: state.samples(),
            epoch: state.epoch,
            cursor: u64::from(state.position),
            loss_sum: f64::from(state.loss_sum) + f64::from(state.loss_rest),
            train_loss: f64::from(state.train_loss),
            diverged: state.diverged != 0,
        }
    }
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
