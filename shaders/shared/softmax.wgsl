// Softmax and cross-entropy of one row of logits. The kernel says where these lie: it declares
// `fn logits_at(at: u32) -> vec4<f32>`, four logits at a time; a row's begin at `first`. It may keep what comes of
// them, e^(logit - top): `fn keep_exponentials(at: u32, e: vec4<f32>)`.
// Twin: src/engine/cpu/softmax_cross_entropy.rs.

struct Row {
    top: f32,          // the largest logit
    predicted: u32,    // its class, the first of equals
    sum: f32,          // of e^(logit - top)
    loss: f32,         // ln sum - (logit of the target - top), in nats
    finite: bool,      // every logit is
}

// Probabilities below this count as 0, as on the cpu.
const LEAST_PROBABILITY = 1e-18;

// The largest logit is taken off first, so that no exponential overflows. Sums over classes ascend.
fn softmax_row(first: u32, classes: u32, target_class: u32) -> Row {
    var out = Row(logits_at(first).x, 0u, 0.0, 0.0, true);
    var of_target = out.top;
    for (var c = 0u; c < classes; c += 4u) {
        let values = logits_at(first + c / 4u);
{% for part in "xyzw" %}
        if (c + {{ loop.index0 }}u < classes) {
            out.finite = out.finite && is_finite(values.{{ part }});
            if (values.{{ part }} > out.top) {
                out.top = values.{{ part }};
                out.predicted = c + {{ loop.index0 }}u;
            }
            if (c + {{ loop.index0 }}u == target_class) {
                of_target = values.{{ part }};
            }
        }
{% endfor %}
    }
    for (var c = 0u; c < classes; c += 4u) {
        let e = exponential_4(logits_at(first + c / 4u) - out.top);
        keep_exponentials(first + c / 4u, e);
{% for part in "xyzw" %}
        if (c + {{ loop.index0 }}u < classes) {
            out.sum += e.{{ part }};
        }
{% endfor %}
    }
    out.loss = logarithm(out.sum) - (of_target - out.top);
    return out;
}

// Of classes 4 c4 to 4 c4 + 3: `mean` times (softmax - one hot), from their exponentials; 0 in the padding.
fn softmax_gradient(
    e: vec4<f32>, row: Row, c4: u32, classes: u32, target_class: u32, mean: f32,
) -> vec4<f32> {
    let columns = 4u * c4 + vec4<u32>(0u, 1u, 2u, 3u);
    let least = LEAST_PROBABILITY * row.sum;
    var d = select(e * (mean / row.sum), vec4<f32>(0.0), e < vec4<f32>(least));
    d -= select(vec4<f32>(0.0), vec4<f32>(mean), columns == vec4<u32>(target_class));
    return select(d, vec4<f32>(0.0), columns >= vec4<u32>(classes));
}

fn exponential_4(x: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(exponential(x.x), exponential(x.y), exponential(x.z), exponential(x.w));
}
