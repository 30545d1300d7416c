//! `resident`: trains members, one a workgroup, through many steps in one dispatch.

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
    /// Row numbers, in the order of their visit.
    orders: Binding<'a> = 4,
    /// For each fold a row of offsets and one of factors.
    scaling: Binding<'a> = 5,
    /// Class of each row of the dataset.
    targets: Binding<'a> = 6,
    /// [`State`](crate::engine::gpu::layout::State) of each slot, moved on.
    states: Binding<'a> = 7,
    /// Parameters and running statistics, layer after layer, updated in place.
    values: Binding<'a> = 8,
    /// Moment vectors, layer after layer, updated in place.
    moments: Binding<'a> = 9,
    /// Activations and their gradients, member after member, overwritten.
    scratch: Binding<'a> = 10,
}
