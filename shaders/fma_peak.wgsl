// fma_peak: as many fma a second as the device can do, on registers alone.
//
// An invocation holds 8 chains of vec4s, independent of each other, and makes each 8 x `iterations`
// links longer: v = fma(v, factor, addend). Nothing is loaded or stored until the end. Factor and addend
// come from a uniform, so that no compiler knows what becomes of the chains.
//
// sums [any length] gets the sum of an invocation's chains where there is room, overwritten; a negative
// sum is always stored. There is none, but since that could be, every invocation must do its work.
// Twin: `expected_sum` in src/engine/gpu/peak.rs.
{% include "shared/member.wgsl" %}

struct Chains {
    iterations: u32,
    factor: f32,
    addend: f32,
    unused: u32,
}

@group(0) @binding(0) var<uniform> chains: Chains;
@group(0) @binding(6) var<storage, read_write> sums: array<vec4<f32>>;

@compute @workgroup_size(256)
fn fma_peak(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let at = workgroup_index(group, groups) * 256u + t;
    let factor = vec4<f32>(chains.factor);
    let addend = vec4<f32>(chains.addend);
{% for chain in range(8) %}
    var v_{{ chain }} = vec4<f32>(f32(t) + {{ chain }}.0) + vec4<f32>(0.0, 0.25, 0.5, 0.75);
{% endfor %}
    for (var i = 0u; i < chains.iterations; i++) {
{% for link in range(8) %}
{% for chain in range(8) %}
        v_{{ chain }} = fma(v_{{ chain }}, factor, addend);
{% endfor %}
{% endfor %}
    }
    let sum = v_0 + v_1 + v_2 + v_3 + v_4 + v_5 + v_6 + v_7;
    if (at < arrayLength(&sums) || sum.x < 0.0) {
        sums[at % arrayLength(&sums)] = sum;
    }
}
