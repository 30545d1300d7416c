//! One network: its state, one step of training, and its evaluation.

use std::ops::Range;

use pulp::Arch;

use super::activation::{ActivationBackward, bias_activation};
use super::aligned::{Aligned, aligned, zeros};
use super::batch_norm_backward::batch_norm_backward;
use super::batch_norm_forward::{BatchNorm, batch_norm_evaluate, batch_norm_forward};
use super::behind::{InputGradient, Updating};
use super::dense_backward_input::dense_backward_input_then;
use super::dense_backward_weights::{dense_backward_weights, dense_backward_weights_then};
use super::dense_forward::{dense_bias_forward, dense_forward};
use super::dropout::{Dropout, Dropped, dropout_forward};
use super::gather::ScaledFeatures;
use super::panel_product::most_room;
use super::real::Real;
use super::simd::Workers;
use super::softmax_cross_entropy::{cross_entropy, softmax_cross_entropy_to};
use super::update::{Update, moments_of};
use crate::engine::Evaluation;
use crate::train::{Activation, DenseLayer, Hyperparameters, Shape};

/// Rows that are evaluated at once: a fixed number, so that sums never depend on the machine.
const EVALUATION_ROWS: usize = 128;

/// What a step of training reads and writes.
#[derive(Clone, Debug, PartialEq)]
pub struct Network<T> {
    /// Weights, biases, and batch norm's gamma and beta, in the layout of [`Shape::layers`].
    pub parameters: Aligned<T>,
    /// The optimizer's moments, each as long as the parameters.
    pub moments: Vec<Aligned<T>>,
    /// Batch norm's running statistics, in the layout of [`DenseLayer::running`].
    pub running: Vec<T>,
    /// Updates made.
    pub steps: u64,
}

impl<T: Real> Network<T> {
    /// A network with these parameters and running statistics, and moments of zero.
    pub fn new(parameters: &[f32], running: &[f32], moments: usize) -> Self {
        Self {
            parameters: aligned(parameters.iter().map(|&v| T::from_f32(v))),
            moments: vec![zeros(parameters.len()); moments],
            running: running.iter().map(|&v| T::from_f32(v)).collect(),
            steps: 0,
        }
    }

    /// All parameters and running statistics are finite.
    pub fn is_finite(&self) -> bool {
        // Without a way out in the middle of some, which would be one number at a time.
        let all = |some: &[T]| some.iter().fold(true, |all, value| all & value.is_finite());
        let finite = |values: &[T]| values.chunks(256).all(all);
        finite(&self.parameters) && finite(&self.running)
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

/// Whose gradients a backward pass computes.
enum Target<'p, T> {
    /// Of these parameters, which stay.
    Fixed(&'p [T]),
    /// Of this network's, which are updated.
    Updated(&'p mut Network<T>, Update<T>),
}

impl<T: Real> Target<'_, T> {
    fn parameters(&self) -> &[T] {
        match self {
            Self::Fixed(parameters) => parameters,
            Self::Updated(network, _) => &network.parameters,
        }
    }

    /// What applies the gradients of this part of the arena, of so many values a row; `None` if they
    /// are not to be applied.
    fn updating(&mut self, part: Range<usize>, outputs: usize) -> Option<Updating<'_, T>> {
        let Self::Updated(network, update) = self else {
            return None;
        };
        Some(Updating {
            update: *update,
            moments: moments_of(&mut network.moments, part.clone()),
            parameters: &mut network.parameters[part],
            outputs,
        })
    }
}

/// Scratch of one thread: activations, gradients, and nothing that outlives a step.
pub struct Workspace<T> {
    workers: Workers,
    layers: Vec<DenseLayer>,
    /// The batch, then each layer's output; the last is the logits.
    activations: Vec<Aligned<T>>,
    /// Of each layer; without room where no batch norm follows.
    norms: Vec<BatchNorm<T>>,
    /// Of each layer; without room until a step has dropout.
    dropped: Vec<Dropped<T>>,
    /// Gradient of one layer's output, and of its input.
    dy: Aligned<T>,
    dx: Aligned<T>,
    gradients: Aligned<T>,
    /// The right side of a product in another layout.
    packed: Aligned<T>,
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
        let buffer = |width: usize| zeros(rows * width);
        Self {
            workers: Workers::one(Arch::new()),
            layers,
            activations: shape.widths().iter().map(|&width| buffer(width)).collect(),
            norms,
            dropped,
            dy: buffer(widest),
            dx: buffer(widest),
            gradients: zeros(shape.parameters()),
            packed: zeros(0),
            targets: Vec::with_capacity(rows),
        }
    }

    /// Lets up to so many threads of the calling thread's pool share a product. No bit of a result
    /// depends on it.
    pub fn share(&mut self, threads: usize) {
        self.workers.threads = threads;
    }

    /// The same scratch at another SIMD level.
    #[cfg(test)]
    pub fn at_level(mut self, arch: Arch) -> Self {
        self.workers.arch = arch;
        self
    }

    /// Bytes that such scratch takes; dropout is assumed.
    pub fn bytes(shape: &Shape, rows: usize) -> u64 {
        let widths = shape.widths();
        let widest = widths[1..].iter().max().copied().unwrap_or(0);
        let deepest = widths.iter().max().copied().unwrap_or(0);
        let hidden: usize = widths[1..widths.len() - 1].iter().sum();
        let columns = |columns: usize, rows: usize| (rows as u64).saturating_mul(columns as u64);
        let passes = columns(
            widths.iter().sum::<usize>() + 2 * widest,
            rows.max(EVALUATION_ROWS),
        );
        let kept = columns(2 * hidden + shape.running() / 2, rows);
        passes
            .saturating_add(kept)
            // Gradients, and at most as much for weights in another layout, or panels of a large right side.
            .saturating_add(2 * shape.parameters() as u64)
            .saturating_add(most_room(rows.max(EVALUATION_ROWS), deepest.max(rows)))
            .saturating_mul(size_of::<T>() as u64)
    }

    /// Gradients that [`loss_and_gradients`](Self::loss_and_gradients) has left, in the layout of the
    /// parameters. A step leaves none.
    pub fn gradients(&self) -> &[T] {
        &self.gradients
    }

    /// Logits of the last forward pass, `[rows][classes]`, when nothing has overwritten them.
    fn logits(&self, rows: usize) -> &[T] {
        let classes = self.layers[self.layers.len() - 1].outputs;
        let last = self.activations.len() - 1;
        &self.activations[last][..rows * classes]
    }

    fn load(&mut self, batch: Batch<'_, T>) {
        let values = &mut self.activations[0][..batch.rows.len() * batch.features.columns()];
        batch.features.gather(self.workers.arch, values, batch.rows);
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
                dropout_forward(self.workers.arch, h, outputs, number, dropout, dropped);
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
        let (workers, layer) = (self.workers, &self.layers[l]);
        let (arch, packed) = (workers.arch, &mut self.packed);
        let (before, after) = self.activations.split_at_mut(l + 1);
        let x = &before[l][..rows * layer.inputs];
        let z = &mut after[0][..rows * layer.outputs];
        if !layer.batch_norm() {
            return dense_bias_forward(workers, z, x, parameters, layer, packed, activation);
        }
        dense_forward(workers, z, x, parameters, layer, packed);
        let (gamma, norm) = (&parameters[layer.gamma.clone()], &mut self.norms[l]);
        match pass {
            Pass::Training(_) => batch_norm_forward(arch, z, gamma, norm),
            Pass::Evaluation(running) => {
                batch_norm_evaluate(arch, z, gamma, &running[layer.running.clone()], norm);
            }
        }
        bias_activation(arch, z, &parameters[layer.beta.clone()], activation);
    }

    /// Gradients of all parameters, from the logits' gradient in `dy`; those of a network to be updated
    /// are applied as soon as they are there.
    fn backward(
        &mut self,
        mut target: Target<'_, T>,
        rows: usize,
        activation: Activation,
        dropout: bool,
    ) {
        for l in (0..self.layers.len()).rev() {
            self.backward_norm(l, target.parameters(), rows);
            // Before the update: it reads the old weights.
            if l > 0 {
                self.backward_input(l, target.parameters(), rows, activation, dropout);
            }
            self.backward_weights(l, &mut target, rows);
            std::mem::swap(&mut self.dx, &mut self.dy);
        }
    }

    /// Through the batch norm behind a layer, where there is one.
    fn backward_norm(&mut self, l: usize, parameters: &[T], rows: usize) {
        let layer = &self.layers[l];
        if layer.batch_norm() {
            let (dy, gradients) = (&mut self.dy[..rows * layer.outputs], &mut self.gradients);
            batch_norm_backward(
                self.workers.arch,
                dy,
                gradients,
                parameters,
                layer,
                &self.norms[l],
            );
        }
    }

    /// From the gradient of a layer's output before its activation to that of the layer before it.
    fn backward_input(
        &mut self,
        l: usize,
        parameters: &[T],
        rows: usize,
        activation: Activation,
        dropout: bool,
    ) {
        let (workers, layer) = (self.workers, &self.layers[l]);
        let dy = &self.dy[..rows * layer.outputs];
        let dx = &mut self.dx[..rows * layer.inputs];
        let dropped = dropout.then_some(&self.dropped[l - 1]);
        let finish = InputGradient {
            factors: dropped.map(|dropped| &dropped.factors[..]),
            activation: ActivationBackward {
                h: dropped.map_or(&self.activations[l], |dropped| &dropped.values),
                activation,
                outputs: layer.inputs,
            },
        };
        let packed = &mut self.packed;
        dense_backward_input_then(workers, dx, dy, parameters, layer, packed, finish);
    }

    /// Gradients of a layer's parameters, and their update.
    fn backward_weights(&mut self, l: usize, target: &mut Target<'_, T>, rows: usize) {
        let (workers, layer) = (self.workers, &self.layers[l]);
        let x = &self.activations[l][..rows * layer.inputs];
        let dy = &self.dy[..rows * layer.outputs];
        let gradients = &mut self.gradients;
        let behind = layer.weights.end..layer.beta.end;
        let Some(weights) = target.updating(layer.weights.clone(), layer.outputs) else {
            return dense_backward_weights(workers.arch, gradients, x, dy, layer);
        };
        dense_backward_weights_then(workers, gradients, x, dy, layer, &mut self.packed, weights);
        if let Some(behind_weights) = target.updating(behind.clone(), layer.outputs) {
            T::pass(workers.arch, &mut gradients[behind], behind_weights);
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
        let loss = self.loss(parameters, batch, activation, dropout);
        let target = Target::Fixed(parameters);
        self.backward(target, batch.rows.len(), activation, dropout.is_some());
        loss
    }

    /// Loss of these rows, with its gradient in `dy`.
    fn loss(
        &mut self,
        parameters: &[T],
        batch: Batch<'_, T>,
        activation: Activation,
        dropout: Option<Dropout<T>>,
    ) -> f64 {
        let rows = batch.rows.len();
        self.load(batch);
        self.forward(parameters, rows, activation, Pass::Training(dropout));
        let (arch, classes) = (
            self.workers.arch,
            self.layers[self.layers.len() - 1].outputs,
        );
        let logits = &self.activations[self.layers.len()][..rows * classes];
        let gradient = &mut self.dy[..logits.len()];
        softmax_cross_entropy_to(arch, gradient, logits, &self.targets, classes)
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
        let loss = self.loss(&network.parameters, batch, activation, dropout);
        if sound(loss) {
            network.steps += 1;
            self.update_running(&mut network.running);
            let update = Update::new(
                &hyperparameters.optimizer,
                hyperparameters.learning_rate,
                network.steps,
            );
            let target = Target::Updated(network, update);
            self.backward(target, batch.rows.len(), activation, dropout.is_some());
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
            let (arch, logits) = (self.workers.arch, self.logits(rows.len()));
            out.loss_sum += cross_entropy(arch, logits, &self.targets, classes, |t, p| {
                out.actual[t as usize] += 1;
                out.predicted[p as usize] += 1;
                out.true_positives[t as usize] += u64::from(t == p);
            });
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
