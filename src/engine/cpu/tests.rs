//! The cpu engine against PyTorch, against finite differences, and f32 against f64.

use serde::Deserialize;

use super::dropout::Dropout;
use super::gather::ScaledFeatures;
use super::network::{Batch, Workspace};
use super::real::Real;
use super::update::update;
use crate::data::{FeatureValues, Features, Scaling};
use crate::train::{Activation, Optimizer, Shape};

mod members;
mod regularised;
mod resynchronised;
mod simd_levels;

use regularised::check_trajectories;

/// Asserts that two lists agree within `tolerance` times the largest magnitude in `expected`.
#[track_caller]
fn assert_close<T: Real>(what: &str, actual: &[T], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len(), "{what}: number of values");
    let largest = expected.iter().fold(0.0_f64, |a, v| a.max(v.abs()));
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        let error = (a.to_f64() - e).abs();
        let limit = tolerance * largest.max(1e-300);
        // Written so that NaN fails.
        assert!(
            error <= limit,
            "{what}[{i}]: {a:?}, not {e:?}; {error:e} > {limit:e}"
        );
    }
}

#[test]
#[should_panic(expected = "1e0")]
fn assert_close_rejects_a_difference() {
    assert_close("x", &[1.0, 2.0], &[1.0, 3.0], 1e-3);
}

#[test]
#[should_panic(expected = "NaN")]
fn assert_close_rejects_nan() {
    assert_close("x", &[f64::NAN], &[1.0], 1e-3);
}

#[test]
#[should_panic(expected = "number of values")]
fn assert_close_rejects_another_length() {
    assert_close("x", &[1.0], &[1.0, 1.0], 1e-3);
}

fn golden<T: for<'de> Deserialize<'de>>(file: &str) -> Vec<T> {
    #[derive(Deserialize)]
    struct Cases<T> {
        cases: Vec<T>,
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(file);
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str::<Cases<T>>(&text).unwrap().cases
}

/// Settings of an optimizer as the golden files have them.
#[derive(Clone, Copy, Deserialize)]
struct Settings {
    learning_rate: f64,
    #[serde(default)]
    momentum: f64,
    #[serde(default)]
    nesterov: bool,
    #[serde(default)]
    beta_1: f64,
    #[serde(default)]
    beta_2: f64,
    #[serde(default)]
    rho: f64,
    #[serde(default)]
    epsilon: f64,
}

fn optimizer(name: &str, s: Settings) -> Optimizer {
    match name {
        "sgd" => Optimizer::Sgd {
            momentum: s.momentum,
            nesterov: s.nesterov,
        },
        "adam" => Optimizer::Adam {
            beta_1: s.beta_1,
            beta_2: s.beta_2,
            epsilon: s.epsilon,
        },
        "rmsprop" => Optimizer::Rmsprop {
            rho: s.rho,
            epsilon: s.epsilon,
            momentum: s.momentum,
        },
        other => panic!("{other}"),
    }
}

#[derive(Deserialize)]
struct OptimizerCase {
    name: String,
    optimizer: String,
    settings: Settings,
    initial: Vec<f64>,
    gradients: Vec<Vec<f64>>,
    parameters: Vec<Vec<f64>>,
}

fn check_optimizers<T: Real>(tolerance: f64) {
    for case in golden::<OptimizerCase>("optimizers.json") {
        let optimizer = optimizer(&case.optimizer, case.settings);
        let convert = |values: &[f64]| values.iter().map(|&v| T::from_f64(v)).collect::<Vec<T>>();
        let mut parameters = convert(&case.initial);
        let mut moments = vec![vec![T::ZERO; parameters.len()]; optimizer.moments()];
        for ((gradients, expected), step) in case.gradients.iter().zip(&case.parameters).zip(1..) {
            update(
                pulp::Arch::new(),
                &mut parameters,
                &convert(gradients),
                &mut moments,
                &optimizer,
                case.settings.learning_rate,
                step,
            );
            for (i, (value, expected)) in parameters.iter().zip(expected).enumerate() {
                // Each on the scale of its own path: they differ by 16 orders of magnitude.
                let path = case.parameters.iter().map(|at| at[i].abs());
                let limit = tolerance * path.fold(case.initial[i].abs(), f64::max);
                let error = (value.to_f64() - expected).abs();
                let name = &case.name;
                assert!(
                    error <= limit,
                    "{name} after step {step}, [{i}]: {error:e} > {limit:e}"
                );
            }
        }
    }
}

#[test]
fn optimizers_agree_with_pytorch_in_f64() {
    check_optimizers::<f64>(1e-10);
}

#[test]
fn optimizers_agree_with_pytorch_in_f32() {
    check_optimizers::<f32>(2e-5);
}

/// Lists over layers; without batch norm the last two are absent.
#[derive(Deserialize)]
struct Layers {
    weights: Vec<Vec<Vec<f64>>>,
    biases: Vec<Vec<f64>>,
    #[serde(default)]
    gammas: Vec<Vec<f64>>,
    #[serde(default)]
    betas: Vec<Vec<f64>>,
}

impl Layers {
    /// In the layout of the parameter arena.
    fn flat(&self) -> Vec<f64> {
        let mut flat = Vec::new();
        for (l, weights) in self.weights.iter().enumerate() {
            flat.extend(weights.iter().flatten());
            flat.extend(&self.biases[l]);
            flat.extend(self.gammas.get(l).into_iter().flatten());
            flat.extend(self.betas.get(l).into_iter().flatten());
        }
        flat
    }
}

#[derive(Deserialize)]
struct NetworkCase {
    name: String,
    widths: Vec<u64>,
    activation: Activation,
    inputs: Vec<Vec<f64>>,
    targets: Vec<u32>,
    #[serde(flatten)]
    layers: Layers,
    loss: f64,
    gradients: Layers,
}

fn shape_of(widths: &[u64]) -> Shape {
    let size = |width: u64| usize::try_from(width).unwrap();
    let last = widths.len() - 1;
    Shape::new(size(widths[0]), &widths[1..last], size(widths[last]))
}

/// Features that hold these rows as they are.
fn features(rows: &[Vec<f64>]) -> Features {
    let values = rows.iter().flatten().map(|&v| v as f32).collect();
    Features::new(rows[0].len(), FeatureValues::F32(values))
}

fn unscaled<T: Real>(features: &Features) -> ScaledFeatures<'_, T> {
    ScaledFeatures::new(features, &Scaling::identity(features.columns()))
}

fn check_networks<T: Real>(tolerance: f64) {
    for case in golden::<NetworkCase>("networks.json") {
        let shape = shape_of(&case.widths);
        let features = features(&case.inputs);
        let rows: Vec<u32> = (0..).take(case.targets.len()).collect();
        let parameters: Vec<T> = case.layers.flat().into_iter().map(T::from_f64).collect();
        let mut workspace = Workspace::new(&shape, rows.len());
        let batch = Batch {
            features: &unscaled(&features),
            targets: &case.targets,
            rows: &rows,
        };
        let loss = workspace.loss_and_gradients(&parameters, batch, case.activation, None);
        let mean = loss / rows.len() as f64;
        assert_close(
            &format!("{} loss", case.name),
            &[mean],
            &[case.loss],
            tolerance,
        );
        let expected = case.gradients.flat();
        for (l, layer) in shape.layers().into_iter().enumerate() {
            for (part, range) in [("weights", layer.weights), ("bias", layer.bias)] {
                let what = format!("{} gradient of {part} {l}", case.name);
                let actual = &workspace.gradients()[range.clone()];
                assert_close(&what, actual, &expected[range], tolerance);
            }
        }
    }
}

/// Inputs are stored as f32, so that even in f64 they carry a rounding of 2^-24.
#[test]
fn losses_and_gradients_agree_with_pytorch_in_f64() {
    check_networks::<f64>(2e-6);
}

#[test]
fn losses_and_gradients_agree_with_pytorch_in_f32() {
    check_networks::<f32>(2e-5);
}

#[derive(Deserialize)]
struct Final {
    loss: f64,
    correct: u64,
}

#[test]
fn training_agrees_with_pytorch_in_f64() {
    check_trajectories::<f64>("trajectories.json", 1e-5);
}

#[test]
fn training_agrees_with_pytorch_in_f32() {
    check_trajectories::<f32>("trajectories.json", 2e-4);
}

/// Checks all gradients of a network against central differences of the mean loss.
fn check_finite_differences(
    shape: &Shape,
    activation: Activation,
    dropout: Option<Dropout<f64>>,
    step: f64,
) {
    let rows: Vec<Vec<f64>> = (0..7)
        .map(|row| {
            (0..3)
                .map(|i| f64::from(row * 5 + i * 3 % 7).sin())
                .collect()
        })
        .collect();
    let features = features(&rows);
    let batch = Batch {
        features: &unscaled::<f64>(&features),
        targets: &[0, 1, 2, 3, 0, 1, 2],
        rows: &[6, 0, 3, 1, 5],
    };
    let mut workspace = Workspace::new(shape, batch.rows.len());
    let mut parameters: Vec<f64> = (0..shape.parameters())
        .map(|i| (i as f64 * 1.7).sin() * 0.6)
        .collect();
    let mut loss = |parameters: &[f64]| {
        let sum = workspace.loss_and_gradients(parameters, batch, activation, dropout);
        let mean = sum / batch.rows.len() as f64;
        (mean, workspace.gradients().to_vec())
    };
    let (_, gradients) = loss(&parameters);
    for i in 0..parameters.len() {
        let value = parameters[i];
        parameters[i] = value + step;
        let above = loss(&parameters).0;
        parameters[i] = value - step;
        let below = loss(&parameters).0;
        parameters[i] = value;
        let difference = (above - below) / (2.0 * step);
        let error = (difference - gradients[i]).abs();
        assert!(
            error < 1e-9,
            "{shape} {activation:?} {dropout:?} parameter {i}: {error:e}"
        );
    }
}

const SMOOTH: [Activation; 3] = [Activation::Tanh, Activation::Sigmoid, Activation::Identity];
const HIDDEN: [&[u64]; 4] = [&[], &[5], &[4, 6], &[3, 1, 4]];

#[test]
fn gradients_agree_with_finite_differences() {
    for hidden in HIDDEN {
        for activation in SMOOTH {
            check_finite_differences(&Shape::new(3, hidden, 4), activation, None, 1e-5);
        }
    }
}
