// batch_norm_statistics: mean and (biased) variance of each unit over the batch, overwritten.
//
// z [rows][units]; statistics [members][2][units]: means, then variances.
//
// A workgroup takes 32 units of one member. An invocation measures one block of 16 rows of 4
// units in two passes (mean, squares of what is left); the first of each 8 merges the blocks in their
// order. Source of the merge: Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for
// computing sample variances" (1979).
// Twin: src/engine/cpu/batch_norm_forward.rs.
{% include "shared/member.wgsl" %}
{% include "shared/batch_norm.wgsl" %}

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(1) var<storage, read> members: array<Member>;
@group(0) @binding(2) var<storage, read> cursors: array<Cursor>;
@group(0) @binding(3) var<storage, read> live: array<u32>;
@group(0) @binding(4) var<storage, read> z: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> statistics: array<vec4<f32>>;

var<workgroup> block_mean: array<vec4<f32>, 64>;
var<workgroup> block_squares: array<vec4<f32>, 64>;

fn square_of_difference(x: vec4<f32>) -> vec4<f32> {
    let d = select(x, vec4<f32>(0.0), abs(x) < vec4<f32>(1e-15));
    return d * d;
}

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
    var mean = vec4<f32>(0.0);
    var squares = vec4<f32>(0.0);
    for (var round = 0u; round < rows; round += BLOCK_ROWS * GROUP_BLOCKS) {
        let begin = round + BLOCK_ROWS * lane;
        let count = block_rows(begin, rows);
        var sum = vec4<f32>(0.0);
        var rest = vec4<f32>(0.0);
        if (inside && count > 0u) {
            let at = (first_row + begin) * layer.output_stride + column_4;
            for (var r = 0u; r < count; r++) {
                sum += z[at + r * layer.output_stride];
            }
            sum *= 1.0 / f32(count);
            for (var r = 0u; r < count; r++) {
                rest += square_of_difference(z[at + r * layer.output_stride] - sum);
            }
        }
        block_mean[t] = sum;
        block_squares[t] = rest;
        workgroupBarrier();
        if (lane == 0u) {
            for (var b = 0u; b < GROUP_BLOCKS; b++) {
                let added = f32(block_rows(round + BLOCK_ROWS * b, rows));
                let before = f32(round + min(BLOCK_ROWS * b, rows - round));
                if (added > 0.0) {
                    let delta = block_mean[b * GROUP_COLUMNS + t] - mean;
                    mean += delta * (added / (before + added));
                    squares += block_squares[b * GROUP_COLUMNS + t]
                        + square_of_difference(delta) * (before * added / (before + added));
                }
            }
        }
        workgroupBarrier();
    }
    if (lane == 0u && inside) {
        let at = 2u * slot * layer.output_stride + column_4;
        statistics[at] = mean;
        statistics[at + layer.output_stride] = squares * (1.0 / f32(rows));
    }
}
