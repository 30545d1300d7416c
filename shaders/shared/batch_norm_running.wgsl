// A running statistic after a batch; needs optimizer.wgsl.
fn moved(running: vec4<f32>, towards: vec4<f32>) -> vec4<f32> {
    return flush(fma(vec4<f32>(NORM_MOMENTUM), towards, (1.0 - NORM_MOMENTUM) * running));
}
