// Optimizer updates with PyTorch's formulas (documentation of torch.optim: SGD, Adam, RMSprop); only
// those that the kernel is compiled for.
// Twin: src/engine/cpu/update.rs.

const SGD = 0u;
const SGD_MOMENTUM = 1u;
const SGD_NESTEROV = 2u;
const ADAM = 3u;
const RMSPROP = 4u;
const RMSPROP_MOMENTUM = 5u;

// Values kept per parameter beside the parameter itself.
fn moments_of(optimizer: u32) -> u32 {
    switch optimizer {
        case SGD: { return 0u; }
        case SGD_MOMENTUM, SGD_NESTEROV, RMSPROP: { return 1u; }
        default: { return 2u; }
    }
}

struct Updated {
    parameter: vec4<f32>,
    moment_1: vec4<f32>,
    moment_2: vec4<f32>,
}

// Moments below 1e-30 are 0, as on the cpu, where numbers that small are slow.
fn flush(x: vec4<f32>) -> vec4<f32> {
    return select(x, vec4<f32>(0.0), abs(x) < vec4<f32>(1e-30));
}

fn square(g: vec4<f32>) -> vec4<f32> {
    let x = select(g, vec4<f32>(0.0), abs(g) < vec4<f32>(1e-15));
    return x * x;
}

// 1 / (sqrt(x) + epsilon) of a moment, which is 0 or above 1e-30. The root is x / sqrt(x), and its sum with
// epsilon is one fma, so that drivers have nothing to draw together, one here and another there. Of infinity
// the root is that of the largest number, and of NaN any number: the gradient is NaN too.
fn inverse_root(x: vec4<f32>, epsilon: f32) -> vec4<f32> {
    let bounded = min(x, vec4<f32>(3.4e38));
    let inverse = inverseSqrt(max(bounded, vec4<f32>(1e-30)));
    return 1.0 / fma(bounded, inverse, vec4<f32>(epsilon));
}

// Factors of one update: Adam's bias corrections are drawn into step size and epsilon.
// 1 - beta^t is taken from ln beta, since in f32 it would cancel.
fn step_factors(member: Member, steps: u32) -> vec2<f32> {
    if (member.optimizer != ADAM) {
        return vec2<f32>(member.learning_rate, member.epsilon);
    }
    let t = f32(steps);
    let correction_1 = one_minus_exponential(t * member.ln_beta_1);
    let root_correction_2 = sqrt(one_minus_exponential(t * member.ln_beta_2));
    return vec2<f32>(
        member.learning_rate * root_correction_2 / correction_1,
        member.epsilon * root_correction_2);
}

fn optimizer_update(
    member: Member, step_size: f32, epsilon: f32,
    p: vec4<f32>, g: vec4<f32>, moment_1: vec4<f32>, moment_2: vec4<f32>,
) -> Updated {
    switch member.optimizer {
{% if "sgd" in optimizers %}
        case SGD: {
            return Updated(fma(vec4<f32>(-step_size), g, p), moment_1, moment_2);
        }
{% endif %}
{% if "sgd_momentum" in optimizers %}
        case SGD_MOMENTUM: {
            let v = flush(fma(vec4<f32>(member.momentum), moment_1, g));
            return Updated(fma(vec4<f32>(-step_size), v, p), v, moment_2);
        }
{% endif %}
{% if "sgd_nesterov" in optimizers %}
        case SGD_NESTEROV: {
            let v = flush(fma(vec4<f32>(member.momentum), moment_1, g));
            let direction = fma(vec4<f32>(member.momentum), v, g);
            return Updated(fma(vec4<f32>(-step_size), direction, p), v, moment_2);
        }
{% endif %}
{% if "adam" in optimizers %}
        case ADAM: {
            let m = flush(fma(g - moment_1, vec4<f32>(member.one_minus_beta_1), moment_1));
            let v = flush(fma(
                vec4<f32>(member.beta_2), moment_2, member.one_minus_beta_2 * square(g)));
            return Updated(fma(-step_size * m, inverse_root(v, epsilon), p), m, v);
        }
{% endif %}
{% if "rmsprop" in optimizers %}
        case RMSPROP: {
            let s = flush(fma(
                vec4<f32>(member.beta_2), moment_1, member.one_minus_beta_2 * square(g)));
            return Updated(fma(-step_size * g, inverse_root(s, epsilon), p), s, moment_2);
        }
{% endif %}
{% if "rmsprop_momentum" in optimizers %}
        case RMSPROP_MOMENTUM: {
            let s = flush(fma(
                vec4<f32>(member.beta_2), moment_1, member.one_minus_beta_2 * square(g)));
            let v = flush(fma(vec4<f32>(member.momentum), moment_2, g * inverse_root(s, epsilon)));
            return Updated(fma(vec4<f32>(-step_size), v, p), s, v);
        }
{% endif %}
        default: {
            return Updated(p, moment_1, moment_2);
        }
    }
}
