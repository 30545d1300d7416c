//! What is kept from step to step.

use crate::engine::EngineError;
use crate::engine::gpu::transfer::{Allocator, Joined, Slice};
use crate::plan::LayerBytes;

/// What of a layer is kept from step to step: in buffers of its own, as the layered engine has it, or in
/// two for the whole network, as the resident kernel reads it.
#[derive(Clone, Debug)]
pub struct LayerState {
    /// Weights and biases.
    pub weights: Slice,
    /// Their moments.
    pub moments: Slice,
    /// The batch norm behind it.
    pub norm: Option<NormState>,
}

/// What of a batch norm is kept from step to step.
#[derive(Clone, Debug)]
pub struct NormState {
    /// Gamma and beta.
    pub scale: Slice,
    /// Their moments.
    pub moments: Slice,
    /// Running means and variances.
    pub running: Slice,
}

/// A buffer for each part of each layer.
///
/// # Errors
/// [`EngineError::OutOfMemory`] names the buffer that did not fit.
pub fn separate_state(
    make: &mut Allocator<'_>,
    sums: &[LayerBytes],
) -> Result<Vec<LayerState>, EngineError> {
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
    Ok(layers)
}

/// Two buffers for all shapes: parameters and running statistics, and moments.
///
/// # Errors
/// [`EngineError::OutOfMemory`] names the buffer that did not fit.
pub fn joined_state(
    make: &mut Allocator<'_>,
    shapes: &[Vec<LayerBytes>],
) -> Result<(Vec<Vec<LayerState>>, [wgpu::Buffer; 2]), EngineError> {
    let [of_values, of_moments] = joined(shapes);
    let values = make.zeros("values", of_values.bytes())?;
    let moments = make.zeros("moments", of_moments.bytes())?;
    let (mut next_value, mut next_moment) = (0.., 0..);
    let mut value = || of_values.slice(&values, next_value.next().unwrap_or_default());
    let mut moment = || of_moments.slice(&moments, next_moment.next().unwrap_or_default());
    let mut layer = |bytes: &LayerBytes| LayerState {
        weights: value(),
        moments: moment(),
        norm: (bytes.norm.scale > 0).then(|| NormState {
            scale: value(),
            moments: moment(),
            running: value(),
        }),
    };
    let layers = |shape: &Vec<LayerBytes>| shape.iter().map(&mut layer).collect();
    let state = shapes.iter().map(layers).collect();
    Ok((state, [values, moments]))
}

/// The slices of parameters and running statistics, and those of moments: shape after shape, layer after layer.
pub fn joined(shapes: &[Vec<LayerBytes>]) -> [Joined; 2] {
    let [mut values, mut moments] = [Joined::default(), Joined::default()];
    for bytes in shapes.iter().flatten() {
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
