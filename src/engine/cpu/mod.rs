//! The native engine: members in parallel over the cores, one thread each; threads that have no
//! member share the large products of the others.
//!
//! Generic over the number type: in f32 it is the `cpu` adapter's engine, in f64 the oracle that
//! every engine is tested against. A member's arithmetic never depends on the number of threads or
//! on its neighbours: what threads share are rows of products, each of which is computed alike
//! wherever it is.

pub(super) mod activation;
mod aligned;
pub(super) mod batch_norm_backward;
pub(super) mod batch_norm_forward;
mod behind;
pub(super) mod dense_backward_input;
pub(super) mod dense_backward_weights;
pub(super) mod dense_forward;
mod description;
pub(super) mod dropout;
mod gather;
mod matrix;
mod network;
mod panel_product;
mod product;
mod real;
mod simd;
pub(super) mod softmax_cross_entropy;
mod tile_product;
pub(super) mod update;
mod vector;
mod vectors;
mod wave;

#[cfg(test)]
mod tests;

use std::marker::PhantomData;

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::{AdapterDescription, Engine, EngineError, Running, WaveSetup, cohorts};
use crate::plan::Limits;
use crate::train::Shape;

pub use aligned::Aligned;
#[cfg(test)]
pub(super) use aligned::aligned;
pub(super) use aligned::zeros;
pub use dropout::Dropout;
pub use gather::ScaledFeatures;
pub(super) use matrix::{Matrix, f64_product};
pub use network::{Batch, Network, Workspace};
pub use real::Real;
pub(super) use simd::Workers;
pub use update::update;

/// Bytes and members that are enough for a wave: more would only take memory, and memory shall not
/// grow with the number of trials.
const ENOUGH_BYTES: u64 = 256 << 20;
const MOST_MEMBERS: u64 = 1024;

/// The engine of the `cpu` adapter; in f64 the oracle of the tests.
pub struct CpuEngine<T = f32> {
    threads: ThreadPool,
    limits: Limits,
    number: PhantomData<T>,
}

impl<T: Real> CpuEngine<T> {
    /// An engine on this many threads; `None` takes one a core.
    ///
    /// # Errors
    /// [`EngineError::Threads`] when the system refuses the threads.
    pub fn new(threads: Option<usize>) -> Result<Self, EngineError> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads.unwrap_or(0))
            .thread_name(|i| format!("regatta-cpu-{i}"))
            .build()
            .map_err(|error| EngineError::Threads {
                threads: threads.unwrap_or(0),
                reason: error.to_string(),
            })?;
        Ok(Self {
            threads: pool,
            limits: limits(),
            number: PhantomData,
        })
    }

    /// The same engine with other limits of a wave; results do not depend on them.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

impl<T: Real> Engine for CpuEngine<T> {
    fn adapter(&self) -> AdapterDescription {
        description::describe(self.threads.current_num_threads())
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn capacity(&self, shape: &Shape, batch: usize) -> Result<u64, EngineError> {
        // Parameters, running statistics and two moments; the largest optimizer is assumed.
        let values = shape.parameters() as u64 * 3 + shape.running() as u64;
        let member = values * size_of::<T>() as u64;
        let threads = self.threads.current_num_threads() as u64;
        let scratch = Workspace::<T>::bytes(shape, batch).saturating_mul(threads);
        let available = description::available_bytes();
        let left = available.saturating_sub(scratch);
        if member > left {
            return Err(EngineError::TooLarge {
                shape: shape.clone(),
                needed: member.saturating_add(scratch),
                available,
                adapter: self.adapter().name,
            });
        }
        Ok((left / member.max(1)).min(self.limits.most_members))
    }

    fn start<'r>(&'r self, wave: WaveSetup<'r, '_>) -> Result<Box<dyn Running + 'r>, EngineError> {
        cohorts::start(wave, |wave| {
            let batch = wave.members.iter().map(|m| m.hyperparameters.batch_size);
            self.capacity(&wave.shapes[0], batch.max().unwrap_or(1))?;
            Ok(Box::new(wave::CpuWave::<T>::new(&self.threads, wave)))
        })
    }
}

/// Half of the machine's memory is the most, and two members a core keep all cores busy. Both are
/// the machine's, not those of `--threads`: a plan does not depend on the threads.
fn limits() -> Limits {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    Limits {
        most_bytes: description::total_bytes() / 2,
        most_members: MOST_MEMBERS,
        enough_bytes: ENOUGH_BYTES,
        enough_members: 2 * cores,
        layout: None,
    }
}
