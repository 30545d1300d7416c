// Softmax cross-entropy of the batch: the logits become their gradient, and the loss is summed in blocks
// of 16 rows. An invocation takes a row at a time.

// Above any loss that a sound step may have, so that the step is refused.
const UNSOUND = 3e38;
const LOSS_ROWS = {{ LOSS_ROWS }}u;
var<workgroup> row_losses: array<f32, {{ LOSS_ROWS }}>;
var<workgroup> block_losses: array<f32, {{ LOSS_ROWS // 16 }}>;

fn logits_at(at: u32) -> vec4<f32> {
    return scratch[at];
}
{% include "shared/softmax.wgsl" %}

fn row_loss(layer: ResidentLayer, step: Step, row: u32) -> f32 {
    let first = rows_at(step, layer.h) + row * layer.output_stride;
    let target_class = targets[orders[step.batch.first + row]];
    let softmax = softmax_row(first, layer.outputs, target_class);
    for (var c4 = 0u; c4 < layer.output_stride; c4++) {
        scratch[first + c4] = softmax_gradient(
            scratch[first + c4], softmax, c4, layer.outputs, target_class, step.batch.inverse_rows);
    }
    return select(UNSOUND, softmax.loss, softmax.finite);
}

// The loss, for the first invocation alone.
fn loss_and_gradient(layer: ResidentLayer, step: Step, t: u32) -> f32 {
    var loss = 0.0;
    for (var first = 0u; first < step.batch.rows; first += LOSS_ROWS) {
        for (var r = t; r < LOSS_ROWS; r += THREADS) {
            var of_row = 0.0;
            if (first + r < step.batch.rows) {
                of_row = row_loss(layer, step, first + r);
            }
            row_losses[r] = of_row;
        }
        workgroupBarrier();
        for (var block = t; block < LOSS_ROWS / 16u; block += THREADS) {
            var sum = 0.0;
            for (var i = 0u; i < 16u; i++) {
                sum += row_losses[16u * block + i];
            }
            block_losses[block] = sum;
        }
        workgroupBarrier();
        if (t == 0u) {
            for (var block = 0u; first + 16u * block < step.batch.rows && block < LOSS_ROWS / 16u; block++) {
                loss += block_losses[block];
            }
        }
    }
    storageBarrier();
    return loss;
}
