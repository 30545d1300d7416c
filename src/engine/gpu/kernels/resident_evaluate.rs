//! `resident_evaluate`: losses and confusion counts of members, one a workgroup, over rows of a part.

use super::kernel::{Binding, bindings};

bindings! {
    /// [`Run`](crate::engine::gpu::layout::Run), uniform.
    run: Binding<'a> = 0,
    /// [`MemberData`](crate::engine::gpu::layout::MemberData) of each slot.
    members: Binding<'a> = 1,
    /// [`ResidentLayer`](crate::engine::gpu::layout::ResidentLayer)s of the network.
    layers: Binding<'a> = 2,
    /// `[rows][inputs]`.
    features: Binding<'a> = 3,
    /// For each fold where its rows begin and how many there are; then row numbers.
    orders: Binding<'a> = 4,
    /// For each fold a row of offsets and one of factors.
    scaling: Binding<'a> = 5,
    /// Class of each row of the dataset.
    targets: Binding<'a> = 6,
    /// [`State`](crate::engine::gpu::layout::State) of each slot.
    states: Binding<'a> = 7,
    /// Parameters and running statistics, layer after layer.
    values: Binding<'a> = 8,
    /// For each slot counts, which are added to, and the loss of each block of 16 rows, overwritten.
    results: Binding<'a> = 9,
    /// Activations, member after member, overwritten.
    scratch: Binding<'a> = 10,
}
