// Softmax cross-entropy of the batch: the logits become their gradient, and the loss is summed in blocks
// of 16 rows. An invocation takes a row at a time.

// Above any loss that a sound step may have, so that the step is refused.
const UNSOUND = 3e38;
const LOSS_ROWS = {{ LOSS_ROWS }}u;
var<workgroup> row_losses: array<f32, {{ LOSS_ROWS }}>;

fn logits_at(at: u32) -> vec4<f32> {
    return scratch[at];
}

fn keep_exponentials(at: u32, e: vec4<f32>) {
    scratch[at] = e;
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

// The loss so far, with the sums of blocks of 16 rows from `first` on of those that are at hand.
fn with_blocks(so_far: f32, first: u32, rows: u32) -> f32 {
    var loss = so_far;
    for (var block = 0u; first + 16u * block < rows && block < LOSS_ROWS / 16u; block++) {
        var sum = 0.0;
        for (var i = 0u; i < 16u; i++) {
            sum += row_losses[16u * block + i];
        }
        loss += sum;
    }
    return loss;
}

// The loss, for the invocation that leads alone; the others go on.
fn loss_and_gradient(layer: ResidentLayer, step: Step, t: u32) -> f32 {
    let rows = step.batch.rows;
    var loss = 0.0;
    var first = 0u;
    loop {
        for (var r = t; r < LOSS_ROWS; r += THREADS) {
            var of_row = 0.0;
            if (first + r < rows) {
                of_row = row_loss(layer, step, first + r);
            }
            row_losses[r] = of_row;
        }
        workgroupBarrier();
        if (first + LOSS_ROWS >= rows) {
            break;
        }
        if (leads(t)) {
            loss = with_blocks(loss, first, rows);
        }
        workgroupBarrier();
        first += LOSS_ROWS;
    }
    storageBarrier();
    if (leads(t)) {
        loss = with_blocks(loss, first, rows);
    }
    return loss;
}
