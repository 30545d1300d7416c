// resident_evaluate: losses and confusion counts of members, one a workgroup, over rows of a part.
//
// A workgroup takes rows `run.first` to `run.first + run.rows` of its member's part, as many at a time as
// the member's batches have room for in the scratch. For these:
//   forward        of each layer     h = f(x W + b), batch norm by the running statistics   resident/forward.wgsl
//   count          of the last       softmax, loss and class of each row                    below
// It trains nothing: weights, states and running statistics are only read. Where things are:
// shaders/resident.wgsl.
//
// `orders` begins with two words a fold: where its rows begin in `orders`, and how many there are.
// `results` [members][results_stride]: rows that were rightly given each class, rows that were given each
// class, then for each 16 rows the cross-entropy in nats, summed, as bits (NaN where a logit is not
// finite). Counts are added to what is there. A member that diverged or is no longer kept has none.
//
// Every value is the same chain or sum as in the layered kernels.
// Twin: src/engine/cpu/network.rs, `Workspace::evaluate`.
{% include "resident/common.wgsl" %}
{% include "shared/state.wgsl" %}

@group(0) @binding(7) var<storage, read> states: array<State>;
@group(0) @binding(8) var<storage, read> values: array<vec4<f32>>;
@group(0) @binding(9) var<storage, read_write> results: array<atomic<u32>>;
@group(0) @binding(10) {{ "@coherent " if coherent }}var<storage, read_write> scratch: array<vec4<f32>>;
{% if batch_norm %}
{% include "resident/batch_norm_running.wgsl" %}
{% endif %}
{% include "resident/forward.wgsl" %}
{% if direct %}
{% include "resident/direct.wgsl" %}
{% endif %}

const LOSS_ROWS = {{ LOSS_ROWS }}u;
const NOT_A_NUMBER = 0x7fc00000u;
// Below any cross-entropy.
const UNSOUND = -1e30;
var<workgroup> row_losses: array<f32, {{ LOSS_ROWS }}>;

fn logits_at(at: u32) -> vec4<f32> {
    return scratch[at];
}

fn keep_exponentials(at: u32, e: vec4<f32>) {}
{% include "shared/softmax.wgsl" %}

// Adds a row to the counts that begin at `counts`; its loss.
fn counted_row(layer: ResidentLayer, step: Step, row: u32, counts: u32) -> f32 {
    let first = rows_at(step, layer.h) + row * layer.output_stride;
    let target_class = targets[orders[step.batch.first + row]];
    let softmax = softmax_row(first, layer.outputs, target_class);
    if (softmax.predicted == target_class) {
        atomicAdd(&results[counts + target_class], 1u);
    }
    atomicAdd(&results[counts + layer.outputs + softmax.predicted], 1u);
    return select(UNSOUND, softmax.loss, softmax.finite);
}

// The loss of a block of 16 rows, as bits.
fn block_loss(block: u32) -> u32 {
    var sum = 0.0;
    var sound = true;
    for (var i = 0u; i < 16u; i++) {
        let loss = row_losses[16u * block + i];
        sum += loss;
        sound = sound && loss > UNSOUND;
    }
    return select(NOT_A_NUMBER, bitcast<u32>(sum), sound);
}

// The rows of `step`, of which the first is row `first` of the part.
fn count(layer: ResidentLayer, slot: u32, step: Step, first: u32, t: u32) {
    let counts = slot * run.results_stride;
    let losses = counts + 2u * layer.outputs;
    for (var at = 0u; at < step.batch.rows; at += LOSS_ROWS) {
        for (var r = t; r < LOSS_ROWS; r += THREADS) {
            var of_row = 0.0;
            if (at + r < step.batch.rows) {
                of_row = counted_row(layer, step, at + r, counts);
            }
            row_losses[r] = of_row;
        }
        workgroupBarrier();
        for (var block = t; block < LOSS_ROWS / 16u; block += THREADS) {
            if (at + 16u * block < step.batch.rows) {
                atomicStore(&results[losses + (first + at) / 16u + block], block_loss(block));
            }
        }
        workgroupBarrier();
    }
    // The next rows take the place of these.
    storageBarrier();
}

@compute @workgroup_size({{ THREADS }})
fn resident_evaluate(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let slot = slot_of(workgroup_index(group, groups));
    if (!takes_part(slot)) {
        return;
    }
    let scaling_of = members[slot].scaling;
    let begin = orders[2u * scaling_of];
    let until = min(orders[2u * scaling_of + 1u], run.first + run.rows);
    if (states[slot].released != 0u || states[slot].diverged != 0u || run.first >= until) {
        return;
    }
    if (t == 0u) {
        own = members[slot];
    }
    let member = workgroupUniformLoad(&own);
    var step = step_of(slot, member, Cursor(0u, 0u, 0u, 0u, 0.0, 0.0, 0.0, 0u));
    load_weights(step, t);
    let last = layer_count(step) - 1u;
    for (var first = run.first; first < until; first += step.padded_rows) {
        step.batch.first = begin + first;
        step.batch.rows = min(step.padded_rows, until - first);
{% if direct %}
        gather_inputs(step, t);
        storageBarrier();
{% endif %}
{% if written %}
{% for layer in written %}
        forward({{ loop.index0 }}u, step, t);
{% endfor %}
{% else %}
        for (var l = 0u; l <= last; l++) {
            forward(l, step, t);
        }
{% endif %}
        count(layer_of(step, last), slot, step, first, t);
    }
}
