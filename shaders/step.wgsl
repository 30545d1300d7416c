// step: between the forward and the backward pass of a step. Sums each member's loss, decides whether
// the step is sound, counts it, and moves on: `backward` becomes the batch that the backward kernels
// update for (rows 0 where the step is not sound), `forward` the next batch.
//
// A step whose mean loss is not finite or above {{ MOST_LOSS }} nats changes nothing and freezes the
// member. An invocation does one member. Blocks of the loss are added in their order.
// Twin: `Slot::train_epoch` in src/engine/cpu/wave.rs.
{% include "shared/member.wgsl" %}
{% include "shared/functions.wgsl" %}
{% include "shared/optimizer.wgsl" %}
{% include "shared/state.wgsl" %}
{% include "shared/step.wgsl" %}

@group(0) @binding(1) var<storage, read> members: array<Member>;
@group(0) @binding(3) var<storage, read> live: array<u32>;
@group(0) @binding(4) var<storage, read> partials: array<f32>;
@group(0) @binding(5) var<storage, read_write> states: array<State>;
@group(0) @binding(6) var<storage, read_write> forward: array<Cursor>;
@group(0) @binding(7) var<storage, read_write> backward: array<Cursor>;

fn batch_loss(first_row: u32, rows: u32) -> f32 {
    var loss = 0.0;
    for (var block = 0u; 16u * block < rows; block++) {
        loss += partials[first_row / 16u + block];
    }
    return loss;
}

@compute @workgroup_size(64)
fn step(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let entry = workgroup_index(group, groups) * 64u + t;
    if (entry >= arrayLength(&live)) {
        return;
    }
    let slot = live[entry];
    let cursor = forward[slot];
    if (cursor.rows == 0u) {
        backward[slot].rows = 0u;
        return;
    }
    let member = members[slot];
    let loss = batch_loss(member.first_row, cursor.rows);
    let after = judged(member, states[slot], cursor, loss);
    states[slot] = after.state;
    backward[slot] = after.cursor;
    forward[slot] = cursor_at(member, after.state);
}
