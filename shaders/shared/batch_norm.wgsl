// Batch norm with PyTorch's BatchNorm1d: epsilon 1e-5, momentum 0.1. Statistics and sums are made
// from blocks of 16 rows, each in row order, merged block after block: the granularity is fixed,
// so that bits depend on the batch alone.
const NORM_EPSILON = {{ NORM_EPSILON }};
const NORM_MOMENTUM = {{ NORM_MOMENTUM }};

const BLOCK_ROWS = 16u;

// The maximum changes nothing, and keeps drivers from drawing the product that made the variance into the
// sum. Of NaN, whose mean is NaN too, any number may come.
fn inverse_deviation(variance: vec4<f32>) -> vec4<f32> {
    return inverseSqrt(max(variance, vec4<f32>(0.0)) + NORM_EPSILON);
}

// What is so small that its square would be slow, as on the cpu, counts as 0.
fn without_least(x: vec4<f32>) -> vec4<f32> {
    return select(x, vec4<f32>(0.0), abs(x) < vec4<f32>(1e-15));
}

// In deviations from the mean. Selecting keeps drivers from multiplying the mean out, which would cost digits
// where it is large (NVIDIA's does, where mean and deviation stay the same in a loop).
fn normalized(z: vec4<f32>, mean: vec4<f32>, inverse: vec4<f32>) -> vec4<f32> {
    return without_least(z - mean) * inverse;
}
