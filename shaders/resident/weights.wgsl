// Where weights are.
{% if in_arena %}
// In the arena rows of weights lie in blocks of four, each one vec4 longer: the rows that neighbouring
// invocations read in `backward_input`, four apart, then begin in different banks. Rows behind the last
// input, up to four, are 0. The biases follow.

// Behind what is staged.
const WEIGHTS_IN_ARENA = {{ WEIGHTS_IN_ARENA }}u;

fn block_stride(layer: ResidentLayer) -> u32 {
    return 4u * layer.output_stride + 1u;
}

// Of the weights of input k to outputs 4 c to 4 c + 3.
fn weight_at(layer: ResidentLayer, index: u32, k: u32, c: u32) -> u32 {
    return WEIGHTS_IN_ARENA + layer.in_arena + k / 4u * block_stride(layer) + k % 4u * layer.output_stride + c;
}

fn bias_at(layer: ResidentLayer, index: u32, c: u32) -> u32 {
    return WEIGHTS_IN_ARENA + layer.in_arena + layer.input_stride * block_stride(layer) + c;
}

fn weight(at: u32) -> vec4<f32> {
    return arena[at];
}

fn set_weight(at: u32, value: vec4<f32>) {
    arena[at] = value;
}

fn stored_at(layer: ResidentLayer, index: u32) -> u32 {
    return layer.weights + index * layer.weights_stride;
}

// From storage to the arena. Each product has a barrier before it reads weights.
fn load_weights(step: Step, t: u32) {
    for (var l = 0u; l < layer_count(step); l++) {
        let layer = layer_of(step, l);
        let stored = stored_at(layer, step.index);
        for (var k = 0u; k < 4u * layer.input_stride; k++) {
            for (var c = t; c < layer.output_stride; c += THREADS) {
                var value = vec4<f32>(0.0);
                if (k < layer.inputs) {
                    value = values[stored + k * layer.output_stride + c];
                }
                set_weight(weight_at(layer, step.index, k, c), value);
            }
        }
        if (layer.bias != 0u) {
            for (var c = t; c < layer.output_stride; c += THREADS) {
                set_weight(bias_at(layer, step.index, c), values[stored + layer.inputs * layer.output_stride + c]);
            }
        }
    }
}
{% else %}
fn weight_at(layer: ResidentLayer, index: u32, k: u32, c: u32) -> u32 {
    return layer.weights + index * layer.weights_stride + k * layer.output_stride + c;
}

fn bias_at(layer: ResidentLayer, index: u32, c: u32) -> u32 {
    return weight_at(layer, index, layer.inputs, c);
}

fn weight(at: u32) -> vec4<f32> {
    return values[at];
}

{% if not evaluates %}
fn set_weight(at: u32, value: vec4<f32>) {
    values[at] = value;
}
{% endif %}

fn load_weights(step: Step, t: u32) {}

{% if not direct %}
// The weights of inputs `k` to `k + rows` to vec4s `first` to `first + width` of the outputs, to
// arena[to + (r / 4) * block + (r % 4) * width + c]. What lies outside the layer is 0. `width` is a
// power of 2.
fn stage_weights(
    layer: ResidentLayer, index: u32, k: u32, rows: u32, first: u32, width: u32,
    to: u32, block: u32, t: u32,
) {
    let side_by_side = min(width, THREADS);
    for (var c = t % side_by_side; c < width; c += side_by_side) {
        for (var r = t / side_by_side; r < rows; r += THREADS / side_by_side) {
            var value = vec4<f32>(0.0);
            if (k + r < layer.inputs && first + c < layer.output_stride) {
                value = weight(weight_at(layer, index, k + r, first + c));
            }
            arena[to + r / 4u * block + r % 4u * width + c] = value;
        }
    }
}
{% endif %}
{% endif %}
{% if not evaluates %}

fn is_finite_4(v: vec4<f32>) -> bool {
    return is_finite(v.x) && is_finite(v.y) && is_finite(v.z) && is_finite(v.w);
}

// {{ "From the arena to storage; and" if in_arena else "At the end of an epoch:" }} whether all parameters and running statistics are finite, where `look` says so.
fn store_weights(step: Step, look: bool, t: u32) -> bool {
    var finite = true;
    for (var l = 0u; l < layer_count(step); l++) {
        let layer = layer_of(step, l);
        let rows = layer.inputs + layer.bias;
        for (var k = 0u; k < rows; k++) {
            for (var c = t; c < layer.output_stride; c += THREADS) {
{% if in_arena %}
                let place = select(weight_at(layer, step.index, k, c), bias_at(layer, step.index, c), k == layer.inputs);
                values[stored_at(layer, step.index) + k * layer.output_stride + c] = weight(place);
{% else %}
                let place = weight_at(layer, step.index, k, c);
{% endif %}
                finite = finite && is_finite_4(weight(place));
            }
        }
{% if batch_norm %}
        finite = finite && norm_is_finite(layer, step.index, t);
{% endif %}
    }
    if (look && !finite) {
        atomicStore(&mark, 1u);
    }
    workgroupBarrier();
    return atomicLoad(&mark) == 0u;
}
{% endif %}
