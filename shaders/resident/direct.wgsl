// Products whose operands are read where they lie, and the update of the parameters. Nothing is staged: on a GPU that
// keeps what a workgroup works on in a cache as near as the workgroup's memory, that memory would only bound how many
// members a multiprocessor trains at once.
//
// Results are cut as resident/tiles.wgsl says. Rows behind the batch and columns behind the last are read as the
// last ones, and their results are not used. Some steps of the inner dimension are written out, so that operands are
// under way while others are worked on. What follows a product of rows is written out for each value of an
// invocation where that is little{{ "; here it is there once" if looped }}: a GPU executes out of an instruction cache,
// and with all optimizers written out a step took an H200 four times as long. For the same reason gradients of weights
// go to the scratch, and the update of all parameters is there once.

// The rows of the batch, scaled, in the scratch: both products of the first layer read them there.
fn gather_inputs(step: Step, t: u32) {
    let layer = layer_of(step, 0u);
    let stride = layer.input_stride;
    let to = rows_at(step, layer.x);
    for (var i = t; i < step.batch.rows * stride; i += THREADS) {
        let c = i % stride;
        let of_fold = 2u * own.scaling * stride + c;
        let at = orders[step.batch.first + i / stride] * stride + c;
        scratch[to + i] = without_least(feature(at) - scaling[of_fold]) * scaling[of_fold + stride];
    }
}

// The weights of input k, from `at` on for input 0; 0 behind the last input.
fn weight_of_input(layer: ResidentLayer, at: u32, k: u32) -> vec4<f32> {
    let w = weight(at + min(k, layer.inputs - 1u) * layer.output_stride);
    return select(vec4<f32>(0.0), w, k < layer.inputs);
}
{% from "resident/chains.wgsl" import forward_chain, backward_input_chain, backward_weights_chain %}
{% macro four_inputs(tile, guarded) %}
{% for i in range(tile.thread_rows) %}
                let x_{{ i }} = scratch[row_{{ i }} + c];
{% endfor %}
{% call(j, q) forward_chain(tile) %}
{% if guarded %}
weight_of_input(layer, weights_{{ q }}, 4u * c + {{ j }}u)
{% else %}
weight(weights_{{ q }} + (4u * c + {{ j }}u) * layer.output_stride)
{% endif %}
{% endcall %}
{% endmacro %}
{% macro each_result(tile, rows, columns) %}
            // The results that count: so many rows, and columns that there are.
            let count = min({{ tile.thread_rows }}u, {{ rows }});
{% if looped %}
            var results = array<vec4<f32>, {{ tile.thread_rows * tile.thread_columns_4 }}>(
{% for i in range(tile.thread_rows) %}
                {% for q in range(tile.thread_columns_4) %}acc_{{ i }}_{{ q }}, {% endfor %}

{% endfor %}
            );
            for (var n = 0u; n < count * {{ tile.thread_columns_4 }}u; n++) {
                let i = n / {{ tile.thread_columns_4 }}u;
                let at_column = column + n % {{ tile.thread_columns_4 }}u * {{ tile.lanes }}u;
                if (at_column < {{ columns }}) {
{{ caller("i", "at_column", "results[n]") }}                }
            }
{% else %}
{% for q in range(tile.thread_columns_4) %}
            if (column_{{ q }} < {{ columns }}) {
{% for i in range(tile.thread_rows) %}
                if ({{ i }}u < count) {
{{ caller(i ~ "u", "column_" ~ q, "acc_" ~ i ~ "_" ~ q) }}                }
{% endfor %}
            }
{% endfor %}
{% endif %}
{% endmacro %}
{% for tile in [wide, narrow] %}

fn forward_{{ tile.name }}(l: u32, step: Step, t: u32) {
    let member = own;
    let layer = layer_of(step, l);
    let x = rows_at(step, layer.x);
    let lane = t % {{ tile.lanes }}u;
    for (var row = t / {{ tile.lanes }}u * {{ tile.thread_rows }}u; row < step.batch.rows; row += {{ tile.rows }}u) {
{% for i in range(tile.thread_rows) %}
        let row_{{ i }} = x + min(row + {{ i }}u, step.batch.rows - 1u) * layer.input_stride;
{% endfor %}
        for (var column = lane; column < layer.output_stride; column += {{ tile.columns_4 }}u) {
{% for q in range(tile.thread_columns_4) %}
            let column_{{ q }} = column + {{ q * tile.lanes }}u;
            let weights_{{ q }} = weight_at(layer, step.index, 0u, min(column_{{ q }}, layer.output_stride - 1u));
{% for i in range(tile.thread_rows) %}
            var acc_{{ i }}_{{ q }} = vec4<f32>(0.0);
{% endfor %}
{% endfor %}
            let whole = layer.inputs / 4u;
            var at = 0u;
            for (; at + {{ UNROLL - 1 }}u < whole; at += {{ UNROLL }}u) {
{% for n in range(UNROLL) %}
                {
                let c = at + {{ n }}u;
{{ four_inputs(tile, false) }}                }
{% endfor %}
            }
            for (; at < whole; at++) {
                let c = at;
{{ four_inputs(tile, false) }}            }
            if (whole < layer.input_stride) {
                let c = whole;
{{ four_inputs(tile, true) }}            }
{% call(i, at_column, value) each_result(tile, "step.batch.rows - row", "layer.output_stride") %}
                    finish_forward(layer, l, member, step, row + {{ i }}, {{ at_column }}, {{ value }});
{% endcall %}
        }
    }
}
{% endfor %}
{% if not evaluates %}
{% for tile in [wide_back, narrow] %}

fn backward_input_{{ tile.name }}(l: u32, step: Step, t: u32) {
    let member = own;
    let layer = layer_of(step, l);
    let before = layer_of(step, l - 1u);
    let dy = rows_at(step, layer.dy);
    let lane = t % {{ tile.lanes }}u;
    for (var row = t / {{ tile.lanes }}u * {{ tile.thread_rows }}u; row < step.batch.rows; row += {{ tile.rows }}u) {
{% for i in range(tile.thread_rows) %}
        let row_{{ i }} = dy + min(row + {{ i }}u, step.batch.rows - 1u) * layer.output_stride;
{% endfor %}
        for (var column = lane; column < layer.input_stride; column += {{ tile.columns_4 }}u) {
{% for q in range(tile.thread_columns_4) %}
            let column_{{ q }} = column + {{ q * tile.lanes }}u;
{% for j in range(4) %}
            let weights_{{ q }}_{{ j }} = weight_at(
                layer, step.index, min(4u * column_{{ q }} + {{ j }}u, layer.inputs - 1u), 0u);
{% endfor %}
{% for i in range(tile.thread_rows) %}
            var acc_{{ i }}_{{ q }} = vec4<f32>(0.0);
{% endfor %}
{% endfor %}
            for (var c = 0u; c < layer.output_stride; c++) {
{% for i in range(tile.thread_rows) %}
                let d_{{ i }} = scratch[row_{{ i }} + c];
{% endfor %}
{% call(q, j) backward_input_chain(tile) %}
weight(weights_{{ q }}_{{ j }} + c)
{% endcall %}
            }
{% call(i, at_column, value) each_result(tile, "step.batch.rows - row", "layer.input_stride") %}
                    let inputs = 4u * {{ at_column }} + vec4<u32>(0u, 1u, 2u, 3u);
                    let product = select({{ value }}, vec4<f32>(0.0), inputs >= vec4<u32>(layer.inputs));
                    finish_backward_input(before, l, member, step, row + {{ i }}, {{ at_column }}, product);
{% endcall %}
        }
    }
}
{% endfor %}
{% macro one_row(tile) %}
{% for p in range(tile.thread_rows // 4) %}
                let x_{{ p }} = scratch[inputs_{{ p }} + r * layer.input_stride];
{% endfor %}
{% call(q) backward_weights_chain(tile) %}
scratch[gradients_{{ q }} + r * layer.output_stride]
{% endcall %}
{% endmacro %}
{% for tile in [wide_weights, narrow_weights] %}

fn backward_weights_{{ tile.name }}(l: u32, step: Step, t: u32) {
    let member = own;
    let layer = layer_of(step, l);
    let x = rows_at(step, layer.x);
    let dy = rows_at(step, layer.dy);
    let to = beside_rows(step, layer.gradients);
    let lane = t % {{ tile.lanes }}u;
    let first = t / {{ tile.lanes }}u * {{ tile.thread_rows // 4 }}u;
    for (var input = first; input < layer.input_stride; input += {{ tile.rows // 4 }}u) {
{% for p in range(tile.thread_rows // 4) %}
        let inputs_{{ p }} = x + min(input + {{ p }}u, layer.input_stride - 1u);
{% endfor %}
        for (var column = lane; column < layer.output_stride; column += {{ tile.columns_4 }}u) {
{% for q in range(tile.thread_columns_4) %}
            let column_{{ q }} = column + {{ q * tile.lanes }}u;
            let gradients_{{ q }} = dy + min(column_{{ q }}, layer.output_stride - 1u);
{% for i in range(tile.thread_rows) %}
            var acc_{{ i }}_{{ q }} = vec4<f32>(0.0);
{% endfor %}
{% endfor %}
            var at = 0u;
            for (; at + {{ 2 * UNROLL - 1 }}u < step.batch.rows; at += {{ 2 * UNROLL }}u) {
{% for n in range(2 * UNROLL) %}
                {
                let r = at + {{ n }}u;
{{ one_row(tile) }}                }
{% endfor %}
            }
            for (; at < step.batch.rows; at++) {
                let r = at;
{{ one_row(tile) }}            }
            let count = min({{ tile.thread_rows }}u, layer.inputs - 4u * input);
{% for q in range(tile.thread_columns_4) %}
            if (column_{{ q }} < layer.output_stride) {
{% for i in range(tile.thread_rows) %}
                if ({{ i }}u < count) {
                    scratch[to + (4u * input + {{ i }}u) * layer.output_stride + column_{{ q }}] = acc_{{ i }}_{{ q }};
                }
{% endfor %}
            }
{% endfor %}
        }
    }
}
{% endfor %}

// Gradients of the biases of all layers, by the last invocations, of which products leave some idle.
fn backward_biases(step: Step, t: u32) {
    for (var l = 0u; l < step.layers; l++) {
        let layer = stored_layer(step, l);
        let to = beside_rows(step, layer.gradients) + layer.inputs * layer.output_stride;
        let columns = layer.bias * layer.output_stride;
        for (var column = THREADS - 1u - t; column < columns; column += THREADS) {
            let dy = rows_at(step, layer.dy) + column;
            var bias = vec4<f32>(0.0);
            for (var r = 0u; r < step.batch.rows; r++) {
                bias += scratch[dy + r * layer.output_stride];
            }
            scratch[to + column] = bias;
        }
    }
}

// The optimizer's update of all weights and biases, from their gradients in the scratch. Layers are read from
// their table also where they are written in, so that a compiler does not write the loop out for each.
fn update_parameters(step: Step, t: u32) {
    let member = own;
    for (var l = 0u; l < step.layers; l++) {
        let layer = stored_layer(step, l);
        let stride = layer.weights_stride;
        let weights = weight_at(layer, step.index, 0u, 0u);
        let vectors = layer.moments + member.first_moment * stride;
        let gradients = beside_rows(step, layer.gradients);
        // Two at once, all loaded before any is stored, since a compiler does not load past a store. Behind the last
        // the second is the first again, and is not stored.
        for (var i = t; i < stride; i += 2u * THREADS) {
            let j = select(i, i + THREADS, i + THREADS < stride);
{% for i in ["i", "j"] %}
            let parameter_{{ i }} = weight(weights + {{ i }});
            let gradient_{{ i }} = scratch[gradients + {{ i }}];
            let moments_{{ i }} = moments_at(member, vectors + {{ i }}, stride);
{% endfor %}
{% for i in ["i", "j"] %}
            let updated_{{ i }} = optimizer_update(
                member, step.batch.step_size, step.batch.epsilon,
                parameter_{{ i }}, gradient_{{ i }}, moments_{{ i }}.first, moments_{{ i }}.second);
{% endfor %}
            set_weight(weights + i, updated_i.parameter);
            keep_moments(member, vectors + i, stride, updated_i);
            if (j > i) {
                set_weight(weights + j, updated_j.parameter);
                keep_moments(member, vectors + j, stride, updated_j);
            }
        }
    }
}
{% endif %}
