//! The most floating-point operations a second that a device was seen to do: what a training rate is
//! a share of.

use std::sync::Arc;
use std::time::Instant;

use super::GpuDevice;
use super::kernels::fma_peak::{self, Bindings, Chains, workgroup_flops};
use super::kernels::{Checks, Kernel, whole};
use super::shader::{Source, TileShape, Variant};
use super::timing::{Encoding, PassKind, Timer};
use super::transfer::{self, Allocator};
use crate::engine::{EngineError, Trace};

/// Links of a chain are close to the identity, so that values stay ordinary numbers.
const CHAINS: Chains = Chains {
    iterations: 512,
    factor: 0.999_755_86,
    addend: 0.000_976_562_5,
    unused: 0,
};
/// A dispatch long enough that starting it costs nothing.
const LONG_S: f64 = 0.02;
/// Workgroups to begin with, and at most: several for each multiprocessor of any GPU.
const WORKGROUPS: (u32, u32) = (8, 1 << 20);
/// Measurements of the long dispatch; the best counts, since a peak is what can be reached.
const REPEATS: u32 = 5;
/// Sums that are kept.
const SUMS: u64 = 1024;

/// Measures the peak in FLOP/s, an fma counted as two, on registers alone. By the device's
/// timestamps where it has them.
///
/// # Errors
/// When the device fails or has no room.
pub fn fma_peak(gpu: &Arc<GpuDevice>) -> Result<f64, EngineError> {
    let bench = Bench::new(gpu)?;
    // Software adapters compile a kernel at its first dispatch.
    bench.seconds(1)?;
    let (mut workgroups, most) = WORKGROUPS;
    let mut best = bench.seconds(workgroups)?;
    while best < LONG_S && workgroups < most {
        workgroups *= 2;
        best = bench.seconds(workgroups)?;
    }
    for _ in 1..REPEATS {
        best = best.min(bench.seconds(workgroups)?);
    }
    let flops = workgroup_flops(CHAINS.iterations) * u64::from(workgroups);
    Ok(flops as f64 / best)
}

struct Bench {
    gpu: Arc<GpuDevice>,
    kernel: Kernel,
    #[cfg(test)]
    sums: wgpu::Buffer,
    bindings: wgpu::BindGroup,
    timer: Timer,
}

impl Bench {
    fn new(gpu: &Arc<GpuDevice>) -> Result<Self, EngineError> {
        let kernel = fma_peak::compile(gpu, Checks::Off, VARIANT);
        let mut make = Allocator::new(gpu);
        let chains = make.uniform("chains", &CHAINS)?;
        let sums = make.zeros("sums", 16 * SUMS)?;
        let bindings = Bindings {
            chains: whole(&chains),
            sums: whole(&sums),
        };
        let bindings = bindings.bind(&gpu.device, &kernel);
        gpu.check()?;
        Ok(Self {
            timer: Timer::new(Arc::clone(gpu), Trace::default()),
            gpu: Arc::clone(gpu),
            kernel,
            #[cfg(test)]
            sums,
            bindings,
        })
    }

    /// Seconds of one dispatch.
    fn seconds(&self, workgroups: u32) -> Result<f64, EngineError> {
        let before = self.timer.spent()?.device_s;
        let mut encoding = Encoding::new(&self.gpu, Some(&self.timer))?;
        encoding.pass(PassKind::Train, 1, |pass| {
            self.kernel.dispatch(pass, &self.bindings, workgroups);
        });
        let commands = encoding.finish();
        let begun = Instant::now();
        let submission = self.gpu.queue.submit([commands]);
        transfer::wait(&self.gpu, Some(submission))?;
        let wall_s = begun.elapsed().as_secs_f64();
        let device_s = self.timer.spent()?.device_s.zip(before);
        let device_s = device_s.map(|(after, before)| after - before);
        // A clock that stands still is none.
        Ok(device_s.filter(|&s| s > 0.0).unwrap_or(wall_s))
    }
}

/// Nothing of it counts.
const VARIANT: Variant = Variant {
    tile: TileShape {
        rows: 16,
        columns: 4,
        thread_rows: 4,
    },
    source: Source::Activations,
    arena: false,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::gpu::enumerate;
    use crate::engine::gpu::transfer::Wanted;

    /// What an invocation stores: the sum of its chains, in f64.
    fn expected_sum(invocation: u32, lane: u32) -> f64 {
        let links = CHAINS.iterations * fma_peak::LINKS;
        let chain = |chain: u32| {
            let begin = f64::from(invocation + chain) + 0.25 * f64::from(lane);
            let (factor, addend) = (f64::from(CHAINS.factor), f64::from(CHAINS.addend));
            (0..links).fold(begin, |v, _| v * factor + addend)
        };
        (0..fma_peak::CHAINS).map(chain).sum()
    }

    #[test]
    fn the_chains_are_computed_and_take_time() {
        for adapter in enumerate().iter().filter(|a| a.refusal().is_none()) {
            println!("on {} {}", adapter.backend(), adapter.name());
            let gpu = Arc::new(adapter.open().unwrap());
            let bench = Bench::new(&gpu).unwrap();
            assert!(bench.seconds(2).unwrap() > 0.0);
            let wanted = Wanted::beginning(&bench.sums, 16 * SUMS);
            let read = transfer::read(&gpu, &[wanted]).unwrap();
            let sums: Vec<f32> = transfer::values(&read[0]);
            for (invocation, lane) in [(0, 0), (1, 3), (255, 2), (256, 0), (511, 1)] {
                let at = (4 * invocation + lane) as usize;
                let expected = expected_sum(invocation % fma_peak::WORKGROUP, lane);
                let error = (f64::from(sums[at]) - expected).abs();
                assert!(error <= 1e-3 * expected, "{at}: {} {expected}", sums[at]);
            }
            assert_eq!(sums[4 * 512], 0.0, "only two workgroups ran");
        }
    }

    #[test]
    fn an_fma_is_two_operations() {
        assert_eq!(workgroup_flops(1), 2 * 8 * 8 * 4 * 256);
    }
}
