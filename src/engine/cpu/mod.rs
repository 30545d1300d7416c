//! The native engine: members in parallel over the cores, one thread each.
//!
//! Generic over the number type: in f32 it is the `cpu` adapter's engine, in f64 the oracle that
//! every engine is tested against. A member's arithmetic never depends on the number of threads or
//! on its neighbours, since one thread does all of it.

mod activation;
mod dense_backward_input;
mod dense_backward_weights;
mod dense_forward;
mod description;
mod gather;
mod matrix;
mod network;
mod real;
mod softmax_cross_entropy;
mod tile_product;
mod update;
mod wave;

#[cfg(test)]
mod tests;

use std::marker::PhantomData;

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::{AdapterDescription, Engine, EngineError, Running, WaveSetup};
use crate::plan::Limits;
use crate::train::Shape;

pub use gather::ScaledFeatures;
pub use network::{Network, Workspace};
pub use real::Real;

/// Parameters and moments that a wave may hold: enough members to keep every core busy, few enough
/// that memory stays the same however many trials a sweep has.
const WAVE_LIMITS: Limits = Limits {
    wave_bytes: 256 << 20,
    wave_members: 1024,
};

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
            limits: WAVE_LIMITS,
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

    fn capacity(&self, shape: &Shape) -> Result<u64, EngineError> {
        // Parameters, gradients and two moments; the largest optimizer is assumed.
        let needed = shape.parameters() as u64 * 4 * size_of::<T>() as u64;
        let available = description::available_bytes();
        if needed > available {
            return Err(EngineError::TooLarge {
                shape: shape.clone(),
                needed,
                available,
                adapter: self.adapter().name,
            });
        }
        let by_bytes = (self.limits.wave_bytes / needed.max(1)).max(1);
        Ok(by_bytes.min(self.limits.wave_members))
    }

    fn start<'r>(&'r self, wave: WaveSetup<'r>) -> Result<Box<dyn Running + 'r>, EngineError> {
        self.capacity(wave.shape)?;
        Ok(Box::new(wave::CpuWave::<T>::new(&self.threads, wave)))
    }
}
