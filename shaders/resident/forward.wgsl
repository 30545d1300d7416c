// The forward pass of one layer, over all rows of the batch.

fn forward(l: u32, step: Step, t: u32) {
    if (layer_of(step, l).output_stride <= NARROW_4) {
        forward_narrow(l, step, t);
    } else {
        forward_wide(l, step, t);
    }
    storageBarrier();
{% if batch_norm and not evaluates %}
    if (layer_of(step, l).normalized != 0u) {
        norm_forward(l, own, step, t);
    }
{% endif %}
}

fn finish_forward(
    layer: ResidentLayer, l: u32, member: Member, step: Step, row: u32, column_4: u32, product: vec4<f32>,
) {
    var h = product;
    if (layer.bias != 0u) {
        h += weight(bias_at(layer, step.index, column_4));
    }
{% if evaluates %}
    let place = layer.h;
{% if batch_norm %}
    if (layer.normalized != 0u) {
        h = normalized_by_running(layer, step.index, column_4, h);
    }
{% endif %}
    h = finish_hidden(layer, l, member, step, row, column_4, h);
{% else %}
    var place = layer.z;
    if (layer.normalized == 0u) {
        place = layer.h;
        h = finish_hidden(layer, l, member, step, row, column_4, h);
    }
{% endif %}
    scratch[rows_at(step, place) + row * layer.output_stride + column_4] = h;
}

// Activation and, in training, dropout, where they follow; 0 in the padding.
fn finish_hidden(
    layer: ResidentLayer, l: u32, member: Member, step: Step, row: u32, column_4: u32, z: vec4<f32>,
) -> vec4<f32> {
    var h = z;
    if (layer.hidden != 0u) {
        h = activate(h, member.activation);
{% if dropout and not evaluates %}
        if (member.dropout_threshold != 0u) {
            h *= dropout_factors(member, column_4, row, l, step.batch.steps);
        }
{% endif %}
    }
    let columns = 4u * column_4 + vec4<u32>(0u, 1u, 2u, 3u);
    return select(h, vec4<f32>(0.0), columns >= vec4<u32>(layer.outputs));
}
{% if not direct %}
{% from "resident/chains.wgsl" import forward_chain %}
{% for tile in [wide, narrow] %}

fn forward_{{ tile.name }}(l: u32, step: Step, t: u32) {
    let member = own;
    let layer = layer_of(step, l);
    let lane = t % {{ tile.lanes }}u;
    let first_row = t / {{ tile.lanes }}u * {{ tile.thread_rows }}u;
    for (var row = 0u; row < step.batch.rows; row += {{ tile.rows }}u) {
        for (var column = 0u; column < layer.output_stride; column += {{ tile.columns_4 }}u) {
{% include "resident/begin_tile.wgsl" %}
{% if in_arena %}
            // Behind the last column the weights are those of the last, and the result is not used.
{% for q in range(tile.thread_columns_4) %}
            let weights_{{ q }} = weight_at(layer, step.index, 0u, min(column_{{ q }}, layer.output_stride - 1u));
{% endfor %}
{% endif %}
            for (var k = 0u; k < layer.input_stride; k += INNER_4) {
                stage_inputs(
                    l, member, step, row, {{ tile.rows }}u, k, INNER_4, 0u, STAGED_STRIDE, t);
{% if not in_arena %}
                stage_weights(
                    layer, step.index, 4u * k, 4u * INNER_4, column, {{ tile.columns_4 }}u,
                    {{ WEIGHTS_AT }}u, {{ 4 * tile.columns_4 }}u, t);
{% endif %}
                workgroupBarrier();
                let inner = min(INNER_4, layer.input_stride - k);
                for (var c = 0u; c < inner; c++) {
{% for i in range(tile.thread_rows) %}
                    let x_{{ i }} = arena[(first_row + {{ i }}u) * STAGED_STRIDE + c];
{% endfor %}
{% if in_arena %}
                    let block = (k + c) * block_stride(layer);
{% endif %}
{% call(j, q) forward_chain(tile) %}
{% if in_arena %}
arena[weights_{{ q }} + block + {{ j }}u * layer.output_stride]
{% else %}
arena[{{ WEIGHTS_AT }}u + (4u * c + {{ j }}u) * {{ tile.columns_4 }}u + lane + {{ q * tile.lanes }}u]
{% endif %}
{% endcall %}
                }
                workgroupBarrier();
            }
{% set rows = tile.rows %}
{% set at_row = "row + r" %}
{% set inside = "at_row < step.batch.rows" %}
{% set columns = "layer.output_stride" %}
{% set finish = "finish_forward(layer, l, member, step, at_row, at_column, arena[i]);" %}
{% include "resident/end_tile.wgsl" %}
        }
    }
}
{% endfor %}
{% endif %}
