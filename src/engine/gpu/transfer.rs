//! Buffers on the device: made, filled, read back.

use bytemuck::Pod;

use super::GpuDevice;
use crate::engine::EngineError;

/// The least a binding may have: a `vec4`.
pub const LEAST_BYTES: u64 = 16;

/// A part of a storage buffer that holds one thing, or the whole of it.
#[derive(Clone, Debug)]
pub struct Slice {
    /// The buffer.
    pub buffer: wgpu::Buffer,
    /// First byte, at a whole `vec4`.
    pub offset: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Slice {
    /// The whole of a buffer.
    pub fn whole(buffer: wgpu::Buffer) -> Self {
        Self {
            offset: 0,
            bytes: buffer.size(),
            buffer,
        }
    }

    /// For a kernel.
    pub fn binding(&self) -> wgpu::BufferBinding<'_> {
        wgpu::BufferBinding {
            buffer: &self.buffer,
            offset: self.offset,
            size: wgpu::BufferSize::new(self.bytes),
        }
    }
}

/// Slices of one buffer that is still to be made, one behind the other: kernels are given the whole of it.
#[derive(Clone, Debug, Default)]
pub struct Joined {
    slices: Vec<(u64, u64)>,
    bytes: u64,
}

impl Joined {
    /// Room for so many bytes, a multiple of those of a `vec4`; gives the number of the slice.
    pub fn add(&mut self, bytes: u64) -> usize {
        self.slices.push((self.bytes, bytes));
        self.bytes += bytes;
        self.slices.len() - 1
    }

    /// Bytes of the whole buffer.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A slice of the buffer, which was made since.
    pub fn slice(&self, buffer: &wgpu::Buffer, number: usize) -> Slice {
        let (offset, bytes) = self.slices[number];
        Slice {
            buffer: buffer.clone(),
            offset,
            bytes,
        }
    }
}

const STORAGE: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE
    .union(wgpu::BufferUsages::COPY_SRC)
    .union(wgpu::BufferUsages::COPY_DST);
const UNIFORM: wgpu::BufferUsages = wgpu::BufferUsages::UNIFORM;

/// Makes buffers, counts their bytes, and says which did not fit.
#[derive(Debug)]
pub struct Allocator<'g> {
    gpu: &'g GpuDevice,
    bytes: u64,
    most: u64,
    most_buffer: u64,
}

impl<'g> Allocator<'g> {
    /// Nothing is made yet.
    pub fn new(gpu: &'g GpuDevice) -> Self {
        Self {
            gpu,
            bytes: 0,
            most: u64::MAX,
            most_buffer: gpu
                .limits
                .max_buffer_size
                .min(gpu.limits.max_storage_buffer_binding_size),
        }
    }

    /// Makes no more than this in all.
    pub fn with_most(mut self, bytes: Option<u64>) -> Self {
        self.most = bytes.unwrap_or(u64::MAX);
        self
    }

    /// Makes no buffer larger than this.
    pub fn with_most_buffer(mut self, bytes: u64) -> Self {
        self.most_buffer = bytes;
        self
    }

    /// Bytes of all buffers so far.
    #[cfg(test)]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A storage buffer of zeros.
    ///
    /// # Errors
    /// [`EngineError::OutOfMemory`] when the adapter has no room for it.
    pub fn zeros(&mut self, what: &str, bytes: u64) -> Result<wgpu::Buffer, EngineError> {
        self.make(what, bytes.max(LEAST_BYTES), STORAGE)
    }

    /// A storage buffer that holds these values.
    ///
    /// # Errors
    /// [`EngineError::OutOfMemory`] when the adapter has no room for it.
    pub fn filled<T: Pod>(
        &mut self,
        what: &str,
        values: &[T],
    ) -> Result<wgpu::Buffer, EngineError> {
        let buffer = self.zeros(what, size_of_val(values) as u64)?;
        write(self.gpu, &buffer, values);
        Ok(buffer)
    }

    /// A uniform buffer that holds this value.
    ///
    /// # Errors
    /// [`EngineError::OutOfMemory`] when the adapter has no room for it.
    pub fn uniform<T: Pod>(&mut self, what: &str, value: &T) -> Result<wgpu::Buffer, EngineError> {
        let usage = UNIFORM.union(wgpu::BufferUsages::COPY_DST);
        let buffer = self.make(what, size_of::<T>() as u64, usage)?;
        write(self.gpu, &buffer, std::slice::from_ref(value));
        Ok(buffer)
    }

    /// Counts a buffer that is there already.
    ///
    /// # Errors
    /// [`EngineError::OutOfMemory`] when it is too much with those that were made.
    pub fn share(&mut self, what: &str, bytes: u64) -> Result<(), EngineError> {
        self.count(what, bytes, false)
    }

    fn count(&mut self, what: &str, bytes: u64, refused: bool) -> Result<(), EngineError> {
        if refused || self.bytes + bytes > self.most {
            return Err(EngineError::OutOfMemory {
                adapter: self.gpu.description.name.clone(),
                what: what.to_owned(),
                bytes,
            });
        }
        self.bytes += bytes;
        Ok(())
    }

    fn make(
        &mut self,
        what: &str,
        bytes: u64,
        usage: wgpu::BufferUsages,
    ) -> Result<wgpu::Buffer, EngineError> {
        if bytes > self.most_buffer {
            return Err(EngineError::BufferTooLarge {
                adapter: self.gpu.description.name.clone(),
                what: what.to_owned(),
                bytes,
                available: self.most_buffer,
            });
        }
        let device = &self.gpu.device;
        let out_of_memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(&format!("regatta.{what}")),
            size: bytes,
            usage,
            mapped_at_creation: false,
        });
        let refused = pollster::block_on(out_of_memory.pop()).is_some();
        self.count(what, bytes, refused)?;
        Ok(buffer)
    }
}

/// Bytes that go to or from the device at once: what is staged is memory of the host and, with some
/// drivers, of the device.
const CHUNK_BYTES: u64 = 64 << 20;

/// Writes values to the beginning of a buffer, in chunks.
pub fn write<T: Pod>(gpu: &GpuDevice, buffer: &wgpu::Buffer, values: &[T]) {
    write_at(gpu, buffer, 0, values);
}

/// Writes values to the beginning of a slice, in chunks.
pub fn write_slice<T: Pod>(gpu: &GpuDevice, slice: &Slice, values: &[T]) {
    write_at(gpu, &slice.buffer, slice.offset, values);
}

fn write_at<T: Pod>(gpu: &GpuDevice, buffer: &wgpu::Buffer, offset: u64, values: &[T]) {
    let bytes: &[u8] = bytemuck::cast_slice(values);
    let mut at = offset;
    for chunk in bytes.chunks(CHUNK_BYTES as usize) {
        if at > offset {
            // What is staged so far is sent, and its memory freed.
            gpu.queue.submit([]);
        }
        gpu.queue.write_buffer(buffer, at, chunk);
        at += chunk.len() as u64;
    }
}

/// Writes vectors of one length to a slice, one behind the other, in chunks: straight to where the driver
/// takes them from. A failure is told to whoever waits for the device next.
///
/// # Panics
/// When a vector has another length than the first.
pub fn write_vectors<'v>(
    gpu: &GpuDevice,
    slice: &Slice,
    vectors: impl ExactSizeIterator<Item = &'v [f32]>,
) {
    let mut vectors = vectors.peekable();
    let Some(bytes) = vectors.peek().map(|vector| size_of_val(*vector)) else {
        return;
    };
    let mut at = slice.offset;
    if bytes > CHUNK_BYTES as usize {
        for vector in vectors {
            write_at(gpu, &slice.buffer, at, vector);
            at += bytes as u64;
        }
        return;
    }
    let at_once = (CHUNK_BYTES as usize / bytes.max(1)).max(1);
    while vectors.len() > 0 {
        let count = vectors.len().min(at_once);
        let size = wgpu::BufferSize::new((count * bytes) as u64).expect("vectors have values");
        let Some(mut view) = gpu.queue.write_buffer_with(&slice.buffer, at, size) else {
            // The device is lost, or has no room: whoever waits for it next is told.
            return;
        };
        for (i, vector) in vectors.by_ref().take(count).enumerate() {
            let place = i * bytes..(i + 1) * bytes;
            view.slice(place)
                .copy_from_slice(bytemuck::cast_slice(vector));
        }
        at += (count * bytes) as u64;
        drop(view);
        if vectors.len() > 0 {
            // What is staged so far is sent, and its memory freed.
            gpu.queue.submit([]);
        }
    }
}

/// A part of a buffer that is read back.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'b> {
    /// The buffer.
    pub buffer: &'b wgpu::Buffer,
    /// First byte, a multiple of 4.
    pub offset: u64,
    /// Bytes, a multiple of 4.
    pub bytes: u64,
}

impl<'b> Wanted<'b> {
    /// The first `bytes` of a buffer.
    pub fn beginning(buffer: &'b wgpu::Buffer, bytes: u64) -> Self {
        Self {
            buffer,
            offset: 0,
            bytes,
        }
    }
}

/// Waits for all that was submitted, and reads parts of buffers, in chunks.
///
/// # Errors
/// When the device is lost or fails.
pub fn read(gpu: &GpuDevice, wanted: &[Wanted<'_>]) -> Result<Vec<Vec<u8>>, EngineError> {
    let mut parts: Vec<Vec<u8>> = wanted.iter().map(|_| Vec::new()).collect();
    let mut chunk = Vec::new();
    let mut bytes = 0;
    for (part, piece) in pieces(wanted) {
        if bytes + piece.bytes > CHUNK_BYTES {
            read_chunk(gpu, &chunk, &mut parts)?;
            chunk.clear();
            bytes = 0;
        }
        bytes += piece.bytes;
        chunk.push((part, piece));
    }
    read_chunk(gpu, &chunk, &mut parts)?;
    Ok(parts)
}

/// The wanted parts, by number, none longer than a chunk.
fn pieces<'b>(wanted: &[Wanted<'b>]) -> Vec<(usize, Wanted<'b>)> {
    let mut pieces = Vec::new();
    for (part, w) in wanted.iter().enumerate() {
        for begin in (0..w.bytes).step_by(CHUNK_BYTES as usize) {
            let piece = Wanted {
                buffer: w.buffer,
                offset: w.offset + begin,
                bytes: CHUNK_BYTES.min(w.bytes - begin),
            };
            pieces.push((part, piece));
        }
    }
    pieces
}

/// Reads some pieces in one copy, each to the end of its part.
fn read_chunk(
    gpu: &GpuDevice,
    pieces: &[(usize, Wanted<'_>)],
    parts: &mut [Vec<u8>],
) -> Result<(), EngineError> {
    let wanted: Vec<Wanted<'_>> = pieces.iter().map(|(_, piece)| *piece).collect();
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    let readback = Readback::encode(gpu, &mut encoder, &wanted);
    gpu.queue.submit([encoder.finish()]);
    let read = readback.on_its_way().wait(gpu, None)?;
    for ((part, _), bytes) in pieces.iter().zip(read) {
        parts[*part].extend_from_slice(&bytes);
    }
    Ok(())
}

/// Copies of parts of buffers that a submission makes.
pub struct Readback {
    staging: wgpu::Buffer,
    sizes: Vec<u64>,
}

impl Readback {
    /// Whether so much is read at once.
    pub fn takes(wanted: &[Wanted<'_>]) -> bool {
        wanted.iter().map(|w| w.bytes).sum::<u64>() <= CHUNK_BYTES
    }

    /// Encodes the copies.
    pub fn encode(
        gpu: &GpuDevice,
        encoder: &mut wgpu::CommandEncoder,
        wanted: &[Wanted<'_>],
    ) -> Self {
        let sizes: Vec<u64> = wanted.iter().map(|w| w.bytes).collect();
        let staging = gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("regatta.readback"),
            size: sizes.iter().sum::<u64>().max(LEAST_BYTES),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut at = 0;
        for w in wanted {
            encoder.copy_buffer_to_buffer(w.buffer, w.offset, &staging, at, w.bytes);
            at += w.bytes;
        }
        Self { staging, sizes }
    }

    /// The submission was made: the host is told when it is done.
    pub fn on_its_way(self) -> ReadbackOnItsWay {
        let (sender, mapped) = std::sync::mpsc::channel();
        let read = wgpu::MapMode::Read;
        self.staging.map_async(read, .., move |result| {
            // The receiver is gone only when nobody wants to know any more.
            let _ = sender.send(result);
        });
        ReadbackOnItsWay {
            readback: self,
            mapped,
        }
    }
}

/// The same, once it is submitted.
pub struct ReadbackOnItsWay {
    readback: Readback,
    mapped: std::sync::mpsc::Receiver<Result<(), wgpu::BufferAsyncError>>,
}

impl ReadbackOnItsWay {
    /// Waits for the submission, or for all of them; the bytes of each part.
    ///
    /// # Errors
    /// When the device is lost or fails.
    pub fn wait(
        self,
        gpu: &GpuDevice,
        submission: Option<wgpu::SubmissionIndex>,
    ) -> Result<Vec<Vec<u8>>, EngineError> {
        wait(gpu, submission)?;
        let failed = |reason: String| EngineError::Device {
            adapter: gpu.description.name.clone(),
            reason,
        };
        match self.mapped.recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Err(error) => return Err(failed(error.to_string())),
        }
        let Readback { staging, sizes } = self.readback;
        let view = staging
            .get_mapped_range(..)
            .map_err(|error| failed(error.to_string()))?;
        let mut rest: &[u8] = &view;
        let mut parts = Vec::with_capacity(sizes.len());
        for size in sizes {
            let length = usize::try_from(size).expect("a chunk is mapped");
            let (part, after) = rest.split_at(length);
            parts.push(part.to_vec());
            rest = after;
        }
        Ok(parts)
    }
}

/// Waits for a submission, or for all of them.
///
/// # Errors
/// When the device is lost or fails.
pub fn wait(gpu: &GpuDevice, submission: Option<wgpu::SubmissionIndex>) -> Result<(), EngineError> {
    let polled = gpu.device.poll(wgpu::PollType::Wait {
        submission_index: submission,
        timeout: None,
    });
    let Err(error) = polled else {
        return gpu.check();
    };
    // A submission to a lost device fails before its callback has said why.
    let _ = gpu.device.poll(wgpu::PollType::Poll);
    gpu.check()?;
    Err(EngineError::Device {
        adapter: gpu.description.name.clone(),
        reason: error.to_string(),
    })
}

/// The bytes of a readback as values.
pub fn values<T: Pod>(bytes: &[u8]) -> Vec<T> {
    bytemuck::pod_collect_to_vec(bytes)
}
