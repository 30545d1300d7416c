//! Batch norm and dropout against PyTorch, against finite differences, and at their edges.

use serde::Deserialize;

use super::{
    Final, HIDDEN, Layers, SMOOTH, Settings, assert_close, check_finite_differences, features,
    golden, optimizer, shape_of, unscaled,
};
use crate::engine::cpu::aligned::{aligned, zeros};
use crate::engine::cpu::dropout::Dropout;
use crate::engine::cpu::network::{Batch, Network, Workspace};
use crate::engine::cpu::real::Real;
use crate::seed::Seed;
use crate::train::{
    Activation, Hyperparameters, Optimizer, Shape, initial_parameters, initial_running,
};

/// Lists over the layers that batch norm follows.
#[derive(Default, Deserialize)]
struct Running {
    means: Vec<Vec<f64>>,
    variances: Vec<Vec<f64>>,
}

impl Running {
    /// In the layout of the running arena.
    fn flat(&self) -> Vec<f64> {
        let layers = self.means.iter().zip(&self.variances);
        layers
            .flat_map(|(m, v)| m.iter().chain(v).copied())
            .collect()
    }
}

#[derive(Deserialize)]
struct BatchNormCase {
    name: String,
    widths: Vec<u64>,
    activation: Activation,
    inputs: Vec<Vec<f64>>,
    targets: Vec<u32>,
    #[serde(flatten)]
    layers: Layers,
    loss: f64,
    gradients: Layers,
    running: Running,
    evaluation_logits: Vec<Vec<f64>>,
}

fn network<T: Real>(shape: &Shape, layers: &Layers, moments: usize) -> Network<T> {
    let parameters: Vec<T> = layers.flat().into_iter().map(T::from_f64).collect();
    let running = initial_running(shape);
    Network {
        moments: vec![zeros(parameters.len()); moments],
        parameters: aligned(parameters),
        running: running.into_iter().map(T::from_f32).collect(),
        steps: 0,
    }
}

/// Sgd that moves no parameter, so that a step changes the running statistics alone.
fn still(activation: Activation) -> Hyperparameters {
    Hyperparameters {
        learning_rate: 0.0,
        batch_size: 1,
        optimizer: Optimizer::Sgd {
            momentum: 0.0,
            nesterov: false,
        },
        activation,
        dropout: 0.0,
    }
}

fn check_batch_norm<T: Real>(tolerance: f64) {
    for case in golden::<BatchNormCase>("batch_norm.json") {
        let shape = shape_of(&case.widths).with_batch_norm(true);
        let features = features(&case.inputs);
        let rows: Vec<u32> = (0..).take(case.targets.len()).collect();
        let batch = Batch {
            features: &unscaled(&features),
            targets: &case.targets,
            rows: &rows,
        };
        let mut network = network::<T>(&shape, &case.layers, 0);
        let mut workspace = Workspace::new(&shape, rows.len());
        let settings = still(case.activation);
        let loss = workspace.step(&mut network, batch, &settings, [0; 2], |_| true);
        let close = |what: &str, actual: &[T], expected: &[f64]| {
            assert_close(
                &format!("{} {what}", case.name),
                actual,
                expected,
                tolerance,
            );
        };
        close(
            "loss",
            &[T::from_f64(loss / rows.len() as f64)],
            &[case.loss],
        );
        let expected = case.gradients.flat();
        for (l, layer) in shape.layers().into_iter().enumerate() {
            for (part, range) in [
                ("weights", layer.weights),
                ("bias", layer.bias),
                ("gamma", layer.gamma),
                ("beta", layer.beta),
            ] {
                let actual = &workspace.gradients()[range.clone()];
                close(&format!("gradient of {part} {l}"), actual, &expected[range]);
            }
        }
        close("running", &network.running, &case.running.flat());
        let logits = workspace.evaluation_logits(&network, batch, case.activation);
        close("evaluation", logits, &case.evaluation_logits.concat());
    }
}

#[test]
fn batch_norm_agrees_with_pytorch_in_f64() {
    check_batch_norm::<f64>(2e-6);
}

#[test]
fn batch_norm_agrees_with_pytorch_in_f32() {
    check_batch_norm::<f32>(2e-5);
}

#[derive(Deserialize)]
struct Epoch {
    order: Vec<u32>,
    train_loss: f64,
    #[serde(flatten)]
    layers: Layers,
    #[serde(default)]
    running: Running,
}

/// A training run; without batch norm and dropout their fields are absent.
#[derive(Deserialize)]
struct TrajectoryCase {
    name: String,
    widths: Vec<u64>,
    #[serde(default)]
    batch_norm: bool,
    #[serde(default)]
    dropout: f64,
    #[serde(default)]
    dropout_key: [u32; 2],
    activation: Activation,
    optimizer: String,
    settings: Settings,
    batch_size: usize,
    inputs: Vec<Vec<f64>>,
    targets: Vec<u32>,
    initial: Layers,
    epochs: Vec<Epoch>,
    #[serde(rename = "final")]
    last: Final,
}

impl TrajectoryCase {
    fn hyperparameters(&self) -> Hyperparameters {
        Hyperparameters {
            learning_rate: self.settings.learning_rate,
            batch_size: self.batch_size,
            optimizer: optimizer(&self.optimizer, self.settings),
            activation: self.activation,
            dropout: self.dropout,
        }
    }
}

fn check_trajectory<T: Real>(case: &TrajectoryCase, tolerance: f64) {
    let shape = shape_of(&case.widths).with_batch_norm(case.batch_norm);
    let (features, hyperparameters) = (features(&case.inputs), case.hyperparameters());
    let scaled = unscaled::<T>(&features);
    let batch = |rows| Batch {
        features: &scaled,
        targets: &case.targets,
        rows,
    };
    let moments = hyperparameters.optimizer.moments();
    let mut network = network::<T>(&shape, &case.initial, moments);
    let mut workspace = Workspace::new(&shape, case.batch_size);
    for (number, epoch) in case.epochs.iter().enumerate() {
        let mut loss = 0.0;
        for rows in epoch.order.chunks(case.batch_size) {
            let (rows, key) = (batch(rows), case.dropout_key);
            loss += workspace.step(&mut network, rows, &hyperparameters, key, |_| true);
        }
        let what = format!("{} epoch {number}", case.name);
        let mean = loss / epoch.order.len() as f64;
        assert_close(&what, &[mean], &[epoch.train_loss], tolerance);
        assert_close(&what, &network.parameters, &epoch.layers.flat(), tolerance);
        assert_close(&what, &network.running, &epoch.running.flat(), tolerance);
    }
    let rows: Vec<u32> = (0..).take(case.targets.len()).collect();
    let evaluation = workspace.evaluate(&network, batch(&rows), case.activation);
    let mean = evaluation.loss_sum / rows.len() as f64;
    let what = format!("{} final", case.name);
    assert_close(&what, &[mean], &[case.last.loss], tolerance);
    let correct: u64 = evaluation.true_positives.iter().sum();
    assert_eq!(correct, case.last.correct, "{what}");
}

/// Every training run of a golden file, to its last epoch.
pub fn check_trajectories<T: Real>(file: &str, tolerance: f64) {
    for case in golden::<TrajectoryCase>(file) {
        check_trajectory::<T>(&case, tolerance);
    }
}

#[test]
fn regularised_training_agrees_with_pytorch_in_f64() {
    check_trajectories::<f64>("regularised.json", 1e-5);
}

#[test]
fn regularised_training_agrees_with_pytorch_in_f32() {
    check_trajectories::<f32>("regularised.json", 2e-4);
}

#[test]
fn regularised_gradients_agree_with_finite_differences() {
    for hidden in HIDDEN {
        for activation in SMOOTH {
            for batch_norm in [false, true] {
                for dropout in [None, Dropout::new(0.4, [3, 4], 5)] {
                    let shape = Shape::new(3, hidden, 4).with_batch_norm(batch_norm);
                    // Third derivatives of batch norm are large.
                    let step = if batch_norm { 2e-6 } else { 1e-5 };
                    check_finite_differences(&shape, activation, dropout, step);
                }
            }
        }
    }
}

/// Rows of three features, with a class each.
fn rows(count: u32) -> (Vec<Vec<f64>>, Vec<u32>) {
    let value = |row: u32, i: u32| f64::from((row * 31 + i * 17) % 23) / 11.0 - 1.0;
    let row = |row| (0..3).map(|i| value(row, i)).collect();
    (
        (0..count).map(row).collect(),
        (0..count).map(|r| r % 2).collect(),
    )
}

fn started(shape: &Shape) -> Network<f32> {
    let parameters = initial_parameters(shape, Seed(0), 0);
    Network::new(&parameters, &initial_running(shape), 0)
}

/// The last batch of an epoch may be of one row, which PyTorch's batch norm refuses.
#[test]
fn a_batch_of_one_row_trains_what_does_not_depend_on_its_values() {
    let shape = Shape::new(3, &[4], 2).with_batch_norm(true);
    let (values, targets) = rows(9);
    let features = features(&values);
    let scaled = unscaled::<f32>(&features);
    let batch = |rows| Batch {
        features: &scaled,
        targets: &targets,
        rows,
    };
    let settings = Hyperparameters {
        learning_rate: 0.1,
        ..still(Activation::Tanh)
    };
    let (mut network, mut workspace) = (started(&shape), Workspace::new(&shape, 8));
    workspace.step(
        &mut network,
        batch(&[0, 1, 2, 3, 4, 5, 6, 7]),
        &settings,
        [0; 2],
        |_| true,
    );
    let before = network.clone();
    let loss = workspace.step(&mut network, batch(&[8]), &settings, [0; 2], |_| true);
    assert!(loss.is_finite() && network.is_finite());
    let layer = &shape.layers()[0];
    let same = |range: std::ops::Range<usize>| {
        network.parameters[range.clone()] == before.parameters[range]
    };
    assert!(same(layer.weights.clone()) && same(layer.gamma.clone()));
    assert!(!same(layer.beta.clone()));
    let (means, variances) = network.running.split_at(4);
    assert!(means != &before.running[..4] && variances == &before.running[4..]);
}

#[test]
fn an_unsound_step_changes_no_running_statistic() {
    let shape = Shape::new(3, &[4, 5], 2).with_batch_norm(true);
    let (values, targets) = rows(6);
    let features = features(&values);
    let batch = Batch {
        features: &unscaled::<f32>(&features),
        targets: &targets,
        rows: &[0, 1, 2, 3, 4, 5],
    };
    let settings = Hyperparameters {
        dropout: 0.5,
        ..still(Activation::Relu)
    };
    let (mut network, mut workspace) = (started(&shape), Workspace::new(&shape, 6));
    let before = network.clone();
    workspace.step(&mut network, batch, &settings, [1, 2], |_| false);
    assert_eq!(network, before);
    workspace.step(&mut network, batch, &settings, [1, 2], |_| true);
    assert_ne!(network.running, before.running);
}

#[test]
fn running_statistics_that_are_not_finite_make_a_network_unsound() {
    let mut network = started(&Shape::new(3, &[4], 2).with_batch_norm(true));
    assert!(network.is_finite());
    network.running[5] = f32::INFINITY;
    assert!(!network.is_finite());
}

#[test]
fn steps_and_keys_have_masks_of_their_own_and_evaluation_has_none() {
    let shape = Shape::new(3, &[40], 2);
    let (values, targets) = rows(6);
    let features = features(&values);
    let batch = Batch {
        features: &unscaled::<f32>(&features),
        targets: &targets,
        rows: &[0, 1, 2, 3, 4, 5],
    };
    let (network, mut workspace) = (started(&shape), Workspace::new(&shape, 6));
    let mut logits = |dropout| {
        let (parameters, activation) = (&network.parameters, Activation::Tanh);
        let logits = workspace.training_logits(parameters, batch, activation, dropout);
        logits.to_vec()
    };
    let first = logits(Dropout::new(0.5, [1, 2], 0));
    assert_eq!(first, logits(Dropout::new(0.5, [1, 2], 0)));
    let others = [
        Dropout::new(0.5, [1, 2], 1),
        Dropout::new(0.5, [2, 2], 0),
        Dropout::new(0.5, [1, 3], 0),
        Dropout::new(0.25, [1, 2], 0),
        None,
    ];
    for other in others {
        assert_ne!(first, logits(other), "{other:?}");
    }
    let plain = logits(None);
    let evaluated = workspace.evaluation_logits(&network, batch, Activation::Tanh);
    assert_eq!(plain, evaluated);
}
