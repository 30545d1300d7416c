// Batch norm with PyTorch's BatchNorm1d: epsilon 1e-5, momentum 0.1. Statistics and sums are made
// from blocks of 16 rows, each in row order, merged block after block: the granularity is fixed,
// so that bits depend on the batch alone.
const NORM_EPSILON = {{ NORM_EPSILON }};
const NORM_MOMENTUM = {{ NORM_MOMENTUM }};

// A workgroup has 8 groups of 4 units, and for each 8 invocations that take blocks in turn.
const GROUP_COLUMNS = 8u;
const GROUP_BLOCKS = 8u;
const BLOCK_ROWS = 16u;

fn inverse_deviation(variance: vec4<f32>) -> vec4<f32> {
    return 1.0 / sqrt(variance + NORM_EPSILON);
}

// Rows of the block that begins at `first`, of `rows` in all.
fn block_rows(first: u32, rows: u32) -> u32 {
    return min(BLOCK_ROWS, rows - min(first, rows));
}
