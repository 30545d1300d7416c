// dense_backward_weights: dW = x^T dy and db = the sum of dy over the rows; then
{% if arena %}
// both are written to the gradients (overwritten), for `update`.
{% else %}
// the optimizer's update of W, b and their moments, in place.
{% endif %}
//
// x [rows][inputs] is the layer's input (shared/source.wgsl), dy [rows][outputs] the gradient behind
// it, in which the mean over the batch is already. W [inputs][outputs] is followed by b [outputs].
//
// A workgroup makes a tile of {{ TM }} inputs and {{ TN }} outputs of one member; each invocation holds
// {{ RM }} inputs x 4 outputs. The rows of the batch go through workgroup memory {{ TK }} at a time. Each
// value is one chain of fma, rows ascending, whatever the tile. The first tile of inputs also sums
// the biases' gradient.
// Twins: src/engine/cpu/dense_backward_weights.rs, src/engine/cpu/update.rs.
{% include "shared/member.wgsl" %}
{% include "shared/functions.wgsl" %}
{% include "shared/optimizer.wgsl" %}

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(1) var<storage, read> members: array<Member>;
@group(0) @binding(2) var<storage, read> cursors: array<Cursor>;
@group(0) @binding(3) var<storage, read> live: array<u32>;
@group(0) @binding(4) var<storage, read> dy: array<vec4<f32>>;
{% include "shared/source.wgsl" %}
{% if arena %}
@group(0) @binding(6) var<storage, read_write> gradients: array<vec4<f32>>;
{% else %}
@group(0) @binding(6) var<storage, read_write> weights: array<vec4<f32>>;
@group(0) @binding(9) var<storage, read_write> moments: array<vec4<f32>>;
{% endif %}

var<workgroup> tile_x: array<vec4<f32>, {{ TK * TM4 }}>;
var<workgroup> tile_dy: array<vec4<f32>, {{ TK * TN4 }}>;

{% if arena %}
fn finish(member: Member, cursor: Cursor, slot: u32, at: u32, gradient: vec4<f32>) {
    gradients[slot * layer.member_stride + at] = gradient;
}
{% else %}
{% include "shared/apply_update.wgsl" %}

fn finish(member: Member, cursor: Cursor, slot: u32, at: u32, gradient: vec4<f32>) {
    apply_update(member, cursor, slot, layer.member_stride, at, gradient);
}
{% endif %}

@compute @workgroup_size({{ THREADS }})
fn dense_backward_weights(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let work = workgroup_index(group, groups);
    let tiles = layer.column_tiles * layer.row_tiles;
    let entry = work / tiles;
    if (entry >= arrayLength(&live)) {
        return;
    }
    let slot = live[entry];
    let cursor = cursors[slot];
    if (cursor.rows == 0u) {
        return;
    }
    let member = members[slot];
    let batch = Tile(slot, 0u, member.first_row, 0u);
    let first_input_4 = ((work % tiles) / layer.column_tiles) * {{ TM4 }}u;
    let first_column_4 = ((work % tiles) % layer.column_tiles) * {{ TN4 }}u;
    let sums_bias = layer.bias != 0u && first_input_4 == 0u;
    let column_4 = t % {{ TN4 }}u;
    let row_4 = (t / {{ TN4 }}u) * {{ RM // 4 }}u;
    var bias = vec4<f32>(0.0);
{% for i in range(RM) %}
    var acc_{{ i }} = vec4<f32>(0.0);
{% endfor %}
    for (var k = 0u; k < cursor.rows; k += {{ TK }}u) {
        for (var i = t; i < {{ TK * TM4 }}u; i += {{ THREADS }}u) {
            let r = k + i / {{ TM4 }}u;
            let c = first_input_4 + i % {{ TM4 }}u;
            var x = vec4<f32>(0.0);
            if (r < cursor.rows && c < layer.input_stride) {
                x = load_input(batch, cursor, r, c);
            }
            tile_x[i] = x;
        }
        for (var i = t; i < {{ TK * TN4 }}u; i += {{ THREADS }}u) {
            let r = k + i / {{ TN4 }}u;
            let c = first_column_4 + i % {{ TN4 }}u;
            var value = vec4<f32>(0.0);
            if (r < cursor.rows && c < layer.output_stride) {
                value = dy[(member.first_row + r) * layer.output_stride + c];
            }
            tile_dy[i] = value;
        }
        workgroupBarrier();
        for (var r = 0u; r < {{ TK }}u; r++) {
            let d = tile_dy[r * {{ TN4 }}u + column_4];
{% for q in range(RM // 4) %}
            let x_{{ q }} = tile_x[r * {{ TM4 }}u + row_4 + {{ q }}u];
{% for c in "xyzw" %}
            acc_{{ 4 * q + loop.index0 }} = fma(vec4<f32>(x_{{ q }}.{{ c }}), d, acc_{{ 4 * q + loop.index0 }});
{% endfor %}
{% endfor %}
            if (sums_bias) {
                bias += d;
            }
        }
        workgroupBarrier();
    }
    let output_4 = first_column_4 + column_4;
    if (output_4 < layer.output_stride) {
        let input = 4u * (first_input_4 + row_4);
{% for i in range(RM) %}
        if (input + {{ i }}u < layer.inputs) {
            finish(member, cursor, slot, (input + {{ i }}u) * layer.output_stride + output_4, acc_{{ i }});
        }
{% endfor %}
        if (sums_bias && t < {{ TN4 }}u) {
            finish(member, cursor, slot, layer.inputs * layer.output_stride + output_4, bias);
        }
    }
}
