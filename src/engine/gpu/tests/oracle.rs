//! One step from the f64 oracle's state, over random points of the space; and evaluation.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::engine::cpu::{
    Batch, CpuEngine, Dropout, Network, ScaledFeatures, Workspace, aligned, update,
};
use crate::engine::gpu::wave::GpuWave;
use crate::engine::{MemberSnapshot, Part};
use crate::train::{dropout_key, initial_parameters, initial_running, row_order};

const STEPS: [u64; 5] = [0, 1, 5, 20, 50];

/// Trains a wave of one member by one step.
fn one_step(wave: &mut GpuWave<'_>) {
    wave.forget_pace();
    wave.train(u32::MAX, &|| true).unwrap();
}

fn widened(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

fn rounded(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&v| v as f32).collect()
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum::<f64>().sqrt()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let squares = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
    squares.sum::<f64>().sqrt()
}

/// |actual - expected| / |expected| in the 2-norm, with a floor for tensors that are almost zero.
fn relative(actual: &[f32], expected: &[f64], floor: f64) -> f64 {
    distance(&widened(actual), expected) / norm(expected).max(floor)
}

/// A member on the oracle.
struct Oracle<'m> {
    made: &'m Made,
    member: Member,
    features: ScaledFeatures<'m, f64>,
    scratch: Workspace<f64>,
    network: Network<f64>,
}

impl<'m> Oracle<'m> {
    fn new(made: &'m Made, member: Member) -> Self {
        let scaling = &made.splits.folds[member.id.fold as usize].scaling;
        let initial = initial_parameters(made.shape(), SEED, member.id.repeat);
        let moments = member.hyperparameters.optimizer.moments();
        Self {
            made,
            member,
            features: ScaledFeatures::new(&made.dataset.features, scaling),
            scratch: Workspace::new(made.shape(), member.hyperparameters.batch_size),
            network: Network::new(&initial, &initial_running(made.shape()), moments),
        }
    }

    fn key(&self) -> [u32; 2] {
        dropout_key(SEED, self.member.id.repeat, self.member.id.fold)
    }

    /// Epoch, position in it, and rows of the next step.
    fn next_rows(&self) -> (u32, usize, Vec<u32>) {
        let id = self.member.id;
        let train = &self.made.splits.folds[id.fold as usize].train;
        let batch_size = self.member.hyperparameters.batch_size;
        let steps = train.len().div_ceil(batch_size);
        let epoch = u32::try_from(self.network.steps as usize / steps).unwrap();
        let position = self.network.steps as usize % steps * batch_size;
        let order = row_order(train, SEED, id.repeat, id.fold, epoch);
        let end = order.len().min(position + batch_size);
        (epoch, position, order[position..end].to_vec())
    }

    fn step(&mut self) {
        let (_, _, rows) = self.next_rows();
        let key = self.key();
        let batch = Batch {
            features: &self.features,
            targets: &self.made.dataset.targets,
            rows: &rows,
        };
        let settings = &self.member.hyperparameters;
        self.scratch
            .step(&mut self.network, batch, settings, key, |_| true);
    }

    /// The state, rounded; the oracle goes on from the rounded values.
    fn round(&mut self) -> MemberSnapshot {
        let (epoch, position, _) = self.next_rows();
        let network = &mut self.network;
        let state = MemberSnapshot {
            id: self.member.id,
            parameters: rounded(&network.parameters),
            moments: network.moments.iter().map(|m| rounded(m)).collect(),
            running: rounded(&network.running),
            steps: network.steps,
            samples: 0,
            epoch,
            cursor: position as u64,
            loss_sum: 0.0,
            train_loss: f64::NAN,
            diverged: false,
        };
        network.parameters = aligned(widened(&state.parameters));
        network.running = widened(&state.running);
        network.moments = state.moments.iter().map(|m| aligned(widened(m))).collect();
        state
    }

    /// Loads the oracle's state, steps on the GPU, and compares loss, gradients, and what the update
    /// makes of the GPU's own gradients. Limits as for the cpu engine, see
    /// `engine/cpu/tests/resynchronised.rs`, but for the parameters: WGSL's square root and quotient
    /// may be off by 2.5 units in the last place each.
    fn check(&mut self, what: &str, gpu: &mut GpuWave<'_>) {
        let state = self.round();
        gpu.load(std::slice::from_ref(&state)).unwrap();
        one_step(gpu);
        let after = gpu.save().unwrap().swap_remove(0);
        let gradients = gpu.gradients(0).unwrap();
        let (epoch, position, rows) = self.next_rows();
        let batch = Batch {
            features: &self.features,
            targets: &self.made.dataset.targets,
            rows: &rows,
        };
        let settings = self.member.hyperparameters;
        let dropout = Dropout::new(settings.dropout, self.key(), self.network.steps);
        let parameters = &self.network.parameters;
        let (activation, scratch) = (settings.activation, &mut self.scratch);
        let loss = scratch.loss_and_gradients(parameters, batch, activation, dropout);
        let expected = scratch.gradients().to_vec();
        let logits = scratch.training_logits(parameters, batch, activation, dropout);
        let largest = logits.iter().fold(0.0_f64, |a, logit| logit.abs().max(a));
        let magnified = scratch.magnification();

        let trained = self.made.splits.folds[self.member.id.fold as usize]
            .train
            .len();
        let ends = position + rows.len() == trained;
        let place = if ends {
            (epoch + 1, 0)
        } else {
            (epoch, (position + rows.len()) as u64)
        };
        assert_eq!((after.epoch, after.cursor), place, "{what}");
        assert_eq!(after.steps, state.steps + 1, "{what}");
        let actual = if ends {
            after.train_loss * trained as f64
        } else {
            after.loss_sum
        };
        let scale = loss.abs().max(1e-3 * rows.len() as f64);
        assert!(
            (actual - loss).abs() <= 1e-5 * scale * magnified,
            "{what}: loss {actual}, not {loss}"
        );

        let mut next = self.network.clone();
        let (optimizer, rate) = (&settings.optimizer, settings.learning_rate);
        let given = widened(&gradients);
        update(
            pulp::Arch::new(),
            &mut next.parameters,
            &given,
            &mut next.moments,
            optimizer,
            rate,
            after.steps,
        );
        let conditioned = (largest / 4.0).max(1.0) * magnified;
        let floor = if self.made.shape().batch_norm() {
            1e-2
        } else {
            1e-3
        };
        for layer in self.made.shape().layers() {
            for at in [layer.weights, layer.bias, layer.gamma, layer.beta] {
                let error = relative(&gradients[at.clone()], &expected[at.clone()], floor);
                assert!(error <= 1e-4 * conditioned, "{what}: gradient {error:e}");
                for ((m, e), before) in after
                    .moments
                    .iter()
                    .zip(&next.moments)
                    .zip(&self.network.moments)
                {
                    // What a moment loses by decay and gains by the gradient may cancel.
                    let before = norm(&before[at.clone()]);
                    let error = relative(&m[at.clone()], &e[at.clone()], before.max(1e-6));
                    assert!(error <= 1e-4, "{what}: moment {error:e}");
                }
                let moved = distance(
                    &self.network.parameters[at.clone()],
                    &next.parameters[at.clone()],
                );
                let error = relative(
                    &after.parameters[at.clone()],
                    &next.parameters[at.clone()],
                    moved.max(1e-3),
                );
                assert!(error <= 4e-6, "{what}: parameters {error:e}");
            }
        }
        self.step();
        let error = relative(&after.running, &self.network.running, 1e-3);
        assert!(error <= 2e-6, "{what}: running statistics {error:e}");
    }
}

fn random_made(rng: &mut ChaCha8Rng, case: u64) -> Made {
    let layers = rng.random_range(0..4);
    let hidden: Vec<u64> = (0..layers).map(|_| rng.random_range(1..40)).collect();
    let (classes, columns) = (rng.random_range(2..14), rng.random_range(1..20));
    Made::new(90, columns, &hidden, classes, case.is_multiple_of(3))
        .with_batch_norm(case.is_multiple_of(2))
}

#[test]
fn one_step_from_the_oracles_state() {
    for (name, adapter) in adapters() {
        let with_arena = Options {
            arena: true,
            ..options()
        };
        let engine = engine(&adapter, with_arena);
        let mut rng = SEED.rng(crate::seed::Stream::Folds);
        for case in 0..16 {
            let made = random_made(&mut rng, case);
            for (i, optimizer) in optimizers().into_iter().enumerate() {
                let member = Member {
                    shape: 0,
                    id: MemberId {
                        trial: case,
                        repeat: 0,
                        fold: (case % 2) as u32,
                    },
                    hyperparameters: Hyperparameters {
                        learning_rate: 10_f64.powf(rng.random_range(-4.0..-1.0)),
                        batch_size: rng.random_range(1..30),
                        optimizer,
                        activation: ACTIVATIONS[rng.random_range(0..4)],
                        dropout: if i % 2 == 0 {
                            0.0
                        } else {
                            rng.random_range(0.05..0.8)
                        },
                    },
                };
                let mut oracle = Oracle::new(&made, member);
                let members = [member];
                let mut gpu = engine.wave(made.setup(&members)).unwrap();
                for target in STEPS {
                    while oracle.network.steps < target {
                        oracle.step();
                    }
                    if !oracle.network.is_finite() {
                        break;
                    }
                    let what = format!(
                        "{name}, {} {:?} after {target} steps",
                        made.shape(),
                        member.hyperparameters
                    );
                    oracle.check(&what, &mut gpu);
                }
            }
        }
    }
}

#[test]
fn evaluations_agree_with_the_oracle() {
    let oracle_engine = CpuEngine::<f64>::new(Some(1)).unwrap();
    on_every_adapter(|name, engine| {
        for bytes in [false, true] {
            let made = Made::new(700, 9, &[20, 7], 5, bytes).with_batch_norm(bytes);
            let all = members(24);
            let mut gpu = made.start(engine, &all);
            gpu.train(1, &never).unwrap();
            let mut oracle = made.start(&oracle_engine, &all);
            oracle.load(&gpu.save().unwrap()).unwrap();
            for part in [Part::Training, Part::Validation, Part::Training] {
                let (a, b) = (gpu.evaluate(part).unwrap(), oracle.evaluate(part).unwrap());
                for (slot, (a, b)) in a.iter().zip(&b).enumerate() {
                    let (a, b) = (a.as_ref().unwrap(), b.as_ref().unwrap());
                    let error = (a.loss_sum - b.loss_sum).abs();
                    assert!(error <= 1e-5 * b.loss_sum, "{name}: {slot}: {a:?} {b:?}");
                    assert_eq!((a.rows, &a.actual), (b.rows, &b.actual), "{name}");
                    // A row whose two best logits are equal to rounding may go either way.
                    let differ: u64 = a
                        .predicted
                        .iter()
                        .zip(&b.predicted)
                        .map(|(a, b)| a.abs_diff(*b))
                        .sum();
                    assert!(differ <= 2, "{name}: {slot}: {a:?} {b:?}");
                    assert_eq!(a.predicted.iter().sum::<u64>(), a.rows, "{name}");
                }
            }
        }
    });
}

#[test]
fn a_refit_has_no_validation_rows() {
    on_every_adapter(|name, engine| {
        let made = Made::new(50, 4, &[6], 3, false);
        let mut one = members(1);
        one[0].id.fold = crate::train::REFIT;
        let mut wave = made.start(engine, &one);
        wave.train(1, &never).unwrap();
        let evaluation = wave.evaluate(Part::Validation).unwrap()[0].clone().unwrap();
        assert_eq!(evaluation.rows, 0, "{name}");
        let evaluation = wave.evaluate(Part::Training).unwrap()[0].clone().unwrap();
        assert_eq!(evaluation.rows, 50, "{name}");
    });
}
