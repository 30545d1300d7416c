// How far a member is. Twin: `State` in src/engine/gpu/layout.rs.
struct State {
    position: u32,             // rows of the unfinished epoch that were trained on
    steps: u32,                // optimizer updates made
    epoch: u32,                // epochs trained to their end
    diverged: u32,             // 1: the member is frozen
    samples_low: u32,          // rows trained on, 64 bits
    samples_high: u32,
    loss_sum: f32,             // loss over `position` rows, with what its rounding lost
    loss_rest: f32,
    train_loss: f32,           // mean loss of the last finished epoch
    released: u32,             // 1: no longer kept by the host
    unused_0: u32,
    unused_1: u32,
}
