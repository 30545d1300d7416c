// update: the optimizer's update of a member's parameters from gradients in an arena, in place.
//
// The form that a norm of all gradients needs before any is applied. Parameters, gradients and moments
// lie alike: `stride` vec4s a member. A workgroup takes 256 vec4s of one member, an invocation one.
// Twin: src/engine/cpu/update.rs.
{% include "shared/member.wgsl" %}
{% include "shared/functions.wgsl" %}
{% include "shared/optimizer.wgsl" %}

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(1) var<storage, read> members: array<Member>;
@group(0) @binding(2) var<storage, read> cursors: array<Cursor>;
@group(0) @binding(3) var<storage, read> live: array<u32>;
@group(0) @binding(4) var<storage, read> gradients: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> weights: array<vec4<f32>>;
@group(0) @binding(9) var<storage, read_write> moments: array<vec4<f32>>;
{% include "shared/apply_update.wgsl" %}

@compute @workgroup_size(256)
fn update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let work = workgroup_index(group, groups);
    let tiles = (layer.member_stride + 255u) / 256u;
    let entry = work / tiles;
    let at = (work % tiles) * 256u + t;
    if (entry >= arrayLength(&live) || at >= layer.member_stride) {
        return;
    }
    let slot = live[entry];
    let cursor = cursors[slot];
    if (cursor.rows == 0u) {
        return;
    }
    apply_update(
        members[slot], cursor, slot, layer.member_stride, at,
        gradients[slot * layer.member_stride + at]);
}
