//! The host that measures.

use super::{BenchError, MachineRecord};
use crate::engine::Engine;
use crate::engine::cpu::CpuEngine;

/// Name, cores and load of this machine.
///
/// # Errors
/// When the cpu engine, which knows the processor's name, cannot be made.
pub fn describe() -> Result<MachineRecord, BenchError> {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    Ok(MachineRecord {
        cpu: CpuEngine::<f32>::new(Some(1))?.adapter().name,
        cores,
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        load_average: load_average(),
    })
}

/// Linux says; elsewhere unknown.
fn load_average() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}
