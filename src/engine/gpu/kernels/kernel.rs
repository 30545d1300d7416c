//! What all kernels have in common: compiling, binding, dispatching.

#[cfg(not(target_vendor = "apple"))]
use super::spirv::translated;
use crate::engine::gpu::GpuDevice;
use crate::engine::gpu::shader::{self, ResidentKernel, ResidentVariant, Source, Variant};
use crate::engine::gpu::unchecked::unchecked;
use crate::train::Shape;

/// Part of a buffer that a kernel reads or writes.
pub type Binding<'a> = wgpu::BufferBinding<'a>;

/// The whole of a buffer.
pub fn whole(buffer: &wgpu::Buffer) -> Binding<'_> {
    buffer.as_entire_buffer_binding()
}

/// A field of a kernel's bindings: one buffer, or several that belong together.
pub trait Entries<'a> {
    /// Binding numbers with their buffers; `first` is that of the first.
    fn entries(&self, first: u32) -> Vec<(u32, Binding<'a>)>;
}

impl<'a> Entries<'a> for Binding<'a> {
    fn entries(&self, first: u32) -> Vec<(u32, Binding<'a>)> {
        vec![(first, self.clone())]
    }
}

/// Where a layer's inputs are, with what is needed to load them.
#[derive(Clone, Debug)]
pub enum Inputs<'a> {
    /// Outputs of the layer before, `[rows][inputs]`.
    Activations(Binding<'a>),
    /// The dataset, the rows to take, and the scaling of each fold.
    Dataset {
        /// How the features are stored: [`Source::FeaturesF32`] or [`Source::FeaturesU8`].
        source: Source,
        /// `[rows][inputs]`.
        features: Binding<'a>,
        /// Row numbers, in the order of their visit.
        orders: Binding<'a>,
        /// For each fold a row of offsets and one of factors.
        scaling: Binding<'a>,
    },
}

impl Inputs<'_> {
    /// The variant of the kernel that loads them.
    pub fn source(&self) -> Source {
        match self {
            Self::Activations(_) => Source::Activations,
            Self::Dataset { source, .. } => *source,
        }
    }
}

impl<'a> Entries<'a> for Inputs<'a> {
    fn entries(&self, first: u32) -> Vec<(u32, Binding<'a>)> {
        match self.clone() {
            Self::Activations(inputs) => vec![(first, inputs)],
            Self::Dataset {
                features,
                orders,
                scaling,
                ..
            } => vec![(first, features), (7, orders), (8, scaling)],
        }
    }
}

/// What becomes of the gradients of weights.
#[derive(Clone, Debug)]
pub enum WeightsResult<'a> {
    /// The optimizer's update, in place.
    Updated {
        /// Parameters, slot after slot.
        weights: Binding<'a>,
        /// Their moment vectors.
        moments: Binding<'a>,
    },
    /// They are written here, slot after slot, in the layout of the weights.
    Gradients(Binding<'a>),
    /// The same, by a kernel that also reads the parameters.
    GradientsBeside {
        /// Gradients, slot after slot, overwritten.
        gradients: Binding<'a>,
        /// Parameters, slot after slot.
        weights: Binding<'a>,
    },
}

impl<'a> Entries<'a> for WeightsResult<'a> {
    fn entries(&self, first: u32) -> Vec<(u32, Binding<'a>)> {
        match self.clone() {
            Self::Updated { weights, moments } => vec![(first, weights), (9, moments)],
            Self::Gradients(gradients) => vec![(first, gradients)],
            Self::GradientsBeside { gradients, weights } => vec![(first, gradients), (11, weights)],
        }
    }
}

/// Whether kernels are compiled with wgpu's bounds checks and loop bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Checks {
    /// As a browser would: every index is clamped.
    On,
    /// Indices are trusted. The tests run both, and the results are the same.
    Off,
}

/// A kernel's module, and the layout of what it binds.
pub(super) struct Translated {
    pub module: wgpu::ShaderModule,
    pub layout: wgpu::BindGroupLayout,
}

/// A compiled kernel.
#[derive(Debug)]
pub struct Kernel {
    name: &'static str,
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
    /// Most workgroups along one dimension of a dispatch.
    most_workgroups: u32,
}

impl Kernel {
    /// Renders and compiles `shaders/<name>.wgsl`. Errors reach the device's error scope.
    pub fn new(gpu: &GpuDevice, checks: Checks, name: &'static str, variant: Variant) -> Self {
        Self::from_wgsl(gpu, checks, name, shader::render(name, variant))
    }

    /// Compiles this text, whose entry point is `name`. Errors reach the device's error scope.
    pub fn from_wgsl(gpu: &GpuDevice, checks: Checks, name: &'static str, wgsl: String) -> Self {
        let label = format!("regatta.{name}");
        match translated(gpu, checks, &label, name, &wgsl) {
            Some(of) => {
                let make = || Self::from_module(gpu, name, &label, &of.module, Some(&of.layout));
                match checks {
                    Checks::On => make(),
                    Checks::Off => unchecked(make),
                }
            }
            None => {
                let module = shader_module(&gpu.device, checks, &label, wgsl);
                Self::from_module(gpu, name, &label, &module, None)
            }
        }
    }

    /// The kernel of a module; without a layout it binds what wgpu finds that it uses.
    fn from_module(
        gpu: &GpuDevice,
        name: &'static str,
        label: &str,
        module: &wgpu::ShaderModule,
        layout: Option<&wgpu::BindGroupLayout>,
    ) -> Self {
        let layout = layout.map(|layout| {
            gpu.device
                .create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                    label: Some(label),
                    bind_group_layouts: &[Some(layout)],
                    ..Default::default()
                })
        });
        let pipeline = gpu
            .device
            .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(label),
                layout: layout.as_ref(),
                module,
                entry_point: Some(name),
                compilation_options: wgpu::PipelineCompilationOptions {
                    zero_initialize_workgroup_memory: false,
                    ..Default::default()
                },
                cache: None,
            });
        Self {
            name,
            layout: pipeline.get_bind_group_layout(0),
            pipeline,
            most_workgroups: gpu.limits.max_compute_workgroups_per_dimension,
        }
    }

    /// Compiles a resident kernel; with a shape, for networks of it alone. Errors reach the device's error
    /// scope.
    pub fn resident(
        gpu: &GpuDevice,
        checks: Checks,
        kernel: ResidentKernel,
        variant: ResidentVariant,
        written: Option<&Shape>,
    ) -> Self {
        let text = variant.render(kernel, written);
        Self::from_wgsl(gpu, checks, kernel.name(), text)
    }

    /// Names the buffers of a dispatch.
    pub fn bind<'a>(
        &self,
        device: &wgpu::Device,
        entries: impl IntoIterator<Item = (u32, Binding<'a>)>,
    ) -> wgpu::BindGroup {
        let entries: Vec<wgpu::BindGroupEntry<'_>> = entries
            .into_iter()
            .map(|(binding, buffer)| wgpu::BindGroupEntry {
                binding,
                resource: wgpu::BindingResource::Buffer(buffer),
            })
            .collect();
        device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(self.name),
            layout: &self.layout,
            entries: &entries,
        })
    }

    /// Records one dispatch of this many workgroups, folded to two dimensions. A few more than asked
    /// for may run: they are given the items behind the last one of their list, if there are any.
    pub fn dispatch(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        bindings: &wgpu::BindGroup,
        workgroups: u32,
    ) {
        if workgroups == 0 {
            return;
        }
        let (x, y) = fold(workgroups, self.most_workgroups);
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, bindings, &[]);
        pass.dispatch_workgroups(x, y, 1);
    }
}

/// Only wgpu translates for Metal.
#[cfg(target_vendor = "apple")]
fn translated(_: &GpuDevice, _: Checks, _: &str, _: &str, _: &str) -> Option<Translated> {
    None
}

fn shader_module(
    device: &wgpu::Device,
    checks: Checks,
    label: &str,
    wgsl: String,
) -> wgpu::ShaderModule {
    let description = wgpu::ShaderModuleDescriptor {
        label: Some(label),
        source: wgpu::ShaderSource::Wgsl(wgsl.into()),
    };
    match checks {
        Checks::On => device.create_shader_module(description),
        // SAFETY: indices come from lists, shapes and states that the host made and checked, whose buffers are as
        // large as what they say, and every loop ends; the tests run them with checks on and off, between guard zones.
        Checks::Off => unsafe {
            device.create_shader_module_trusted(description, wgpu::ShaderRuntimeChecks::unchecked())
        },
    }
}

/// Two dimensions that hold this many workgroups, as few too many as can be.
fn fold(workgroups: u32, most: u32) -> (u32, u32) {
    let y = workgroups.div_ceil(most);
    (workgroups.div_ceil(y), y)
}

/// Declares what a kernel reads and writes: its bindings by name and number.
macro_rules! bindings {
    ($($(#[$field_doc:meta])* $field:ident: $kind:ty = $number:literal),* $(,)?) => {
        use crate::engine::gpu::kernels::kernel::{Entries, Kernel};

        /// What the kernel reads and writes.
        #[derive(Clone, Debug)]
        pub struct Bindings<'a> {
            $($(#[$field_doc])* pub $field: $kind),*
        }

        impl Bindings<'_> {
            /// Names the buffers for a dispatch of `kernel`.
            pub fn bind(&self, device: &wgpu::Device, kernel: &Kernel) -> wgpu::BindGroup {
                let entries = [$(self.$field.entries($number)),*];
                kernel.bind(device, entries.into_iter().flatten())
            }
        }
    };
}

/// Declares a kernel: its name, and its bindings by name and number.
macro_rules! kernel {
    ($(#[$doc:meta])* $kernel:literal { $($fields:tt)* }) => {
        use crate::engine::gpu::GpuDevice;
        use crate::engine::gpu::kernels::kernel::{Checks, bindings};
        use crate::engine::gpu::shader::Variant;

        bindings! { $($fields)* }

        $(#[$doc])*
        pub fn compile(gpu: &GpuDevice, checks: Checks, variant: Variant) -> Kernel {
            Kernel::new(gpu, checks, $kernel, variant)
        }
    };
}

pub(super) use bindings;
pub(super) use kernel;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workgroups_are_folded_to_two_dimensions() {
        for (workgroups, expected) in [
            (1, (1, 1)),
            (65_535, (65_535, 1)),
            (65_536, (32_768, 2)),
            (200_000, (50_000, 4)),
        ] {
            let (x, y) = fold(workgroups, 65_535);
            assert_eq!((x, y), expected);
            assert!(u64::from(x) * u64::from(y) >= u64::from(workgroups));
        }
    }
}
