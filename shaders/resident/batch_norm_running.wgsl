// Batch norm of rows that are evaluated: by the running statistics.
{% include "shared/batch_norm.wgsl" %}
{% include "resident/batch_norm_places.wgsl" %}

fn normalized_by_running(layer: ResidentLayer, index: u32, column: u32, z: vec4<f32>) -> vec4<f32> {
    let running = running_at(layer, index, column);
    let scale = scale_at(layer, index, column);
    let inverse = inverse_deviation(values[running + layer.output_stride]);
    return fma(values[scale], normalized(z, values[running], inverse), values[scale + layer.output_stride]);
}
