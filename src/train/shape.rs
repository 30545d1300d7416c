//! The shape of a dense network and the layout of its parameters.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// Widths of a dense network: inputs, hidden layers, outputs. Members of one shape form a cohort.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shape {
    widths: Vec<usize>,
}

/// One dense layer and where its parameters lie in the member's parameter arena.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenseLayer {
    /// Values a row that go in.
    pub inputs: usize,
    /// Values a row that come out.
    pub outputs: usize,
    /// Weights, `[inputs][outputs]`, row-major.
    pub weights: Range<usize>,
    /// Biases, `[outputs]`, right behind the weights.
    pub bias: Range<usize>,
}

impl Shape {
    /// A network from `inputs` features over the `hidden` widths to `outputs` logits.
    pub fn new(inputs: usize, hidden: &[u64], outputs: usize) -> Self {
        let hidden = hidden
            .iter()
            .map(|&width| usize::try_from(width).expect("widths are limited by the space"));
        let widths = std::iter::once(inputs)
            .chain(hidden)
            .chain(std::iter::once(outputs))
            .collect();
        Self { widths }
    }

    /// Features a row.
    pub fn inputs(&self) -> usize {
        self.widths[0]
    }

    /// Logits a row.
    pub fn outputs(&self) -> usize {
        self.widths[self.widths.len() - 1]
    }

    /// Inputs, hidden widths and outputs, in the order data flows.
    pub fn widths(&self) -> &[usize] {
        &self.widths
    }

    /// The dense layers in the order data flows; the last one gives the logits.
    pub fn layers(&self) -> Vec<DenseLayer> {
        let mut at = 0;
        self.widths
            .windows(2)
            .map(|pair| {
                let (inputs, outputs) = (pair[0], pair[1]);
                let weights = at..at + inputs * outputs;
                let bias = weights.end..weights.end + outputs;
                at = bias.end;
                DenseLayer {
                    inputs,
                    outputs,
                    weights,
                    bias,
                }
            })
            .collect()
    }

    /// Weights and biases of the network.
    pub fn parameters(&self) -> usize {
        self.widths
            .windows(2)
            .map(|pair| (pair[0] + 1) * pair[1])
            .sum()
    }

    /// Useful floating-point operations to train on one row.
    ///
    /// Per weight 2 forward, 2 for its gradient and 2 for the gradient of the layer's input, which
    /// the first layer does not need. Biases, activations and the optimizer are not counted.
    pub fn flops_per_sample(&self) -> u64 {
        let weights = |pair: &[usize]| (pair[0] * pair[1]) as u64;
        let all: u64 = self.widths.windows(2).map(|pair| 6 * weights(pair)).sum();
        all - 2 * weights(&self.widths[..2])
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.widths.iter().map(ToString::to_string).collect();
        f.write_str(&words.join("-"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_flops_and_layout_of_the_digits_network() {
        let shape = Shape::new(64, &[64], 10);
        assert_eq!(shape.parameters(), 4810);
        assert_eq!(shape.flops_per_sample(), 20_224);
        assert_eq!(shape.to_string(), "64-64-10");
        let layers = shape.layers();
        assert_eq!(layers[0].weights, 0..4096);
        assert_eq!(layers[0].bias, 4096..4160);
        assert_eq!(layers[1].weights, 4160..4800);
        assert_eq!(layers[1].bias, 4800..4810);
    }

    #[test]
    fn a_linear_model_has_one_layer_and_no_input_gradient() {
        let shape = Shape::new(4, &[], 3);
        assert_eq!(shape.parameters(), 15);
        assert_eq!(shape.flops_per_sample(), 4 * 12);
        assert_eq!(shape.layers().len(), 1);
    }
}
