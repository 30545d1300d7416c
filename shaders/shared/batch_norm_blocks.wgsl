// Statistics and sums of batch norm over blocks of 16 rows, for four units. The kernel says where the
// rows are: it declares `fn z_at(at: u32) -> vec4<f32>`; `first` is a block's first row, `stride` the
// way to the next. Source of the merge: Chan, Golub, LeVeque, "Updating formulae and a pairwise
// algorithm for computing sample variances" (1979).

struct Statistics {
    mean: vec4<f32>,
    squares: vec4<f32>,        // of what is left without the mean, summed
}

// Rows of the block that begins at `first`, of `rows` in all.
fn block_rows(first: u32, rows: u32) -> u32 {
    return min(BLOCK_ROWS, rows - min(first, rows));
}

// In two passes; `count` is above 0.
fn block_statistics(first: u32, stride: u32, count: u32) -> Statistics {
    var sum = vec4<f32>(0.0);
    var rest = vec4<f32>(0.0);
    for (var r = 0u; r < count; r++) {
        sum += z_at(first + r * stride);
    }
    let inverse = vec4<f32>(reciprocal(f32(count)));
    for (var r = 0u; r < count; r++) {
        let d = without_least(fma(sum, -inverse, z_at(first + r * stride)));
        rest = fma(d, d, rest);
    }
    return Statistics(sum * inverse, rest);
}

// Those of `before` rows and a block of `added` behind them.
fn merged(of_before: Statistics, before: f32, block: Statistics, added: f32) -> Statistics {
    if (added == 0.0) {
        return of_before;
    }
    let delta = block.mean - of_before.mean;
    let share = added * reciprocal(before + added);
    let d = without_least(delta);
    return Statistics(
        fma(delta, vec4<f32>(share), of_before.mean),
        of_before.squares + fma(d * d, vec4<f32>(before * share), block.squares));
}
