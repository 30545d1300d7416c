// Batch norm over all rows of the batch. Each four units have an invocation that owns them: it merges
// their statistics, and alone reads and writes gamma, beta, their moments and the running statistics.
// Beside the rows it publishes, [8][units]: mean and 1 / deviation of the batch, gamma, beta; on the way
// back dbeta, dgamma, gamma / deviation; and the variance of the batch.
{% include "shared/batch_norm.wgsl" %}
{% include "resident/batch_norm_places.wgsl" %}

fn z_at(at: u32) -> vec4<f32> {
    return scratch[at];
}
{% include "shared/batch_norm_blocks.wgsl" %}
{% include "shared/batch_norm_running.wgsl" %}

// The workgroup takes so many vec4s of units at once, and for each so many invocations take blocks in
// turn; the first of them owns the units.
const GROUP_COLUMNS = {{ GROUP_COLUMNS }}u;
const GROUP_BLOCKS = {{ THREADS // GROUP_COLUMNS }}u;

fn norm_forward(l: u32, member: Member, step: Step, t: u32) {
    let layer = layer_of(step, l);
    let stride = layer.output_stride;
    for (var first = 0u; first < stride; first += GROUP_COLUMNS) {
        norm_statistics(layer, step, first + t % GROUP_COLUMNS, t);
    }
    storageBarrier();
    let published = beside_rows(step, layer.statistics);
    for (var i = t; i < step.batch.rows * stride; i += THREADS) {
        let row = i / stride;
        let column = i % stride;
        let mean = scratch[published + column];
        let inverse = scratch[published + stride + column];
        let gamma = scratch[published + 2u * stride + column];
        let beta = scratch[published + 3u * stride + column];
        let z = scratch[rows_at(step, layer.z) + i];
        scratch[rows_at(step, layer.h) + i] = finish_hidden(
            layer, l, member, step, row, column, fma(gamma, normalized(z, mean, inverse), beta));
    }
    storageBarrier();
}

// Mean and deviation of four units over the batch.
fn norm_statistics(layer: ResidentLayer, step: Step, column: u32, t: u32) {
    let lane = t / GROUP_COLUMNS;
    let rows = step.batch.rows;
    let stride = layer.output_stride;
    let inside = column < stride;
    var so_far = Statistics(vec4<f32>(0.0), vec4<f32>(0.0));
    for (var round = 0u; round < rows; round += BLOCK_ROWS * GROUP_BLOCKS) {
        let begin = round + BLOCK_ROWS * lane;
        let count = block_rows(begin, rows);
        var block = Statistics(vec4<f32>(0.0), vec4<f32>(0.0));
        if (inside && count > 0u) {
            block = block_statistics(rows_at(step, layer.z) + begin * stride + column, stride, count);
        }
        arena[t] = block.mean;
        arena[THREADS + t] = block.squares;
        workgroupBarrier();
        if (lane == 0u) {
            for (var b = 0u; b < GROUP_BLOCKS; b++) {
                let added = f32(block_rows(round + BLOCK_ROWS * b, rows));
                let before = f32(round + min(BLOCK_ROWS * b, rows - round));
                let at = b * GROUP_COLUMNS + t;
                so_far = merged(so_far, before, Statistics(arena[at], arena[THREADS + at]), added);
            }
        }
        workgroupBarrier();
    }
    if (lane == 0u && inside) {
        let published = beside_rows(step, layer.statistics) + column;
        let variance = so_far.squares * reciprocal(f32(rows));
        let gamma = scale_at(layer, step.index, column);
        scratch[published] = so_far.mean;
        scratch[published + stride] = inverse_deviation(variance);
        scratch[published + 2u * stride] = values[gamma];
        scratch[published + 3u * stride] = values[gamma + stride];
        scratch[published + 7u * stride] = variance;
    }
}

// Towards the statistics of a batch; the variance that runs is the unbiased one, which one row has not.
fn move_running(layer: ResidentLayer, step: Step, column: u32, mean: vec4<f32>, variance: vec4<f32>) {
    let at = running_at(layer, step.index, column);
    let rows = step.batch.rows;
    values[at] = moved(values[at], mean);
    if (rows > 1u) {
        let freedom = f32(rows) / f32(rows - 1u);
        values[at + layer.output_stride] = moved(values[at + layer.output_stride], variance * freedom);
    }
}

// In place of the gradient behind the batch norm that in front of it.
fn norm_backward(l: u32, member: Member, step: Step, t: u32) {
    let layer = layer_of(step, l);
    let stride = layer.output_stride;
    for (var first = 0u; first < stride; first += GROUP_COLUMNS) {
        norm_sums(layer, member, step, first + t % GROUP_COLUMNS, t);
    }
    storageBarrier();
    let published = beside_rows(step, layer.statistics);
    for (var i = t; i < step.batch.rows * stride; i += THREADS) {
        let column = i % stride;
        let mean = scratch[published + column];
        let inverse = scratch[published + stride + column];
        let dbeta = scratch[published + 4u * stride + column];
        let dgamma = scratch[published + 5u * stride + column];
        let factor = scratch[published + 6u * stride + column];
        let z = scratch[rows_at(step, layer.z) + i];
        let at = rows_at(step, layer.dy) + i;
        let through = fma(normalized(z, mean, inverse), dgamma, dbeta);
        scratch[at] = factor * fma(through, vec4<f32>(-step.batch.inverse_rows), scratch[at]);
    }
    storageBarrier();
}

// dbeta and dgamma of four units, and the optimizer's update of beta and gamma.
fn norm_sums(layer: ResidentLayer, member: Member, step: Step, column: u32, t: u32) {
    let lane = t / GROUP_COLUMNS;
    let rows = step.batch.rows;
    let stride = layer.output_stride;
    let inside = column < stride;
    let published = beside_rows(step, layer.statistics) + min(column, stride - 1u);
    let mean = scratch[published];
    let inverse = scratch[published + stride];
    var dbeta = vec4<f32>(0.0);
    var dgamma = vec4<f32>(0.0);
    for (var round = 0u; round < rows; round += BLOCK_ROWS * GROUP_BLOCKS) {
        let begin = round + BLOCK_ROWS * lane;
        var beta_sum = vec4<f32>(0.0);
        var gamma_sum = vec4<f32>(0.0);
        if (inside) {
            for (var r = begin; r < begin + block_rows(begin, rows); r++) {
                let dy = scratch[rows_at(step, layer.dy) + r * stride + column];
                let z = scratch[rows_at(step, layer.z) + r * stride + column];
                beta_sum += dy;
                gamma_sum = fma(dy, normalized(z, mean, inverse), gamma_sum);
            }
        }
        arena[t] = beta_sum;
        arena[THREADS + t] = gamma_sum;
        workgroupBarrier();
        if (lane == 0u) {
            for (var b = 0u; b < GROUP_BLOCKS; b++) {
                dbeta += arena[b * GROUP_COLUMNS + t];
                dgamma += arena[THREADS + b * GROUP_COLUMNS + t];
            }
        }
        workgroupBarrier();
    }
    if (lane == 0u && inside) {
        move_running(layer, step, column, mean, scratch[published + 7u * stride]);
        let at = scale_at(layer, step.index, column);
        let gamma = values[at];
        scratch[published + 4u * stride] = dbeta;
        scratch[published + 5u * stride] = dgamma;
        scratch[published + 6u * stride] = gamma * inverse;
        let scale_stride = 2u * stride;
        let moment = layer.scale_moments + member.first_moment * scale_stride + column;
        values[at] = updated_parameter(member, step.batch, moment, scale_stride, gamma, dgamma);
        values[at + stride] = updated_parameter(
            member, step.batch, moment + stride, scale_stride, values[at + stride], dbeta);
    }
}

// Whether gamma, beta and the running statistics are finite that this invocation owns.
fn norm_is_finite(layer: ResidentLayer, index: u32, t: u32) -> bool {
    var finite = true;
    if (layer.normalized != 0u && t < GROUP_COLUMNS) {
        for (var column = t; column < layer.output_stride; column += GROUP_COLUMNS) {
            let scale = scale_at(layer, index, column);
            let running = running_at(layer, index, column);
            finite = finite && is_finite_4(values[scale]) && is_finite_4(values[running])
                && is_finite_4(values[scale + layer.output_stride])
                && is_finite_4(values[running + layer.output_stride]);
        }
    }
    return finite;
}
