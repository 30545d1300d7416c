// batch_norm_statistics: mean and (biased) variance of each unit over the batch, overwritten.
//
// z [rows][units]; statistics [members][2][units]: means, then variances.
//
// A workgroup takes 32 units of one member. An invocation measures one block of 16 rows of 4
// units in two passes (mean, squares of what is left); the first of each 8 merges the blocks in their
// order.
// Twin: src/engine/cpu/batch_norm_forward.rs.
{% include "shared/member.wgsl" %}
{% include "shared/functions.wgsl" %}
{% include "shared/batch_norm.wgsl" %}

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(1) var<storage, read> members: array<Member>;
@group(0) @binding(2) var<storage, read> cursors: array<Cursor>;
@group(0) @binding(3) var<storage, read> live: array<u32>;
@group(0) @binding(4) var<storage, read> z: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> statistics: array<vec4<f32>>;

var<workgroup> block_mean: array<vec4<f32>, 64>;
var<workgroup> block_squares: array<vec4<f32>, 64>;

fn z_at(at: u32) -> vec4<f32> {
    return z[at];
}
{% include "shared/batch_norm_blocks.wgsl" %}

// A workgroup has 8 groups of 4 units, and for each 8 invocations that take blocks in turn.
const GROUP_COLUMNS = 8u;
const GROUP_BLOCKS = 8u;

@compute @workgroup_size(64)
fn batch_norm_statistics(
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
    let rows = cursors[slot].rows;
    if (rows == 0u) {
        return;
    }
    let lane = t / GROUP_COLUMNS;
    let column_4 = (work % layer.column_tiles) * GROUP_COLUMNS + t % GROUP_COLUMNS;
    let inside = column_4 < layer.output_stride;
    let first_row = members[slot].first_row;
    var statistics_so_far = Statistics(vec4<f32>(0.0), vec4<f32>(0.0));
    for (var round = 0u; round < rows; round += BLOCK_ROWS * GROUP_BLOCKS) {
        let begin = round + BLOCK_ROWS * lane;
        let count = block_rows(begin, rows);
        var block = Statistics(vec4<f32>(0.0), vec4<f32>(0.0));
        if (inside && count > 0u) {
            let at = (first_row + begin) * layer.output_stride + column_4;
            block = block_statistics(at, layer.output_stride, count);
        }
        block_mean[t] = block.mean;
        block_squares[t] = block.squares;
        workgroupBarrier();
        if (lane == 0u) {
            for (var b = 0u; b < GROUP_BLOCKS; b++) {
                let added = f32(block_rows(round + BLOCK_ROWS * b, rows));
                let before = f32(round + min(BLOCK_ROWS * b, rows - round));
                let at = b * GROUP_COLUMNS + t;
                statistics_so_far = merged(
                    statistics_so_far, before, Statistics(block_mean[at], block_squares[at]), added);
            }
        }
        workgroupBarrier();
    }
    if (lane == 0u && inside) {
        let at = 2u * slot * layer.output_stride + column_4;
        statistics[at] = statistics_so_far.mean;
        statistics[at + layer.output_stride] = statistics_so_far.squares * reciprocal(f32(rows));
    }
}
