//! What formulas are computed on in f32: vectors of the machine's SIMD level.

use std::ops::{Add, Div, Mul, Sub};

use pulp::Simd;

use super::real::{LEAST_MOMENT, ROOT_OF_LEAST_MOMENT, exp};
use super::simd::Value;

/// Vectors of f32, with the level that computes on them. Of several the operations alternate, so that
/// one need not wait for another's result.
#[derive(Clone, Copy)]
pub struct Vector<S: Simd, const W: usize = 1>(pub S, pub [S::f32s; W]);

macro_rules! operation {
    ($trait:ident, $method:ident, $by:ident) => {
        impl<S: Simd, const W: usize> $trait for Vector<S, W> {
            type Output = Self;
            #[inline(always)]
            fn $method(mut self, other: Self) -> Self {
                for w in 0..W {
                    self.1[w] = self.0.$by(self.1[w], other.1[w]);
                }
                self
            }
        }
    };
}

operation!(Add, add, add_f32s);
operation!(Sub, sub, sub_f32s);
operation!(Mul, mul, mul_f32s);
operation!(Div, div, div_f32s);

impl<S: Simd, const W: usize> Vector<S, W> {
    #[inline(always)]
    fn splat(self, value: f32) -> Self {
        Self(self.0, [self.0.splat_f32s(value); W])
    }

    /// `if a < b { yes } else { no }`.
    #[inline(always)]
    fn if_less(a: Self, b: Self, yes: Self, mut no: Self) -> Self {
        for w in 0..W {
            let less = a.0.less_than_f32s(a.1[w], b.1[w]);
            no.1[w] = a.0.select_f32s(less, yes.1[w], no.1[w]);
        }
        no
    }

    /// [`exp_f32`](super::real::exp_f32), operation by operation.
    #[inline(always)]
    pub fn exp(self) -> Self {
        let number = |value: f32| self.splat(value);
        let clamped = Self::if_less(number(exp::HIGHEST), self, number(exp::HIGHEST), self);
        let lowest = number(exp::LOWEST);
        let clamped = Self::if_less(clamped, lowest, lowest, clamped);
        let shifted = clamped * number(std::f32::consts::LOG2_E) + number(exp::ROUND);
        let n = shifted - number(exp::ROUND);
        let r = clamped - n * number(exp::LN_2_HIGH) - n * number(exp::LN_2_LOW);
        let mut p = number(exp::POLYNOMIAL[0]);
        for &coefficient in &exp::POLYNOMIAL[1..] {
            p = p * r + number(coefficient);
        }
        let mantissa = p * r * r + r + number(1.0);
        let value = mantissa * shifted.power_of_2();
        Self::if_less(self, lowest, number(0.0), value)
    }

    /// 2^n of `n + exp::ROUND`.
    #[inline(always)]
    fn power_of_2(mut self) -> Self {
        let simd = self.0;
        let bias = simd.splat_u32s(127_u32.wrapping_sub(exp::ROUND.to_bits()));
        for vector in &mut self.1 {
            let exponent = simd.add_u32s(simd.transmute_u32s_f32s(*vector), bias);
            let exponent = simd.wrapping_dyn_shl_u32s(exponent, simd.splat_u32s(23));
            *vector = simd.transmute_f32s_u32s(exponent);
        }
        self
    }
}

impl<S: Simd, const W: usize> Value for Vector<S, W> {
    #[inline(always)]
    fn times_plus(mut self, factor: Self, term: Self) -> Self {
        for w in 0..W {
            self.1[w] = self.0.mul_add_e_f32s(self.1[w], factor.1[w], term.1[w]);
        }
        self
    }
    #[inline(always)]
    fn root(mut self) -> Self {
        for vector in &mut self.1 {
            *vector = self.0.sqrt_f32s(*vector);
        }
        self
    }
    #[inline(always)]
    fn squared(self) -> Self {
        let x = self.zero_below(self.splat(ROOT_OF_LEAST_MOMENT));
        x * x
    }
    #[inline(always)]
    fn flushed(self) -> Self {
        self.zero_below(self.splat(LEAST_MOMENT))
    }
    #[inline(always)]
    fn relu(mut self) -> Self {
        let zero = self.splat(0.0);
        if S::IS_SCALAR {
            return Self::if_less(self, zero, zero, self);
        }
        // Of a NaN and a number, vectors give the second operand or NaN; one number alone would give
        // the number.
        for w in 0..W {
            self.1[w] = self.0.max_f32s(zero.1[w], self.1[w]);
        }
        self
    }
    #[inline(always)]
    fn where_positive(self, other: Self) -> Self {
        let zero = self.splat(0.0);
        Self::if_less(zero, other, self, zero)
    }
    #[inline(always)]
    fn zero_below(mut self, least: Self) -> Self {
        let simd = self.0;
        // Magnitudes order like their bits, and those of NaN are above all. Asking what stays spares
        // a negation of the mask, which costs as much as an update's root.
        for w in 0..W {
            let magnitude = simd.transmute_u32s_f32s(simd.abs_f32s(self.1[w]));
            let least = simd.transmute_u32s_f32s(least.1[w]);
            let stays = simd.greater_than_or_equal_u32s(magnitude, least);
            self.1[w] = simd.select_f32s(stays, self.1[w], simd.splat_f32s(0.0));
        }
        self
    }
}
