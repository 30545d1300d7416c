//! Initial weights and running statistics.

use rand_chacha::rand_core::Rng;

use super::Shape;
use crate::seed::{Seed, Stream};

/// The parameters a member starts from, in the layout of [`Shape::layers`].
///
/// Weights are `glorot_uniform` (Glorot and Bengio 2010; the default of Keras's Dense): uniform in
/// ±sqrt(6 / (inputs + outputs)); biases are zero; a batch norm's gamma is 1 and its beta 0. They
/// depend on seed, repeat and shape only, so that trials differ by their hyperparameters and not by
/// luck. Values are multiples of 2^-23 of the limit, drawn in row-major order from one stream a
/// layer.
pub fn initial_parameters(shape: &Shape, seed: Seed, repeat: u32) -> Vec<f32> {
    let mut parameters = vec![0.0; shape.parameters()];
    for (number, layer) in (0_u32..).zip(shape.layers()) {
        let mut rng = seed.rng(Stream::InitialWeights {
            repeat,
            layer: number,
        });
        let limit = (6.0 / (layer.inputs + layer.outputs) as f64).sqrt();
        for weight in &mut parameters[layer.weights] {
            let unit = f64::from(rng.next_u32() >> 8) / f64::from(1_u32 << 23) - 1.0;
            *weight = (unit * limit) as f32;
        }
        parameters[layer.gamma].fill(1.0);
    }
    parameters
}

/// The running statistics a member starts from, in the layout of [`DenseLayer::running`]: means of
/// 0, variances of 1.
///
/// [`DenseLayer::running`]: super::DenseLayer::running
pub fn initial_running(shape: &Shape) -> Vec<f32> {
    let mut running = vec![0.0; shape.running()];
    for layer in shape.layers().iter().filter(|layer| layer.batch_norm()) {
        running[layer.running.clone()][layer.outputs..].fill(1.0);
    }
    running
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_fill_the_glorot_range_and_biases_are_zero() {
        let shape = Shape::new(64, &[64], 10);
        let parameters = initial_parameters(&shape, Seed(0), 0);
        for layer in shape.layers() {
            let limit = (6.0_f32 / (layer.inputs + layer.outputs) as f32).sqrt();
            let weights = &parameters[layer.weights];
            let largest = weights.iter().fold(0.0_f32, |a, w| a.max(w.abs()));
            assert!(
                largest <= limit && largest > 0.98 * limit,
                "{largest} {limit}"
            );
            let mean = weights.iter().sum::<f32>() / weights.len() as f32;
            assert!(mean.abs() < 0.1 * limit, "{mean}");
            assert!(parameters[layer.bias].iter().all(|&b| b == 0.0));
        }
    }

    #[test]
    fn batch_norm_starts_as_the_identity_and_changes_no_weight() {
        let plain = Shape::new(5, &[4, 3], 2);
        let shape = plain.clone().with_batch_norm(true);
        let parameters = initial_parameters(&shape, Seed(0), 0);
        let without = initial_parameters(&plain, Seed(0), 0);
        for (layer, bare) in shape.layers().into_iter().zip(plain.layers()) {
            assert_eq!(parameters[layer.weights], without[bare.weights]);
            assert!(parameters[layer.gamma].iter().all(|&gamma| gamma == 1.0));
            assert!(parameters[layer.beta].iter().all(|&beta| beta == 0.0));
        }
        let expected = [[0.0; 4], [1.0; 4]].concat();
        assert_eq!(initial_running(&shape)[..8], expected);
        assert_eq!(initial_running(&shape)[8..], [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
        assert!(initial_running(&plain).is_empty());
    }

    #[test]
    fn repeats_and_seeds_differ_and_a_pair_repeats() {
        let shape = Shape::new(3, &[4], 2);
        let first = initial_parameters(&shape, Seed(0), 0);
        assert_eq!(first, initial_parameters(&shape, Seed(0), 0));
        assert_ne!(first, initial_parameters(&shape, Seed(0), 1));
        assert_ne!(first, initial_parameters(&shape, Seed(1), 0));
    }

    /// Pinned: another value here means that results differ from those of earlier versions.
    #[test]
    fn the_first_weights_of_seed_0_never_change() {
        let parameters = initial_parameters(&Shape::new(2, &[], 2), Seed(0), 0);
        let bits: Vec<u32> = parameters.iter().map(|w| w.to_bits()).collect();
        assert_eq!(bits, [3212245999, 3213677663, 1050469689, 1065397502, 0, 0]);
    }
}
