// resident: trains members, one a workgroup, through many steps in one dispatch.
//
// The layered kernels make one step of all members in a dozen dispatches; here a workgroup makes all
// steps of its member: until the member's epoch ends or it has trained on `run.rows` rows. Members have
// nothing to wait for but themselves, so that any mix of shapes, batch sizes and optimizers is one dispatch.
//
// How to read it. A step is, in this order, with a barrier of the workgroup behind each{{ ", but where it says at once" if direct }}:
//   forward        of each layer     h = dropout(f(x W + b)), or z = x W, then batch norm  resident/forward.wgsl
//   loss           of the last       softmax, its gradient in place of the logits          resident/loss.wgsl
{% if judges_late %}
//   judge                            is the loss sound; the step is counted: by one invocation, while the others
//                                    go on with the gradients                              shared/step.wgsl
{% else %}
//   judge                            is the loss sound; the step is counted                shared/step.wgsl
{% endif %}
//   backward_input of each but the first, from the last    dz from dy and the old W        resident/backward_input.wgsl
{% if direct %}
//   backward_weights of each, biases dW and db, into the scratch, at once                  resident/direct.wgsl
//   update_parameters                the optimizer's update of all, and at once
//   gather_inputs                    the rows of the next batch, scaled, into the scratch
// All gradients come before the update, so that they read the old weights.
{% else %}
//   backward_weights of each         dW, db, and at once the optimizer's update            resident/backward_weights.wgsl
// All gradients of inputs come before the first update, so that they read the old weights, and gradients
// of weights never leave the registers.
{% endif %}
// Shapes are data: one pipeline trains networks of any depth and width in one dispatch, and each member says which
// layers of the table are its own. What is compiled in is how results are cut into tiles (resident/tiles.wgsl), and
// nothing but what some member of the wave needs.{{ " The tiles of the three products are in resident/direct.wgsl." if direct }}
//
// Where things are:
//   weights        {{ "in the arena, loaded at the start of the dispatch and stored at its end" if in_arena else "in storage, read there" if direct else "in storage; tiles of them are staged in the arena" }}
//   activations, logits and their gradients    in the member's part of `scratch`, [rows of the batch][units]
//   inputs         in the dataset, scaled as they are {{ "gathered" if direct else "staged" }}
//   the member, its state, its batch and the next    in the workgroup's memory
//   moments        in storage; each is read and written by one invocation alone
//   running statistics, and gamma and beta of batch norm    in storage, each with one invocation
// What one invocation writes and another reads goes through the arena, or through a buffer{{ " that is
// marked coherent: this driver is not known to order plain storage by barriers" if coherent else ", which barriers order" }}.
//
// Every value is one chain of fma (resident/chains.wgsl), or a sum of fixed order, the same as in the layered
// kernels: both engines compute the same bits wherever a driver translates the same expressions alike.
//
// `arena` is {{ "what batch norm exchanges" if direct else "all of the workgroup's memory but a few words: first what is staged, then the weights" }}.
{% include "resident/common.wgsl" %}
{% if dropout %}
{% include "shared/dropout.wgsl" %}
{% endif %}
{% include "shared/optimizer.wgsl" %}
{% include "shared/state.wgsl" %}
{% include "shared/step.wgsl" %}

@group(0) @binding(7) var<storage, read_write> states: array<State>;
@group(0) @binding(8) {{ "@coherent " if coherent and not in_arena }}var<storage, read_write> values: array<vec4<f32>>;
@group(0) @binding(9) var<storage, read_write> moments: array<vec4<f32>>;
@group(0) @binding(10) {{ "@coherent " if coherent }}var<storage, read_write> scratch: array<vec4<f32>>;

// What the invocation that leads tells the others: the batch that they are at, with the optimizer's factors or,
// where its loss is not sound, without rows; and the next.
struct Plan {
    batch: Cursor,
    next: Cursor,
}

var<workgroup> plan: Plan;
// Only the invocation that leads counts.
var<workgroup> state: State;
// 1: a parameter or a running statistic is not finite.
var<workgroup> mark: atomic<u32>;
{% include "shared/updated_parameter.wgsl" %}
{% if batch_norm %}
{% include "resident/batch_norm.wgsl" %}
{% endif %}
{% include "resident/forward.wgsl" %}
{% include "resident/loss.wgsl" %}
{% include "resident/backward_input.wgsl" %}
{% include "resident/backward_weights.wgsl" %}
{% if direct %}
{% include "resident/direct.wgsl" %}
{% endif %}

// The last invocation leads: products leave it idle more often than the first.
fn leads(t: u32) -> bool {
    return t == THREADS - 1u;
}

// Whether the loss of the step's batch is sound; and the next batch.
fn judge(step: Step, loss: f32) {
    let after = judged(own, state, step.batch, loss);
    state = after.state;
    plan.batch = after.cursor;
    plan.next = cursor_at(own, after.state);
}

@compute @workgroup_size({{ THREADS }})
fn resident(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let slot = slot_of(workgroup_index(group, groups));
    if (!takes_part(slot)) {
        return;
    }
    if (leads(t)) {
        own = members[slot];
        state = states[slot];
        let trains = state.released == 0u && state.diverged == 0u && state.epoch == run.epoch;
        plan.next = cursor_at(own, state);
        plan.next.rows = select(0u, plan.next.rows, trains);
        atomicStore(&mark, 0u);
    }
    var next = workgroupUniformLoad(&plan).next;
    if (next.rows == 0u) {
        return;
    }
    let member = workgroupUniformLoad(&own);
    let begun = step_of(slot, member, next);
    load_weights(begun, t);
{% if direct %}
    gather_inputs(begun, t);
    storageBarrier();
{% endif %}
    let last = layer_count(begun) - 1u;
    var done = 0u;
    var steps = 0u;
    loop {
        var step = step_of(slot, member, next);
{% if written %}
{% for layer in written %}
        forward({{ loop.index0 }}u, step, t);
{% endfor %}
{% else %}
        for (var l = 0u; l <= last; l++) {
            forward(l, step, t);
        }
{% endif %}
        let loss = loss_and_gradient(layer_of(step, last), step, t);
        if (leads(t)) {
            judge(step, loss);
        }
{% if not judges_late %}
        let planned = workgroupUniformLoad(&plan);
        step.batch = planned.batch;
        if (step.batch.rows == 0u) {
            break;
        }
{% endif %}
{% if written %}
{% for layer in written | reverse %}
{% if not loop.last %}
        backward_input({{ loop.revindex0 }}u, step, t);
{% endif %}
{% endfor %}
{% for layer in written %}
        backward_weights({{ loop.index0 }}u, step, t);
{% endfor %}
{% else %}
        for (var l = last; l > 0u; l--) {
            backward_input(l, step, t);
        }
        for (var l = 0u; l <= last; l++) {
            backward_weights(l, step, t);
        }
{% endif %}
{% if direct %}
        backward_biases(step, t);
        storageBarrier();
{% endif %}
{% if judges_late %}
        let planned = workgroupUniformLoad(&plan);
        step.batch = planned.batch;
        if (step.batch.rows == 0u) {
            break;
        }
{% endif %}
        next = planned.next;
{% if direct %}
        update_parameters(step, t);
        gather_inputs(step_of(slot, member, next), t);
{% endif %}
{% if not in_arena %}
        // The next step reads weights that other invocations have written.
        storageBarrier();
{% endif %}
        done += step.batch.rows;
        steps += 1u;
        if (next.rows == 0u || done >= run.rows || steps >= run.steps) {
            break;
        }
    }
    let epoch_ends = done > 0u && next.rows == 0u;
    let finite = store_weights(begun, epoch_ends, t);
    if (leads(t)) {
        if (epoch_ends) {
            state = ended_epoch(own, state, finite);
        }
        states[slot] = state;
    }
}
