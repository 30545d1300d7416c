//! What a step does behind its products, block after block.

use super::activation::ActivationBackward;
use super::dropout::dropout_backward;
use super::real::Real;
use super::simd::{Finish, Lanes, Shared};
use super::update::{Moments, Update};

/// Applies gradients that are there to a part of a network.
pub struct Updating<'p, T> {
    /// What is done to them.
    pub update: Update<T>,
    /// Those that the gradients are of.
    pub parameters: &'p mut [T],
    /// Theirs.
    pub moments: Moments<'p, T>,
    /// Values a row of the gradients.
    pub outputs: usize,
}

impl<T: Real> Finish<T> for Updating<'_, T> {
    const CONSUMES: bool = true;

    #[inline(always)]
    fn finish<L: Lanes<T>>(&mut self, lanes: L, row: usize, gradients: &mut [T]) {
        let (at, moments) = (row * self.outputs, &mut self.moments);
        self.update
            .apply(lanes, at, self.parameters, gradients, moments);
    }
}

impl<T: Real> Shared<T> for Updating<'_, T> {
    fn split(self, rows: usize) -> (Self, Self) {
        let at = rows * self.outputs;
        let (parameters, parameters_behind) = self.parameters.split_at_mut(at);
        let [a, b] = self.moments.map(|m| m.split_at_mut(at.min(m.len())));
        let first = Self {
            parameters,
            moments: [a.0, b.0],
            ..self
        };
        let second = Self {
            parameters: parameters_behind,
            moments: [a.1, b.1],
            ..self
        };
        (first, second)
    }
}

/// From the gradient of a hidden layer's output to that of its values before the activation.
pub struct InputGradient<'p, T> {
    /// Dropout's factors, `[rows][outputs]`, where there is dropout.
    pub factors: Option<&'p [T]>,
    /// The activation's derivative.
    pub activation: ActivationBackward<'p, T>,
}

impl<T: Real> Finish<T> for InputGradient<'_, T> {
    #[inline(always)]
    fn finish<L: Lanes<T>>(&mut self, lanes: L, row: usize, dh: &mut [T]) {
        if let Some(factors) = self.factors {
            let at = row * self.activation.outputs;
            dropout_backward(lanes, dh, &factors[at..at + dh.len()]);
        }
        self.activation.finish(lanes, row, dh);
    }
}

impl<T: Real> Shared<T> for InputGradient<'_, T> {
    fn split(self, rows: usize) -> (Self, Self) {
        let at = rows * self.activation.outputs;
        let behind = Self {
            factors: self.factors.map(|factors| &factors[at..]),
            activation: self.activation.behind(rows),
        };
        (self, behind)
    }
}

#[cfg(test)]
mod tests {
    use pulp::Arch;

    use super::*;
    use crate::engine::cpu::matrix::Matrix;
    use crate::engine::cpu::simd::Workers;
    use crate::engine::cpu::tile_product::TileProduct;
    use crate::train::{Activation, Optimizer};

    /// Large enough for two threads and more; no multiple of a tile.
    const ROWS: usize = 403;
    const DEPTH: usize = 317;
    const COLUMNS: usize = 330;

    fn values(count: usize, seed: usize) -> Vec<f32> {
        let value = |i: usize| ((i * 7919 + seed) % 211) as f32 / 570.0 - 0.17;
        (0..count).map(value).collect()
    }

    /// What a product leaves, with this behind it.
    fn product(threads: usize, finish: impl Shared<f32>) -> Vec<f32> {
        let (a, b) = (values(ROWS * DEPTH, 5), values(DEPTH * COLUMNS, 9));
        let mut out = vec![f32::NAN; ROWS * COLUMNS];
        let product = TileProduct {
            out: &mut out,
            a: Matrix::new(&a, ROWS, DEPTH),
            b: Matrix::new(&b, DEPTH, COLUMNS),
            bias: &[],
            finish,
        };
        let arch = Arch::new();
        product.compute(Workers { arch, threads });
        out
    }

    const THREADS: [usize; 3] = [2, 3, 4];

    #[test]
    fn activations_behind_shared_products() {
        for activation in [Activation::Relu, Activation::Tanh] {
            for threads in THREADS {
                assert_eq!(product(threads, activation), product(1, activation));
            }
        }
    }

    #[test]
    fn gradients_of_inputs_behind_shared_products() {
        let (h, factors) = (values(ROWS * COLUMNS, 3), values(ROWS * COLUMNS, 4));
        let gradient = |threads, dropout: bool| {
            let finish = InputGradient {
                factors: dropout.then_some(&factors[..]),
                activation: ActivationBackward {
                    h: &h,
                    activation: Activation::Tanh,
                    outputs: COLUMNS,
                },
            };
            product(threads, finish)
        };
        for dropout in [false, true] {
            for threads in THREADS {
                assert_eq!(gradient(threads, dropout), gradient(1, dropout));
            }
        }
        assert_ne!(gradient(1, false), gradient(1, true));
    }

    #[test]
    fn updates_behind_shared_products() {
        let sgd = |momentum| Optimizer::Sgd {
            momentum,
            nesterov: false,
        };
        let adam = Optimizer::Adam {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
        };
        for optimizer in [sgd(0.0), sgd(0.9), adam] {
            let updated = |threads| {
                let mut parameters = values(ROWS * COLUMNS, 1);
                let kept = |number| {
                    let count = if number < optimizer.moments() {
                        ROWS * COLUMNS
                    } else {
                        0
                    };
                    vec![0.5; count]
                };
                let (mut first, mut second) = (kept(0), kept(1));
                let updating = Updating {
                    update: Update::new(&optimizer, 0.01, 1),
                    parameters: &mut parameters,
                    moments: [&mut first, &mut second],
                    outputs: COLUMNS,
                };
                product(threads, updating);
                [parameters, first, second]
            };
            let one = updated(1);
            assert_ne!(one[0], values(ROWS * COLUMNS, 1));
            for threads in THREADS {
                assert_eq!(updated(threads), one, "{optimizer:?}");
            }
        }
    }
}
