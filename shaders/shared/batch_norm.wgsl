// Batch norm with PyTorch's BatchNorm1d: epsilon 1e-5, momentum 0.1. Statistics and sums are made
// from blocks of 16 rows, each in row order, merged block after block: the granularity is fixed,
// so that bits depend on the batch alone.
const NORM_EPSILON = {{ NORM_EPSILON }};
const NORM_MOMENTUM = {{ NORM_MOMENTUM }};

const BLOCK_ROWS = 16u;

// What is left out changes nothing, and keeps drivers from drawing the product that made the variance into the sum.
fn inverse_deviation(variance: vec4<f32>) -> vec4<f32> {
    return inverseSqrt(without_least(variance) + NORM_EPSILON);
}

// In deviations from the mean. Selecting keeps drivers from multiplying the mean out, which would cost digits
// where it is large (NVIDIA's does, where mean and deviation stay the same in a loop).
fn normalized(z: vec4<f32>, mean: vec4<f32>, inverse: vec4<f32>) -> vec4<f32> {
    return without_least(z - mean) * inverse;
}
