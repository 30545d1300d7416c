//! Optimizer updates, with PyTorch's formulas.

use pulp::Arch;

use super::real::Real;
use crate::train::Optimizer;

/// One optimizer update of all parameters of a member, in place.
///
/// `moments` are the optimizer's, each as long as `parameters`; `step` counts from 1. Source of the
/// formulas: the documentation of `torch.optim` (SGD, Adam, RMSprop). Adam's two divisions are
/// drawn together into one, which differs from PyTorch by rounding only.
pub fn update<T: Real>(
    arch: Arch,
    parameters: &mut [T],
    gradients: &[T],
    moments: &mut [Vec<T>],
    optimizer: &Optimizer,
    learning_rate: f64,
    step: u64,
) {
    let rate = T::from_f64(learning_rate);
    match (*optimizer, moments) {
        (Optimizer::Sgd { .. }, []) => sgd(arch, parameters, gradients, rate),
        (Optimizer::Sgd { momentum, nesterov }, [velocity]) => {
            let momentum = T::from_f64(momentum);
            sgd_momentum(
                arch, parameters, gradients, velocity, rate, momentum, nesterov,
            );
        }
        (
            Optimizer::Adam {
                beta_1,
                beta_2,
                epsilon,
            },
            [moment_1, moment_2],
        ) => {
            let factors = AdamFactors::new(learning_rate, beta_1, beta_2, epsilon, step);
            adam(arch, parameters, gradients, moment_1, moment_2, factors);
        }
        (Optimizer::Rmsprop { rho, epsilon, .. }, [square]) => {
            let factors = RmspropFactors::new(learning_rate, rho, epsilon);
            rmsprop(arch, parameters, gradients, square, factors);
        }
        (
            Optimizer::Rmsprop {
                rho,
                epsilon,
                momentum,
            },
            [square, velocity],
        ) => {
            let factors = RmspropFactors::new(learning_rate, rho, epsilon);
            let momentum = T::from_f64(momentum);
            rmsprop_momentum(
                arch, parameters, gradients, square, velocity, factors, momentum,
            );
        }
        (optimizer, moments) => {
            unreachable!("{optimizer:?} does not keep {} moments", moments.len())
        }
    }
}

#[inline(always)]
fn sgd<T: Real>(arch: Arch, parameters: &mut [T], gradients: &[T], rate: T) {
    arch.dispatch(
        #[inline(always)]
        || {
            for (p, &g) in parameters.iter_mut().zip(gradients) {
                *p -= rate * g;
            }
        },
    );
}

#[inline(always)]
fn sgd_momentum<T: Real>(
    arch: Arch,
    parameters: &mut [T],
    gradients: &[T],
    velocity: &mut [T],
    rate: T,
    momentum: T,
    nesterov: bool,
) {
    arch.dispatch(
        #[inline(always)]
        || {
            for ((p, v), &g) in parameters.iter_mut().zip(velocity).zip(gradients) {
                *v = (momentum * *v + g).flush();
                let direction = if nesterov { g + momentum * *v } else { *v };
                *p -= rate * direction;
            }
        },
    );
}

/// Adam's factors of one step: `p -= step_size * m / (sqrt(v) + epsilon)`, where bias corrections
/// are already in `step_size` and `epsilon`. Computed in f64, since 1 - beta^step cancels.
struct AdamFactors<T> {
    one_minus_beta_1: T,
    beta_2: T,
    one_minus_beta_2: T,
    step_size: T,
    epsilon: T,
}

impl<T: Real> AdamFactors<T> {
    fn new(learning_rate: f64, beta_1: f64, beta_2: f64, epsilon: f64, step: u64) -> Self {
        let power = |beta: f64| match i32::try_from(step) {
            Ok(step) => beta.powi(step),
            Err(_) => beta.powf(step as f64),
        };
        let correction_1 = 1.0 - power(beta_1);
        let root_correction_2 = (1.0 - power(beta_2)).sqrt();
        Self {
            one_minus_beta_1: T::from_f64(1.0 - beta_1),
            beta_2: T::from_f64(beta_2),
            one_minus_beta_2: T::from_f64(1.0 - beta_2),
            step_size: T::from_f64(learning_rate * root_correction_2 / correction_1),
            epsilon: T::from_f64(epsilon * root_correction_2),
        }
    }
}

#[inline(always)]
fn adam<T: Real>(
    arch: Arch,
    parameters: &mut [T],
    gradients: &[T],
    moment_1: &mut [T],
    moment_2: &mut [T],
    factors: AdamFactors<T>,
) {
    arch.dispatch(
        #[inline(always)]
        || {
            let moments = moment_1.iter_mut().zip(moment_2);
            for ((p, (m, v)), &g) in parameters.iter_mut().zip(moments).zip(gradients) {
                *m = (*m + (g - *m) * factors.one_minus_beta_1).flush();
                *v = (factors.beta_2 * *v + factors.one_minus_beta_2 * g.square()).flush();
                *p -= factors.step_size * *m / (v.sqrt() + factors.epsilon);
            }
        },
    );
}

/// RMSprop's factors. 1 - rho is taken in f64: in f32 it would lose two digits.
struct RmspropFactors<T> {
    rate: T,
    rho: T,
    one_minus_rho: T,
    epsilon: T,
}

impl<T: Real> RmspropFactors<T> {
    fn new(learning_rate: f64, rho: f64, epsilon: f64) -> Self {
        Self {
            rate: T::from_f64(learning_rate),
            rho: T::from_f64(rho),
            one_minus_rho: T::from_f64(1.0 - rho),
            epsilon: T::from_f64(epsilon),
        }
    }
}

#[inline(always)]
fn rmsprop<T: Real>(
    arch: Arch,
    parameters: &mut [T],
    gradients: &[T],
    square: &mut [T],
    factors: RmspropFactors<T>,
) {
    arch.dispatch(
        #[inline(always)]
        || {
            for ((p, s), &g) in parameters.iter_mut().zip(square).zip(gradients) {
                *s = (factors.rho * *s + factors.one_minus_rho * g.square()).flush();
                *p -= factors.rate * g / (s.sqrt() + factors.epsilon);
            }
        },
    );
}

#[inline(always)]
fn rmsprop_momentum<T: Real>(
    arch: Arch,
    parameters: &mut [T],
    gradients: &[T],
    square: &mut [T],
    velocity: &mut [T],
    factors: RmspropFactors<T>,
    momentum: T,
) {
    arch.dispatch(
        #[inline(always)]
        || {
            let moments = square.iter_mut().zip(velocity);
            for ((p, (s, v)), &g) in parameters.iter_mut().zip(moments).zip(gradients) {
                *s = (factors.rho * *s + factors.one_minus_rho * g.square()).flush();
                *v = (momentum * *v + g / (s.sqrt() + factors.epsilon)).flush();
                *p -= factors.rate * *v;
            }
        },
    );
}
