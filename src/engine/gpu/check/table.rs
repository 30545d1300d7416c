//! A table: the cases that a kernel is checked on, and how they are run.

use std::ops::Range;

use super::stage::{Left, Place};
use super::tally::{Expected, KernelReport, Output};
use crate::engine::EngineError;
use crate::engine::gpu::GpuDevice;
use crate::engine::gpu::kernels::{Checks, Kernel};
use crate::engine::gpu::shader::Tiles;
use crate::engine::gpu::shader::{Source, Variant};

/// The cases of one kernel.
pub struct Table {
    /// Name of the kernel, which is that of its shader.
    pub kernel: &'static str,
    /// Compiles a variant.
    pub compile: fn(&GpuDevice, Checks, Variant) -> Kernel,
    /// The variants to compile. Those that differ in the tile alone must give the same bits.
    pub variants: fn(&[Tiles]) -> Vec<Variant>,
    /// The cases of a variant, the same for all tiles.
    pub cases: fn(Variant) -> Vec<Box<dyn Case>>,
}

/// What a case runs on.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The device.
    pub gpu: &'a GpuDevice,
    /// The kernel in this variant.
    pub kernel: &'a Kernel,
    /// The variant.
    pub variant: Variant,
    /// The kernel is checked in several tiles.
    pub tiled: bool,
}

impl Subject<'_> {
    /// The name of a case, with what of the variant it does not say itself.
    fn name(&self, case: &dyn Case) -> String {
        match self.tiled {
            true => format!("{}, tile {}", case.name(), self.variant.tile.name()),
            false => case.name(),
        }
    }
}

/// What a run of a case wrote.
#[derive(Debug)]
pub struct Run {
    /// The buffers that the kernel writes.
    pub outputs: Vec<Output>,
    /// What the dispatch left, with the writes outside the buffers.
    pub left: Left,
}

impl Run {
    /// The words of these buffers, by their names.
    pub fn new(left: Left, outputs: &[(&'static str, Place)]) -> Self {
        let output = |&(what, place): &(&'static str, Place)| Output {
            what,
            words: left.values(place),
        };
        let outputs = outputs.iter().map(output).collect();
        Self { outputs, left }
    }
}

/// Whether the cpu engine has a function that does what the kernel does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Native {
    /// It has, and it was checked.
    Checked,
    /// It does the work in other pieces.
    Absent,
}

/// One dispatch of a kernel, with what it should give.
pub trait Case {
    /// What is special about it, in a few words.
    fn name(&self) -> String;

    /// Runs it. With `changed`, what belongs to this slot alone is another: its values are not
    /// finite, its batch is shorter.
    ///
    /// # Errors
    /// When the device fails.
    fn run(&self, on: Subject<'_>, changed: Option<usize>) -> Result<Run, EngineError>;

    /// What each output should be.
    fn expected(&self) -> Vec<Vec<Expected>>;

    /// The slot that a second run changes, with the words of each output that may change with it.
    fn changeable(&self) -> Option<(usize, Vec<Range<usize>>)> {
        None
    }

    /// Checks what is a function of several words.
    fn check_derived(&self, _outputs: &[Output], _report: &mut KernelReport) {}

    /// Checks the cpu engine's function on the same case.
    fn check_native(&self, _report: &mut KernelReport) -> Native {
        Native::Absent
    }
}

/// The variants of a kernel that is the same in all tiles and sources.
pub fn one_variant(tiles: &[Tiles]) -> Vec<Variant> {
    row_tiles(&tiles[..1])
}

/// The variants of a kernel of which the rows of a tile count.
pub fn row_counts(tiles: &[Tiles]) -> Vec<Variant> {
    let mut variants = row_tiles(tiles);
    // Equal counts lie side by side.
    variants.dedup_by_key(|variant| variant.tile.rows);
    variants
}

/// The variants of a kernel that differs in the tile of rows.
pub fn row_tiles(tiles: &[Tiles]) -> Vec<Variant> {
    let variant = |tiles: &Tiles| Variant {
        tile: tiles.rows,
        source: Source::Activations,
        arena: false,
    };
    tiles.iter().map(variant).collect()
}

impl Table {
    /// Runs all cases in all variants.
    ///
    /// # Errors
    /// When the device fails; that a kernel is wrong is no error, but in the report.
    pub fn check(
        &self,
        gpu: &GpuDevice,
        tiles: &[Tiles],
        compile: &dyn Fn(Variant) -> Kernel,
    ) -> Result<KernelReport, EngineError> {
        let mut report = KernelReport::new(self.kernel);
        let mut first: Vec<(Variant, Vec<Run>)> = Vec::new();
        let mut variants = (self.variants)(tiles);
        // Some of the tiles may be the same.
        variants.sort_unstable();
        variants.dedup();
        let tiled = variants.iter().any(|v| v.tile != variants[0].tile);
        for variant in variants {
            let kernel = &compile(variant);
            gpu.check()?;
            let on = Subject {
                gpu,
                kernel,
                variant,
                tiled,
            };
            let like = first
                .iter()
                .find(|(other, _)| differ_in_tile(*other, variant));
            let runs =
                self.check_variant(on, like.map(|(_, runs)| runs.as_slice()), &mut report)?;
            first.push((variant, runs));
        }
        Ok(report)
    }

    /// Checks the cpu engine's function on the same cases; `None` where it has none of this form.
    pub fn check_native(&self, tiles: &[Tiles]) -> Option<KernelReport> {
        let mut report = KernelReport::new(self.kernel);
        // What follows the gradients has a table of its own.
        let variants = (self.variants)(tiles).into_iter().filter(|v| !v.arena);
        for case in variants.flat_map(self.cases) {
            if case.check_native(&mut report) == Native::Checked {
                report.cases += 1;
            }
        }
        (report.cases > 0).then_some(report)
    }

    /// Runs all cases of a variant; `like` are the runs of another tile.
    fn check_variant(
        &self,
        on: Subject<'_>,
        like: Option<&[Run]>,
        report: &mut KernelReport,
    ) -> Result<Vec<Run>, EngineError> {
        let mut runs = Vec::new();
        for (i, case) in (self.cases)(on.variant).iter().enumerate() {
            let name = on.name(case.as_ref());
            let run = check_case(case.as_ref(), &name, on, report)?;
            if let Some(like) = like {
                compare_runs(
                    &format!("{name}, against another tile"),
                    &run,
                    &like[i],
                    report,
                );
            }
            runs.push(run);
        }
        Ok(runs)
    }
}

fn differ_in_tile(a: Variant, b: Variant) -> bool {
    Variant { tile: b.tile, ..a } == b
}

fn check_case(
    case: &dyn Case,
    name: &str,
    on: Subject<'_>,
    report: &mut KernelReport,
) -> Result<Run, EngineError> {
    report.cases += 1;
    let run = case.run(on, None)?;
    for stray in &run.left.stray {
        report.fail(format!("{name}: {stray}"));
    }
    for (output, expected) in run.outputs.iter().zip(case.expected()) {
        report.compare(name, output, &expected);
    }
    case.check_derived(&run.outputs, report);
    if let Some((slot, own)) = case.changeable() {
        let changed = case.run(on, Some(slot))?;
        let name = format!("{name}, with slot {slot} changed");
        for stray in &changed.left.stray {
            report.fail(format!("{name}: {stray}"));
        }
        for ((after, before), own) in changed.outputs.iter().zip(&run.outputs).zip(own) {
            report.identical(&name, after, before, |i| own.contains(&i));
        }
    }
    Ok(run)
}

fn compare_runs(name: &str, run: &Run, like: &Run, report: &mut KernelReport) {
    for (a, b) in run.outputs.iter().zip(&like.outputs) {
        report.identical(name, a, b, |_| false);
    }
}
