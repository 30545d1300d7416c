// end_of_epoch: for each member that has gone through all rows of its fold: the epoch's mean loss, the
// mark of `find_non_finite`, and the beginning of the next epoch.
//
// An invocation does one member.
// Twin: `Slot::train_epoch` in src/engine/cpu/wave.rs.
{% include "shared/member.wgsl" %}
{% include "shared/functions.wgsl" %}
{% include "shared/optimizer.wgsl" %}
{% include "shared/state.wgsl" %}
{% include "shared/step.wgsl" %}

@group(0) @binding(1) var<storage, read> members: array<Member>;
@group(0) @binding(3) var<storage, read> live: array<u32>;
@group(0) @binding(4) var<storage, read> marks: array<u32>;
@group(0) @binding(5) var<storage, read_write> states: array<State>;

@compute @workgroup_size(64)
fn end_of_epoch(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let entry = workgroup_index(group, groups) * 64u + t;
    if (entry >= arrayLength(&live)) {
        return;
    }
    let slot = live[entry];
    let member = members[slot];
    let state = states[slot];
    if (state.diverged != 0u || state.position < member.rows) {
        return;
    }
    states[slot] = ended_epoch(member, state, marks[slot] == 0u);
}
