//! One network: its state, one step of training, and its evaluation.

use pulp::Arch;

use super::activation::{activation_backward, bias_activation};
use super::batch_norm_backward::batch_norm_backward;
use super::batch_norm_forward::{BatchNorm, batch_norm_evaluate, batch_norm_forward};
use super::dense_backward_input::dense_backward_input;
use super::dense_backward_weights::dense_backward_weights;
use super::dense_forward::dense_forward;
use super::dropout::{Dropout, Dropped, dropout_backward, dropout_forward};
use super::gather::ScaledFeatures;
use super::real::Real;
use super::softmax_cross_entropy::{cross_entropy, softmax_cross_entropy};
use super::update::update;
use crate::engine::Evaluation;
use crate::train::{Activation, DenseLayer, Hyperparameters, Shape};

/// Rows that are evaluated at once: a fixed number, so that sums never depend on the machine.
const EVALUATION_ROWS: usize = 128;

/// What a step of training reads and writes.
#[derive(Clone, Debug, PartialEq)]
pub struct Network<T> {
    /// Weights, biases, and batch norm's gamma and beta, in the layout of [`Shape::layers`].
    pub parameters: Vec<T>,
    /// The optimizer's moments, each as long as the parameters.
    pub moments: Vec<Vec<T>>,
    /// Batch norm's running statistics, in the layout of [`DenseLayer::running`].
    pub running: Vec<T>,
    /// Updates made.
    pub steps: u64,
}

impl<T: Real> Network<T> {
    /// A network with these parameters and running statistics, and moments of zero.
    pub fn new(parameters: &[f32], running: &[f32], moments: usize) -> Self {
        let exact = |values: &[f32]| values.iter().map(|&v| T::from_f32(v)).collect();
        Self {
            parameters: exact(parameters),
            moments: vec![vec![T::ZERO; parameters.len()]; moments],
            running: exact(running),
            steps: 0,
        }
    }

    /// All parameters and running statistics are finite.
    pub fn is_finite(&self) -> bool {
        let mut values = self.parameters.iter().chain(&self.running);
        values.all(|value| value.is_finite())
    }
}

/// Rows of the dataset that are trained on, or evaluated, together.
#[derive(Clone, Copy)]
pub struct Batch<'b, T> {
    /// Features of all rows of the dataset.
    pub features: &'b ScaledFeatures<'b, T>,
    /// Classes of all rows of the dataset.
    pub targets: &'b [u32],
    /// Which rows.
    pub rows: &'b [u32],
}

/// What a forward pass is for.
#[derive(Clone, Copy)]
enum Pass<'p, T> {
    /// A step: with the batch's own statistics, and dropout where the member has it.
    Training(Option<Dropout<T>>),
    /// With these running statistics, without dropout.
    Evaluation(&'p [T]),
}

/// Scratch of one thread: activations, gradients, and nothing that outlives a step.
pub struct Workspace<T> {
    arch: Arch,
    layers: Vec<DenseLayer>,
    /// The batch, then each layer's output; the last is the logits.
    activations: Vec<Vec<T>>,
    /// Of each layer; without room where no batch norm follows.
    norms: Vec<BatchNorm<T>>,
    /// Of each layer; without room until a step has dropout.
    dropped: Vec<Dropped<T>>,
    /// Gradient of one layer's output, and of its input.
    dy: Vec<T>,
    dx: Vec<T>,
    gradients: Vec<T>,
    targets: Vec<u32>,
}

impl<T: Real> Workspace<T> {
    /// Scratch for batches of up to `rows` rows and for evaluation.
    pub fn new(shape: &Shape, rows: usize) -> Self {
        let norm = |layer: &DenseLayer| BatchNorm::new(rows, layer.running.len() / 2);
        let layers = shape.layers();
        let norms = layers.iter().map(norm).collect();
        let dropped = layers.iter().map(|_| Dropped::new()).collect();
        let rows = rows.max(EVALUATION_ROWS);
        let widest = shape.widths()[1..].iter().max().copied().unwrap_or(0);
        let buffer = |width: usize| vec![T::ZERO; rows * width];
        Self {
            arch: Arch::new(),
            layers,
            activations: shape.widths().iter().map(|&width| buffer(width)).collect(),
            norms,
            dropped,
            dy: buffer(widest),
            dx: buffer(widest),
            gradients: vec![T::ZERO; shape.parameters()],
            targets: Vec::with_capacity(rows),
        }
    }

    /// Bytes that such scratch takes; dropout is assumed.
    pub fn bytes(shape: &Shape, rows: usize) -> u64 {
        let widths = shape.widths();
        let widest = widths[1..].iter().max().copied().unwrap_or(0);
        let hidden: usize = widths[1..widths.len() - 1].iter().sum();
        let columns = |columns: usize, rows: usize| (rows as u64).saturating_mul(columns as u64);
        let passes = columns(
            widths.iter().sum::<usize>() + 2 * widest,
            rows.max(EVALUATION_ROWS),
        );
        let kept = columns(2 * hidden + shape.running() / 2, rows);
        passes
            .saturating_add(kept)
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

    fn load(&mut self, batch: Batch<'_, T>) {
        let values = &mut self.activations[0][..batch.rows.len() * batch.features.columns()];
        batch.features.gather(self.arch, values, batch.rows);
        self.targets.clear();
        let targets = batch.rows.iter().map(|&row| batch.targets[row as usize]);
        self.targets.extend(targets);
    }

    fn forward(
        &mut self,
        parameters: &[T],
        rows: usize,
        activation: Activation,
        pass: Pass<'_, T>,
    ) {
        let last = self.layers.len() - 1;
        for l in 0..last {
            self.forward_dense(l, parameters, rows, activation, pass);
            if let Pass::Training(Some(dropout)) = pass {
                let outputs = self.layers[l].outputs;
                let h = &mut self.activations[l + 1][..rows * outputs];
                let number = u32::try_from(l).expect("layers are few");
                let dropped = &mut self.dropped[l];
                dropout_forward(self.arch, h, outputs, number, dropout, dropped);
            }
        }
        self.forward_dense(last, parameters, rows, Activation::Identity, pass);
    }

    /// One dense layer, with the batch norm that may follow it, and its activation.
    fn forward_dense(
        &mut self,
        l: usize,
        parameters: &[T],
        rows: usize,
        activation: Activation,
        pass: Pass<'_, T>,
    ) {
        let (arch, layer) = (self.arch, &self.layers[l]);
        let (before, after) = self.activations.split_at_mut(l + 1);
        let z = &mut after[0][..rows * layer.outputs];
        dense_forward(
            arch,
            z,
            &before[l][..rows * layer.inputs],
            parameters,
            layer,
        );
        let mut added = &parameters[layer.bias.clone()];
        if layer.batch_norm() {
            let (gamma, norm) = (&parameters[layer.gamma.clone()], &mut self.norms[l]);
            match pass {
                Pass::Training(_) => batch_norm_forward(arch, z, gamma, norm),
                Pass::Evaluation(running) => {
                    batch_norm_evaluate(arch, z, gamma, &running[layer.running.clone()], norm);
                }
            }
            added = &parameters[layer.beta.clone()];
        }
        bias_activation(arch, z, added, activation);
    }

    /// Gradients of all parameters, from the logits' gradient in the last activation.
    fn backward(&mut self, parameters: &[T], rows: usize, activation: Activation, dropout: bool) {
        let (arch, logits) = (self.arch, self.activations.len() - 1);
        let classes = rows * self.layers[logits - 1].outputs;
        self.dy[..classes].copy_from_slice(&self.activations[logits][..classes]);
        for (l, layer) in self.layers.iter().enumerate().rev() {
            let x = &self.activations[l][..rows * layer.inputs];
            let dy = &mut self.dy[..rows * layer.outputs];
            let gradients = &mut self.gradients;
            if layer.batch_norm() {
                batch_norm_backward(arch, dy, gradients, parameters, layer, &self.norms[l]);
            }
            dense_backward_weights(arch, gradients, x, dy, layer);
            if l > 0 {
                let dx = &mut self.dx[..rows * layer.inputs];
                dense_backward_input(arch, dx, dy, parameters, layer);
                let mut h = x;
                if dropout {
                    dropout_backward(arch, dx, &self.dropped[l - 1]);
                    h = &self.dropped[l - 1].values[..x.len()];
                }
                activation_backward(arch, dx, h, activation);
                std::mem::swap(&mut self.dx, &mut self.dy);
            }
        }
    }

    /// Loss (summed over the rows, in nats) and gradients of the mean loss over these rows, as a
    /// step of training has them: with the batch's statistics and with dropout.
    pub fn loss_and_gradients(
        &mut self,
        parameters: &[T],
        batch: Batch<'_, T>,
        activation: Activation,
        dropout: Option<Dropout<T>>,
    ) -> f64 {
        let rows = batch.rows.len();
        self.load(batch);
        self.forward(parameters, rows, activation, Pass::Training(dropout));
        let (arch, classes) = (self.arch, self.layers[self.layers.len() - 1].outputs);
        let batch_targets = std::mem::take(&mut self.targets);
        let loss = softmax_cross_entropy(arch, self.logits(rows), &batch_targets, classes);
        self.targets = batch_targets;
        self.backward(parameters, rows, activation, dropout.is_some());
        loss
    }

    /// One optimizer step on the mean loss of these rows; returns the loss before it, summed over
    /// the rows. A step whose loss is not sound changes nothing. `dropout_key` is the member's, see
    /// [`dropout_key`](crate::train::dropout_key).
    pub fn step(
        &mut self,
        network: &mut Network<T>,
        batch: Batch<'_, T>,
        hyperparameters: &Hyperparameters,
        dropout_key: [u32; 2],
        sound: impl Fn(f64) -> bool,
    ) -> f64 {
        let dropout = Dropout::new(hyperparameters.dropout, dropout_key, network.steps);
        let activation = hyperparameters.activation;
        let loss = self.loss_and_gradients(&network.parameters, batch, activation, dropout);
        if sound(loss) {
            network.steps += 1;
            self.update_running(&mut network.running);
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

    /// Blends the statistics of the last training pass into the running ones.
    fn update_running(&self, running: &mut [T]) {
        for (layer, norm) in self.layers.iter().zip(&self.norms) {
            if layer.batch_norm() {
                norm.update_running(&mut running[layer.running.clone()]);
            }
        }
    }

    /// Counts and loss over these rows, however many, with the running statistics and without
    /// dropout.
    pub fn evaluate(
        &mut self,
        network: &Network<T>,
        batch: Batch<'_, T>,
        activation: Activation,
    ) -> Evaluation {
        let classes = self.layers[self.layers.len() - 1].outputs;
        let mut out = Evaluation {
            rows: batch.rows.len() as u64,
            loss_sum: 0.0,
            true_positives: vec![0; classes],
            predicted: vec![0; classes],
            actual: vec![0; classes],
        };
        for rows in batch.rows.chunks(EVALUATION_ROWS) {
            self.load(Batch { rows, ..batch });
            let pass = Pass::Evaluation(&network.running);
            self.forward(&network.parameters, rows.len(), activation, pass);
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

    /// How much batch norm magnified differences in the last batch: of each layer the largest
    /// `1 / sqrt(variance + epsilon)`, if above 1, multiplied.
    #[cfg(test)]
    pub fn magnification(&self) -> f64 {
        let largest = |norm: &BatchNorm<T>| {
            let values = norm.inverse_deviation.iter();
            values.fold(1.0, |largest, value| value.to_f64().max(largest))
        };
        self.norms.iter().map(largest).product()
    }

    /// The logits that a step has of these rows.
    #[cfg(test)]
    pub fn training_logits(
        &mut self,
        parameters: &[T],
        batch: Batch<'_, T>,
        activation: Activation,
        dropout: Option<Dropout<T>>,
    ) -> &[T] {
        self.load(batch);
        let rows = batch.rows.len();
        self.forward(parameters, rows, activation, Pass::Training(dropout));
        self.logits(rows)
    }

    /// The logits that an evaluation has of these rows.
    #[cfg(test)]
    pub fn evaluation_logits(
        &mut self,
        network: &Network<T>,
        batch: Batch<'_, T>,
        activation: Activation,
    ) -> &[T] {
        self.load(batch);
        let (rows, pass) = (batch.rows.len(), Pass::Evaluation(&network.running));
        self.forward(&network.parameters, rows, activation, pass);
        self.logits(rows)
    }
}
