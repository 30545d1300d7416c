//! Kernels are compiled side by side: some drivers take a second for one.

use std::sync::LazyLock;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::device::GpuDevice;

/// Threads of their own, which wait for drivers while others train and evaluate. `None`: there are none to be had.
static COMPILERS: LazyLock<Option<ThreadPool>> = LazyLock::new(|| {
    let named = ThreadPoolBuilder::new().thread_name(|i| format!("compiles {i}"));
    named.build().ok()
});

/// Whether that is so here. By OpenGL wgpu compiles one after another, and a thread that has waited for its turn for
/// seconds panics.
pub fn is_side_by_side(gpu: &GpuDevice) -> bool {
    gpu.adapter.backend() != "gl" && COMPILERS.is_some()
}

/// What `compile` makes of each of these, in their order.
pub fn side_by_side<W: Send, K: Send>(
    gpu: &GpuDevice,
    wanted: Vec<W>,
    compile: impl Fn(W) -> K + Send + Sync,
) -> Vec<K> {
    match is_side_by_side(gpu).then_some(COMPILERS.as_ref()).flatten() {
        Some(compilers) => compilers.install(|| wanted.into_par_iter().map(compile).collect()),
        None => wanted.into_iter().map(compile).collect(),
    }
}
