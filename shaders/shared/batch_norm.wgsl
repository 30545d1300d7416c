// Batch norm with PyTorch's BatchNorm1d: epsilon 1e-5, momentum 0.1. Statistics and sums are made
// from blocks of 16 rows, each in row order, merged block after block: the granularity is fixed,
// so that bits depend on the batch alone.
const NORM_EPSILON = {{ NORM_EPSILON }};
const NORM_MOMENTUM = {{ NORM_MOMENTUM }};

const BLOCK_ROWS = 16u;

fn inverse_deviation(variance: vec4<f32>) -> vec4<f32> {
    return 1.0 / sqrt(variance + NORM_EPSILON);
}
