// check_functions: the functions of shared/functions.wgsl, shared/activation.wgsl and
// shared/dropout.wgsl, value by value. No engine runs it; `regatta check` does.
//
// x [n]; values [n][8]: e^x, tanh x, ln |x|, 1 - e^-|x|, relu x, sigmoid x, tanh and identity as
// activations; counters and keys [m] of Philox; words [m]. An invocation does one x and one counter.
// Twins: src/engine/cpu/real.rs, and Random123's known answers.
{% include "shared/member.wgsl" %}
{% include "shared/functions.wgsl" %}
{% include "shared/activation.wgsl" %}
{% include "shared/dropout.wgsl" %}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> values: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> counters: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> keys: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read_write> words: array<vec4<u32>>;

@compute @workgroup_size(64)
fn check_functions(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let i = workgroup_index(group, groups) * 64u + t;
    if (i < arrayLength(&x)) {
        let at = x[i];
        values[2u * i] = vec4<f32>(
            exponential(at), hyperbolic_tangent(at),
            logarithm(abs(at)), one_minus_exponential(-abs(at)));
        values[2u * i + 1u] = vec4<f32>(
            activate(vec4<f32>(at), RELU).x, activate(vec4<f32>(at), SIGMOID).y,
            activate(vec4<f32>(at), TANH).z, activate(vec4<f32>(at), IDENTITY).w);
    }
    if (i < arrayLength(&counters)) {
        words[i] = philox4x32(counters[i], keys[i]);
    }
}
