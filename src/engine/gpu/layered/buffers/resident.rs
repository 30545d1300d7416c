//! The buffers of the resident engine.

use super::state::{LayerState, NormState, joined};
use crate::engine::EngineError;
use crate::engine::gpu::layered::placement::Placement;
use crate::engine::gpu::layout::{ResidentLayer, Run};
use crate::engine::gpu::transfer::{Allocator, LEAST_BYTES, Slice};
use crate::plan::{LayerBytes, ScratchLayout};
use crate::train::Shape;

/// The buffers of the resident engine.
#[derive(Debug)]
pub struct ResidentBuffers {
    /// [`Run`] of training, uniform.
    pub run: wgpu::Buffer,
    /// [`Run`] of evaluations, uniform.
    pub evaluation: wgpu::Buffer,
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
    /// Makes those of a wave whose state is joined in these buffers.
    ///
    /// # Errors
    /// [`EngineError::OutOfMemory`] names the buffer that did not fit.
    pub fn new(
        make: &mut Allocator<'_>,
        shape: &Shape,
        gathers: bool,
        state: &[LayerState],
        [values, moments]: [wgpu::Buffer; 2],
        placement: &Placement,
    ) -> Result<Self, EngineError> {
        let scratch = ScratchLayout::new(shape, gathers);
        Ok(Self {
            run: make.uniform("run", &Run::default())?,
            evaluation: make.uniform("evaluation_run", &Run::default())?,
            layers: make.filled("layers", &resident_layers(shape, gathers, state))?,
            values,
            moments,
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

/// The table of layers.
fn resident_layers(shape: &Shape, gathers: bool, state: &[LayerState]) -> Vec<ResidentLayer> {
    let place = |slice: &Slice| index(slice.offset / 16);
    let layers = ResidentLayer::of_shape(shape, gathers)
        .into_iter()
        .zip(state);
    let placed = layers.map(|(layer, of)| {
        let norm =
            |slice: fn(&NormState) -> &Slice| of.norm.as_ref().map_or(0, |n| place(slice(n)));
        ResidentLayer {
            weights: place(&of.weights),
            moments: place(&of.moments),
            scale: norm(|n| &n.scale),
            running: norm(|n| &n.running),
            scale_moments: norm(|n| &n.moments),
            ..layer
        }
    });
    placed.collect()
}

/// Bytes of the resident engine's buffers, state included.
pub fn predicted_resident_bytes(
    shape: &Shape,
    gathers: bool,
    layers: &[LayerBytes],
    placement: &Placement,
) -> u64 {
    let [values, moments] = joined(layers);
    let table = (layers.len() * size_of::<ResidentLayer>()) as u64;
    let scratch = scratch_bytes(&ScratchLayout::new(shape, gathers), placement);
    let all = [table, values.bytes(), moments.bytes(), scratch];
    2 * size_of::<Run>() as u64 + all.map(|bytes| bytes.max(LEAST_BYTES)).iter().sum::<u64>()
}

fn scratch_bytes(scratch: &ScratchLayout, placement: &Placement) -> u64 {
    let rows = u64::from(placement.rows) * scratch.row_stride;
    16 * (rows + placement.members.len() as u64 * scratch.member_stride)
}
