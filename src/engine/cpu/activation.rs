//! Activations and their derivatives, as passes over a layer's values.

use pulp::Arch;

use super::real::Real;
use super::simd::dispatch;
use crate::train::Activation;

/// `z = f(z + bias)` for `[rows][bias.len()]` values, in place; no activation is the identity.
///
/// NaN stays NaN, also through relu: a network that left the finite numbers must not look sound.
pub fn bias_activation<T: Real>(arch: Arch, z: &mut [T], bias: &[T], activation: Activation) {
    match activation {
        Activation::Identity => map_rows(arch, z, bias, |v| v),
        Activation::Relu => map_rows(arch, z, bias, |v| if v < T::ZERO { T::ZERO } else { v }),
        Activation::Tanh => map_rows(arch, z, bias, T::tanh),
        Activation::Sigmoid => map_rows(arch, z, bias, sigmoid),
    }
}

/// `dh = dh * f'(z)`, in place, from `h = f(z)`; all four derivatives are functions of `h`.
pub fn activation_backward<T: Real>(arch: Arch, dh: &mut [T], h: &[T], activation: Activation) {
    match activation {
        Activation::Identity => {}
        Activation::Relu => zip(arch, dh, h, |d, h| if h > T::ZERO { d } else { T::ZERO }),
        Activation::Tanh => zip(arch, dh, h, |d, h| d * (T::ONE - h * h)),
        Activation::Sigmoid => zip(arch, dh, h, |d, h| d * (h * (T::ONE - h))),
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
fn map_rows<T: Real>(arch: Arch, z: &mut [T], bias: &[T], f: impl Fn(T) -> T) {
    dispatch(
        arch,
        #[inline(always)]
        || {
            for row in z.chunks_exact_mut(bias.len()) {
                for (value, &b) in row.iter_mut().zip(bias) {
                    *value = f(*value + b);
                }
            }
        },
    );
}

#[inline(always)]
fn zip<T: Real>(arch: Arch, dh: &mut [T], h: &[T], f: impl Fn(T, T) -> T) {
    dispatch(
        arch,
        #[inline(always)]
        || {
            for (d, &h) in dh.iter_mut().zip(h) {
                *d = f(*d, h);
            }
        },
    );
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
