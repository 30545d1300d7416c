//! Numbers that carry how far an f32 computation may be from them.

use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

use pulp::Arch;

use crate::engine::cpu::{Matrix, Real, f64_product};

/// What one operation may add, as a share of its terms' magnitudes: 8 roundings of f32. A correctly
/// rounded operation adds 1 of them, the division of Vulkan 5; the rest is for drivers that contract
/// and reorder.
const OPERATION: f64 = 8.0 / (1 << 24) as f64;
/// What an elementary function may add, as a share of its value: 4 units in the last place of
/// `shared/functions.wgsl`, doubled.
const FUNCTION: f64 = 16.0 / (1 << 24) as f64;
/// What flushing numbers below the normal ones to 0 may add.
const LEAST: f64 = f32::MIN_POSITIVE as f64;
/// What is 0 for the kernels when it is a moment ([`Real::flush`]).
const LEAST_MOMENT: f64 = 1e-30;

/// The value that f64 gives, and the most by which f32 may differ from it.
///
/// The oracle's own code, run on these, bounds the error of every result (running error analysis;
/// Higham, Accuracy and Stability of Numerical Algorithms, section 3.3). For a product of matrices
/// the bound is `8 n 2^-24 sum |terms|`, n being the length of the sum, plus what its operands' own
/// limits make of it. Where the code chooses between two results by a value that is not exact, the
/// caller widens the limit.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Bounded {
    /// The value in f64.
    pub value: f64,
    /// The most that an f32 result may differ from it.
    pub limit: f64,
}

impl Bounded {
    /// A number that f32 holds.
    pub fn exact(value: f64) -> Self {
        Self { value, limit: 0.0 }
    }

    /// The same value with room for this much more.
    pub fn widened(self, by: f64) -> Self {
        Self {
            limit: self.limit + by,
            ..self
        }
    }

    /// The result of an elementary function at this place: `value`, which changes by `change` when
    /// the argument changes by its limit.
    fn of_function(value: f64, change: f64) -> Self {
        Self {
            value,
            limit: change + FUNCTION * value.abs() + LEAST,
        }
    }

    fn magnitude(self) -> f64 {
        self.value.abs() + self.limit
    }

    /// The sum or difference of two numbers. Of two that f32 holds, it is rounded once; others may
    /// be part of a longer sum, which a driver may reorder.
    fn of_two(a: Self, b: Self, value: f64) -> Self {
        let exact = a.limit == 0.0 && b.limit == 0.0;
        let terms = a.magnitude() + b.magnitude();
        let magnitudes = if exact { value.abs() } else { terms };
        Self::sum(value, a.limit + b.limit, magnitudes)
    }

    /// A sum whose terms have these magnitudes together.
    fn sum(value: f64, limits: f64, magnitudes: f64) -> Self {
        Self {
            value,
            limit: limits + OPERATION * magnitudes,
        }
    }
}

impl Add for Bounded {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self::of_two(self, other, self.value + other.value)
    }
}

impl Sub for Bounded {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self::of_two(self, other, self.value - other.value)
    }
}

impl Neg for Bounded {
    type Output = Self;
    fn neg(self) -> Self {
        Self {
            value: -self.value,
            ..self
        }
    }
}

impl Mul for Bounded {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let spread = self.magnitude() * other.magnitude() - (self.value * other.value).abs();
        Self::sum(
            self.value * other.value,
            spread + LEAST,
            self.magnitude() * other.magnitude(),
        )
    }
}

impl Div for Bounded {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let value = self.value / other.value;
        // A divisor that might be 0 leaves the quotient without a limit.
        let least = (other.value.abs() - other.limit).max(0.0);
        let spread = (self.limit + value.abs() * other.limit) / least;
        Self::sum(value, spread + LEAST, value.abs() + spread)
    }
}

impl AddAssign for Bounded {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Bounded {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Real for Bounded {
    const ZERO: Self = Self {
        value: 0.0,
        limit: 0.0,
    };
    const ONE: Self = Self {
        value: 1.0,
        limit: 0.0,
    };
    const LEAST_PROBABILITY: Self = Self::ZERO;
    fn from_f64(value: f64) -> Self {
        Self::sum(value, 0.0, value.abs())
    }
    fn from_f32(value: f32) -> Self {
        Self::exact(value.into())
    }
    fn from_u8(value: u8) -> Self {
        Self::exact(value.into())
    }
    fn to_f64(self) -> f64 {
        self.value
    }
    fn to_f32(self) -> f32 {
        self.value as f32
    }
    fn sqrt(self) -> Self {
        let value = self.value.sqrt();
        // |sqrt(v + e) - sqrt(v)| is at most sqrt(e), and at most e / sqrt(v).
        let spread = self.limit.sqrt().min(self.limit / value);
        Self::sum(value, spread + LEAST, value)
    }
    fn square(self) -> Self {
        (self * self).widened(LEAST_MOMENT)
    }
    fn flush(self) -> Self {
        self.widened(LEAST_MOMENT)
    }
    fn abs(self) -> Self {
        Self {
            value: self.value.abs(),
            ..self
        }
    }
    fn exp(self) -> Self {
        let value = self.value.exp();
        Self::of_function(value, value * self.limit.exp_m1())
    }
    fn tanh(self) -> Self {
        let value = self.value.tanh();
        // The slope is largest at the end of the interval that is nearer to 0, and nowhere above 1.
        let nearest = (self.value.abs() - self.limit).max(0.0).tanh();
        Self::of_function(value, self.limit * (1.0 - nearest * nearest))
    }
    fn ln(self) -> Self {
        let spread = self.limit / (self.value - self.limit).max(0.0);
        Self::of_function(self.value.ln(), spread)
    }
    fn is_finite(self) -> bool {
        self.value.is_finite()
    }
    fn product(_arch: Arch, out: &mut [Self], a: Matrix<'_, Self>, b: Matrix<'_, Self>) {
        let of = |number: fn(&Self) -> f64| {
            let (a_values, b_values) = (numbers(&a, number), numbers(&b, number));
            let mut product = vec![0.0; out.len()];
            let (a, b) = (a.with_values(&a_values), b.with_values(&b_values));
            f64_product(&mut product, a, b);
            product
        };
        let products = of(|v| v.value);
        let terms = of(|v| v.value.abs());
        let most_terms = of(|v| v.magnitude());
        let n = a.columns() as f64;
        for (i, out) in out.iter_mut().enumerate() {
            let spread = most_terms[i] - terms[i];
            *out = Self::sum(products[i], spread + n * LEAST, n * most_terms[i]);
        }
    }
}

/// One number of each of the matrix's values.
fn numbers(matrix: &Matrix<'_, Bounded>, number: fn(&Bounded) -> f64) -> Vec<f64> {
    matrix.values().iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a computation in f32 and on [`Bounded`]; the first must lie within the second's limit,
    /// and the limit must be worth something.
    #[track_caller]
    fn check(what: &str, actual: f32, bounded: Bounded) {
        let error = (f64::from(actual) - bounded.value).abs();
        assert!(error <= bounded.limit, "{what}: {actual} and {bounded:?}");
        let useful = 1e-4 * bounded.value.abs().max(1e-6);
        assert!(bounded.limit < useful, "{what}: {bounded:?}");
    }

    fn norm<T: Real>(values: &[f32]) -> T {
        let mut sum = T::ZERO;
        for &v in values {
            sum += T::from_f32(v) * T::from_f32(v);
        }
        sum.sqrt()
    }

    #[test]
    fn f32_stays_within_the_limits() {
        let values: Vec<f32> = (1..200_u16)
            .map(|i| (f32::from(i) * 0.37).sin() + 0.1)
            .collect();
        check("norm", norm(&values), norm(&values));
        for &v in &values {
            let b = Bounded::from_f32(v);
            check("exp", Real::exp(v), b.exp());
            check("tanh", Real::tanh(v), b.tanh());
            let (x, y) = (v * v + 0.1, b * b + Bounded::from_f64(0.1));
            check("ln", Real::ln(x + 2.0), (y + Bounded::from_f64(2.0)).ln());
            check("quotient", v / x, b / y);
        }
    }

    #[test]
    fn limits_of_products_grow_with_the_length_and_with_the_operands_own() {
        let row = |limit: f64| [Bounded { value: 1.0, limit }; 4];
        let limit = |limit: f64| {
            let mut out = [Bounded::ZERO];
            let (a, b) = (row(limit), row(0.0));
            Bounded::product(
                Arch::new(),
                &mut out,
                Matrix::new(&a, 1, 4),
                Matrix::new(&b, 4, 1),
            );
            assert_eq!(out[0].value, 4.0);
            out[0].limit
        };
        assert!((limit(0.0) / (8.0 * 4.0 * 4.0 / 16_777_216.0) - 1.0).abs() < 1e-9);
        assert!((limit(0.25) - limit(0.0) - 1.0).abs() < 1e-4);
    }

    #[test]
    fn a_divisor_that_may_be_0_leaves_no_limit() {
        let near_0 = Bounded {
            value: 1e-3,
            limit: 1e-2,
        };
        assert_eq!((Bounded::ONE / near_0).limit, f64::INFINITY);
    }
}
