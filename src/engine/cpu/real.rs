//! Numbers of the CPU code: f32 for the `cpu` engine, f64 for the oracle of the tests.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

use pulp::{Arch, Simd, WithSimd};

use super::aligned::{Aligned, zeros};
use super::matrix::{Matrix, f64_product};
use super::product::fastest_product;
use super::simd::{Finish, OneByOne, Shared, Workers};
use super::vectors::Vectors;

/// A floating-point type that a network can be trained in.
///
/// `exp` and `tanh` of f32 have no branches and no calls, so that loops over them become SIMD
/// code; in f64, where they are the reference, they are the standard library's.
pub trait Real:
    Copy
    + Debug
    + PartialOrd
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// Probabilities below this are taken for 0 in gradients.
    ///
    /// In f32 they are far below the rounding of the row's other probabilities, and products of
    /// them are subnormal, which on x86 makes a step of a saturated network three times as long.
    const LEAST_PROBABILITY: Self;
    /// The nearest value.
    fn from_f64(value: f64) -> Self;
    /// The same value.
    fn from_f32(value: f32) -> Self;
    /// The same value.
    fn from_u8(value: u8) -> Self;
    /// The same value.
    fn to_f64(self) -> f64;
    /// The nearest value.
    fn to_f32(self) -> f32;
    /// Square root.
    fn sqrt(self) -> Self;
    /// The square; 0 where it is below the least moment, see [`flush`](Self::flush).
    fn square(self) -> Self;
    /// The value, or 0 where its magnitude is below 1e-30 (f32), the least moment.
    ///
    /// Moments of parameters whose gradient vanishes decay into the subnormal numbers, where x86
    /// needs a hundred times as long and GPUs flush to 0 anyway. The limit leaves room for the
    /// factors that a moment is multiplied by. Beside PyTorch's smallest epsilon such a moment is
    /// nothing.
    fn flush(self) -> Self;
    /// Absolute value.
    fn abs(self) -> Self;
    /// e to this power.
    fn exp(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// Neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// `out = a b`, row-major `[a.rows][b.columns]`, overwritten.
    ///
    /// # Panics
    /// When the shapes do not fit.
    fn product(arch: Arch, out: &mut [Self], a: Matrix<'_, Self>, b: Matrix<'_, Self>);
    /// `out = a b + bias`, where `bias` is added to each row if it is not empty, by what is fastest
    /// for the type and the shapes. Each block of whole rows is handed to `finish` with the number of
    /// its first row as soon as it is there, while it is still in the nearest cache; into how many
    /// blocks a product falls must not matter. If `finish` consumes them (`Finish::CONSUMES`), what
    /// `out` holds afterwards means nothing. `packed` is room for other layouts; it grows when that
    /// is first needed.
    fn product_then(
        workers: Workers,
        out: &mut [Self],
        a: Matrix<'_, Self>,
        b: Matrix<'_, Self>,
        bias: &[Self],
        packed: &mut Aligned<Self>,
        mut finish: impl Shared<Self>,
    ) {
        let _ = packed;
        Self::product(workers.arch, out, a, b);
        add_to_rows(out, bias);
        finish.finish(OneByOne, 0, out);
    }
    /// Does to all these values what would be done behind a product.
    fn pass(arch: Arch, values: &mut [Self], mut finish: impl Finish<Self>) {
        let _ = arch;
        finish.finish(OneByOne, 0, values);
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const LEAST_PROBABILITY: Self = 0.0;
    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        Self::from(value)
    }
    #[inline(always)]
    fn from_u8(value: u8) -> Self {
        Self::from(value)
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self as f32
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    #[inline(always)]
    fn square(self) -> Self {
        self * self
    }
    #[inline(always)]
    fn flush(self) -> Self {
        self
    }
    #[inline(always)]
    fn abs(self) -> Self {
        self.abs()
    }
    #[inline(always)]
    fn exp(self) -> Self {
        self.exp()
    }
    #[inline(always)]
    fn tanh(self) -> Self {
        self.tanh()
    }
    #[inline(always)]
    fn ln(self) -> Self {
        self.ln()
    }
    #[inline(always)]
    fn is_finite(self) -> bool {
        self.is_finite()
    }
    fn product(_arch: Arch, out: &mut [Self], a: Matrix<'_, Self>, b: Matrix<'_, Self>) {
        f64_product(out, a, b);
    }
}

/// Moments of smaller magnitude are 0 in f32.
pub const LEAST_MOMENT: f32 = 1e-30;
/// A smaller magnitude has a square of 0.
pub const ROOT_OF_LEAST_MOMENT: f32 = 1e-15;

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const LEAST_PROBABILITY: Self = 1e-18;
    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value as Self
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value
    }
    #[inline(always)]
    fn from_u8(value: u8) -> Self {
        Self::from(value)
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    #[inline(always)]
    fn square(self) -> Self {
        // Taken to 0 first, so that no subnormal number is ever made.
        let x = if self.abs() < ROOT_OF_LEAST_MOMENT {
            0.0
        } else {
            self
        };
        x * x
    }
    #[inline(always)]
    fn flush(self) -> Self {
        if self.abs() < LEAST_MOMENT { 0.0 } else { self }
    }
    #[inline(always)]
    fn abs(self) -> Self {
        self.abs()
    }
    #[inline(always)]
    fn exp(self) -> Self {
        exp_f32(self)
    }
    #[inline(always)]
    fn tanh(self) -> Self {
        tanh_f32(self)
    }
    #[inline(always)]
    fn ln(self) -> Self {
        self.ln()
    }
    #[inline(always)]
    fn is_finite(self) -> bool {
        self.is_finite()
    }
    fn product(arch: Arch, out: &mut [Self], a: Matrix<'_, Self>, b: Matrix<'_, Self>) {
        let alone = Workers::one(arch);
        Self::product_then(alone, out, a, b, &[], &mut zeros(0), ());
    }
    fn product_then(
        workers: Workers,
        out: &mut [Self],
        a: Matrix<'_, Self>,
        b: Matrix<'_, Self>,
        bias: &[Self],
        packed: &mut Aligned<Self>,
        finish: impl Shared<Self>,
    ) {
        fastest_product(workers, out, a, b, bias, packed, finish);
    }
    fn pass(arch: Arch, values: &mut [Self], finish: impl Finish<Self>) {
        arch.dispatch(Pass { values, finish });
    }
}

/// Adds the bias to each row; without one, nothing.
pub fn add_to_rows<T: Real>(values: &mut [T], bias: &[T]) {
    if !bias.is_empty() {
        for row in values.chunks_exact_mut(bias.len()) {
            for (value, &bias) in row.iter_mut().zip(bias) {
                *value += bias;
            }
        }
    }
}

/// A pass over values that are there already.
struct Pass<'p, F> {
    values: &'p mut [f32],
    finish: F,
}

impl<F: Finish<f32>> WithSimd for Pass<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        self.finish.finish(Vectors(simd), 0, self.values);
    }
}

/// The numbers of [`exp_f32`].
pub mod exp {
    /// Below it the result is 0.
    pub const LOWEST: f32 = -87.3;
    /// Above it the result grows no more.
    pub const HIGHEST: f32 = 88.3;
    /// 1.5 * 2^23: adding it leaves the nearest whole number in the low bits of the mantissa.
    pub const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts, of which the first times a small whole number is exact.
    pub const LN_2_HIGH: f32 = 0.693_359_4;
    /// The rest of ln 2.
    pub const LN_2_LOW: f32 = -2.121_944_4e-4;
    /// Coefficients of r^5 to r^0 in (e^r - 1 - r) / r^2.
    pub const POLYNOMIAL: [f32; 6] = [
        1.987_569_1e-4,
        1.398_2e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        5e-1,
    ];
}

/// e^x: x = n ln 2 + r with |r| <= ln 2 / 2, a polynomial in r, then the exponent n added to the
/// bits. Coefficients: S. L. Moshier, Cephes, `expf`. Within 2 units in the last place; below
/// -87.3 it is 0 and above 88.3 it stays at e^88.3, NaN stays NaN.
#[inline(always)]
pub fn exp_f32(x: f32) -> f32 {
    use exp::{HIGHEST, LN_2_HIGH, LN_2_LOW, LOWEST, POLYNOMIAL, ROUND};

    let clamped = if x > HIGHEST { HIGHEST } else { x };
    let clamped = if clamped < LOWEST { LOWEST } else { clamped };
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = clamped - n * LN_2_HIGH - n * LN_2_LOW;
    let mut p = POLYNOMIAL[0];
    for coefficient in &POLYNOMIAL[1..] {
        p = p * r + coefficient;
    }
    let mantissa = p * r * r + r + 1.0;
    let exponent = shifted
        .to_bits()
        .wrapping_sub(ROUND.to_bits())
        .wrapping_add(127)
        << 23;
    let value = mantissa * f32::from_bits(exponent);
    if x < LOWEST { 0.0 } else { value }
}

/// tanh x: an odd polynomial below 0.625, else 1 - 2 / (e^2x + 1). Coefficients: S. L. Moshier,
/// Cephes, `tanhf`. Within 3 units in the last place.
#[inline(always)]
fn tanh_f32(x: f32) -> f32 {
    let z = x * x;
    let mut p = -5.704_988_7e-3_f32;
    p = p * z + 2.063_909e-2;
    p = p * z - 5.373_971_5e-2;
    p = p * z + 1.333_144_2e-1;
    p = p * z - 3.333_328e-1;
    let small = p * z * x + x;
    let magnitude = 1.0 - 2.0 / (exp_f32(2.0 * x.abs()) + 1.0);
    let large = magnitude.copysign(x);
    if x.abs() < 0.625 { small } else { large }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Largest error of `f` against `reference`, in units in the last place of the result.
    fn worst_ulp(f: impl Fn(f32) -> f32, reference: impl Fn(f64) -> f64, range: (f32, f32)) -> f64 {
        let points = 200_000;
        (0..=points)
            .map(|i| range.0 + (range.1 - range.0) * (i as f32 / points as f32))
            .map(|x| {
                let exact = reference(f64::from(x));
                let ulp = f64::from(f32::EPSILON) * exact.abs().max(f64::from(f32::MIN_POSITIVE));
                (f64::from(f(x)) - exact).abs() / ulp
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn moments_below_the_least_are_0() {
        for x in [1e-31_f32, -9e-31, 1e-39, 1e-45, 0.0, -0.0] {
            assert_eq!(x.flush(), 0.0, "{x:e}");
        }
        for x in [1.1e-30_f32, -2e-30, 1e-10, 3.0] {
            assert_eq!(x.flush(), x, "{x:e}");
        }
        for x in [9e-16_f32, -1e-20, 0.0] {
            assert_eq!(Real::square(x), 0.0, "{x:e}");
        }
        assert_eq!(Real::square(-3.0_f32), 9.0);
        assert_eq!(Real::square(2e-15_f32), 2e-15 * 2e-15);
        assert!(f32::NAN.flush().is_nan() && Real::square(f32::NAN).is_nan());
    }

    #[test]
    fn exp_is_within_2_ulp() {
        let worst = worst_ulp(exp_f32, f64::exp, (-87.0, 88.0));
        assert!(worst <= 2.0, "{worst}");
    }

    #[test]
    fn tanh_is_within_3_ulp() {
        for range in [(-10.0, 10.0), (-1.0, 1.0), (-1e-3, 1e-3)] {
            let worst = worst_ulp(tanh_f32, f64::tanh, range);
            assert!(worst <= 3.0, "{range:?}: {worst}");
        }
    }

    #[test]
    fn ends_of_the_range() {
        assert_eq!(exp_f32(0.0), 1.0);
        assert_eq!(exp_f32(-1000.0), 0.0);
        assert_eq!(exp_f32(f32::NEG_INFINITY), 0.0);
        assert!(exp_f32(1000.0) > 2e38);
        assert!(exp_f32(f32::NAN).is_nan());
        assert_eq!(tanh_f32(100.0), 1.0);
        assert_eq!(tanh_f32(f32::NEG_INFINITY), -1.0);
        assert!(tanh_f32(f32::NAN).is_nan());
        assert_eq!(tanh_f32(-0.0), 0.0);
    }
}
