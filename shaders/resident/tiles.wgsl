// How results are cut, and how what they are made of is staged.
//
// A tile is made by the whole workgroup: an invocation holds some rows of some vec4s of columns in
// registers. Its vec4s lie `lanes` apart, so that neighbouring invocations read neighbouring vec4s.
// Wide tiles are {{ wide.rows }} rows (or inputs) x {{ 4 * wide.columns_4 }} columns: {{ wide.lanes }} invocations side by side, each with
// {{ wide.thread_rows }} x {{ 4 * wide.thread_columns_4 }}. Narrow ones, for results of at most 16 columns, which would leave most of a wide tile
// idle: {{ narrow.lanes }} side by side, each with {{ narrow.thread_rows }} x {{ 4 * narrow.thread_columns_4 }}.
//
// resident/begin_tile.wgsl and resident/end_tile.wgsl are the first and the last lines of every tile.

{% if not direct %}
// vec4s of the inner dimension that are staged at once.
const INNER_4 = {{ INNER_4 }}u;
// Rows are one vec4 longer, so that neighbouring rows lie in other banks.
const STAGED_STRIDE = {{ INNER_4 + 1 }}u;
// Rows of a batch that are staged at once for gradients of weights.
const CHUNK_ROWS = {{ CHUNK_ROWS }}u;
{% endif %}
const NARROW_4 = 4u;

fn feature(at: u32) -> vec4<f32> {
{% if source == "features_u8" %}
    let stored = features[at];
    return vec4<f32>(
        f32(stored & 0xffu), f32((stored >> 8u) & 0xffu),
        f32((stored >> 16u) & 0xffu), f32(stored >> 24u));
{% else %}
    return features[at];
{% endif %}
}

{% if not direct %}
// Rows `row` to `row + rows` of a layer's inputs, vec4s `first` to `first + width` of each, to
// arena[to + r * stride + c]. What lies outside the batch or the inputs is 0. `width` is a power of 2.
fn stage_inputs(
    l: u32, member: Member, step: Step, row: u32, rows: u32, first: u32, width: u32,
    to: u32, stride: u32, t: u32,
) {
    if (l > 0u) {
        let rows_begin = rows_at(step, layer_of(step, l - 1u).h);
        stage_rows(rows_begin, layer_of(step, l).input_stride, step.batch.rows, row, rows, first, width, to, stride, t);
        return;
    }
    let source_stride = layer_of(step, 0u).input_stride;
    let side_by_side = min(width, THREADS);
    for (var c = t % side_by_side; c < width; c += side_by_side) {
        let inside = first + c < source_stride;
        var offset = vec4<f32>(0.0);
        var factor = vec4<f32>(0.0);
        if (inside) {
            let of_fold = 2u * member.scaling * source_stride + first + c;
            offset = scaling[of_fold];
            factor = scaling[of_fold + source_stride];
        }
        for (var r = t / side_by_side; r < rows; r += THREADS / side_by_side) {
            var x = vec4<f32>(0.0);
            if (inside && row + r < step.batch.rows) {
                let row_begins = orders[step.batch.first + row + r] * source_stride;
                x = without_least(feature(row_begins + first + c) - offset) * factor;
            }
            arena[to + r * stride + c] = x;
        }
    }
}

// The same for rows in the scratch.
fn stage_rows(
    rows_begin: u32, source_stride: u32, batch_rows: u32, row: u32, rows: u32, first: u32, width: u32,
    to: u32, stride: u32, t: u32,
) {
    let side_by_side = min(width, THREADS);
    for (var c = t % side_by_side; c < width; c += side_by_side) {
        for (var r = t / side_by_side; r < rows; r += THREADS / side_by_side) {
            var x = vec4<f32>(0.0);
            if (first + c < source_stride && row + r < batch_rows) {
                x = scratch[rows_begin + (row + r) * source_stride + first + c];
            }
            arena[to + r * stride + c] = x;
        }
    }
}
{% endif %}
