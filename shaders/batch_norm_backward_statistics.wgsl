// batch_norm_backward_statistics: dbeta = the sum of dy, dgamma = the sum of dy * n over the rows, where
// n is the normalized value; then
{% if arena %}
// both are written to the gradients (overwritten), for `update`;
{% else %}
// the optimizer's update of gamma, beta and their moments, in place;
{% endif %}
// and the running statistics are moved towards those of the batch.
//
// z, dy [rows][units]; statistics [members][2][units]: mean and variance of the batch; sums
// [members][3][units]: dbeta, dgamma, and gamma / deviation from before the update (overwritten);
// running [members][2][units]: in place, mean and unbiased variance. One row has no such variance, so
// that it leaves the running one.
//
// A workgroup takes 32 units of one member. An invocation sums one block of 16 rows of 4 units; the first
// of each 8 adds the blocks in their order.
// Twin: src/engine/cpu/batch_norm_backward.rs.
{% include "shared/member.wgsl" %}
{% include "shared/functions.wgsl" %}
{% include "shared/optimizer.wgsl" %}
{% include "shared/batch_norm.wgsl" %}

fn z_at(at: u32) -> vec4<f32> {
    return z[at];
}
{% include "shared/batch_norm_blocks.wgsl" %}
{% include "shared/batch_norm_running.wgsl" %}

// A workgroup has 8 groups of 4 units, and for each 8 invocations that take blocks in turn.
const GROUP_COLUMNS = 8u;
const GROUP_BLOCKS = 8u;

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(1) var<storage, read> members: array<Member>;
@group(0) @binding(2) var<storage, read> cursors: array<Cursor>;
@group(0) @binding(3) var<storage, read> live: array<u32>;
@group(0) @binding(4) var<storage, read> statistics: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> z: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> sums: array<vec4<f32>>;
@group(0) @binding(10) var<storage, read_write> running: array<vec4<f32>>;
{% if arena %}
@group(0) @binding(6) var<storage, read_write> gradients: array<vec4<f32>>;
@group(0) @binding(11) var<storage, read> weights: array<vec4<f32>>;

fn finish(member: Member, cursor: Cursor, slot: u32, at: u32, gradient: vec4<f32>) {
    gradients[2u * slot * layer.output_stride + at] = gradient;
}
{% else %}
@group(0) @binding(6) var<storage, read_write> weights: array<vec4<f32>>;
@group(0) @binding(9) var<storage, read_write> moments: array<vec4<f32>>;
{% include "shared/apply_update.wgsl" %}

fn finish(member: Member, cursor: Cursor, slot: u32, at: u32, gradient: vec4<f32>) {
    apply_update(member, cursor, slot, 2u * layer.output_stride, at, gradient);
}
{% endif %}

var<workgroup> block_dbeta: array<vec4<f32>, 64>;
var<workgroup> block_dgamma: array<vec4<f32>, 64>;

fn move_running(at: u32, towards: vec4<f32>) {
    running[at] = moved(running[at], towards);
}

@compute @workgroup_size(64)
fn batch_norm_backward_statistics(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let work = workgroup_index(group, groups);
    let entry = work / layer.column_tiles;
    if (entry >= arrayLength(&live)) {
        return;
    }
    let slot = live[entry];
    let cursor = cursors[slot];
    if (cursor.rows == 0u) {
        return;
    }
    let member = members[slot];
    let lane = t / GROUP_COLUMNS;
    let column_4 = (work % layer.column_tiles) * GROUP_COLUMNS + t % GROUP_COLUMNS;
    let inside = column_4 < layer.output_stride;
    let of_member = 2u * slot * layer.output_stride + column_4;
    var mean = vec4<f32>(0.0);
    var variance = vec4<f32>(0.0);
    if (inside) {
        mean = statistics[of_member];
        variance = statistics[of_member + layer.output_stride];
    }
    let inverse = inverse_deviation(variance);
    var dbeta = vec4<f32>(0.0);
    var dgamma = vec4<f32>(0.0);
    for (var round = 0u; round < cursor.rows; round += BLOCK_ROWS * GROUP_BLOCKS) {
        let begin = round + BLOCK_ROWS * lane;
        let count = block_rows(begin, cursor.rows);
        var beta_sum = vec4<f32>(0.0);
        var gamma_sum = vec4<f32>(0.0);
        if (inside) {
            for (var r = 0u; r < count; r++) {
                let at = (member.first_row + begin + r) * layer.output_stride + column_4;
                beta_sum += dy[at];
                gamma_sum = fma(dy[at], normalized(z[at], mean, inverse), gamma_sum);
            }
        }
        block_dbeta[t] = beta_sum;
        block_dgamma[t] = gamma_sum;
        workgroupBarrier();
        if (lane == 0u) {
            for (var b = 0u; b < GROUP_BLOCKS; b++) {
                dbeta += block_dbeta[b * GROUP_COLUMNS + t];
                dgamma += block_dgamma[b * GROUP_COLUMNS + t];
            }
        }
        workgroupBarrier();
    }
    if (lane == 0u && inside) {
        let at = 3u * slot * layer.output_stride + column_4;
        sums[at] = dbeta;
        sums[at + layer.output_stride] = dgamma;
        sums[at + 2u * layer.output_stride] = weights[of_member] * inverse;
        finish(member, cursor, slot, column_4, dgamma);
        finish(member, cursor, slot, layer.output_stride + column_4, dbeta);
        move_running(of_member, mean);
        if (cursor.rows > 1u) {
            let freedom = f32(cursor.rows) / f32(cursor.rows - 1u);
            move_running(of_member + layer.output_stride, variance * freedom);
        }
    }
}
