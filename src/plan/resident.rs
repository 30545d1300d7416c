//! How the resident engine lays a member out: its scratch, and its weights in a workgroup's memory.
//! Everything is counted in `vec4`s of f32, 16 bytes; rows of values are padded to whole ones.

use crate::train::Shape;

/// Bytes of a `vec4`.
const VEC4: u64 = 16;

/// Where a layer's activations are in a member's scratch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScratchLayer {
    /// Outputs: so many `vec4`s a row lie before them. Logits and their gradient for the last layer.
    pub h: u64,
    /// Gradient of the outputs; for the last layer the same as `h`.
    pub dy: u64,
    /// Outputs before the batch norm, where there is one.
    pub z: u64,
    /// Statistics and sums of the batch norm, in the part beside the rows.
    pub statistics: u64,
    /// Inputs: the outputs of the layer before, or the rows of the batch, where they are gathered.
    pub x: u64,
    /// Gradients of weights and biases, in the part beside the rows, where nothing is staged.
    pub gradients: u64,
}

/// The scratch of a member: regions of `[rows][units]`, then what does not grow with the rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScratchLayout {
    /// Layer after layer.
    pub layers: Vec<ScratchLayer>,
    /// `vec4`s that each row of a batch takes.
    pub row_stride: u64,
    /// `vec4`s that a member takes beside its rows.
    pub member_stride: u64,
}

/// Rows of units that a batch norm publishes: statistics, gamma, beta, sums.
const NORM_ROWS: u64 = 8;

impl ScratchLayout {
    /// For members of a shape; the rows of a batch have a region too where they are gathered.
    pub fn new(shape: &Shape, gathers: bool) -> Self {
        let mut layout = Self::default();
        let layers = shape.layers();
        for (l, layer) in layers.iter().enumerate() {
            let stride = vec4s(layer.outputs);
            let mut place = ScratchLayer {
                h: layout.take_rows(stride),
                ..ScratchLayer::default()
            };
            place.dy = if l + 1 == layers.len() {
                place.h
            } else {
                layout.take_rows(stride)
            };
            if layer.batch_norm() {
                place.z = layout.take_rows(stride);
                place.statistics = layout.member_stride;
                layout.member_stride += NORM_ROWS * stride;
            }
            if gathers {
                let rows = layer.inputs + usize::from(!layer.bias.is_empty());
                place.gradients = layout.member_stride;
                layout.member_stride += rows as u64 * stride;
            }
            if let Some(before) = layout.layers.last() {
                place.x = before.h;
            }
            layout.layers.push(place);
        }
        if gathers {
            layout.layers[0].x = layout.take_rows(vec4s(shape.inputs()));
        }
        layout
    }

    fn take_rows(&mut self, stride: u64) -> u64 {
        let at = self.row_stride;
        self.row_stride += stride;
        at
    }

    /// Bytes of a member whose batches are padded to so many rows.
    pub fn bytes(&self, padded_rows: u64) -> u64 {
        let rows = padded_rows.saturating_mul(self.row_stride);
        rows.saturating_add(self.member_stride).saturating_mul(VEC4)
    }
}

/// Where weights and biases are in a workgroup's memory: of each layer the first `vec4`, counted from
/// that of the first layer; and how many they take in all. Rows of weights lie in blocks of four, each
/// one `vec4` longer.
pub fn arena_layout(shape: &Shape) -> (Vec<u64>, u64) {
    let mut at = 0;
    let mut places = Vec::new();
    for layer in shape.layers() {
        places.push(at);
        let stride = vec4s(layer.outputs);
        let bias = if layer.bias.is_empty() { 0 } else { stride };
        at += vec4s(layer.inputs) * (4 * stride + 1) + bias;
    }
    (places, at)
}

fn vec4s(values: usize) -> u64 {
    values.div_ceil(4) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scratch_of_two_hidden_layers() {
        let shape = Shape::new(9, &[20, 7], 3).with_batch_norm(true);
        let layout = ScratchLayout::new(&shape, true);
        let layer = |x, [h, dy, z]: [u64; 3], statistics, gradients| ScratchLayer {
            h,
            dy,
            z,
            statistics,
            x,
            gradients,
        };
        // Behind the statistics of a layer, 8 rows of units, come its gradients: 9 x 20, 20 x 7, 7 x 3 and biases.
        let expected = [
            layer(22, [0, 5, 10], 0, 40),
            layer(0, [15, 17, 19], 85, 101),
            layer(15, [21, 21, 0], 0, 141),
        ];
        assert_eq!(layout.layers, expected);
        assert_eq!((layout.row_stride, layout.member_stride), (25, 149));
        assert_eq!(layout.bytes(32), 16 * (32 * 25 + 149));
        let staged = ScratchLayout::new(&shape, false);
        let expected = [
            layer(0, [0, 5, 10], 0, 0),
            layer(0, [15, 17, 19], 40, 0),
            layer(15, [21, 21, 0], 0, 0),
        ];
        assert_eq!(staged.layers, expected);
        assert_eq!(staged.bytes(32), 16 * (32 * 22 + 56));
    }

    #[test]
    fn weights_lie_in_blocks_of_four_rows() {
        // 64 x 64: 16 blocks of 65, and 16 of biases; 64 x 10: 16 blocks of 13, and 3.
        let (places, all) = arena_layout(&Shape::new(64, &[64], 10));
        assert_eq!(places, [0, 16 * 65 + 16]);
        assert_eq!(all, 1056 + 16 * 13 + 3);
    }
}
