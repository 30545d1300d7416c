// find_non_finite: marks the members one of whose values is infinite or NaN.
//
// values: `stride` vec4s a member; marks [members]: set to 1, never cleared here. A workgroup takes one
// member's values, 64 vec4s at a time.
// Twin: `Network::is_finite` in src/engine/cpu/network.rs.
{% include "shared/member.wgsl" %}
{% include "shared/functions.wgsl" %}

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(3) var<storage, read> live: array<u32>;
@group(0) @binding(4) var<storage, read> values: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> marks: array<atomic<u32>>;

@compute @workgroup_size(64)
fn find_non_finite(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let entry = workgroup_index(group, groups);
    if (entry >= arrayLength(&live)) {
        return;
    }
    let slot = live[entry];
    var finite = true;
    for (var i = t; i < layer.member_stride; i += 64u) {
        let v = values[slot * layer.member_stride + i];
        finite = finite && is_finite(v.x) && is_finite(v.y) && is_finite(v.z) && is_finite(v.w);
    }
    if (!finite) {
        atomicStore(&marks[slot], 1u);
    }
}
