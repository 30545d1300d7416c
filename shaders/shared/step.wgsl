// What becomes of a member's state from step to step and epoch to epoch; needs optimizer.wgsl.
// Twin: `Slot::train_epoch` in src/engine/cpu/wave.rs.

const MOST_LOSS = {{ MOST_LOSS }};

// The batch at `position` of the epoch.
fn cursor_at(member: Member, state: State) -> Cursor {
    let rows = min(member.batch_size, member.rows - min(member.rows, state.position));
    let live = select(rows, 0u, state.diverged != 0u);
    return Cursor(
        member.order_start + state.position, live, state.steps, member.scaling,
        0.0, 0.0, reciprocal(f32(max(live, 1u))), 0u);
}

struct Judged {
    state: State,
    cursor: Cursor,
}

// Between the forward and the backward pass, by the loss summed over the batch: counts the step and gives
// the optimizer's factors, or, where the loss is not sound, freezes the member and leaves no rows.
fn judged(member: Member, before: State, batch: Cursor, loss: f32) -> Judged {
    var out = Judged(before, batch);
    if (is_finite(loss) && loss <= MOST_LOSS * f32(batch.rows)) {
        out.state = counted(before, batch.rows, loss);
        let factors = step_factors(member, out.state.steps);
        out.cursor.step_size = factors.x;
        out.cursor.epsilon = factors.y;
    } else {
        out.state.diverged = 1u;
        out.cursor.rows = 0u;
    }
    return out;
}

// After a step. The epoch's sum carries what rounding loses (Dekker's two-sum).
fn counted(before: State, rows: u32, loss: f32) -> State {
    var state = before;
    state.steps += 1u;
    state.position += rows;
    state.samples_low += rows;
    state.samples_high += u32(state.samples_low < rows);
    let large = max(state.loss_sum, loss);
    let small = min(state.loss_sum, loss);
    // `max` changes nothing, and keeps drivers from finding by algebra that nothing is lost (Mesa does).
    let sum = max(large + small, large);
    state.loss_rest += small - (sum - large);
    state.loss_sum = sum;
    return state;
}

// After all rows of the fold.
fn ended_epoch(member: Member, before: State, finite: bool) -> State {
    var state = before;
    state.train_loss = (state.loss_sum + state.loss_rest) / f32(member.rows);
    state.diverged = select(1u, 0u, finite);
    state.epoch += 1u;
    state.position = 0u;
    state.loss_sum = 0.0;
    state.loss_rest = 0.0;
    return state;
}
