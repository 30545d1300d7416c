//! WGSL to SPIR-V for Vulkan, by wgpu's translator, and then what that leaves to the driver:
//!
//! - Sums and products are not drawn together, nor is an `fma` taken apart. WGSL lets a driver do both, and one did in
//!   some kernels and not in others: on an H200 bits of batch norm depended on the engine.
//! - Barriers of storage have the scope that WGSL gives them, the workgroup. The translator gives them that of the
//!   device: an NVIDIA GPU then waits until what was written has left the multiprocessor, and forgets what it had
//!   cached, for a tenth of the time of the resident kernel on an H200.

use std::num::NonZeroU64;

use wgpu::naga::back::spv;
use wgpu::naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use wgpu::naga::valid::{Capabilities, FunctionInfo, ValidationFlags, Validator};
use wgpu::naga::{AddressSpace, Module, ResourceBinding, ShaderStage, StorageAccess, front};

use super::kernel::{Checks, Translated};
use crate::engine::gpu::GpuDevice;

/// The module of a kernel; `None` where the device takes no SPIR-V, and for text that is no WGSL, of which wgpu says
/// what is wrong with it.
pub fn translated(
    gpu: &GpuDevice,
    checks: Checks,
    label: &str,
    name: &str,
    wgsl: &str,
) -> Option<Translated> {
    if !takes_spirv(gpu) {
        return None;
    }
    let Shader { words, entries } = Shader::new(checks, name, wgsl)?;
    let description = wgpu::ShaderModuleDescriptorPassthrough {
        label: Some(label),
        entry_points: vec![wgpu::PassthroughShaderEntryPoint {
            name: name.into(),
            workgroup_size: (0, 0, 0),
        }]
        .into(),
        spirv: Some(words.into()),
        ..Default::default()
    };
    Some(Translated {
        // SAFETY: the words come from a module that was validated. Without checks they guard no index, as those that
        // wgpu makes then: indices come from lists, shapes and states that the host made and checked (a snapshot's before
        // it is loaded), and buffers are as large as what they say. wgpu does not look whether a workgroup is within the
        // limits; by the other backends it does.
        module: unsafe { gpu.device.create_shader_module_passthrough(description) },
        layout: gpu
            .device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: Some(label),
                entries: &entries,
            }),
    })
}

/// Whether the device takes SPIR-V as it is.
fn takes_spirv(gpu: &GpuDevice) -> bool {
    gpu.adapter.backend() == "vulkan" && gpu.features.contains(wgpu::Features::PASSTHROUGH_SHADERS)
}

/// A kernel, and the buffers that it binds, ascending.
struct Shader {
    words: Vec<u32>,
    entries: Vec<wgpu::BindGroupLayoutEntry>,
}

impl Shader {
    fn new(checks: Checks, name: &str, wgsl: &str) -> Option<Self> {
        let module = front::wgsl::parse_str(wgsl).ok()?;
        let mut validator = Validator::new(ValidationFlags::all(), Capabilities::all());
        let info = validator.validate(&module).ok()?;
        let kernel = module.entry_points.iter().position(|e| e.name == name)?;
        let entries = layout_entries(&module, info.get_entry_point(kernel));
        let options = options(checks, &entries);
        let kernel = spv::PipelineOptions {
            shader_stage: ShaderStage::Compute,
            entry_point: name.to_owned(),
        };
        // With other bits than its neighbours' a kernel would be worse than none.
        let words = spv::write_vec(&module, &info, &options, Some(&kernel))
            .expect("what is valid can be written");
        Some(Self {
            words: finished(&words),
            entries,
        })
    }
}

/// The buffers that a kernel uses.
fn layout_entries(module: &Module, kernel: &FunctionInfo) -> Vec<wgpu::BindGroupLayoutEntry> {
    let used = module
        .global_variables
        .iter()
        .filter(|&(handle, _)| !kernel[handle].is_empty());
    let bound = used.filter_map(|(_, variable)| {
        let ty = match variable.space {
            AddressSpace::Uniform => wgpu::BufferBindingType::Uniform,
            AddressSpace::Storage { access } => wgpu::BufferBindingType::Storage {
                read_only: !access.contains(StorageAccess::STORE),
            },
            _ => return None,
        };
        // Of an array without a length, one element.
        let bytes = module.types[variable.ty].inner.size(module.to_ctx());
        Some(wgpu::BindGroupLayoutEntry {
            binding: variable.binding?.binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty,
                has_dynamic_offset: false,
                min_binding_size: NonZeroU64::new(u64::from(bytes)),
            },
            count: None,
        })
    });
    let mut entries: Vec<_> = bound.collect();
    entries.sort_by_key(|entry| entry.binding);
    entries
}

/// How a kernel is translated. wgpu numbers bindings in the order of their layout.
fn options(checks: Checks, entries: &[wgpu::BindGroupLayoutEntry]) -> spv::Options<'static> {
    let bindings = entries.iter().zip(0..).map(|(entry, place)| {
        let declared = ResourceBinding {
            group: 0,
            binding: entry.binding,
        };
        let bound = spv::BindingInfo {
            descriptor_set: 0,
            binding: place,
            binding_array_size: None,
        };
        (declared, bound)
    });
    let checked = checks == Checks::On;
    let policy = match checks {
        Checks::On => BoundsCheckPolicy::Restrict,
        Checks::Off => BoundsCheckPolicy::Unchecked,
    };
    spv::Options {
        lang_version: (1, 0),
        flags: spv::WriterFlags::empty(),
        binding_map: bindings.collect(),
        bounds_check_policies: BoundsCheckPolicies {
            index: policy,
            buffer: policy,
            image_load: policy,
            binding_array: policy,
        },
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        fake_missing_bindings: false,
        force_loop_bounding: checked,
        emit_int_div_checks: checked,
        ..spv::Options::default()
    }
}

/// Words before the first instruction of a SPIR-V module.
const HEADER: usize = 5;
/// Instructions, by the numbers of the SPIR-V specification.
mod op {
    pub const DECORATE: u32 = 71;
    pub const CONTROL_BARRIER: u32 = 224;
    /// The first is declared behind all decorations.
    pub const TYPES: std::ops::RangeInclusive<u32> = 19..=39;
    /// `OpFAdd`, `OpFSub`, `OpFMul`, `OpVectorTimesScalar`.
    pub const DRAWN_TOGETHER: [u32; 4] = [129, 131, 133, 142];
    /// `OpExtInst`: its type, its result, the set (naga imports GLSL.std.450 alone), the number there.
    pub const EXTENDED: u32 = 12;
}
const NO_CONTRACTION: u32 = 42;
/// `Fma` of GLSL.std.450, which without that decoration may be two operations.
const FMA: u32 = 50;

/// Whether a driver could make other operations of this one.
fn is_loose(op: u32, instruction: &[u32]) -> bool {
    op::DRAWN_TOGETHER.contains(&op) || (op == op::EXTENDED && instruction[4] == FMA)
}

/// The instructions of a module: the first word of each, and all.
fn instructions(words: &[u32]) -> impl Iterator<Item = (u32, &[u32])> {
    let mut rest = words.get(HEADER..).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = (*rest.first()? >> 16).max(1) as usize;
        let (instruction, behind) = rest.split_at_checked(length)?;
        rest = behind;
        Some((instruction[0] & 0xffff, instruction))
    })
}

/// The same module with what this file adds.
fn finished(words: &[u32]) -> Vec<u32> {
    let results = instructions(words)
        .filter(|&(op, instruction)| is_loose(op, instruction))
        .map(|(_, instruction)| instruction[2]);
    let mut decorations: Vec<u32> = results
        .flat_map(|result| [3 << 16 | op::DECORATE, result, NO_CONTRACTION])
        .collect();
    let mut out = words[..HEADER].to_vec();
    for (op, instruction) in instructions(words) {
        if op::TYPES.contains(&op) {
            out.append(&mut decorations);
        }
        let begins = out.len();
        out.extend(instruction);
        if op == op::CONTROL_BARRIER {
            // The memory's scope is that of execution.
            out[begins + 2] = out[begins + 1];
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const TEXT: &str = "
        @group(0) @binding(3) var<storage, read_write> b: array<f32, 4>;
        @group(0) @binding(2) var<storage, read> unused: array<f32>;
        @group(0) @binding(1) var<storage, read> a: array<f32>;
        @group(0) @binding(0) var<uniform> n: f32;
        @compute @workgroup_size(2)
        fn kernel(@builtin(local_invocation_index) t: u32) {
            b[t] = a[t] * n;
            storageBarrier();
            b[t] += fma(n, n, b[1u - t]);
        }";

    fn shader() -> Shader {
        Shader::new(Checks::Off, "kernel", TEXT).unwrap()
    }

    #[test]
    fn barriers_are_of_the_workgroup() {
        const CONSTANT: u32 = 43;
        const WORKGROUP: u32 = 2;
        let words = shader().words;
        let of = |wanted| instructions(&words).filter(move |&(op, _)| op == wanted);
        let constants: BTreeMap<_, _> = of(CONSTANT).map(|(_, c)| (c[2], c[3])).collect();
        let scopes: Vec<_> = of(op::CONTROL_BARRIER)
            .map(|(_, b)| constants[&b[2]])
            .collect();
        assert_eq!(scopes, [WORKGROUP]);
    }

    #[test]
    fn sums_and_products_are_not_drawn_together_nor_fma_taken_apart() {
        const F_ADD: u32 = 129;
        const F_MUL: u32 = 133;
        let words = shader().words;
        let results = |(op, instruction): (u32, &[u32])| {
            let fma = op == op::EXTENDED && instruction[4] == FMA;
            ([F_ADD, F_MUL].contains(&op) || fma).then(|| instruction[2])
        };
        let decorated = |(op, instruction): (u32, &[u32])| {
            (op == op::DECORATE && instruction[2] == NO_CONTRACTION).then(|| instruction[1])
        };
        let results: Vec<_> = instructions(&words).filter_map(results).collect();
        let decorated: Vec<_> = instructions(&words).filter_map(decorated).collect();
        assert_eq!(results.len(), 3, "a product, an fma and a sum");
        assert_eq!(decorated, results);
    }

    #[test]
    fn buffers_are_bound_as_they_are_declared_where_they_are_used() {
        let of = |entry: &wgpu::BindGroupLayoutEntry| {
            let wgpu::BindingType::Buffer {
                ty,
                min_binding_size,
                ..
            } = entry.ty
            else {
                panic!("a buffer: {entry:?}");
            };
            (entry.binding, ty, min_binding_size.map(NonZeroU64::get))
        };
        let entries: Vec<_> = shader().entries.iter().map(of).collect();
        let storage = |read_only| wgpu::BufferBindingType::Storage { read_only };
        assert_eq!(
            entries,
            [
                (0, wgpu::BufferBindingType::Uniform, Some(4)),
                (1, storage(true), Some(4)),
                (3, storage(false), Some(16)),
            ]
        );
    }
}
