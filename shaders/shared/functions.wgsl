// Elementary functions. They are written out so that every adapter computes the same: WGSL leaves
// exp and tanh to the driver.

// Neither infinite nor NaN, by the exponent's bits: a driver may assume that there is no NaN.
fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

fn is_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

// What is so small that its square would be slow, as on the cpu, counts as 0. Drivers do not see through it: they
// neither multiply out x * (a - b) behind it nor draw a product before it into a sum.
fn without_least(x: vec4<f32>) -> vec4<f32> {
    return select(x, vec4<f32>(0.0), abs(x) < vec4<f32>(1e-15));
}

// 1 / x of a count of rows, 1 to 2^19, rounded correctly as the host does it: WGSL allows a quotient to be 2.5
// units in the last place off. A step by fma mends what is off (P. Markstein, "Computation of elementary
// functions on the IBM RISC System/6000 processor", 1990).
fn reciprocal(x: f32) -> f32 {
    let close = 1.0 / x;
    return fma(close, fma(-x, close, 1.0), close);
}

// e^x: x = n ln 2 + r with |r| <= ln 2 / 2, a polynomial in r, then n added to the exponent.
// Coefficients: S. L. Moshier, Cephes, `expf`. 0 below -87.3, e^88.3 above 88.3. NaN stays NaN, which
// clamping alone would lose.
// Twin: exp_f32 in src/engine/cpu/real.rs.
fn exponential(x: f32) -> f32 {
    let clamped = clamp(x, -87.3, 88.3);
    let n = round(clamped * 1.44269504);
    // The clamp changes nothing, and keeps drivers from drawing the two parts of ln 2 together, which
    // would cost two digits at the ends (Mesa does).
    let high = clamp(fma(n, -0.693359375, clamped), -1.0, 1.0);
    let r = fma(n, 2.12194440e-4, high);
    var p = 1.9875691e-4;
    p = fma(p, r, 1.3982e-3);
    p = fma(p, r, 8.333452e-3);
    p = fma(p, r, 4.1665796e-2);
    p = fma(p, r, 1.6666665e-1);
    p = fma(p, r, 0.5);
    let mantissa = fma(p, r * r, r) + 1.0;
    let scale = bitcast<f32>(u32(i32(n) + 127) << 23u);
    let value = select(mantissa * scale, 0.0, x < -87.3);
    return select(value, x, is_nan(x));
}

// tanh x: an odd polynomial below 0.625, else 1 - 2 / (e^2x + 1). Coefficients: Cephes, `tanhf`.
fn hyperbolic_tangent(x: f32) -> f32 {
    let z = x * x;
    var p = -5.7049887e-3;
    p = fma(p, z, 2.063909e-2);
    p = fma(p, z, -5.3739715e-2);
    p = fma(p, z, 1.3331442e-1);
    p = fma(p, z, -3.333328e-1);
    let small = fma(p * z, x, x);
    let magnitude = 1.0 - 2.0 / (exponential(2.0 * abs(x)) + 1.0);
    let large = select(magnitude, -magnitude, x < 0.0);
    return select(large, small, abs(x) < 0.625);
}

// ln x of a normal number above 0: x = m 2^e with m in [sqrt(1/2), sqrt(2)), a polynomial in m - 1.
// Coefficients: Cephes, `logf`.
fn logarithm(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    var e = f32(i32((bits >> 23u) & 0xffu) - 126);
    var m = bitcast<f32>((bits & 0x007fffffu) | 0x3f000000u);
    if (m < 0.70710678) {
        m = m + m;
        e = e - 1.0;
    }
    let f = m - 1.0;
    var p = 7.0376836e-2;
    p = fma(p, f, -1.1514610e-1);
    p = fma(p, f, 1.1676998e-1);
    p = fma(p, f, -1.2420141e-1);
    p = fma(p, f, 1.4249323e-1);
    p = fma(p, f, -1.6668057e-1);
    p = fma(p, f, 2.0000714e-1);
    p = fma(p, f, -2.4999994e-1);
    p = fma(p, f, 3.3333331e-1);
    let z = f * f;
    var y = f * z * p;
    y = fma(e, -2.12194440e-4, y);
    y = fma(-0.5, z, y);
    return fma(e, 0.693359375, f + y);
}

// 1 - e^x for x <= 0, without cancellation: a Taylor series near 0.
fn one_minus_exponential(x: f32) -> f32 {
    var p = 1.0 / 5040.0;
    p = fma(p, x, 1.0 / 720.0);
    p = fma(p, x, 1.0 / 120.0);
    p = fma(p, x, 1.0 / 24.0);
    p = fma(p, x, 1.0 / 6.0);
    p = fma(p, x, 0.5);
    p = fma(p, x, 1.0);
    return select(1.0 - exponential(x), -(p * x), x > -0.5);
}
