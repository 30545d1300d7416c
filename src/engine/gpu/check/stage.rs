//! Buffers between guard zones, and one dispatch on them.

use bytemuck::Pod;

use crate::engine::EngineError;
use crate::engine::gpu::GpuDevice;
use crate::engine::gpu::kernels::{Binding, Kernel};
use crate::engine::gpu::transfer::{self, Allocator, LEAST_BYTES, Wanted};

/// What outputs hold before a dispatch, and what lies around every buffer: NaN as f32, so that a
/// value that was not written, or was read from outside, shows; and no index of anything.
pub const POISON: u32 = 0x7fc0_beef;
/// Bytes on each side of a buffer: more than a row of any case, and a multiple of the 256 that
/// bindings are aligned to.
const GUARD_BYTES: u64 = 4096;
/// Workgroups more than there is work for: a dispatch that is folded to two dimensions has such.
const IDLE_WORKGROUPS: u32 = 3;

/// A buffer of a [`Stage`].
#[derive(Clone, Copy, Debug)]
pub struct Place(usize);

struct Guarded {
    what: &'static str,
    buffer: wgpu::Buffer,
    /// What was written between the guard zones.
    initial: Vec<u8>,
    /// The kernel may write.
    writable: bool,
}

/// The buffers of one dispatch.
pub struct Stage<'g> {
    gpu: &'g GpuDevice,
    buffers: Vec<Guarded>,
}

/// What a dispatch left behind.
#[derive(Debug)]
pub struct Left {
    /// Writes where none should be, in words.
    pub stray: Vec<String>,
    contents: Vec<Vec<u8>>,
}

impl Left {
    /// The values of a buffer.
    pub fn values<T: Pod>(&self, place: Place) -> Vec<T> {
        transfer::values(&self.contents[place.0])
    }
}

impl<'g> Stage<'g> {
    /// No buffers yet.
    pub fn new(gpu: &'g GpuDevice) -> Self {
        let buffers = Vec::new();
        Self { gpu, buffers }
    }

    /// A buffer that the kernel only reads.
    ///
    /// # Errors
    /// When the device has no room for it.
    pub fn read<T: Pod>(&mut self, what: &'static str, values: &[T]) -> Result<Place, EngineError> {
        self.place(what, values, false)
    }

    /// A buffer that the kernel writes, with what it holds before.
    ///
    /// # Errors
    /// When the device has no room for it.
    pub fn write<T: Pod>(
        &mut self,
        what: &'static str,
        values: &[T],
    ) -> Result<Place, EngineError> {
        self.place(what, values, true)
    }

    /// A buffer of this many words that the kernel is to write: poisoned.
    ///
    /// # Errors
    /// When the device has no room for it.
    pub fn output(&mut self, what: &'static str, words: usize) -> Result<Place, EngineError> {
        self.place(what, &vec![POISON; words], true)
    }

    /// A uniform buffer. Kernels cannot write it, so nothing guards it.
    ///
    /// # Errors
    /// When the device has no room for it.
    pub fn uniform<T: Pod>(&self, value: &T) -> Result<wgpu::Buffer, EngineError> {
        Allocator::new(self.gpu).uniform("check.uniform", value)
    }

    fn place<T: Pod>(
        &mut self,
        what: &'static str,
        values: &[T],
        writable: bool,
    ) -> Result<Place, EngineError> {
        let mut initial: Vec<u8> = bytemuck::cast_slice(values).to_vec();
        if initial.is_empty() {
            initial = poison(LEAST_BYTES);
        }
        let guard = poison(GUARD_BYTES);
        let all = [guard.as_slice(), &initial, &guard].concat();
        let buffer = Allocator::new(self.gpu).filled(what, &all)?;
        self.buffers.push(Guarded {
            what,
            buffer,
            initial,
            writable,
        });
        Ok(Place(self.buffers.len() - 1))
    }

    /// The part of a buffer that lies between its guard zones.
    pub fn bind(&self, place: Place) -> Binding<'_> {
        let guarded = &self.buffers[place.0];
        Binding {
            buffer: &guarded.buffer,
            offset: GUARD_BYTES,
            size: wgpu::BufferSize::new(guarded.initial.len() as u64),
        }
    }

    /// Runs a kernel once, and reads everything back.
    ///
    /// # Errors
    /// When the device fails.
    pub fn dispatch(
        &self,
        kernel: &Kernel,
        bindings: &wgpu::BindGroup,
        workgroups: u32,
    ) -> Result<Left, EngineError> {
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        kernel.dispatch(&mut pass, bindings, workgroups + IDLE_WORKGROUPS);
        drop(pass);
        self.gpu.queue.submit([encoder.finish()]);
        let wanted: Vec<Wanted<'_>> = self
            .buffers
            .iter()
            .map(|b| Wanted::beginning(&b.buffer, b.buffer.size()))
            .collect();
        let read = transfer::read(self.gpu, &wanted)?;
        Ok(self.left(read))
    }

    fn left(&self, read: Vec<Vec<u8>>) -> Left {
        let guard = GUARD_BYTES as usize;
        let (mut stray, mut contents) = (Vec::new(), Vec::new());
        for (guarded, bytes) in self.buffers.iter().zip(read) {
            let inner = guard..bytes.len() - guard;
            stray.extend(stray_words(guarded, &bytes, inner.clone()));
            contents.push(bytes[inner].to_vec());
        }
        Left { stray, contents }
    }
}

fn poison(bytes: u64) -> Vec<u8> {
    POISON.to_le_bytes().repeat(bytes as usize / 4)
}

/// What was written outside a buffer, or inside one that is only read.
fn stray_words(guarded: &Guarded, all: &[u8], inner: std::ops::Range<usize>) -> Option<String> {
    let what = guarded.what;
    let poisoned = |bytes: &[u8]| bytes == poison(bytes.len() as u64);
    if !poisoned(&all[..inner.start]) {
        return Some(format!("something was written before `{what}`"));
    }
    if !poisoned(&all[inner.end..]) {
        return Some(format!("something was written behind `{what}`"));
    }
    let changed = !guarded.writable && all[inner] != guarded.initial;
    changed.then(|| format!("`{what}`, which is only read, was written"))
}
