//! One network: its state, one step of training, and its evaluation.

use pulp::Arch;

use super::dense_backward_input::dense_backward_input;
use super::dense_backward_weights::dense_backward_weights;
use super::dense_forward::dense_forward;
use super::gather::ScaledFeatures;
use super::real::Real;
use super::softmax_cross_entropy::{cross_entropy, softmax_cross_entropy};
use super::update::update;
use crate::engine::Evaluation;
use crate::train::{Activation, DenseLayer, Hyperparameters, Shape};

/// Rows that are evaluated at once: a fixed number, so that sums never depend on the machine.
const EVALUATION_ROWS: usize = 128;

/// What an optimizer step reads and writes.
#[derive(Clone, Debug, PartialEq)]
pub struct Network<T> {
    /// Weights and biases in the layout of [`Shape::layers`].
    pub parameters: Vec<T>,
    /// The optimizer's moments, each as long as the parameters.
    pub moments: Vec<Vec<T>>,
    /// Updates made.
    pub steps: u64,
}

impl<T: Real> Network<T> {
    /// A network with these parameters and moments of zero.
    pub fn new(parameters: &[f32], moments: usize) -> Self {
        Self {
            parameters: parameters.iter().map(|&p| T::from_f32(p)).collect(),
            moments: vec![vec![T::ZERO; parameters.len()]; moments],
            steps: 0,
        }
    }

    /// All parameters are finite.
    pub fn is_finite(&self) -> bool {
        self.parameters.iter().all(|p| p.is_finite())
    }
}

/// Scratch of one thread: activations, gradients, and nothing that outlives a step.
pub struct Workspace<T> {
    arch: Arch,
    layers: Vec<DenseLayer>,
    /// The batch, then each layer's output; the last is the logits.
    activations: Vec<Vec<T>>,
    /// Gradient of one layer's output, and of its input.
    dy: Vec<T>,
    dx: Vec<T>,
    gradients: Vec<T>,
    targets: Vec<u32>,
}

impl<T: Real> Workspace<T> {
    /// Scratch for batches of up to `rows` rows and for evaluation.
    pub fn new(shape: &Shape, rows: usize) -> Self {
        let rows = rows.max(EVALUATION_ROWS);
        let widest = shape.widths()[1..].iter().max().copied().unwrap_or(0);
        let buffer = |width: usize| vec![T::ZERO; rows * width];
        Self {
            arch: Arch::new(),
            layers: shape.layers(),
            activations: shape.widths().iter().map(|&width| buffer(width)).collect(),
            dy: buffer(widest),
            dx: buffer(widest),
            gradients: vec![T::ZERO; shape.parameters()],
            targets: Vec::with_capacity(rows),
        }
    }

    /// Bytes that such scratch takes.
    pub fn bytes(shape: &Shape, rows: usize) -> u64 {
        let rows = rows.max(EVALUATION_ROWS) as u64;
        let widths = shape.widths();
        let widest = widths[1..].iter().max().copied().unwrap_or(0);
        let columns = (widths.iter().sum::<usize>() + 2 * widest) as u64;
        let values = rows.saturating_mul(columns);
        values
            .saturating_add(shape.parameters() as u64)
            .saturating_mul(size_of::<T>() as u64)
    }

    /// Gradient of the last batch, in the layout of the parameters.
    pub fn gradients(&self) -> &[T] {
        &self.gradients
    }

    /// Logits of the last forward pass, `[rows][classes]`, when nothing has overwritten them.
    fn logits(&mut self, rows: usize) -> &mut [T] {
        let classes = self.layers[self.layers.len() - 1].outputs;
        let last = self.activations.len() - 1;
        &mut self.activations[last][..rows * classes]
    }

    fn load(&mut self, features: &ScaledFeatures<'_, T>, targets: &[u32], rows: &[u32]) {
        let batch = &mut self.activations[0][..rows.len() * features.columns()];
        features.gather(self.arch, batch, rows);
        self.targets.clear();
        self.targets
            .extend(rows.iter().map(|&row| targets[row as usize]));
    }

    fn forward(&mut self, parameters: &[T], rows: usize, activation: Activation) {
        let last = self.layers.len() - 1;
        for (l, layer) in self.layers.iter().enumerate() {
            let (before, after) = self.activations.split_at_mut(l + 1);
            let activation = if l == last {
                Activation::Identity
            } else {
                activation
            };
            dense_forward(
                self.arch,
                &mut after[0][..rows * layer.outputs],
                &before[l][..rows * layer.inputs],
                parameters,
                layer,
                activation,
            );
        }
    }

    /// Gradients of all parameters, from the logits' gradient in the last activation.
    fn backward(&mut self, parameters: &[T], rows: usize, activation: Activation) {
        let logits = self.activations.len() - 1;
        let classes = rows * self.layers[logits - 1].outputs;
        self.dy[..classes].copy_from_slice(&self.activations[logits][..classes]);
        for (l, layer) in self.layers.iter().enumerate().rev() {
            let x = &self.activations[l][..rows * layer.inputs];
            let dy = &self.dy[..rows * layer.outputs];
            dense_backward_weights(self.arch, &mut self.gradients, x, dy, layer);
            if l > 0 {
                let dx = &mut self.dx[..rows * layer.inputs];
                dense_backward_input(self.arch, dx, dy, parameters, layer, x, activation);
                std::mem::swap(&mut self.dx, &mut self.dy);
            }
        }
    }

    /// Loss (summed over the rows, in nats) and gradients of the mean loss over these rows.
    pub fn loss_and_gradients(
        &mut self,
        parameters: &[T],
        features: &ScaledFeatures<'_, T>,
        targets: &[u32],
        rows: &[u32],
        activation: Activation,
    ) -> f64 {
        self.load(features, targets, rows);
        self.forward(parameters, rows.len(), activation);
        let (arch, classes) = (self.arch, self.layers[self.layers.len() - 1].outputs);
        let batch_targets = std::mem::take(&mut self.targets);
        let loss = softmax_cross_entropy(arch, self.logits(rows.len()), &batch_targets, classes);
        self.targets = batch_targets;
        self.backward(parameters, rows.len(), activation);
        loss
    }

    /// The largest magnitude among the logits of these rows.
    #[cfg(test)]
    pub fn largest_logit(
        &mut self,
        parameters: &[T],
        features: &ScaledFeatures<'_, T>,
        targets: &[u32],
        rows: &[u32],
        activation: Activation,
    ) -> f64 {
        self.load(features, targets, rows);
        self.forward(parameters, rows.len(), activation);
        let logits = self.logits(rows.len()).iter();
        logits.fold(0.0, |largest, logit| logit.to_f64().abs().max(largest))
    }

    /// One optimizer step on the mean loss of these rows; returns the loss before it, summed over
    /// the rows. A step whose loss is not sound changes nothing.
    pub fn step(
        &mut self,
        network: &mut Network<T>,
        features: &ScaledFeatures<'_, T>,
        targets: &[u32],
        rows: &[u32],
        hyperparameters: &Hyperparameters,
        sound: impl Fn(f64) -> bool,
    ) -> f64 {
        let activation = hyperparameters.activation;
        let loss =
            self.loss_and_gradients(&network.parameters, features, targets, rows, activation);
        if sound(loss) {
            network.steps += 1;
            update(
                self.arch,
                &mut network.parameters,
                &self.gradients,
                &mut network.moments,
                &hyperparameters.optimizer,
                hyperparameters.learning_rate,
                network.steps,
            );
        }
        loss
    }

    /// Counts and loss over these rows.
    pub fn evaluate(
        &mut self,
        parameters: &[T],
        features: &ScaledFeatures<'_, T>,
        targets: &[u32],
        rows: &[u32],
        activation: Activation,
    ) -> Evaluation {
        let classes = self.layers[self.layers.len() - 1].outputs;
        let mut out = Evaluation {
            rows: rows.len() as u64,
            loss_sum: 0.0,
            true_positives: vec![0; classes],
            predicted: vec![0; classes],
            actual: vec![0; classes],
        };
        for rows in rows.chunks(EVALUATION_ROWS) {
            self.load(features, targets, rows);
            self.forward(parameters, rows.len(), activation);
            let (arch, batch_targets) = (self.arch, std::mem::take(&mut self.targets));
            let logits = self.logits(rows.len());
            out.loss_sum += cross_entropy(arch, logits, &batch_targets, classes, |t, p| {
                out.actual[t as usize] += 1;
                out.predicted[p as usize] += 1;
                out.true_positives[t as usize] += u64::from(t == p);
            });
            self.targets = batch_targets;
        }
        out
    }
}
