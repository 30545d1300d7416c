//! What the `cpu` adapter is: its name, SIMD level and memory.

use std::collections::BTreeMap;

use crate::engine::AdapterDescription;

/// Memory that is assumed where the system does not say.
const ASSUMED_BYTES: u64 = 4 << 30;

/// The processor as an adapter.
pub fn describe(threads: usize) -> AdapterDescription {
    let limits = [("threads", threads as u64), ("memory_bytes", total_bytes())];
    let products = "register tiles, fused passes; packed panels where large";
    let variants = [("products", products), ("simd", simd())];
    AdapterDescription {
        name: processor().unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        backend: "native".to_owned(),
        driver: format!("regatta {} ({})", env!("CARGO_PKG_VERSION"), simd()),
        engine: "cpu".to_owned(),
        limits: limits.map(|(k, v)| (k.to_owned(), v)).into_iter().collect(),
        variants: variants
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into_iter()
            .collect::<BTreeMap<_, _>>(),
    }
}

/// Memory that can be had now, in bytes.
pub fn available_bytes() -> u64 {
    memory("MemAvailable:").unwrap_or(ASSUMED_BYTES)
}

/// Memory of the machine, in bytes.
pub fn total_bytes() -> u64 {
    memory("MemTotal:").unwrap_or(ASSUMED_BYTES)
}

/// A line of Linux's /proc/meminfo, in bytes; elsewhere unknown.
fn memory(field: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The SIMD level that the passes over values use.
#[cfg(target_arch = "x86_64")]
fn simd() -> &'static str {
    match pulp::Arch::new() {
        pulp::Arch::V4(_) => "avx512",
        pulp::Arch::V3(_) => "avx2",
        _ => "sse2",
    }
}

/// The SIMD level that the passes over values use.
#[cfg(not(target_arch = "x86_64"))]
fn simd() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        "neon"
    } else {
        "scalar"
    }
}
