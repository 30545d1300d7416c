//! The tables on every adapter found, with wgpu's checks and without.

use super::*;
use crate::engine::gpu::kernels::Kernel;
use crate::engine::gpu::{AdapterKind, Options, enumerate, shader};

/// The adapters to test on. That there is none is said, since a test cannot show as skipped.
fn devices() -> Vec<GpuDevice> {
    let found = enumerate().into_iter().filter(|a| a.refusal().is_none());
    let devices: Vec<_> = found.map(|a| a.open().expect("it opens")).collect();
    if devices.is_empty() {
        eprintln!("skipped: no GPU adapter was found (Debian: apt install mesa-vulkan-drivers)");
    }
    devices
}

fn check_table(kernel: &str) {
    let table = TABLES.iter().find(|table| table.kernel == kernel);
    let table = table.expect("every kernel has a table");
    for gpu in devices() {
        for checks in [Checks::Off, Checks::On] {
            let shown = format!(
                "{} {}, checks {checks:?}",
                gpu.description.backend, gpu.description.name
            );
            let begin = std::time::Instant::now();
            let compile = |variant| (table.compile)(&gpu, checks, variant);
            let tiles = tiles_of(Options::for_kind(gpu.kind).tiles);
            let report = table.check(&gpu, &tiles, &compile).unwrap();
            println!("{shown}: {report:?} in {:?}", begin.elapsed());
            assert!(report.passed(), "{shown}: {:#?}", report.failures);
        }
    }
}

macro_rules! tables {
    ($($kernel:ident),* $(,)?) => {
        $(#[test]
        fn $kernel() {
            check_table(stringify!($kernel));
        })*

        /// A test a kernel, so that they run beside each other.
        const TESTED: &[&str] = &[$(stringify!($kernel)),*];
    };
}

tables![
    batch_norm_backward,
    batch_norm_backward_statistics,
    batch_norm_forward,
    batch_norm_statistics,
    check_functions,
    dense_backward_input,
    dense_backward_weights,
    dense_forward,
    end_of_epoch,
    evaluate,
    find_non_finite,
    softmax_cross_entropy,
    step,
    update,
];

#[test]
fn every_kernel_has_a_table_and_every_table_a_test() {
    let sorted = |names: Vec<&'static str>| -> Vec<&'static str> {
        let mut names = names;
        names.sort_unstable();
        names
    };
    // `fma_peak` measures, and is checked where it does; the resident ones are checked against the others.
    let elsewhere = ["fma_peak", "resident", "resident_evaluate"];
    let kernels = shader::kernels().filter(|kernel| !elsewhere.contains(kernel));
    let kernels = sorted(kernels.collect());
    assert_eq!(sorted(TABLES.iter().map(|t| t.kernel).collect()), kernels);
    assert_eq!(TESTED, kernels);
}

/// Barriers that no software adapter misses: the 8 invocations behind them are the first that such
/// an adapter runs, so that they have read what the others overwrite before those go on.
const UNNOTICED: &[(&str, usize)] = &[
    ("batch_norm_statistics", 1),
    ("batch_norm_backward_statistics", 1),
];

/// The text of a kernel without its `index`-th barrier.
fn without_barrier(wgsl: &str, index: usize) -> String {
    let barrier = "workgroupBarrier();";
    let (at, _) = wgsl.match_indices(barrier).nth(index).expect("it is there");
    format!("{}{}", &wgsl[..at], &wgsl[at + barrier.len()..])
}

/// Whether a table finds out that a barrier is gone, in the tiles of the engine.
fn notices(gpu: &GpuDevice, table: &Table, index: usize) -> bool {
    let compile = |variant| {
        let wgsl = without_barrier(&shader::render(table.kernel, variant), index);
        Kernel::from_wgsl(gpu, Checks::Off, table.kernel, wgsl)
    };
    let tiles = [Options::for_kind(gpu.kind).tiles];
    !table.check(gpu, &tiles, &compile).unwrap().passed()
}

/// Software adapters run a workgroup in pieces of 4 or 8 invocations, one behind the other; on a GPU
/// a small workgroup may run as one, and need no barrier.
#[test]
fn a_barrier_that_is_gone_is_noticed() {
    let mut devices = devices();
    devices.retain(|gpu| gpu.kind == AdapterKind::Software);
    let mut unnoticed = Vec::new();
    for table in TABLES {
        let variant = (table.variants)(&[SMALL])[0];
        let wgsl = shader::render(table.kernel, variant);
        for index in 0..wgsl.matches("workgroupBarrier();").count() {
            if !devices.iter().any(|gpu| notices(gpu, table, index)) {
                unnoticed.push((table.kernel, index));
            }
        }
    }
    if !devices.is_empty() {
        assert_eq!(unnoticed, UNNOTICED);
    }
}

#[test]
fn a_kernel_that_is_wrong_is_reported() {
    let changes = [
        // A bound, a padding, a factor, a place.
        ("dense_forward", "if (row + 0u < rows) {", "if (true) {"),
        (
            "dense_forward",
            "columns >= vec4<u32>(layer.outputs)",
            "vec4<bool>(false)",
        ),
        (
            "dense_forward",
            "if (column_4 < columns_4) {",
            "if (true) {",
        ),
        (
            "dense_backward_input",
            "first_input + r < layer.inputs && ",
            "",
        ),
        (
            "dense_backward_weights",
            "layer.bias != 0u && first_input_4 == 0u",
            "false",
        ),
        ("softmax_cross_entropy", "d -= select", "d += select"),
        ("softmax_cross_entropy", "i < 16u", "i < 15u"),
        ("evaluate", "values.y > out.top", "values.y >= out.top"),
        ("update", "at >= layer.member_stride", "false"),
        ("step", "loss <= MOST_LOSS * f32(batch.rows)", "true"),
        (
            "step",
            "state.samples_high += u32(state.samples_low < rows);",
            "",
        ),
        ("step", "small - (sum - large)", "0.0"),
        ("find_non_finite", "is_finite(v.w)", "true"),
        (
            "batch_norm_statistics",
            "statistics_so_far.squares * reciprocal(f32(rows))",
            "statistics_so_far.squares",
        ),
        (
            "batch_norm_forward",
            "normalized(z[at], mean, inverse), beta",
            "z[at] * inverse, beta",
        ),
        ("batch_norm_backward", "dgamma, dbeta)", "dgamma, -dbeta)"),
        ("batch_norm_backward_statistics", "cursor.rows > 1u", "true"),
        ("end_of_epoch", "state.diverged != 0u || ", ""),
        (
            "check_functions",
            "p = fma(p, r, 0.5);",
            "p = fma(p, r, 0.50001);",
        ),
    ];
    let devices = devices();
    let Some(gpu) = devices.first() else { return };
    for (kernel, right, wrong) in changes {
        let table = TABLES.iter().find(|table| table.kernel == kernel).unwrap();
        let compile = |variant| {
            let wgsl = shader::render(kernel, variant);
            assert!(wgsl.contains(right), "{kernel} has no `{right}`");
            let wgsl = wgsl.replace(right, wrong);
            Kernel::from_wgsl(gpu, Checks::Off, kernel, wgsl)
        };
        let report = table.check(gpu, &[SMALL], &compile).unwrap();
        assert!(!report.passed(), "{kernel} with `{wrong}` passes");
        println!("{kernel} with `{wrong}`: {}", report.failures[0]);
    }
}
