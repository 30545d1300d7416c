//! Vulkan's devices, opened so that kernels may go without the driver's checks.
//!
//! NVIDIA's driver checks the bounds of every access to storage: a load is 7 instructions. By
//! VK_EXT_pipeline_robustness a pipeline can say that it needs no checks, which wgpu has no way to say. So a device is
//! opened here as wgpu opens one, with that extension beside; and what wgpu makes a compute pipeline by is a function
//! of this module, which adds the word to those that are made within [`unchecked`] and calls the driver's.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::{CStr, c_void};
use std::sync::{PoisonError, RwLock};

use ash::vk::{self, Handle as _};
use wgpu::hal::api::Vulkan;

/// What the drivers make compute pipelines by, by the handle of each device that was opened here. That of a device
/// that is gone stays until its handle is given to another.
static DRIVERS: RwLock<BTreeMap<u64, vk::PFN_vkCreateComputePipelines>> =
    RwLock::new(BTreeMap::new());

thread_local! {
    /// Whether what this thread makes is to be unchecked.
    static UNCHECKED: Cell<bool> = const { Cell::new(false) };
    /// How many pipelines of this thread were told so.
    #[cfg(test)]
    pub static TOLD: Cell<usize> = const { Cell::new(0) };
}

/// Makes pipelines whose accesses to buffers the driver need not check: the shaders keep to their bounds. Without
/// effect on a device that was not opened here.
pub fn unchecked<R>(make: impl FnOnce() -> R) -> R {
    /// Sets it back, also where something panics: a thread of a pool has other work then.
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            UNCHECKED.set(self.0);
        }
    }
    let _before = Before(UNCHECKED.replace(true));
    make()
}

/// Opens a device; `None` where the adapter is not Vulkan's, has no such extension, or refuses: wgpu may open it then,
/// or say why not.
pub fn open(
    adapter: &wgpu::Adapter,
    description: &wgpu::DeviceDescriptor<'_>,
) -> Option<(wgpu::Device, wgpu::Queue)> {
    // SAFETY: nothing of the adapter is destroyed here.
    let hal = unsafe { adapter.as_hal::<Vulkan>() }?;
    if !is_supported(&hal) {
        return None;
    }
    let features = description.required_features;
    let mut extensions = hal.required_device_extensions(features);
    extensions.push(ash::ext::pipeline_robustness::NAME);
    let device = created(&hal, features, &extensions)?;
    // SAFETY: the device was made with these extensions and with the features that belong to them, on wgpu's queue.
    let opened = unsafe {
        hal.device_from_raw(
            with_own_function(&hal, device),
            None,
            &extensions,
            features,
            &description.required_limits,
            &description.memory_hints,
            QUEUE_FAMILY,
            0,
        )
    };
    let opened = opened.ok()?;
    // SAFETY: it was opened on this adapter, with what the description asks for.
    unsafe { adapter.create_device_from_hal::<Vulkan>(opened, description) }.ok()
}

type HalAdapter = <Vulkan as wgpu::hal::Api>::Adapter;

/// wgpu uses the first queue of the first family.
const QUEUE_FAMILY: u32 = 0;

fn is_supported(hal: &HalAdapter) -> bool {
    let (known, instance) = (hal.physical_device_capabilities(), hal.shared_instance());
    // The features are asked for by a function of 1.1.
    let versions = [
        known.properties().api_version,
        instance.instance_api_version(),
    ];
    if versions.iter().any(|&v| v < vk::API_VERSION_1_1)
        || !known.supports_extension(ash::ext::pipeline_robustness::NAME)
    {
        return false;
    }
    let mut robustness = vk::PhysicalDevicePipelineRobustnessFeaturesEXT::default();
    let mut features = vk::PhysicalDeviceFeatures2::default().push_next(&mut robustness);
    // SAFETY: both structures are chained and written to before they are read.
    unsafe {
        instance
            .raw_instance()
            .get_physical_device_features2(hal.raw_physical_device(), &mut features);
    }
    robustness.pipeline_robustness == vk::TRUE
}

/// The device as wgpu makes it, with these extensions and what the last of them needs.
fn created(
    hal: &HalAdapter,
    features: wgpu::Features,
    extensions: &[&'static CStr],
) -> Option<vk::Device> {
    let names: Vec<_> = extensions.iter().map(|name| name.as_ptr()).collect();
    let queues = [vk::DeviceQueueCreateInfo::default()
        .queue_family_index(QUEUE_FAMILY)
        .queue_priorities(&[1.0])];
    let mut of_wgpu = hal.physical_device_features(extensions, features);
    let mut robustness =
        vk::PhysicalDevicePipelineRobustnessFeaturesEXT::default().pipeline_robustness(true);
    let info = vk::DeviceCreateInfo::default()
        .queue_create_infos(&queues)
        .enabled_extension_names(&names);
    let info = of_wgpu
        .add_to_device_create(info)
        .push_next(&mut robustness);
    let instance = hal.shared_instance().raw_instance();
    // SAFETY: what the description points to lives until the call returns.
    let device = unsafe { instance.create_device(hal.raw_physical_device(), &info, None) };
    device.ok().map(|device| device.handle())
}

const CREATE: &CStr = c"vkCreateComputePipelines";

/// The device's functions, with this module's in the place of the one that makes compute pipelines.
///
/// # Safety
/// The device is of this adapter's instance, and was just made.
unsafe fn with_own_function(hal: &HalAdapter, device: vk::Device) -> ash::Device {
    let instance = hal.shared_instance().raw_instance();
    let get = instance.fp_v1_0().get_device_proc_addr;
    // SAFETY: names are those of functions of a device.
    let of_driver = |name: &CStr| unsafe { get(device, name.as_ptr()) };
    if let Some(create) = of_driver(CREATE) {
        // SAFETY: Vulkan gives each function by its name.
        let create: vk::PFN_vkCreateComputePipelines = unsafe { std::mem::transmute(create) };
        let mut drivers = DRIVERS.write().unwrap_or_else(PoisonError::into_inner);
        drivers.insert(device.as_raw(), create);
    }
    let load = |name: &CStr| match of_driver(name) {
        Some(_) if name == CREATE => create_compute_pipelines as *const c_void,
        Some(function) => function as *const c_void,
        None => std::ptr::null(),
    };
    // SAFETY: each function has the type that its name says.
    unsafe { ash::Device::load_with(load, device) }
}

/// The driver's function, with the word that pipelines need no checks where that is so.
unsafe extern "system" fn create_compute_pipelines(
    device: vk::Device,
    cache: vk::PipelineCache,
    count: u32,
    infos: *const vk::ComputePipelineCreateInfo<'_>,
    allocator: *const vk::AllocationCallbacks<'_>,
    pipelines: *mut vk::Pipeline,
) -> vk::Result {
    let drivers = DRIVERS.read().unwrap_or_else(PoisonError::into_inner);
    let Some(create) = drivers.get(&device.as_raw()).copied() else {
        return vk::Result::ERROR_INITIALIZATION_FAILED;
    };
    drop(drivers);
    if !UNCHECKED.get() {
        // SAFETY: the caller's.
        return unsafe { create(device, cache, count, infos, allocator, pipelines) };
    }
    // SAFETY: the caller gives so many.
    let asked = unsafe { std::slice::from_raw_parts(infos, count as usize) };
    let disabled = vk::PipelineRobustnessBufferBehaviorEXT::DISABLED;
    let words = asked.iter().map(|info| {
        let mut word = vk::PipelineRobustnessCreateInfoEXT::default()
            .storage_buffers(disabled)
            .uniform_buffers(disabled);
        word.p_next = info.p_next;
        word
    });
    let words: Vec<_> = words.collect();
    let told = asked.iter().zip(&words).map(|(info, word)| {
        let mut info = *info;
        info.p_next = std::ptr::from_ref(word).cast();
        info
    });
    let told: Vec<_> = told.collect();
    #[cfg(test)]
    TOLD.set(TOLD.get() + told.len());
    // SAFETY: the caller's, and the words live until the call returns.
    unsafe { create(device, cache, count, told.as_ptr(), allocator, pipelines) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::gpu::enumerate;
    use crate::engine::gpu::kernels::{Checks, Kernel};

    const TEXT: &str = "
        @group(0) @binding(0) var<storage, read_write> values: array<f32>;
        @compute @workgroup_size(1)
        fn kernel(@builtin(workgroup_id) at: vec3<u32>) {
            values[at.x] += 1.0;
        }";

    /// SwiftShader has the extension, with which its feature comes; llvmpipe (22.3) and OpenGL have not.
    #[test]
    fn kernels_without_checks_are_not_checked_by_drivers_that_can() {
        for adapter in enumerate().into_iter().filter(|a| a.refusal().is_none()) {
            // SAFETY: nothing is destroyed.
            let supported = unsafe { adapter.wgpu().as_hal::<Vulkan>() }.is_some_and(|hal| {
                let known = hal.physical_device_capabilities();
                known.supports_extension(ash::ext::pipeline_robustness::NAME)
            });
            let gpu = adapter.open().unwrap();
            println!("{} {}: {supported}", adapter.backend(), adapter.name());
            for (checks, expected) in [(Checks::Off, supported), (Checks::On, false)] {
                let before = TOLD.get();
                let _ = Kernel::from_wgsl(&gpu, checks, "kernel", TEXT.to_owned());
                assert!(gpu.check().is_ok(), "{:?}", gpu.check());
                assert_eq!(TOLD.get() - before, usize::from(expected), "{checks:?}");
            }
        }
    }
}
