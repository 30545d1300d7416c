//! The GPU adapters of this machine, as wgpu finds them.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};
use wgpu::{Backend, Backends, DeviceType, DownlevelFlags};

use super::device::GpuDevice;
use crate::engine::{AdapterDescription, EngineError};

/// Backends in the order they are listed: the ones with the better compute drivers first.
const BACKENDS: [Backend; 4] = [Backend::Vulkan, Backend::Metal, Backend::Dx12, Backend::Gl];

/// The features that bear on compute shaders, of the many that an adapter may have.
const COMPUTE_FEATURES: [wgpu::Features; 12] = [
    wgpu::Features::TIMESTAMP_QUERY,
    wgpu::Features::PIPELINE_CACHE,
    wgpu::Features::SUBGROUP,
    wgpu::Features::SUBGROUP_BARRIER,
    wgpu::Features::SHADER_F16,
    wgpu::Features::SHADER_F64,
    wgpu::Features::SHADER_INT64,
    wgpu::Features::SHADER_FLOAT32_ATOMIC,
    wgpu::Features::IMMEDIATES,
    wgpu::Features::MAPPABLE_PRIMARY_BUFFERS,
    wgpu::Features::MEMORY_DECORATION_COHERENT,
    wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX,
];

/// PCI's number of the vendor, and Vulkan's name of its own driver.
const NVIDIA: (u32, &str) = (0x10de, "NVIDIA");

/// The most storage buffers that a kernel may bind.
pub(super) const STORAGE_BUFFERS: u32 = 10;
/// The most invocations that a workgroup of a kernel may have.
pub(super) const INVOCATIONS: u32 = 256;
/// The most workgroup memory that a kernel may take.
pub(super) const WORKGROUP_BYTES: u32 = 16 << 10;

/// Renderers that compute on the processor, whatever type their driver reports.
const SOFTWARE: [&str; 5] = [
    "llvmpipe",
    "softpipe",
    "swiftshader",
    "microsoft basic render driver",
    "warp",
];

/// What an adapter is made of. The order is the order of the listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdapterKind {
    /// A GPU with memory of its own.
    Discrete,
    /// A GPU that shares the processor's memory.
    Integrated,
    /// A GPU, or a part of one, lent by a hypervisor.
    Virtual,
    /// The processor behind a graphics API: llvmpipe, SwiftShader, WARP.
    Software,
    /// The driver does not say.
    Other,
}

impl AdapterKind {
    /// The name that serde gives it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Discrete => "discrete",
            Self::Integrated => "integrated",
            Self::Virtual => "virtual",
            Self::Software => "software",
            Self::Other => "other",
        }
    }

    fn of(info: &wgpu::AdapterInfo) -> Self {
        let name = info.name.to_lowercase();
        if SOFTWARE.iter().any(|software| name.contains(software)) {
            return Self::Software;
        }
        match info.device_type {
            DeviceType::DiscreteGpu => Self::Discrete,
            DeviceType::IntegratedGpu => Self::Integrated,
            DeviceType::VirtualGpu => Self::Virtual,
            DeviceType::Cpu => Self::Software,
            DeviceType::Other => Self::Other,
        }
    }
}

/// An adapter that wgpu found, with what its driver says of it.
#[derive(Clone, Debug)]
pub struct GpuAdapter {
    adapter: wgpu::Adapter,
    info: wgpu::AdapterInfo,
    limits: wgpu::Limits,
    features: wgpu::Features,
    compute: bool,
    driver: String,
    kind: AdapterKind,
}

/// The adapters of all backends: Vulkan, Metal, DX12, GL, and within a backend by kind, place on
/// the bus, name and driver. Empty when there is none. Loads the drivers, which takes a while.
///
/// wgpu's environment variables (`WGPU_BACKEND`, `WGPU_VALIDATION`, ...) are honoured.
pub fn enumerate() -> Vec<GpuAdapter> {
    let built = wgpu::Instance::enabled_backend_features();
    let wanted = Backends::all().with_env() & built;
    let backends = BACKENDS.iter().map(|&backend| Backends::from(backend));
    backends
        .filter(|&backend| wanted.contains(backend))
        .flat_map(of_backend)
        .collect()
}

/// The adapters of one backend, in order. Each backend has an instance of its own, so that one
/// whose driver is broken takes no other away.
fn of_backend(backend: Backends) -> Vec<GpuAdapter> {
    let find = || {
        let instance = instance(backend);
        pollster::block_on(instance.enumerate_adapters(backend))
    };
    // wgpu panics on some answers of broken drivers. A machine that trains on another adapter
    // need not care.
    let found = catch_unwind(AssertUnwindSafe(find)).unwrap_or_default();
    let mut adapters: Vec<_> = found.into_iter().map(GpuAdapter::new).collect();
    adapters.sort_by(|a, b| a.place().cmp(&b.place()));
    adapters
}

/// Validation costs time at every call, that of indirect dispatches a dispatch more, so it is off
/// unless the environment turns it on.
fn instance(backend: Backends) -> wgpu::Instance {
    let descriptor = wgpu::InstanceDescriptor {
        flags: wgpu::InstanceFlags::empty(),
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    };
    wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: backend,
        ..descriptor.with_env()
    })
}

impl GpuAdapter {
    fn new(adapter: wgpu::Adapter) -> Self {
        let info = adapter.get_info();
        let capabilities = adapter.get_downlevel_capabilities();
        Self {
            limits: adapter.limits(),
            features: adapter.features(),
            compute: capabilities.flags.contains(DownlevelFlags::COMPUTE_SHADERS),
            driver: driver_text(&info),
            kind: AdapterKind::of(&info),
            info,
            adapter,
        }
    }

    /// What the listing is ordered by.
    fn place(&self) -> (AdapterKind, &str, &str, &str) {
        let bus = self.info.device_pci_bus_id.as_str();
        (self.kind, bus, self.name(), self.driver())
    }

    /// Name of the device.
    pub fn name(&self) -> &str {
        &self.info.name
    }

    /// `vulkan`, `metal`, `dx12` or `gl`.
    pub fn backend(&self) -> &str {
        self.info.backend.to_str()
    }

    /// Driver and its version, in its own words.
    pub fn driver(&self) -> &str {
        &self.driver
    }

    /// What the adapter is made of.
    pub fn kind(&self) -> AdapterKind {
        self.kind
    }

    /// Place on the PCI bus, `0000:01:00.0`, where the driver says.
    pub fn pci_id(&self) -> Option<String> {
        let bus = &self.info.device_pci_bus_id;
        (!bus.is_empty()).then(|| bus.clone())
    }

    /// The best limits that the adapter has; [`GpuAdapter::open`] asks for all of them.
    pub fn limits(&self) -> &wgpu::Limits {
        &self.limits
    }

    /// Features of the adapter, those that no device here asks for too.
    pub fn features(&self) -> wgpu::Features {
        self.features
    }

    /// WebGPU's and wgpu's names of those features that bear on compute shaders.
    pub fn feature_names(&self) -> Vec<&'static str> {
        let there = COMPUTE_FEATURES
            .iter()
            .filter(|&&f| self.features.contains(f));
        there.filter_map(wgpu::Features::as_str).collect()
    }

    /// For people and for `run.json`; the engine on it adds its name and its variants.
    pub fn description(&self) -> AdapterDescription {
        AdapterDescription {
            name: self.name().to_owned(),
            backend: self.backend().to_owned(),
            driver: self.driver.clone(),
            engine: String::new(),
            limits: self.named_limits(),
            variants: BTreeMap::new(),
        }
    }

    /// The limits that bound a kernel, by wgpu's names. A subgroup's size is left out where
    /// shaders cannot use subgroups, since drivers report a placeholder there.
    fn named_limits(&self) -> BTreeMap<String, u64> {
        let limits = &self.limits;
        let mut named = vec![
            ("max_buffer_size", limits.max_buffer_size),
            (
                "max_storage_buffer_binding_size",
                limits.max_storage_buffer_binding_size,
            ),
        ];
        named.extend(
            [
                (
                    "max_storage_buffers_per_shader_stage",
                    limits.max_storage_buffers_per_shader_stage,
                ),
                (
                    "max_compute_workgroup_storage_size",
                    limits.max_compute_workgroup_storage_size,
                ),
                (
                    "max_compute_invocations_per_workgroup",
                    limits.max_compute_invocations_per_workgroup,
                ),
                (
                    "max_compute_workgroups_per_dimension",
                    limits.max_compute_workgroups_per_dimension,
                ),
            ]
            .map(|(name, value)| (name, u64::from(value))),
        );
        if self.features.contains(wgpu::Features::SUBGROUP) {
            named.push(("subgroup_min_size", self.info.subgroup_min_size.into()));
            named.push(("subgroup_max_size", self.info.subgroup_max_size.into()));
        }
        let owned = named.into_iter().map(|(k, v)| (k.to_owned(), v));
        owned.collect()
    }

    /// Whether buffers can be marked coherent, which the resident engine needs.
    pub fn has_coherent_buffers(&self) -> bool {
        let coherent = wgpu::Features::MEMORY_DECORATION_COHERENT;
        self.features().contains(coherent)
    }

    /// Whether barriers of a workgroup order what its invocations write to plain buffers, as WGSL says that they do.
    /// naga's SPIR-V does not say so unless a buffer is marked coherent, which sends every access past the
    /// nearest cache. On NVIDIA's GPUs a workgroup is on one multiprocessor, whose cache all of it shares; with
    /// NVIDIA's own driver that was tested on an H200.
    pub fn orders_plain_buffers(&self) -> bool {
        orders_plain_buffers(&self.info)
    }

    /// Why nothing can be trained here, if so: the first limit that is too small.
    pub fn refusal(&self) -> Option<EngineError> {
        lacking(self.compute, &self.limits).map(|(what, value, needed)| EngineError::AdapterLacks {
            adapter: self.name().to_owned(),
            what: what.to_owned(),
            value,
            needed,
        })
    }

    /// A device with all limits of the adapter, and those features that can be used where they
    /// are: timestamps, a pipeline cache, subgroups. None of them is required.
    ///
    /// # Errors
    /// [`EngineError::AdapterLacks`] as [`GpuAdapter::refusal`] says; [`EngineError::Device`] when
    /// the driver refuses.
    pub fn open(&self) -> Result<GpuDevice, EngineError> {
        match self.refusal() {
            Some(refusal) => Err(refusal),
            None => GpuDevice::open(&self.adapter, self),
        }
    }

    /// What it was found as.
    #[cfg(test)]
    pub(super) fn wgpu(&self) -> &wgpu::Adapter {
        &self.adapter
    }
}

/// Driver and version, which some drivers give in one of the two fields only.
fn driver_text(info: &wgpu::AdapterInfo) -> String {
    let text = format!("{} {}", info.driver, info.driver_info);
    text.trim().to_owned()
}

/// What is too small for the kernels, with what there is and what is needed.
fn lacking(compute: bool, limits: &wgpu::Limits) -> Option<(&'static str, u64, u64)> {
    let needs = [
        ("compute stages (COMPUTE_SHADERS)", u64::from(compute), 1),
        (
            "storage buffers a stage (max_storage_buffers_per_shader_stage)",
            limits.max_storage_buffers_per_shader_stage.into(),
            STORAGE_BUFFERS.into(),
        ),
        (
            "invocations a workgroup (max_compute_invocations_per_workgroup)",
            limits.max_compute_invocations_per_workgroup.into(),
            INVOCATIONS.into(),
        ),
        (
            "bytes of workgroup memory (max_compute_workgroup_storage_size)",
            limits.max_compute_workgroup_storage_size.into(),
            WORKGROUP_BYTES.into(),
        ),
        (
            "bytes a storage binding (max_storage_buffer_binding_size)",
            limits.max_storage_buffer_binding_size,
            128 << 20,
        ),
    ];
    needs.into_iter().find(|&(_, value, needed)| value < needed)
}

fn orders_plain_buffers(info: &wgpu::AdapterInfo) -> bool {
    info.backend == Backend::Vulkan && (info.vendor, info.driver.as_str()) == NVIDIA
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_is_refused_for_the_first_limit_that_is_too_small() {
        let enough = wgpu::Limits {
            max_storage_buffers_per_shader_stage: 10,
            ..wgpu::Limits::default()
        };
        assert_eq!(lacking(true, &enough), None);
        let fewer_buffers = wgpu::Limits {
            max_storage_buffers_per_shader_stage: 4,
            ..enough.clone()
        };
        let less_memory = wgpu::Limits {
            max_compute_workgroup_storage_size: 16_383,
            ..enough.clone()
        };
        let smaller_bindings = wgpu::Limits {
            max_storage_buffer_binding_size: (128 << 20) - 1,
            ..enough.clone()
        };
        for (compute, limits, named, value, needed) in [
            (false, &enough, "COMPUTE_SHADERS", 0, 1),
            (true, &fewer_buffers, "storage buffers", 4, 10),
            (true, &less_memory, "workgroup memory", 16_383, 16_384),
            (
                true,
                &smaller_bindings,
                "storage binding",
                134_217_727,
                134_217_728,
            ),
        ] {
            let (what, has, needs) = lacking(compute, limits).expect("a refusal");
            assert!(what.contains(named), "{what}");
            assert_eq!((has, needs), (value, needed), "{what}");
        }
    }

    #[test]
    fn plain_buffers_are_trusted_to_the_driver_that_was_tested() {
        let info = |vendor, driver: &str, backend| wgpu::AdapterInfo {
            vendor,
            driver: driver.to_owned(),
            ..wgpu::AdapterInfo::new(DeviceType::DiscreteGpu, backend)
        };
        for (vendor, driver, backend, expected) in [
            (0x10de, "NVIDIA", Backend::Vulkan, true),
            (0x10de, "NVK", Backend::Vulkan, false),
            (0x10de, "NVIDIA", Backend::Dx12, false),
            (0x1002, "AMD proprietary driver", Backend::Vulkan, false),
        ] {
            let found = orders_plain_buffers(&info(vendor, driver, backend));
            assert_eq!(found, expected, "{driver}");
        }
    }

    #[test]
    fn software_is_known_by_type_and_by_name() {
        let info = |name: &str, device_type| wgpu::AdapterInfo {
            name: name.to_owned(),
            ..wgpu::AdapterInfo::new(device_type, Backend::Vulkan)
        };
        for (name, device_type, expected) in [
            ("a", DeviceType::Cpu, AdapterKind::Software),
            (
                "Microsoft Basic Render Driver",
                DeviceType::Other,
                AdapterKind::Software,
            ),
            (
                "SwiftShader Device (LLVM 10.0.0)",
                DeviceType::VirtualGpu,
                AdapterKind::Software,
            ),
            (
                "NVIDIA H200",
                DeviceType::DiscreteGpu,
                AdapterKind::Discrete,
            ),
            (
                "Apple M2",
                DeviceType::IntegratedGpu,
                AdapterKind::Integrated,
            ),
            ("Mesa", DeviceType::Other, AdapterKind::Other),
        ] {
            assert_eq!(
                AdapterKind::of(&info(name, device_type)),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn serde_and_name_agree() {
        for kind in [
            AdapterKind::Discrete,
            AdapterKind::Integrated,
            AdapterKind::Virtual,
            AdapterKind::Software,
            AdapterKind::Other,
        ] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }

    #[test]
    fn adapters_are_listed_in_the_same_order_every_time() {
        let names = |found: &[GpuAdapter]| -> Vec<String> {
            let text = |a: &GpuAdapter| format!("{} {} {}", a.backend(), a.name(), a.driver());
            found.iter().map(text).collect()
        };
        let first = names(&enumerate());
        println!("adapters: {first:?}");
        assert_eq!(first, names(&enumerate()));
    }

    #[test]
    fn every_usable_adapter_opens_with_all_of_its_limits() {
        for adapter in enumerate() {
            let shown = format!("{} {}", adapter.backend(), adapter.name());
            if let Some(refusal) = adapter.refusal() {
                println!("{shown}: refused: {refusal}");
                assert!(adapter.open().is_err());
                continue;
            }
            let device = adapter.open().expect("a usable adapter opens");
            println!("{shown}: opened");
            assert_eq!(device.limits, *adapter.limits());
            assert_eq!(device.description, adapter.description());
            assert_eq!(device.kind, adapter.kind());
            assert_eq!(device.lost(), None);
        }
    }
}
