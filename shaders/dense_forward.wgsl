// dense_forward: z = x W + b, then h = dropout(f(z)), overwritten.
//
// x [rows][inputs] is the layer's input (shared/source.wgsl), W [inputs][outputs] and b [outputs]
// the member's, h [rows][outputs]. A layer that batch norm follows has no bias and no activation
// here: it writes z. The padding of h is 0.
//
// A workgroup makes a tile of {{ TM }} rows and {{ TN }} columns of one member. Its invocations lie
// over the tile in {{ TM // RM }} rows of {{ TN4 }}; each holds {{ RM }} rows x 4 columns in registers.
// The inner dimension goes through workgroup memory {{ TK }} values at a time. Each value is one
// chain of fma, k ascending, whatever the tile.
// Twin: src/engine/cpu/dense_forward.rs.
{% include "shared/member.wgsl" %}
{% include "shared/functions.wgsl" %}
{% include "shared/activation.wgsl" %}
{% include "shared/dropout.wgsl" %}

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(1) var<storage, read> members: array<Member>;
@group(0) @binding(2) var<storage, read> cursors: array<Cursor>;
@group(0) @binding(3) var<storage, read> tiles: array<Tile>;
@group(0) @binding(4) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> outputs: array<vec4<f32>>;
{% include "shared/source.wgsl" %}

// Rows of x are padded by one vec4, so that neighbouring rows lie in other banks.
const X_STRIDE = {{ TK4 + 1 }}u;
var<workgroup> tile_x: array<vec4<f32>, {{ TM * (TK4 + 1) }}>;
var<workgroup> tile_w: array<vec4<f32>, {{ TK * TN4 }}>;

fn finish(tile: Tile, steps: u32, row: u32, column_4: u32, product: vec4<f32>) {
    let member = members[tile.slot];
    let bias_at = tile.slot * layer.member_stride + layer.inputs * layer.output_stride + column_4;
    var h = product;
    if (layer.bias != 0u) {
        h += weights[bias_at];
    }
    if (layer.activated != 0u) {
        h = activate(h, member.activation);
    }
    if (layer.dropped != 0u && member.dropout_threshold != 0u) {
        h *= dropout_factors(member, column_4, tile.row + row, layer.index, steps);
    }
    let columns = 4u * column_4 + vec4<u32>(0u, 1u, 2u, 3u);
    h = select(h, vec4<f32>(0.0), columns >= vec4<u32>(layer.outputs));
    outputs[(tile.activation_row + row) * layer.output_stride + column_4] = h;
}

@compute @workgroup_size({{ THREADS }})
fn dense_forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let work = workgroup_index(group, groups);
    let entry = work / layer.column_tiles;
    if (entry >= arrayLength(&tiles)) {
        return;
    }
    let tile = tiles[entry];
    let cursor = cursors[tile.slot];
    if (tile.row >= cursor.rows) {
        return;
    }
    let rows = min(cursor.rows - tile.row, {{ TM }}u);
    let first_column_4 = (work % layer.column_tiles) * {{ TN4 }}u;
    let weights_at = tile.slot * layer.member_stride + first_column_4;
    let columns_4 = layer.output_stride - first_column_4;
    let column_4 = t % {{ TN4 }}u;
    let row = (t / {{ TN4 }}u) * {{ RM }}u;
{% for i in range(RM) %}
    var acc_{{ i }} = vec4<f32>(0.0);
{% endfor %}
    for (var k = 0u; k < layer.inputs; k += {{ TK }}u) {
        for (var i = t; i < {{ TM * TK4 }}u; i += {{ THREADS }}u) {
            let r = i / {{ TK4 }}u;
            let c = i % {{ TK4 }}u;
            var x = vec4<f32>(0.0);
            if (r < rows && k / 4u + c < layer.input_stride) {
                x = load_input(tile, cursor, r, k / 4u + c);
            }
            tile_x[r * X_STRIDE + c] = x;
        }
        for (var i = t; i < {{ TK * TN4 }}u; i += {{ THREADS }}u) {
            let r = i / {{ TN4 }}u;
            let c = i % {{ TN4 }}u;
            var w = vec4<f32>(0.0);
            if (k + r < layer.inputs && c < columns_4) {
                w = weights[weights_at + (k + r) * layer.output_stride + c];
            }
            tile_w[i] = w;
        }
        workgroupBarrier();
        for (var c = 0u; c < {{ TK4 }}u; c++) {
{% for i in range(RM) %}
            let x_{{ i }} = tile_x[(row + {{ i }}u) * X_STRIDE + c];
{% endfor %}
{% for j in range(4) %}
            let w_{{ j }} = tile_w[(4u * c + {{ j }}u) * {{ TN4 }}u + column_4];
{% for i in range(RM) %}
            acc_{{ i }} = fma(vec4<f32>(x_{{ i }}.{{ "xyzw"[j] }}), w_{{ j }}, acc_{{ i }});
{% endfor %}
{% endfor %}
        }
        workgroupBarrier();
    }
    if (column_4 < columns_4) {
{% for i in range(RM) %}
        if (row + {{ i }}u < rows) {
            finish(tile, cursor.steps, row + {{ i }}u, first_column_4 + column_4, acc_{{ i }});
        }
{% endfor %}
    }
}
