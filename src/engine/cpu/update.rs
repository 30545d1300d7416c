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
    moments: &mut [Vec<T>],
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
pub fn moments_of<T>(moments: &mut [Vec<T>], part: Range<usize>) -> Moments<'_, T> {
    match moments {
        [] => [&mut [], &mut []],
        [a] => [&mut a[part], &mut []],
        [a, b] => [&mut a[part.clone()], &mut b[part]],
        more => unreachable!("no optimizer keeps {} moments", more.len()),
    }
}

/// The update of one step, with what all parameters share computed once.
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
            Optimizer::Sgd { momentum: 0.0, .. } => Self::Sgd(number(learning_rate)),
            Optimizer::Sgd { momentum, nesterov } => Self::SgdMomentum(MomentumFactors {
                rate: number(learning_rate),
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
            (Self::Sgd(rate), _) => {
                let rate = lanes.splat(*rate);
                lanes.each([p], [gradients], |[p], [g]| [p - rate * g]);
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
    rate: T,
    momentum: T,
    nesterov: bool,
}

impl<T: Copy> MomentumFactors<T> {
    #[inline(always)]
    fn splat<L: Lanes<T>>(&self, lanes: L) -> MomentumFactors<L::Value> {
        MomentumFactors {
            rate: lanes.splat(self.rate),
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
            [p - self.rate * direction, v]
        }
    }
}

/// Adam's factors of one step: `p -= step_size * m / (sqrt(v) + epsilon)`, where bias corrections
/// are already in `step_size` and `epsilon`. Computed in f64, since 1 - beta^step cancels.
#[derive(Clone, Copy)]
pub struct AdamFactors<T> {
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

impl<T: Copy> AdamFactors<T> {
    #[inline(always)]
    fn splat<L: Lanes<T>>(&self, lanes: L) -> AdamFactors<L::Value> {
        AdamFactors {
            one_minus_beta_1: lanes.splat(self.one_minus_beta_1),
            beta_2: lanes.splat(self.beta_2),
            one_minus_beta_2: lanes.splat(self.one_minus_beta_2),
            step_size: lanes.splat(self.step_size),
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
            let p = p - self.step_size * m / (v.root() + self.epsilon);
            [p, m, v]
        }
    }
}

/// RMSprop's factors. 1 - rho is taken in f64: in f32 it would lose two digits.
#[derive(Clone, Copy)]
pub struct RmspropFactors<T> {
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

impl<T: Copy> RmspropFactors<T> {
    #[inline(always)]
    fn splat<L: Lanes<T>>(&self, lanes: L) -> RmspropFactors<L::Value> {
        RmspropFactors {
            rate: lanes.splat(self.rate),
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
            [p - self.rate * g / (s.root() + self.epsilon), s]
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
            [p - self.rate * v, s, v]
        }
    }

    #[inline(always)]
    fn square(self, s: V, g: V) -> V {
        let new = self.one_minus_rho * g.squared();
        self.rho.times_plus(s, new).flushed()
    }
}
