// The gradient behind the layer before, from the gradient behind this one: dz = dropout'(dy W^T) * f'(z),
// then through the batch norm that may stand between.

fn backward_input(l: u32, step: Step, t: u32) {
    if (layer_of(step, l).input_stride <= NARROW_4) {
        backward_input_narrow(l, step, t);
    } else {
        backward_input_wide(l, step, t);
    }
    storageBarrier();
{% if batch_norm %}
    if (layer_of(step, l - 1u).normalized != 0u) {
        norm_backward(l - 1u, own, step, t);
    }
{% endif %}
}

fn finish_backward_input(
    before: ResidentLayer, l: u32, member: Member, step: Step, row: u32, column_4: u32, product: vec4<f32>,
) {
    let at = row * before.output_stride + column_4;
    var dh = product;
    var h = scratch[rows_at(step, before.h) + at];
{% if dropout %}
    if (member.dropout_threshold != 0u) {
        // Layer l - 1 is the one whose output was dropped.
        dh *= dropout_factors(member, column_4, row, l - 1u, step.batch.steps);
        h /= member.dropout_scale;
    }
{% endif %}
    scratch[rows_at(step, before.dy) + at] = activate_backward(dh, h, member.activation);
}
{% if not direct %}
{% from "resident/chains.wgsl" import backward_input_chain %}
{% for tile in [wide_back, narrow] %}

fn backward_input_{{ tile.name }}(l: u32, step: Step, t: u32) {
    let member = own;
    let layer = layer_of(step, l);
    let before = layer_of(step, l - 1u);
    let dy = rows_at(step, layer.dy);
    let lane = t % {{ tile.lanes }}u;
    let first_row = t / {{ tile.lanes }}u * {{ tile.thread_rows }}u;
    for (var row = 0u; row < step.batch.rows; row += {{ tile.rows }}u) {
        for (var column = 0u; column < layer.input_stride; column += {{ tile.columns_4 }}u) {
{% include "resident/begin_tile.wgsl" %}
{% if in_arena %}
{% for q in range(tile.thread_columns_4) %}
            let weights_{{ q }} = weight_at(layer, step.index, 4u * min(column_{{ q }}, layer.input_stride - 1u), 0u);
{% endfor %}
{% endif %}
            for (var k = 0u; k < layer.output_stride; k += INNER_4) {
                stage_rows(
                    dy, layer.output_stride, step.batch.rows, row, {{ tile.rows }}u, k, INNER_4,
                    0u, STAGED_STRIDE, t);
{% if not in_arena %}
                stage_weights(
                    layer, step.index, 4u * column, {{ 4 * tile.columns_4 }}u, k, INNER_4,
                    {{ WEIGHTS_AT }}u, 4u * INNER_4 + 1u, t);
{% endif %}
                workgroupBarrier();
                let inner = min(INNER_4, layer.output_stride - k);
                for (var c = 0u; c < inner; c++) {
{% for i in range(tile.thread_rows) %}
                    let d_{{ i }} = arena[(first_row + {{ i }}u) * STAGED_STRIDE + c];
{% endfor %}
{% call(q, j) backward_input_chain(tile) %}
{% if in_arena %}
arena[weights_{{ q }} + k + c + {{ j }}u * layer.output_stride]
{% else %}
arena[{{ WEIGHTS_AT }}u + (lane + {{ q * tile.lanes }}u) * (4u * INNER_4 + 1u) + {{ j }}u * INNER_4 + c]
{% endif %}
{% endcall %}
                }
                workgroupBarrier();
            }
{% set rows = tile.rows %}
{% set at_row = "row + r" %}
{% set inside = "at_row < step.batch.rows" %}
{% set columns = "layer.input_stride" %}
{% set finish = "finish_backward_input(before, l, member, step, at_row, at_column, arena[i]);" %}
{% include "resident/end_tile.wgsl" %}
        }
    }
}
{% endfor %}
{% endif %}
