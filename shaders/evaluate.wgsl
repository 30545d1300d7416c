// evaluate: losses and confusion counts of rows whose logits are known.
//
// logits [rows][classes]; partials [blocks]: cross-entropy in nats, summed over 16 rows, as bits (NaN
// where a logit is not finite); counts [members][2][classes]: rows that were rightly given a class,
// and rows that were given it. Adds to the counts, which are whole numbers: their order means nothing.
//
// A workgroup takes {{ TM }} rows of one member, an invocation one row.
// Twin: `cross_entropy` in src/engine/cpu/softmax_cross_entropy.rs.
{% include "shared/member.wgsl" %}
{% include "shared/functions.wgsl" %}

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(2) var<storage, read> cursors: array<Cursor>;
@group(0) @binding(3) var<storage, read> tiles: array<Tile>;
@group(0) @binding(4) var<storage, read> targets: array<u32>;
@group(0) @binding(5) var<storage, read> logits: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> partials: array<u32>;
@group(0) @binding(7) var<storage, read> orders: array<u32>;
@group(0) @binding(8) var<storage, read_write> counts: array<atomic<u32>>;
{% include "shared/softmax.wgsl" %}

const NOT_A_NUMBER = 0x7fc00000u;
var<workgroup> losses: array<f32, {{ TM }}>;
var<workgroup> sound: array<u32, {{ TM }}>;

fn logits_at(at: u32) -> vec4<f32> {
    return logits[at];
}

fn keep_exponentials(at: u32, e: vec4<f32>) {}

@compute @workgroup_size({{ TM }})
fn evaluate(
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
    var finite = true;
    if (t < rows) {
        let target_class = targets[orders[cursor.first + tile.row + t]];
        let first = (tile.activation_row + t) * layer.output_stride;
        let softmax = softmax_row(first, layer.outputs, target_class);
        loss = softmax.loss;
        finite = softmax.finite;
        let at = 2u * tile.slot * layer.outputs;
        if (softmax.predicted == target_class) {
            atomicAdd(&counts[at + target_class], 1u);
        }
        atomicAdd(&counts[at + layer.outputs + softmax.predicted], 1u);
    }
    losses[t] = loss;
    sound[t] = u32(finite);
    workgroupBarrier();
    if (t < {{ TM // 16 }}u && 16u * t < rows) {
        var sum = 0.0;
        var all_sound = 1u;
        for (var i = 0u; i < 16u; i++) {
            sum += losses[16u * t + i];
            all_sound &= sound[16u * t + i];
        }
        partials[tile.block + t] = select(NOT_A_NUMBER, bitcast<u32>(sum), all_sound == 1u);
    }
}
