// Softmax and cross-entropy of one row of logits. Twin: src/engine/cpu/softmax_cross_entropy.rs.

struct Row {
    top: f32,          // the largest logit
    predicted: u32,    // its class, the first of equals
    sum: f32,          // of e^(logit - top)
    loss: f32,         // ln sum - (logit of the target - top), in nats
    finite: bool,      // every logit is
}

fn logit(row: u32, class_index: u32) -> f32 {
    return logits[row * layer.output_stride + class_index / 4u][class_index % 4u];
}

// The largest logit is taken off first, so that no exponential overflows.
fn softmax_row(row: u32, target_class: u32) -> Row {
    var out = Row(logit(row, 0u), 0u, 0.0, 0.0, true);
    for (var c = 0u; c < layer.outputs; c++) {
        let value = logit(row, c);
        out.finite = out.finite && is_finite(value);
        if (value > out.top) {
            out.top = value;
            out.predicted = c;
        }
    }
    for (var c = 0u; c < layer.outputs; c++) {
        out.sum += exponential(logit(row, c) - out.top);
    }
    out.loss = logarithm(out.sum) - (logit(row, target_class) - out.top);
    return out;
}
