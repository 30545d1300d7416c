// What a member is on the device, and which workgroup does what. Twins of the structs in
// src/engine/gpu/layout.rs; a test compares their offsets.

// Hyperparameters of a member, and where its rows and moments are. Never written on the device.
struct Member {
    learning_rate: f32,
    batch_size: u32,
    optimizer: u32,            // see optimizer.wgsl
    activation: u32,           // see activation.wgsl
    momentum: f32,
    one_minus_beta_1: f32,
    beta_2: f32,               // adam's beta_2, rmsprop's rho
    one_minus_beta_2: f32,
    epsilon: f32,
    ln_beta_1: f32,
    ln_beta_2: f32,
    first_moment: u32,         // index of its first moment vector in the moments of each of its layers
    dropout_threshold: u32,    // a unit is kept when its random word is at least this
    dropout_scale: f32,        // 1 / (1 - rate)
    dropout_key_0: u32,
    dropout_key_1: u32,
    order_start: u32,          // index in `orders` at which the row order of its epoch begins
    rows: u32,                 // training rows of its fold
    first_row: u32,            // row of the activation buffers at which its batch begins
    scaling: u32,              // index of its fold's scaling
    index: u32,                // of the member among those of its shape
    first_layer: u32,          // of its network, in the resident engine's table of layers
    layers: u32,               // that its network has
    scratch: u32,              // vec4 of the resident engine's scratch at which its part begins
    row_stride: u32,           // vec4s of it that each row of a batch takes, over all layers
}

// The batch that a member works on. Written by `step` and `end_of_epoch` only.
struct Cursor {
    first: u32,                // index in `orders` of the batch's first row
    rows: u32,                 // rows of the batch; 0: the member does nothing in this step
    steps: u32,                // optimizer updates made before this one
    scaling: u32,              // index of its fold's scaling
    step_size: f32,            // the optimizer's factors of this update, see optimizer.wgsl
    epsilon: f32,
    inverse_rows: f32,         // 1 / rows
    unused: u32,
}

// One work item: some rows of one member's batch.
struct Tile {
    slot: u32,                 // the member
    row: u32,                  // first row, counted in the batch
    activation_row: u32,       // the same row, counted in the activation buffers
    block: u32,                // index of its first 16-row block in `partials`
}

// One dense layer. Strides and offsets count vec4s; rows are padded to whole vec4s with zeros.
struct Layer {
    inputs: u32,
    outputs: u32,
    input_stride: u32,         // from one row of inputs to the next
    output_stride: u32,        // from one row of outputs, or of weights, to the next
    member_stride: u32,        // from one member's weights and biases to the next
    column_tiles: u32,         // tiles that the columns of the result are cut into
    row_tiles: u32,            // tiles that the rows of the result are cut into (weights only)
    bias: u32,                 // 1: a row of biases follows the weights
    activated: u32,            // 1: the member's activation stands behind the layer
    dropped: u32,              // 1: dropout stands behind it (training only)
    index: u32,                // of the layer, from 0 at the input
    unused: u32,
}

// Workgroups are numbered along x, then y: 65,535 a dimension are too few for one.
fn workgroup_index(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.y * groups.x + group.x;
}
