//! The shape of a dense network and the layout of its parameters.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// Widths of a dense network: inputs, hidden layers, outputs; and whether batch norm follows each
/// hidden layer. Members of one shape form a cohort.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shape {
    widths: Vec<usize>,
    batch_norm: bool,
}

/// One dense layer, with the batch norm that may follow it, and where its parameters lie in the
/// member's parameter arena: its weights, then its biases, or gamma and beta in their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenseLayer {
    /// Values a row that go in.
    pub inputs: usize,
    /// Values a row that come out.
    pub outputs: usize,
    /// Weights, `[inputs][outputs]`, row-major.
    pub weights: Range<usize>,
    /// Biases, `[outputs]`, right behind the weights; empty where batch norm follows, whose
    /// subtraction of the mean would take them off again.
    pub bias: Range<usize>,
    /// What batch norm multiplies by, `[outputs]`, right behind the weights; else empty.
    pub gamma: Range<usize>,
    /// What batch norm adds, `[outputs]`, right behind gamma; else empty.
    pub beta: Range<usize>,
    /// The running statistics in the member's running arena: `outputs` means, then `outputs`
    /// variances; empty without batch norm.
    pub running: Range<usize>,
}

impl DenseLayer {
    /// Whether batch norm follows the layer.
    pub fn batch_norm(&self) -> bool {
        !self.gamma.is_empty()
    }

    /// The layer of these widths behind what the arenas hold so far.
    fn behind(
        (parameters, running): (usize, usize),
        inputs: usize,
        outputs: usize,
        batch_norm: bool,
    ) -> Self {
        let weights = parameters..parameters + inputs * outputs;
        let next = |at: usize, there: bool| at..at + if there { outputs } else { 0 };
        let bias = next(weights.end, !batch_norm);
        let gamma = next(bias.end, batch_norm);
        let beta = next(gamma.end, batch_norm);
        let variances = next(running, batch_norm).end;
        Self {
            inputs,
            outputs,
            weights,
            bias,
            gamma,
            beta,
            running: running..next(variances, batch_norm).end,
        }
    }
}

impl Shape {
    /// A network from `inputs` features over the `hidden` widths to `outputs` logits, without batch
    /// norm.
    pub fn new(inputs: usize, hidden: &[u64], outputs: usize) -> Self {
        let hidden = hidden
            .iter()
            .map(|&width| usize::try_from(width).expect("widths are limited by the space"));
        let widths = std::iter::once(inputs)
            .chain(hidden)
            .chain(std::iter::once(outputs))
            .collect();
        Self {
            widths,
            batch_norm: false,
        }
    }

    /// The same widths with batch norm behind each hidden layer, or without. A network without
    /// hidden layers has none.
    pub fn with_batch_norm(self, batch_norm: bool) -> Self {
        Self {
            batch_norm: batch_norm && self.widths.len() > 2,
            ..self
        }
    }

    /// Whether batch norm follows each hidden layer.
    pub fn batch_norm(&self) -> bool {
        self.batch_norm
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
        let (mut parameters, mut running) = (0, 0);
        let last = self.widths.len() - 2;
        let layer = |(l, pair): (usize, &[usize])| {
            let batch_norm = self.batch_norm && l < last;
            let layer = DenseLayer::behind((parameters, running), pair[0], pair[1], batch_norm);
            parameters = layer.beta.end;
            running = layer.running.end;
            layer
        };
        self.widths.windows(2).enumerate().map(layer).collect()
    }

    /// Weights, biases, and gamma and beta of batch norm.
    pub fn parameters(&self) -> usize {
        let dense = |pair: &[usize]| (pair[0] + 1) * pair[1];
        // Gamma and beta in place of a bias.
        let more = self.running() / 2;
        self.widths.windows(2).map(dense).sum::<usize>() + more
    }

    /// Running statistics: a mean and a variance for each unit that batch norm follows.
    pub fn running(&self) -> usize {
        let hidden = &self.widths[1..self.widths.len() - 1];
        if self.batch_norm {
            2 * hidden.iter().sum::<usize>()
        } else {
            0
        }
    }

    /// Useful floating-point operations to train on one row.
    ///
    /// Per weight 2 forward, 2 for its gradient and 2 for the gradient of the layer's input, which
    /// the first layer does not need. Biases, batch norm, activations and the optimizer are not
    /// counted.
    pub fn flops_per_sample(&self) -> u64 {
        let weights = |pair: &[usize]| (pair[0] * pair[1]) as u64;
        let all: u64 = self.widths.windows(2).map(|pair| 6 * weights(pair)).sum();
        all - 2 * weights(&self.widths[..2])
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.widths.iter().map(ToString::to_string).collect();
        f.write_str(&words.join("-"))?;
        f.write_str(if self.batch_norm { "+batch_norm" } else { "" })
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
    fn gamma_and_beta_take_the_place_of_the_bias_but_in_the_last_layer() {
        let shape = Shape::new(3, &[4, 2], 5).with_batch_norm(true);
        let layers = shape.layers();
        let [first, second, last] = &layers[..] else {
            panic!("{layers:?}")
        };
        assert_eq!((&first.weights, &first.bias), (&(0..12), &(12..12)));
        assert_eq!((&first.gamma, &first.beta), (&(12..16), &(16..20)));
        assert_eq!((&second.weights, &second.bias), (&(20..28), &(28..28)));
        assert_eq!((&second.gamma, &second.beta), (&(28..30), &(30..32)));
        assert_eq!((&last.weights, &last.bias), (&(32..42), &(42..47)));
        assert_eq!((&first.running, &second.running), (&(0..8), &(8..12)));
        assert!(last.gamma.is_empty() && last.beta.is_empty() && last.running.is_empty());
        let with: Vec<bool> = layers.iter().map(DenseLayer::batch_norm).collect();
        assert_eq!(with, [true, true, false]);
        assert_eq!((shape.parameters(), shape.running()), (47, 12));
    }

    #[test]
    fn batch_norm_is_part_of_the_shape_where_there_are_hidden_layers() {
        let plain = Shape::new(64, &[64], 10);
        let shape = plain.clone().with_batch_norm(true);
        assert_ne!(shape, plain);
        assert_eq!(shape.to_string(), "64-64-10+batch_norm");
        assert_eq!(shape.parameters(), plain.parameters() + 64);
        assert_eq!(shape.flops_per_sample(), plain.flops_per_sample());
        assert_eq!(shape.with_batch_norm(false), plain);
        let linear = Shape::new(4, &[], 3);
        assert_eq!(linear.clone().with_batch_norm(true), linear);
    }

    #[test]
    fn a_linear_model_has_one_layer_and_no_input_gradient() {
        let shape = Shape::new(4, &[], 3);
        assert_eq!(shape.parameters(), 15);
        assert_eq!(shape.flops_per_sample(), 4 * 12);
        assert_eq!(shape.layers().len(), 1);
    }
}
