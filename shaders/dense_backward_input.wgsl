// dense_backward_input: dz = dropout'(dy W^T) * f'(z), overwritten.
//
// dy [rows][outputs] is the gradient behind the layer, W [inputs][outputs] the member's weights from
// before the update, h = dropout(f(z)) [rows][inputs] the layer's input, dz [rows][inputs] the
// gradient behind the layer before it. The padding of dz is 0.
//
// A workgroup makes a tile of {{ TM }} rows and {{ TN }} inputs of one member; each invocation holds
// {{ RM }} rows x 4 inputs. The inner dimension, the outputs, goes through workgroup memory {{ TK }}
// values at a time. Each value is one chain of fma, outputs ascending, whatever the tile.
// Twin: src/engine/cpu/dense_backward_input.rs.
{% include "shared/member.wgsl" %}
{% include "shared/functions.wgsl" %}
{% include "shared/activation.wgsl" %}
{% include "shared/dropout.wgsl" %}

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(1) var<storage, read> members: array<Member>;
@group(0) @binding(2) var<storage, read> cursors: array<Cursor>;
@group(0) @binding(3) var<storage, read> tiles: array<Tile>;
@group(0) @binding(4) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> h: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> dz: array<vec4<f32>>;

const DY_STRIDE = {{ TK4 + 1 }}u;
var<workgroup> tile_dy: array<vec4<f32>, {{ TM * (TK4 + 1) }}>;
// Row k lies at k * {{ TK4 }} + k / 4: the rows that neighbouring invocations read, four apart, then
// begin in different banks.
var<workgroup> tile_w: array<vec4<f32>, {{ TN * TK4 + TN4 }}>;

fn finish(tile: Tile, steps: u32, row: u32, column_4: u32, product: vec4<f32>) {
    let member = members[tile.slot];
    let at = (tile.activation_row + row) * layer.input_stride + column_4;
    var dh = product;
    var value = h[at];
    if (member.dropout_threshold != 0u) {
        // Layer `index - 1` is the one whose output was dropped.
        dh *= dropout_factors(member, column_4, tile.row + row, layer.index - 1u, steps);
        value /= member.dropout_scale;
    }
    dz[at] = activate_backward(dh, value, member.activation);
}

@compute @workgroup_size({{ THREADS }})
fn dense_backward_input(
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
    let first_input = (work % layer.column_tiles) * {{ TN }}u;
    let weights_at = tile.slot * layer.member_stride;
    let column_4 = t % {{ TN4 }}u;
    let row = (t / {{ TN4 }}u) * {{ RM }}u;
{% for i in range(RM) %}
    var acc_{{ i }} = vec4<f32>(0.0);
{% endfor %}
    for (var k = 0u; k < layer.output_stride; k += {{ TK4 }}u) {
        for (var i = t; i < {{ TM * TK4 }}u; i += {{ THREADS }}u) {
            let r = i / {{ TK4 }}u;
            let c = i % {{ TK4 }}u;
            var value = vec4<f32>(0.0);
            if (r < rows && k + c < layer.output_stride) {
                value = dy[(tile.activation_row + r) * layer.output_stride + k + c];
            }
            tile_dy[r * DY_STRIDE + c] = value;
        }
        for (var i = t; i < {{ TN * TK4 }}u; i += {{ THREADS }}u) {
            let r = i / {{ TK4 }}u;
            let c = i % {{ TK4 }}u;
            var w = vec4<f32>(0.0);
            if (first_input + r < layer.inputs && k + c < layer.output_stride) {
                w = weights[weights_at + (first_input + r) * layer.output_stride + k + c];
            }
            tile_w[i + r / 4u] = w;
        }
        workgroupBarrier();
        for (var c = 0u; c < {{ TK4 }}u; c++) {
            let at = column_4 * {{ 4 * TK4 + 1 }}u + c;
{% for j in range(4) %}
            let w_{{ j }} = tile_w[at + {{ j * TK4 }}u];
{% endfor %}
{% for i in range(RM) %}
            let d_{{ i }} = tile_dy[(row + {{ i }}u) * DY_STRIDE + c];
{% for c in "xyzw" %}
            acc_{{ i }} = fma(vec4<f32>(d_{{ i }}.{{ c }}), vec4<f32>(w_0.{{ c }}, w_1.{{ c }}, w_2.{{ c }}, w_3.{{ c }}), acc_{{ i }});
{% endfor %}
{% endfor %}
        }
        workgroupBarrier();
    }
    let input_4 = first_input / 4u + column_4;
    if (input_4 < layer.input_stride) {
{% for i in range(RM) %}
        if (row + {{ i }}u < rows) {
            finish(tile, cursor.steps, row + {{ i }}u, input_4, acc_{{ i }});
        }
{% endfor %}
    }
}
