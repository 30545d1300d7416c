// batch_norm_forward: h = dropout(f(gamma * (z - mean) / sqrt(variance + epsilon) + beta)),
// overwritten.
//
// z, h [rows][units]; scale [members][2][units]: gamma, then beta; statistics [members][2][units]:
// means and variances, of the batch in training, running ones in evaluation. The padding of h is 0.
//
// A workgroup takes {{ TM }} rows and 64 units of one member; an invocation 4 units of every fourth row.
// Twin: src/engine/cpu/batch_norm_forward.rs.
{% include "shared/member.wgsl" %}
{% include "shared/functions.wgsl" %}
{% include "shared/activation.wgsl" %}
{% include "shared/dropout.wgsl" %}
{% include "shared/batch_norm.wgsl" %}

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(1) var<storage, read> members: array<Member>;
@group(0) @binding(2) var<storage, read> cursors: array<Cursor>;
@group(0) @binding(3) var<storage, read> tiles: array<Tile>;
@group(0) @binding(4) var<storage, read> scale: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> statistics: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> z: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> outputs: array<vec4<f32>>;

@compute @workgroup_size(64)
fn batch_norm_forward(
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
    let member = members[tile.slot];
    let of_member = 2u * tile.slot * layer.output_stride + column_4;
    let gamma = scale[of_member];
    let beta = scale[of_member + layer.output_stride];
    let mean = statistics[of_member];
    let inverse = inverse_deviation(statistics[of_member + layer.output_stride]);
    let columns = 4u * column_4 + vec4<u32>(0u, 1u, 2u, 3u);
    for (var r = t / 16u; r < {{ TM }}u && tile.row + r < cursor.rows; r += 4u) {
        let at = (tile.activation_row + r) * layer.output_stride + column_4;
        var h = activate(fma(gamma, normalized(z[at], mean, inverse), beta), member.activation);
        if (layer.dropped != 0u && member.dropout_threshold != 0u) {
            h *= dropout_factors(member, column_4, tile.row + r, layer.index, cursor.steps);
        }
        outputs[at] = select(h, vec4<f32>(0.0), columns >= vec4<u32>(layer.outputs));
    }
}
