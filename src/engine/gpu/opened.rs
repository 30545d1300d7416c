//! A device with what was compiled for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::adapter::{AdapterKind, GpuAdapter, enumerate};
use super::device::GpuDevice;
use super::kernels::{Checks, Kernel};
use super::layered::Kernels;
use super::options::Options;
use super::shader::{ResidentKernel, ResidentVariant, Source, Tiles};
use crate::engine::EngineError;
use crate::train::Shape;

/// What a resident kernel was compiled for, with the shape that is written in.
type ResidentKey = (ResidentKernel, ResidentVariant, Option<Shape>);

/// A device and what was compiled for it. Waves share it; a lost one is replaced.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The device.
    pub gpu: Arc<GpuDevice>,
    /// Kernels by how features are stored and results are cut, compiled when first needed.
    kernels: BTreeMap<(Source, Tiles), Arc<Kernels>>,
    /// Resident kernels by what is compiled in.
    resident: BTreeMap<ResidentKey, Arc<Kernel>>,
}

impl Opened {
    /// Nothing is compiled yet.
    pub fn new(gpu: GpuDevice) -> Self {
        Self {
            gpu: Arc::new(gpu),
            kernels: BTreeMap::new(),
            resident: BTreeMap::new(),
        }
    }

    /// The layered kernels for features that are stored like this.
    pub fn layered(
        &mut self,
        gpu: &GpuDevice,
        source: Source,
        options: &Options,
    ) -> Result<Arc<Kernels>, EngineError> {
        let key = (source, options.tiles);
        if let Some(compiled) = self.kernels.get(&key) {
            return Ok(Arc::clone(compiled));
        }
        let compiled = Arc::new(Kernels::compile(gpu, options, source));
        gpu.check()?;
        self.kernels.insert(key, Arc::clone(&compiled));
        Ok(compiled)
    }

    /// A resident kernel; with a shape, for networks of it alone.
    pub fn resident(
        &mut self,
        gpu: &GpuDevice,
        checks: Checks,
        kernel: ResidentKernel,
        variant: ResidentVariant,
        written: Option<&Shape>,
    ) -> Result<Arc<Kernel>, EngineError> {
        let variant = variant.of_kernel(kernel);
        let does = |(of, compiled, shape): &ResidentKey| {
            let alike = ResidentVariant {
                needs: variant.needs,
                ..*compiled
            };
            let same = *of == kernel && shape.as_ref() == written && alike == variant;
            // A GPU is slower with code that it has no use for, a software adapter takes seconds to compile.
            let serves = match gpu.kind {
                AdapterKind::Software => compiled.needs.hold(variant.needs),
                _ => compiled.needs == variant.needs,
            };
            same && serves
        };
        if let Some((_, compiled)) = self.resident.iter().find(|(key, _)| does(key)) {
            return Ok(Arc::clone(compiled));
        }
        let compiled = Arc::new(Kernel::resident(gpu, checks, kernel, variant, written));
        gpu.check()?;
        let key = (kernel, variant, written.cloned());
        self.resident.insert(key, Arc::clone(&compiled));
        Ok(compiled)
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
