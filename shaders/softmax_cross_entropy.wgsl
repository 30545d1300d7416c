// softmax_cross_entropy: in place of the logits the gradient of the batch's mean cross-entropy,
// (softmax - one hot) / rows; and the cross-entropy in nats, summed over blocks of 16 rows.
//
// logits [rows][classes]; partials [blocks]: a block's sum, or infinity where a logit is not finite.
//
// A workgroup takes {{ TM }} rows of one member, an invocation one row. Sums over classes ascend; a
// block's rows are summed in their order.
// Twin: src/engine/cpu/softmax_cross_entropy.rs.
{% include "shared/member.wgsl" %}
{% include "shared/functions.wgsl" %}

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(2) var<storage, read> cursors: array<Cursor>;
@group(0) @binding(3) var<storage, read> tiles: array<Tile>;
@group(0) @binding(4) var<storage, read> targets: array<u32>;
@group(0) @binding(5) var<storage, read_write> logits: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> partials: array<f32>;
@group(0) @binding(7) var<storage, read> orders: array<u32>;
{% include "shared/softmax.wgsl" %}

// Above any loss that a sound step may have, so that the step is refused.
const UNSOUND = 3e38;
var<workgroup> losses: array<f32, {{ TM }}>;

fn logits_at(at: u32) -> vec4<f32> {
    return logits[at];
}

fn keep_exponentials(at: u32, e: vec4<f32>) {
    logits[at] = e;
}

@compute @workgroup_size({{ TM }})
fn softmax_cross_entropy(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let entry = workgroup_index(group, groups);
    if (entry >= arrayLength(&tiles)) {
        return;
    }
    let tile = tiles[entry];
    let cursor = cursors[tile.slot];
    if (tile.row >= cursor.rows) {
        return;
    }
    let rows = min(cursor.rows - tile.row, {{ TM }}u);
    var loss = 0.0;
    if (t < rows) {
        let first = (tile.activation_row + t) * layer.output_stride;
        let target_class = targets[orders[cursor.first + tile.row + t]];
        let softmax = softmax_row(first, layer.outputs, target_class);
        loss = select(UNSOUND, softmax.loss, softmax.finite);
        for (var c4 = 0u; c4 < layer.output_stride; c4++) {
            logits[first + c4] = softmax_gradient(
                logits[first + c4], softmax, c4, layer.outputs, target_class, cursor.inverse_rows);
        }
    }
    losses[t] = loss;
    workgroupBarrier();
    if (t < {{ TM // 16 }}u && 16u * t < rows) {
        var sum = 0.0;
        for (var i = 0u; i < 16u; i++) {
            sum += losses[16u * t + i];
        }
        partials[tile.block + t] = sum;
    }
}
