//! Optimizer updates, with PyTorch's formulas.

use std::ops::Range;

use pulp::Arch;

use super::real::Real;
use super::simd::{Finish, Lanes, Value};
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
    moments: &mut [impl AsMut<[T]>],
    optimizer: &Optimizer,
    learning_rate: f64,
    step: u64,
) {
    let update = Update::new(optimizer, learning_rate, step);
    let moments = moments_of(moments, 0..parameters.len());
    T::pass(
        arch,
        parameters,
        Whole {
            update,
            gradients,
            moments,
        },
    );
}

/// A part of each moment that an optimizer keeps, and nothing in the place of those it does not.
pub type Moments<'p, T> = [&'p mut [T]; 2];

/// This part of each of an optimizer's moments.
///
/// # Panics
/// When there are more than any optimizer keeps.
pub fn moments_of<T>(moments: &mut [impl AsMut<[T]>], part: Range<usize>) -> Moments<'_, T> {
    match moments {
        [] => [&mut [], &mut []],
        [a] => [&mut a.as_mut()[part], &mut []],
        [a, b] => [&mut a.as_mut()[part.clone()], &mut b.as_mut()[part]],
        more => unreachable!("no optimizer keeps {} moments", more.len()),
    }
}

/// The update of one step, with what all parameters share computed once.
///
/// Rates are held with a minus sign, so that a parameter moves by one `times_plus`.
#[derive(Clone, Copy)]
pub enum Update<T> {
    Sgd(T),
    SgdMomentum(MomentumFactors<T>),
    Adam(AdamFactors<T>),
    Rmsprop(RmspropFactors<T>),
    RmspropMomentum(RmspropFactors<T>, T),
}

impl<T: Real> Update<T> {
    /// The `step`-th update, counted from 1.
    pub fn new(optimizer: &Optimizer, learning_rate: f64, step: u64) -> Self {
        let number = T::from_f64;
        match *optimizer {
            Optimizer::Sgd { momentum: 0.0, .. } => Self::Sgd(number(-learning_rate)),
            Optimizer::Sgd { momentum, nesterov } => Self::SgdMomentum(MomentumFactors {
                minus_rate: number(-learning_rate),
                momentum: number(momentum),
                nesterov,
            }),
            Optimizer::Adam {
                beta_1,
                beta_2,
                epsilon,
            } => Self::Adam(AdamFactors::new(
                learning_rate,
                beta_1,
                beta_2,
                epsilon,
                step,
            )),
            Optimizer::Rmsprop {
                rho,
                epsilon,
                momentum,
            } => {
                let factors = RmspropFactors::new(learning_rate, rho, epsilon);
                if momentum == 0.0 {
                    Self::Rmsprop(factors)
                } else {
                    Self::RmspropMomentum(factors, number(momentum))
                }
            }
        }
    }

    /// Updates those parameters that begin at `at` and have these gradients, with their moments. Part
    /// of a pass.
    ///
    /// # Panics
    /// When there are fewer moments than the optimizer keeps.
    #[inline(always)]
    pub fn apply<L: Lanes<T>>(
        &self,
        lanes: L,
        at: usize,
        parameters: &mut [T],
        gradients: &[T],
        moments: &mut Moments<'_, T>,
    ) {
        let part = at..at + gradients.len();
        let p = &mut parameters[part.clone()];
        match (self, moments) {
            (Self::Sgd(minus_rate), _) => {
                let minus_rate = lanes.splat(*minus_rate);
                lanes.each([p], [gradients], |[p], [g]| [g.times_plus(minus_rate, p)]);
            }
            (Self::SgdMomentum(factors), [velocity, _]) => {
                let values = [p, &mut velocity[part]];
                lanes.each(values, [gradients], factors.splat(lanes).formula());
            }
            (Self::Adam(factors), [moment_1, moment_2]) => {
                let values = [p, &mut moment_1[part.clone()], &mut moment_2[part]];
                lanes.each(values, [gradients], factors.splat(lanes).formula());
            }
            (Self::Rmsprop(factors), [square, _]) => {
                let values = [p, &mut square[part]];
                lanes.each(values, [gradients], factors.splat(lanes).formula());
            }
            (Self::RmspropMomentum(factors, momentum), [square, velocity]) => {
                let values = [p, &mut square[part.clone()], &mut velocity[part]];
                let momentum = lanes.splat(*momentum);
                let formula = factors.splat(lanes).formula_with_momentum(momentum);
                lanes.each(values, [gradients], formula);
            }
        }
    }
}

/// The update of a whole arena.
struct Whole<'p, T> {
    update: Update<T>,
    gradients: &'p [T],
    moments: Moments<'p, T>,
}

impl<T: Real> Finish<T> for Whole<'_, T> {
    #[inline(always)]
    fn finish<L: Lanes<T>>(&mut self, lanes: L, _: usize, parameters: &mut [T]) {
        self.update
            .apply(lanes, 0, parameters, self.gradients, &mut self.moments);
    }
}

/// SGD's factors with momentum.
#[derive(Clone, Copy)]
pub struct MomentumFactors<T> {
    minus_rate: T,
    momentum: T,
    nesterov: bool,
}

impl<T: Copy> MomentumFactors<T> {
    #[inline(always)]
    fn splat<L: Lanes<T>>(&self, lanes: L) -> MomentumFactors<L::Value> {
        MomentumFactors {
            minus_rate: lanes.splat(self.minus_rate),
            momentum: lanes.splat(self.momentum),
            nesterov: self.nesterov,
        }
    }
}

impl<V: Value> MomentumFactors<V> {
    /// Parameter and velocity.
    #[inline(always)]
    fn formula(self) -> impl Fn([V; 2], [V; 1]) -> [V; 2] {
        #[inline(always)]
        move |[p, v], [g]| {
            let v = self.momentum.times_plus(v, g).flushed();
            let direction = if self.nesterov {
                self.momentum.times_plus(v, g)
            } else {
                v
            };
            [direction.times_plus(self.minus_rate, p), v]
        }
    }
}

/// Adam's factors of one step: `p -= step_size * (m / (sqrt(v) + epsilon))`, where bias corrections
/// are already in `step_size` and `epsilon`. Computed in f64, since 1 - beta^step cancels.
#[derive(Clone, Copy)]
pub struct AdamFactors<T> {
    one_minus_beta_1: T,
    beta_2: T,
    one_minus_beta_2: T,
    minus_step_size: T,
    epsilon: T,
}

impl<T: Real> AdamFactors<T> {
    fn new(learning_rate: f64, beta_1: f64, beta_2: f64, epsilon: f64, step: u64) -> Self {
        let correction_1 = 1.0 - power(beta_1, step);
        let root_correction_2 = (1.0 - power(beta_2, step)).sqrt();
        Self {
            one_minus_beta_1: T::from_f64(1.0 - beta_1),
            beta_2: T::from_f64(beta_2),
            one_minus_beta_2: T::from_f64(1.0 - beta_2),
            minus_step_size: T::from_f64(-learning_rate * root_correction_2 / correction_1),
            epsilon: T::from_f64(epsilon * root_correction_2),
        }
    }
}

impl<T: Copy> AdamFactors<T> {
    #[inline(always)]
    fn splat<L: Lanes<T>>(&self, lanes: L) -> AdamFactors<L::Value> {
        AdamFactors {
            one_minus_beta_1: lanes.splat(self.one_minus_beta_1),
            beta_2: lanes.splat(self.beta_2),
            one_minus_beta_2: lanes.splat(self.one_minus_beta_2),
            minus_step_size: lanes.splat(self.minus_step_size),
            epsilon: lanes.splat(self.epsilon),
        }
    }
}

impl<V: Value> AdamFactors<V> {
    /// Parameter, first and second moment.
    #[inline(always)]
    fn formula(self) -> impl Fn([V; 3], [V; 1]) -> [V; 3] {
        #[inline(always)]
        move |[p, m, v], [g]| {
            let m = (g - m).times_plus(self.one_minus_beta_1, m).flushed();
            let new = self.one_minus_beta_2 * g.squared();
            let v = self.beta_2.times_plus(v, new).flushed();
            let scaled = m / (v.root() + self.epsilon);
            [scaled.times_plus(self.minus_step_size, p), m, v]
        }
    }
}

/// beta^step, or 0 where it is nothing beside 1.
fn power(beta: f64, step: u64) -> f64 {
    // beta^step <= e^-((1 - beta) step), and that is below 2^-54 then.
    let negligible = (1.0 - beta) * step as f64 > 38.0;
    match i32::try_from(step) {
        _ if negligible => 0.0,
        Ok(step) => beta.powi(step),
        Err(_) => beta.powf(step as f64),
    }
}

/// RMSprop's factors. 1 - rho is taken in f64: in f32 it would lose two digits.
#[derive(Clone, Copy)]
pub struct RmspropFactors<T> {
    minus_rate: T,
    rho: T,
    one_minus_rho: T,
    epsilon: T,
}

impl<T: Real> RmspropFactors<T> {
    fn new(learning_rate: f64, rho: f64, epsilon: f64) -> Self {
        Self {
            minus_rate: T::from_f64(-learning_rate),
            rho: T::from_f64(rho),
            one_minus_rho: T::from_f64(1.0 - rho),
            epsilon: T::from_f64(epsilon),
        }
    }
}

impl<T: Copy> RmspropFactors<T> {
    #[inline(always)]
    fn splat<L: Lanes<T>>(&self, lanes: L) -> RmspropFactors<L::Value> {
        RmspropFactors {
            minus_rate: lanes.splat(self.minus_rate),
            rho: lanes.splat(self.rho),
            one_minus_rho: lanes.splat(self.one_minus_rho),
            epsilon: lanes.splat(self.epsilon),
        }
    }
}

impl<V: Value> RmspropFactors<V> {
    /// Parameter and mean square.
    #[inline(always)]
    fn formula(self) -> impl Fn([V; 2], [V; 1]) -> [V; 2] {
        #[inline(always)]
        move |[p, s], [g]| {
            let s = self.square(s, g);
            let scaled = g / (s.root() + self.epsilon);
            [scaled.times_plus(self.minus_rate, p), s]
        }
    }

    /// Parameter, mean square and velocity.
    #[inline(always)]
    fn formula_with_momentum(self, momentum: V) -> impl Fn([V; 3], [V; 1]) -> [V; 3] {
        #[inline(always)]
        move |[p, s, v], [g]| {
            let s = self.square(s, g);
            let scaled = g / (s.root() + self.epsilon);
            let v = momentum.times_plus(v, scaled).flushed();
            [v.times_plus(self.minus_rate, p), s, v]
        }
    }

    #[inline(always)]
    fn square(self, s: V, g: V) -> V {
        let new = self.one_minus_rho * g.squared();
        self.rho.times_plus(s, new).flushed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_that_are_left_out_change_no_bias_correction() {
        for beta in [0.0_f64, 0.3, 0.9, 0.99, 0.999, 0.9999] {
            let negligible = (38.0 / (1.0 - beta)) as u64;
            for step in (1..100).chain(negligible - 20..negligible + 20) {
                let expected = 1.0 - beta.powi(i32::try_from(step).unwrap());
                assert_eq!(1.0 - power(beta, step), expected, "{beta}^{step}");
            }
            assert_eq!(power(beta, negligible + 20), 0.0, "{beta}");
        }
    }
}
