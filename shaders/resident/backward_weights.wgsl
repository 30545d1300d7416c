// Gradients of one layer's weights and biases, and the optimizer's update of them: dW = x^T dy, db = the
// sum of dy. A tile is of inputs and outputs; the rows of the batch are the inner dimension, ascending.

fn backward_weights(l: u32, step: Step, t: u32) {
    if (layer_of(step, l).output_stride <= NARROW_4) {
        backward_weights_narrow(l, step, t);
    } else {
        backward_weights_wide(l, step, t);
    }
}

{% if not direct %}
// Of four weights, or of four biases, which are the row behind the last input.
fn update_weight(
    layer: ResidentLayer, member: Member, step: Step, row: u32, column_4: u32, gradient: vec4<f32>,
) {
    let at = select(
        weight_at(layer, step.index, row, column_4), bias_at(layer, step.index, column_4), row == layer.inputs);
    let moment = layer.moments + member.first_moment * layer.weights_stride
        + row * layer.output_stride + column_4;
    set_weight(at, updated_parameter(
        member, step.batch, moment, layer.weights_stride, weight(at), gradient));
}
{% from "resident/chains.wgsl" import backward_weights_chain %}
{% for tile in [wide_weights, narrow_weights] %}

fn backward_weights_{{ tile.name }}(l: u32, step: Step, t: u32) {
    let member = own;
    let layer = layer_of(step, l);
    let dy = rows_at(step, layer.dy);
    let lane = t % {{ tile.lanes }}u;
    let first_input_4 = t / {{ tile.lanes }}u * {{ tile.thread_rows // 4 }}u;
    for (var input = 0u; input < layer.input_stride; input += {{ tile.rows // 4 }}u) {
        for (var column = 0u; column < layer.output_stride; column += {{ tile.columns_4 }}u) {
            let sums_bias = layer.bias != 0u && input == 0u;
{% include "resident/begin_tile.wgsl" %}
{% for q in range(tile.thread_columns_4) %}
            var bias_{{ q }} = vec4<f32>(0.0);
{% endfor %}
            for (var row = 0u; row < step.batch.rows; row += CHUNK_ROWS) {
                stage_inputs(
                    l, member, step, row, CHUNK_ROWS, input, {{ tile.rows // 4 }}u, 0u, {{ tile.rows // 4 }}u, t);
                stage_rows(
                    dy, layer.output_stride, step.batch.rows, row, CHUNK_ROWS, column, {{ tile.columns_4 }}u,
                    {{ tile.gradients_at }}u, {{ tile.columns_4 }}u, t);
                workgroupBarrier();
                let rows = min(CHUNK_ROWS, step.batch.rows - row);
                for (var r = 0u; r < rows; r++) {
{% for p in range(tile.thread_rows // 4) %}
                    let x_{{ p }} = arena[r * {{ tile.rows // 4 }}u + first_input_4 + {{ p }}u];
{% endfor %}
{% call(q) backward_weights_chain(tile) %}
arena[{{ tile.gradients_at }}u + r * {{ tile.columns_4 }}u + lane + {{ q * tile.lanes }}u]
{% endcall %}
                    if (sums_bias) {
{% for q in range(tile.thread_columns_4) %}
                        bias_{{ q }} += d_{{ q }};
{% endfor %}
                    }
                }
                workgroupBarrier();
            }
            // The biases are one row more of the result.
            if (t < {{ tile.lanes }}u) {
{% for q in range(tile.thread_columns_4) %}
                arena[{{ tile.rows * tile.columns_4 }}u + lane + {{ q * tile.lanes }}u] = bias_{{ q }};
{% endfor %}
            }
{% set rows = tile.rows + 1 %}
{% set at_row = "select(4u * input + r, layer.inputs, r == " ~ tile.rows ~ "u)" %}
{% set inside = "select(at_row < layer.inputs, sums_bias, r == " ~ tile.rows ~ "u)" %}
{% set columns = "layer.output_stride" %}
{% set finish = "update_weight(layer, member, step, at_row, at_column, arena[i]);" %}
{% include "resident/end_tile.wgsl" %}
        }
    }
}
{% endfor %}
{% endif %}
