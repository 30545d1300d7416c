// Activations and their derivatives; only those that the kernel is compiled for. Twin: src/engine/cpu/activation.rs.

const RELU = 0u;
const TANH = 1u;
const SIGMOID = 2u;
const IDENTITY = 3u;

// 1 / (1 + e^-x) from e^-|x|, which cannot overflow.
fn sigmoid(x: f32) -> f32 {
    let e = exponential(-abs(x));
    let positive = 1.0 / (1.0 + e);
    return select(positive, e * positive, x < 0.0);
}

// From -0 to minus infinity, by the bits: from a comparison drivers make a maximum, which loses NaN
// (Mesa does).
fn is_negative(z: vec4<f32>) -> vec4<bool> {
    let beyond_sign = bitcast<vec4<u32>>(z) - vec4<u32>(0x80000000u);
    return beyond_sign <= vec4<u32>(0x7f800000u);
}

// h = f(z). NaN stays NaN, also through relu.
fn activate(z: vec4<f32>, activation: u32) -> vec4<f32> {
    switch activation {
{% if "relu" in activations %}
        case RELU: {
            return select(z, vec4<f32>(0.0), is_negative(z));
        }
{% endif %}
{% if "tanh" in activations %}
        case TANH: {
            return vec4<f32>(
                hyperbolic_tangent(z.x), hyperbolic_tangent(z.y),
                hyperbolic_tangent(z.z), hyperbolic_tangent(z.w));
        }
{% endif %}
{% if "sigmoid" in activations %}
        case SIGMOID: {
            return vec4<f32>(sigmoid(z.x), sigmoid(z.y), sigmoid(z.z), sigmoid(z.w));
        }
{% endif %}
        default: {
            return z;
        }
    }
}

// dh * f'(z), from h = f(z).
fn activate_backward(dh: vec4<f32>, h: vec4<f32>, activation: u32) -> vec4<f32> {
    switch activation {
{% if "relu" in activations %}
        case RELU: {
            return select(vec4<f32>(0.0), dh, h > vec4<f32>(0.0));
        }
{% endif %}
{% if "tanh" in activations %}
        case TANH: {
            return dh * fma(-h, h, vec4<f32>(1.0));
        }
{% endif %}
{% if "sigmoid" in activations %}
        case SIGMOID: {
            return dh * (h * (1.0 - h));
        }
{% endif %}
        default: {
            return dh;
        }
    }
}
