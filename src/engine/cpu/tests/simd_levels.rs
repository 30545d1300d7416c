//! A member's bits are the same on processors with narrower vectors.

use pulp::Arch;

use super::{features, unscaled};
use crate::engine::cpu::{Batch, Network, Workspace};
use crate::seed::Seed;
use crate::train::{
    Activation, Hyperparameters, Optimizer, Shape, initial_parameters, initial_running,
};

/// The SIMD levels of this processor that have fused multiplication and addition.
#[cfg(target_arch = "x86_64")]
fn levels() -> Vec<Arch> {
    use pulp::x86::{V3, V4};
    let levels = [V3::try_new().map(Arch::V3), V4::try_new().map(Arch::V4)];
    levels.into_iter().flatten().collect()
}

/// The one level of this processor.
#[cfg(not(target_arch = "x86_64"))]
fn levels() -> Vec<Arch> {
    vec![Arch::new()]
}

/// Losses and parameters of a few steps, as bits.
fn trained(arch: Arch, shape: &Shape, hyperparameters: &Hyperparameters) -> Vec<u64> {
    const ROWS: usize = 61;
    let classes = shape.widths()[shape.widths().len() - 1];
    let value =
        |row: usize, column: usize| ((row * 7919 + column * 104_729) % 201) as f64 / 50.0 - 2.0;
    let row = |row| {
        (0..shape.inputs())
            .map(|column| value(row, column))
            .collect()
    };
    let features = features(&(0..ROWS).map(row).collect::<Vec<Vec<f64>>>());
    let targets: Vec<u32> = (0..ROWS).map(|row| (row * 31 % classes) as u32).collect();
    let order: Vec<u32> = (0..ROWS as u32).collect();

    let moments = hyperparameters.optimizer.moments();
    let initial = initial_parameters(shape, Seed(1), 0);
    let mut network = Network::<f32>::new(&initial, &initial_running(shape), moments);
    let mut workspace = Workspace::new(shape, hyperparameters.batch_size).at_level(arch);
    let scaled = unscaled(&features);
    let batch = |rows| Batch {
        features: &scaled,
        targets: &targets,
        rows,
    };
    let mut bits = Vec::new();
    for rows in order.chunks(hyperparameters.batch_size) {
        let loss = workspace.step(&mut network, batch(rows), hyperparameters, [1, 2], |_| true);
        bits.push(loss.to_bits());
    }
    let evaluation = workspace.evaluate(&network, batch(&order), hyperparameters.activation);
    bits.push(evaluation.loss_sum.to_bits());
    bits.extend(network.parameters.iter().map(|p| u64::from(p.to_bits())));
    bits
}

#[test]
fn bits_do_not_depend_on_the_width_of_vectors() {
    let adam = Optimizer::Adam {
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-8,
    };
    let rmsprop = Optimizer::Rmsprop {
        rho: 0.99,
        epsilon: 1e-8,
        momentum: 0.5,
    };
    let activations = [
        (Activation::Relu, adam),
        (Activation::Tanh, rmsprop),
        (Activation::Sigmoid, adam),
    ];
    let of_shape = |shape: &Shape, hyperparameters: &Hyperparameters| {
        let of_level = |&arch: &Arch| trained(arch, shape, hyperparameters);
        let bits: Vec<_> = levels().iter().map(of_level).collect();
        let same = bits.windows(2).all(|pair| pair[0] == pair[1]);
        assert!(same, "{shape}, {hyperparameters:?}: levels differ");
    };
    for classes in [2, 7, 8, 10, 16, 17, 24, 33, 100] {
        for (activation, optimizer) in activations {
            let hyperparameters = Hyperparameters {
                learning_rate: 0.01,
                batch_size: 13,
                optimizer,
                activation,
                dropout: 0.2,
            };
            for batch_norm in [false, true] {
                let shape = Shape::new(21, &[35, 64], classes).with_batch_norm(batch_norm);
                of_shape(&shape, &hyperparameters);
            }
        }
    }
    // Weights that are packed panel by panel, and those of the second layer from both sides.
    let hyperparameters = Hyperparameters {
        learning_rate: 0.01,
        batch_size: 61,
        optimizer: adam,
        activation: Activation::Relu,
        dropout: 0.0,
    };
    of_shape(&Shape::new(21, &[32, 8200], 7), &hyperparameters);
}
