//! A device with what was compiled for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::adapter::{AdapterKind, GpuAdapter, enumerate};
use super::device::GpuDevice;
use super::kernels::Kernel;
use super::layered::Kernels;
use super::options::Options;
use super::shader::{ResidentKernel, ResidentVariant, Source, Tiles};
use super::side_by_side::side_by_side;
use crate::engine::EngineError;
use crate::train::Shape;

/// What a resident kernel was compiled for, with the shape that is written in.
pub type ResidentKey = (ResidentKernel, ResidentVariant, Option<Shape>);

/// What the kernels of the layered engine were compiled for: how features are stored and results are cut.
pub type LayeredKey = (Source, Tiles);

/// Kernels that waves need.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// All of the layered engine's.
    Layered(LayeredKey),
    /// One of the resident engine's.
    Resident(ResidentKey),
}

impl Wanted {
    /// Both of the resident engine's.
    pub fn resident(variant: ResidentVariant, written: Option<&Shape>) -> [Self; 2] {
        ResidentKernel::ALL.map(|kernel| {
            let variant = variant.of_kernel(kernel);
            Self::Resident((kernel, variant, written.cloned()))
        })
    }
}

/// A device and what was compiled for it. Waves share it; a lost one is replaced.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The device.
    pub gpu: Arc<GpuDevice>,
    /// Kernels, compiled when first needed.
    layered: BTreeMap<LayeredKey, Arc<Kernels>>,
    resident: BTreeMap<ResidentKey, Arc<Kernel>>,
}

impl Opened {
    /// Nothing is compiled yet.
    pub fn new(gpu: GpuDevice) -> Self {
        Self {
            gpu: Arc::new(gpu),
            layered: BTreeMap::new(),
            resident: BTreeMap::new(),
        }
    }

    /// Compiles what of this is not there, side by side.
    ///
    /// # Errors
    /// When the device fails, or one of them cannot be compiled, where the others are there.
    pub fn compile(
        &mut self,
        gpu: &GpuDevice,
        options: &Options,
        wanted: &[Wanted],
    ) -> Result<(), EngineError> {
        enum Compiled {
            Layered(LayeredKey, Arc<Kernels>),
            Resident(ResidentKey, Arc<Kernel>),
        }
        let mut missing: Vec<&Wanted> = Vec::new();
        for wanted in wanted {
            let there = match wanted {
                Wanted::Layered(key) => self.layered.contains_key(key),
                Wanted::Resident(key) => self.found(gpu, key).is_some(),
            };
            if !there && !missing.contains(&wanted) {
                missing.push(wanted);
            }
        }
        let compile = |wanted: &Wanted| match wanted {
            Wanted::Layered(key @ (source, tiles)) => {
                let options = Options {
                    tiles: *tiles,
                    ..*options
                };
                let kernels = Kernels::compile(gpu, &options, *source)?;
                Ok(Compiled::Layered(*key, Arc::new(kernels)))
            }
            Wanted::Resident(key @ (kernel, variant, written)) => {
                let (checks, written) = (options.checks, written.as_ref());
                let make = || Kernel::resident(gpu, checks, *kernel, *variant, written);
                let kernel = gpu.compiled(make)?;
                Ok(Compiled::Resident(key.clone(), Arc::new(kernel)))
            }
        };
        let mut failure = Ok(());
        let compiled = side_by_side(gpu, missing, compile);
        gpu.check()?;
        for compiled in compiled {
            match compiled {
                Err(error) => failure = failure.and(Err(error)),
                Ok(Compiled::Layered(key, kernels)) => {
                    self.layered.insert(key, kernels);
                }
                Ok(Compiled::Resident(key, kernel)) => {
                    self.resident.insert(key, kernel);
                }
            }
        }
        failure
    }

    /// The layered kernels for features that are stored like this.
    ///
    /// # Errors
    /// As [`Self::compile`].
    pub fn layered(
        &mut self,
        gpu: &GpuDevice,
        source: Source,
        options: &Options,
    ) -> Result<Arc<Kernels>, EngineError> {
        let key = (source, options.tiles);
        self.compile(gpu, options, &[Wanted::Layered(key)])?;
        Ok(Arc::clone(&self.layered[&key]))
    }

    /// The resident kernels, in the order of [`ResidentKernel::ALL`]; with a shape, for networks of it alone.
    ///
    /// # Errors
    /// As [`Self::compile`].
    pub fn resident(
        &mut self,
        gpu: &GpuDevice,
        options: &Options,
        variant: ResidentVariant,
        written: Option<&Shape>,
    ) -> Result<[Arc<Kernel>; 2], EngineError> {
        let wanted = Wanted::resident(variant, written);
        self.compile(gpu, options, &wanted)?;
        Ok(wanted.map(|wanted| {
            let found = match &wanted {
                Wanted::Resident(key) => self.found(gpu, key),
                Wanted::Layered(_) => None,
            };
            Arc::clone(found.expect("it was compiled"))
        }))
    }

    /// A resident kernel that was compiled and serves.
    fn found(&self, gpu: &GpuDevice, wanted: &ResidentKey) -> Option<&Arc<Kernel>> {
        let (kernel, variant, written) = wanted;
        let serves = |(of, compiled, shape): &ResidentKey| {
            let alike = ResidentVariant {
                needs: variant.needs,
                ..*compiled
            };
            let same = of == kernel && shape == written && alike == *variant;
            // A GPU is slower with code that it has no use for, a software adapter takes seconds to compile.
            let serves = match gpu.kind {
                AdapterKind::Software => compiled.needs.hold(variant.needs),
                _ => compiled.needs == variant.needs,
            };
            same && serves
        };
        let mut all = self.resident.iter();
        all.find(|(key, _)| serves(key)).map(|(_, found)| found)
    }

    /// How many kernels of the resident engine are there, and how many sets of the layered engine's.
    #[cfg(test)]
    pub fn compiled(&self) -> [usize; 2] {
        [self.resident.len(), self.layered.len()]
    }

    /// Takes a kernel in the place of one that would be compiled.
    #[cfg(test)]
    pub fn put(&mut self, kernel: ResidentKernel, variant: ResidentVariant, compiled: Kernel) {
        let key = (kernel, variant, None);
        self.resident.insert(key, Arc::new(compiled));
    }
}

/// A new device: on the same adapter if it is still there, else on the first that can be used and
/// computes on the same kind of thing.
pub fn reopened(lost: &GpuDevice) -> Result<GpuDevice, EngineError> {
    let known = |a: &GpuAdapter| (a.backend().to_owned(), a.name().to_owned(), a.pci_id());
    let (was, kind) = (known(&lost.adapter), lost.kind);
    let mut usable: Vec<GpuAdapter> = enumerate()
        .into_iter()
        .filter(|a| a.refusal().is_none())
        .filter(|a| (a.kind() == AdapterKind::Software) == (kind == AdapterKind::Software))
        .collect();
    usable.sort_by_key(|a| known(a) != was);
    let mut error = lost.check().err();
    for adapter in usable {
        match adapter.open() {
            Ok(gpu) => return Ok(gpu),
            Err(reason) => error = Some(reason),
        }
    }
    Err(error.unwrap_or_else(|| EngineError::DeviceLost {
        adapter: lost.description.name.clone(),
        reason: "no other adapter is here".to_owned(),
    }))
}
