//! f32 against f64 over the whole space, one step at a time: the f64 oracle's state is rounded and
//! loaded, and both make one step. Whole curves of f32 are chaotic; single steps are not.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::{features, unscaled};
use crate::engine::cpu::aligned::aligned;
use crate::engine::cpu::dropout::Dropout;
use crate::engine::cpu::network::{Batch, Network, Workspace};
use crate::engine::cpu::update::update;
use crate::seed::Seed;
use crate::train::{
    Activation, Hyperparameters, Optimizer, Shape, dropout_key, initial_parameters, initial_running,
};

const STEPS: [u64; 5] = [0, 1, 5, 20, 50];
const ROWS: u32 = 40;

fn optimizers() -> impl Strategy<Value = Optimizer> {
    let momentum = prop_oneof![Just(0.0), 0.1..0.95_f64];
    let sgd = (momentum.clone(), any::<bool>()).prop_map(|(momentum, nesterov)| Optimizer::Sgd {
        momentum,
        nesterov: nesterov && momentum > 0.0,
    });
    let adam = (0.5..0.95_f64, 0.9..0.9999_f64).prop_map(|(beta_1, beta_2)| Optimizer::Adam {
        beta_1,
        beta_2,
        epsilon: 1e-8,
    });
    let rmsprop = (0.8..0.999_f64, momentum).prop_map(|(rho, momentum)| Optimizer::Rmsprop {
        rho,
        epsilon: 1e-8,
        momentum,
    });
    prop_oneof![sgd, adam, rmsprop]
}

fn hyperparameters() -> impl Strategy<Value = Hyperparameters> {
    let activation = prop_oneof![
        Just(Activation::Relu),
        Just(Activation::Tanh),
        Just(Activation::Sigmoid),
        Just(Activation::Identity),
    ];
    let dropout = prop_oneof![Just(0.0), 0.05..0.7_f64];
    (
        -4.0..-1.0_f64,
        1..=ROWS as usize,
        optimizers(),
        activation,
        dropout,
    )
        .prop_map(
            |(exponent, batch_size, optimizer, activation, dropout)| Hyperparameters {
                learning_rate: 10.0_f64.powf(exponent),
                batch_size,
                optimizer,
                activation,
                dropout,
            },
        )
}

/// |actual - expected| / |expected| in the 2-norm, with a floor for tensors that are almost zero.
fn relative_norm(actual: &[f32], expected: &[f64], floor: f64) -> f64 {
    let squares = actual
        .iter()
        .zip(expected)
        .map(|(&a, &e)| (f64::from(a) - e).powi(2));
    let norm = expected.iter().map(|e| e * e).sum::<f64>().sqrt();
    squares.sum::<f64>().sqrt() / norm.max(floor)
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
    squares.sum::<f64>().sqrt()
}

fn rounded(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&v| v as f32).collect()
}

fn widened(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, rng_seed: RngSeed::Fixed(0), ..ProptestConfig::default() })]
    #[test]
    fn one_step_from_the_oracles_state(
        hyperparameters in hyperparameters(),
        hidden in prop::collection::vec(1..24_u64, 0..4),
        classes in 2..6_u32,
        seed in any::<u64>(),
        batch_norm in any::<bool>(),
    ) {
        let values: Vec<Vec<f64>> = (0..ROWS)
            .map(|r| (0..5).map(|c| f64::from((r * 31 + c * 17) % 23) / 11.0 - 1.0).collect())
            .collect();
        let targets: Vec<u32> = (0..ROWS).map(|r| (r * 7 + r / 3) % classes).collect();
        let features = features(&values);
        let (exact, single) = (unscaled::<f64>(&features), unscaled::<f32>(&features));
        let shape = Shape::new(5, &hidden, classes as usize).with_batch_norm(batch_norm);
        let (key, activation) = (dropout_key(Seed(seed), 0, 0), hyperparameters.activation);
        let initial = initial_parameters(&shape, Seed(seed), 0);
        let moments = hyperparameters.optimizer.moments();
        let mut oracle = Network::<f64>::new(&initial, &initial_running(&shape), moments);
        let mut scratch = Workspace::<f64>::new(&shape, ROWS as usize);
        let mut scratch_32 = Workspace::<f32>::new(&shape, ROWS as usize);
        let order: Vec<u32> = (0..ROWS).map(|r| (r * 13) % ROWS).collect();
        let batches: Vec<&[u32]> = order.chunks(hyperparameters.batch_size).collect();
        for step in 0..=50_u64 {
            let rows = batches[step as usize % batches.len()];
            let batch = Batch { features: &exact, targets: &targets, rows };
            let batch_32 = Batch { features: &single, targets: &targets, rows };
            if STEPS.contains(&step) {
                let mut f32s = Network::<f32> {
                    parameters: aligned(rounded(&oracle.parameters)),
                    moments: oracle.moments.iter().map(|m| aligned(rounded(m))).collect(),
                    running: rounded(&oracle.running),
                    steps: oracle.steps,
                };
                // The oracle goes on from the same rounded state.
                oracle.parameters = aligned(widened(&f32s.parameters));
                oracle.running = widened(&f32s.running);
                oracle.moments = f32s.moments.iter().map(|m| aligned(widened(m))).collect();
                let mut next = oracle.clone();
                let single_step = f32s.steps + 1;
                let dropout = Dropout::new(hyperparameters.dropout, key, step);
                let expected = scratch.loss_and_gradients(&oracle.parameters, batch, activation, dropout);
                let gradients = scratch.gradients().to_vec();
                let actual = scratch_32.step(&mut f32s, batch_32, &hyperparameters, key, |_| true);
                // Moments are compared on identical gradients: where a gradient almost vanishes, its
                // rounding is no fault of the update.
                update(
                    pulp::Arch::new(),
                    &mut next.parameters,
                    &widened(scratch_32.gradients()),
                    &mut next.moments,
                    &hyperparameters.optimizer,
                    hyperparameters.learning_rate,
                    single_step,
                );
                // The rounding of a logit is the relative error of its softmax, so that gradients can
                // be no better than the logits are large.
                let logits = scratch.training_logits(&oracle.parameters, batch, activation, dropout);
                let largest = logits.iter().fold(0.0_f64, |largest, logit| logit.abs().max(largest));
                // A normalized value has the rounding of z times 1 / deviation, which may be large in a
                // batch of few rows.
                let magnified = scratch.magnification();
                let conditioned = (largest / 4.0).max(1.0) * magnified;
                // Through batch norm goes what is left of a gradient without its mean and its part along
                // the values: almost nothing of two rows.
                let floor = if shape.batch_norm() { 1e-2 } else { 1e-3 };
                let scale = expected.abs().max(1e-3 * rows.len() as f64);
                prop_assert!((actual - expected).abs() <= 1e-5 * scale * magnified, "loss at {step}: {actual} {expected}");
                let mut stepped = oracle.clone();
                scratch.step(&mut stepped, batch, &hyperparameters, key, |_| true);
                let error = relative_norm(&f32s.running, &stepped.running, 1e-3);
                prop_assert!(error <= 2e-6, "running statistics at {step}: {error:e}");
                for layer in shape.layers() {
                    for range in [layer.weights, layer.bias, layer.gamma, layer.beta] {
                        let at = range.clone();
                        let error = relative_norm(&scratch_32.gradients()[at.clone()], &gradients[at.clone()], floor);
                        prop_assert!(error <= 1e-4 * conditioned, "gradient at {step}: {error:e}");
                        for ((m32, m64), before) in f32s.moments.iter().zip(&next.moments).zip(&oracle.moments) {
                            // What a moment loses by decay and gains by the gradient may cancel.
                            let before = distance(&before[at.clone()], &vec![0.0; at.len()]);
                            let error = relative_norm(&m32[at.clone()], &m64[at.clone()], before.max(1e-6));
                            prop_assert!(error <= 1e-4, "moment at {step}: {error:e}");
                        }
                        // A step may be larger than what is left of the parameter after it.
                        let moved = distance(&oracle.parameters[at.clone()], &next.parameters[at.clone()]);
                        let error = relative_norm(&f32s.parameters[at.clone()], &next.parameters[at], moved.max(1e-3));
                        prop_assert!(error <= 2e-6, "parameters at {step}: {error:e}");
                    }
                }
            }
            scratch.step(&mut oracle, batch, &hyperparameters, key, |_| true);
        }
    }
}
