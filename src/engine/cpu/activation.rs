//! Activations and their derivatives, as passes over a layer's values.

use pulp::Arch;

use super::real::Real;
use super::simd::{Finish, Lanes, Shared, Value};
use crate::train::Activation;

/// `z = f(z + bias)` for `[rows][bias.len()]` values, in place; no activation is the identity.
///
/// NaN stays NaN, also through relu: a network that left the finite numbers must not look sound.
pub fn bias_activation<T: Real>(arch: Arch, z: &mut [T], bias: &[T], activation: Activation) {
    T::pass(arch, z, BiasActivation { bias, activation });
}

/// [`bias_activation`] of all rows.
struct BiasActivation<'p, T> {
    /// `[outputs]`.
    bias: &'p [T],
    activation: Activation,
}

impl<T: Real> Finish<T> for BiasActivation<'_, T> {
    #[inline(always)]
    fn finish<L: Lanes<T>>(&mut self, lanes: L, row: usize, z: &mut [T]) {
        for z in z.chunks_exact_mut(self.bias.len()) {
            lanes.each([z], [self.bias], |[z], [b]| [z + b]);
        }
        self.activation.finish(lanes, row, z);
    }
}

/// `z = f(z)`, in place.
impl<T: Real> Finish<T> for Activation {
    #[inline(always)]
    fn finish<L: Lanes<T>>(&mut self, lanes: L, _: usize, z: &mut [T]) {
        match self {
            Self::Identity => {}
            Self::Relu => lanes.each([z], [], |[z], []| [z.relu()]),
            Self::Tanh => map(z, T::tanh),
            Self::Sigmoid => map(z, sigmoid),
        }
    }
}

impl<T: Real> Shared<T> for Activation {
    fn split(self, _: usize) -> (Self, Self) {
        (self, self)
    }
}

/// `dh = dh * f'(z)`, in place, from `h = f(z)`; all four derivatives are functions of `h`.
pub fn activation_backward<T: Real>(arch: Arch, dh: &mut [T], h: &[T], activation: Activation) {
    let outputs = 1;
    T::pass(
        arch,
        dh,
        ActivationBackward {
            h,
            activation,
            outputs,
        },
    );
}

/// [`activation_backward`] of each block of rows.
#[derive(Clone, Copy)]
pub struct ActivationBackward<'p, T> {
    /// `[rows][outputs]`.
    pub h: &'p [T],
    /// Which.
    pub activation: Activation,
    /// Values a row.
    pub outputs: usize,
}

impl<T> ActivationBackward<'_, T> {
    /// That of the rows from this one on.
    pub fn behind(self, row: usize) -> Self {
        Self {
            h: &self.h[row * self.outputs..],
            ..self
        }
    }
}

impl<T: Real> Finish<T> for ActivationBackward<'_, T> {
    #[inline(always)]
    fn finish<L: Lanes<T>>(&mut self, lanes: L, row: usize, dh: &mut [T]) {
        let h = &self.h[row * self.outputs..][..dh.len()];
        let one = lanes.splat(T::ONE);
        match self.activation {
            Activation::Identity => {}
            Activation::Relu => lanes.each([dh], [h], |[d], [h]| [d.where_positive(h)]),
            Activation::Tanh => lanes.each([dh], [h], |[d], [h]| [d * (one - h * h)]),
            Activation::Sigmoid => lanes.each([dh], [h], |[d], [h]| [d * (h * (one - h))]),
        }
    }
}

/// 1 / (1 + e^-x) from e^-|x|, which cannot overflow.
#[inline(always)]
fn sigmoid<T: Real>(x: T) -> T {
    let e = (-x.abs()).exp();
    let positive = T::ONE / (T::ONE + e);
    if x < T::ZERO { e * positive } else { positive }
}

#[inline(always)]
fn map<T: Real>(values: &mut [T], f: impl Fn(T) -> T) {
    for value in values {
        *value = f(*value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Activation; 4] = [
        Activation::Relu,
        Activation::Tanh,
        Activation::Sigmoid,
        Activation::Identity,
    ];

    #[test]
    fn derivatives_agree_with_finite_differences() {
        let arch = Arch::new();
        for activation in ALL {
            for z in [-3.0_f64, -0.7, -0.1, 0.2, 0.9, 4.0] {
                let value = |z: f64| {
                    let mut out = [z];
                    bias_activation(arch, &mut out, &[0.0], activation);
                    out[0]
                };
                let mut derivative = [1.0];
                activation_backward(arch, &mut derivative, &[value(z)], activation);
                let step = 1e-6;
                let difference = (value(z + step) - value(z - step)) / (2.0 * step);
                assert!(
                    (derivative[0] - difference).abs() < 1e-8,
                    "{activation:?} at {z}: {} and {difference}",
                    derivative[0]
                );
            }
        }
    }

    #[test]
    fn nan_passes_through_every_activation() {
        for activation in ALL {
            let mut z = [f32::NAN];
            bias_activation(Arch::new(), &mut z, &[0.0], activation);
            assert!(z[0].is_nan(), "{activation:?}");
        }
    }

    #[test]
    fn sigmoid_keeps_its_precision_in_both_tails() {
        assert_eq!(sigmoid(0.0_f32), 0.5);
        assert_eq!(sigmoid(80.0_f32), 1.0);
        let tail = sigmoid(-80.0_f64);
        assert!((tail / (-80.0_f64).exp() - 1.0).abs() < 1e-12);
    }
}
