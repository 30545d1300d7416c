// step: between the forward and the backward pass of a step. Sums each member's loss, decides whether
// the step is sound, counts it, and moves on: `backward` becomes the batch that the backward kernels
// update for (rows 0 where the step is not sound), `forward` the next batch.
//
// A step whose mean loss is not finite or above {{ MOST_LOSS }} nats changes nothing and freezes the
// member. An invocation does one member. Blocks of the loss are added in their order; the epoch's sum
// carries what rounding loses (Dekker's two-sum).
// Twin: `Slot::train_epoch` in src/engine/cpu/wave.rs.
{% include "shared/member.wgsl" %}
{% include "shared/functions.wgsl" %}
{% include "shared/optimizer.wgsl" %}
{% include "shared/state.wgsl" %}

@group(0) @binding(1) var<storage, read> members: array<Member>;
@group(0) @binding(3) var<storage, read> live: array<u32>;
@group(0) @binding(4) var<storage, read> partials: array<f32>;
@group(0) @binding(5) var<storage, read_write> states: array<State>;
@group(0) @binding(6) var<storage, read_write> forward: array<Cursor>;
@group(0) @binding(7) var<storage, read_write> backward: array<Cursor>;

const MOST_LOSS = {{ MOST_LOSS }};

// The batch at `position` of the epoch.
fn cursor_at(member: Member, state: State) -> Cursor {
    let rows = min(member.batch_size, member.rows - state.position);
    let live = select(rows, 0u, state.diverged != 0u);
    return Cursor(
        member.order_start + state.position, live, state.steps, member.scaling,
        0.0, 0.0, 1.0 / f32(max(live, 1u)), 0u);
}

fn batch_loss(first_row: u32, rows: u32) -> f32 {
    var loss = 0.0;
    for (var block = 0u; 16u * block < rows; block++) {
        loss += partials[first_row / 16u + block];
    }
    return loss;
}

fn counted(before: State, rows: u32, loss: f32) -> State {
    var state = before;
    state.steps += 1u;
    state.position += rows;
    state.samples_low += rows;
    state.samples_high += u32(state.samples_low < rows);
    let large = max(state.loss_sum, loss);
    let small = min(state.loss_sum, loss);
    // `max` changes nothing, and keeps drivers from finding by algebra that nothing is lost (Mesa does).
    let sum = max(large + small, large);
    state.loss_rest += small - (sum - large);
    state.loss_sum = sum;
    return state;
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
    var cursor = forward[slot];
    if (cursor.rows == 0u) {
        backward[slot].rows = 0u;
        return;
    }
    let member = members[slot];
    let loss = batch_loss(member.first_row, cursor.rows);
    let sound = is_finite(loss) && loss <= MOST_LOSS * f32(cursor.rows);
    var state = states[slot];
    if (sound) {
        state = counted(state, cursor.rows, loss);
        let factors = step_factors(member, state.steps);
        cursor.step_size = factors.x;
        cursor.epsilon = factors.y;
    } else {
        state.diverged = 1u;
        cursor.rows = 0u;
    }
    states[slot] = state;
    backward[slot] = cursor;
    forward[slot] = cursor_at(member, state);
}
