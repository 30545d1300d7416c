// batch_norm_backward: dz = gamma / deviation * (dy - (dbeta + n * dgamma) / rows), in place of dy: the
// gradient also through the batch's mean and variance; n is the normalized value.
//
// z, dy [rows][units]; statistics [members][2][units]: mean and variance of the batch; sums
// [members][3][units]: dbeta, dgamma, gamma / deviation.
//
// A workgroup takes {{ TM }} rows and 64 units of one member; an invocation 4 units of every fourth row.
// Source: Ioffe and Szegedy 2015, section 3. Twin: src/engine/cpu/batch_norm_backward.rs.
{% include "shared/member.wgsl" %}
{% include "shared/functions.wgsl" %}
{% include "shared/batch_norm.wgsl" %}

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(2) var<storage, read> cursors: array<Cursor>;
@group(0) @binding(3) var<storage, read> tiles: array<Tile>;
@group(0) @binding(4) var<storage, read> statistics: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> z: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> sums: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> dy: array<vec4<f32>>;

@compute @workgroup_size(64)
fn batch_norm_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let work = workgroup_index(group, groups);
    let entry = work / layer.column_tiles;
    let column_4 = (work % layer.column_tiles) * 16u + t % 16u;
    if (entry >= arrayLength(&tiles) || column_4 >= layer.output_stride) {
        return;
    }
    let tile = tiles[entry];
    let cursor = cursors[tile.slot];
    let of_member = 2u * tile.slot * layer.output_stride + column_4;
    let mean = statistics[of_member];
    let inverse = inverse_deviation(statistics[of_member + layer.output_stride]);
    let of_sums = 3u * tile.slot * layer.output_stride + column_4;
    let dbeta = sums[of_sums];
    let dgamma = sums[of_sums + layer.output_stride];
    let factor = sums[of_sums + 2u * layer.output_stride];
    for (var r = t / 16u; r < {{ TM }}u && tile.row + r < cursor.rows; r += 4u) {
        let at = (tile.activation_row + r) * layer.output_stride + column_4;
        let through = fma(normalized(z[at], mean, inverse), dgamma, dbeta);
        dy[at] = factor * fma(through, vec4<f32>(-cursor.inverse_rows), dy[at]);
    }
}
