//! The buffers of the resident engine.

use super::state::{LayerState, NormState, joined};
use crate::engine::EngineError;
use crate::engine::gpu::layered::placement::Placement;
use crate::engine::gpu::layout::{ResidentLayer, Run};
use crate::engine::gpu::transfer::{Allocator, LEAST_BYTES, Slice};
use crate::plan::LayerBytes;
use crate::train::Shape;

/// The buffers of the resident engine.
#[derive(Debug)]
pub struct ResidentBuffers {
    /// [`Run`] of training, uniform.
    pub run: wgpu::Buffer,
    /// [`Run`] of evaluations, uniform.
    pub evaluation: wgpu::Buffer,
    /// [`ResidentLayer`]s, shape after shape.
    pub layers: wgpu::Buffer,
    /// Parameters and running statistics of all layers.
    pub values: wgpu::Buffer,
    /// Moments of all layers.
    pub moments: wgpu::Buffer,
    /// Activations and their gradients, member after member.
    pub scratch: wgpu::Buffer,
}

impl ResidentBuffers {
    /// Makes those of a wave whose state is joined in these buffers.
    ///
    /// # Errors
    /// [`EngineError::OutOfMemory`] names the buffer that did not fit.
    pub fn new(
        make: &mut Allocator<'_>,
        shapes: &[Shape],
        gathers: bool,
        state: &[Vec<LayerState>],
        [values, moments]: [wgpu::Buffer; 2],
        placement: &Placement,
    ) -> Result<Self, EngineError> {
        let tables = shapes.iter().zip(state);
        let layers = tables.flat_map(|(shape, state)| resident_layers(shape, gathers, state));
        Ok(Self {
            run: make.uniform("run", &Run::default())?,
            evaluation: make.uniform("evaluation_run", &Run::default())?,
            layers: make.filled("layers", &layers.collect::<Vec<_>>())?,
            values,
            moments,
            scratch: make.zeros("scratch", 16 * placement.scratch)?,
        })
    }
}

/// The table of a shape's layers.
fn resident_layers(shape: &Shape, gathers: bool, state: &[LayerState]) -> Vec<ResidentLayer> {
    let place = |slice: &Slice| {
        u32::try_from(slice.offset / 16).expect("bindings are smaller than 2^32 vec4s")
    };
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

/// Bytes of the resident engine's buffers, state included, by those of the layers of each shape.
pub fn predicted_resident_bytes(shapes: &[Vec<LayerBytes>], placement: &Placement) -> u64 {
    let [values, moments] = joined(shapes);
    let layers: usize = shapes.iter().map(Vec::len).sum();
    let table = (layers * size_of::<ResidentLayer>()) as u64;
    let all = [
        table,
        values.bytes(),
        moments.bytes(),
        16 * placement.scratch,
    ];
    2 * size_of::<Run>() as u64 + all.map(|bytes| bytes.max(LEAST_BYTES)).iter().sum::<u64>()
}
