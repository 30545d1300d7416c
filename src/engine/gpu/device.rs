//! A device opened on an adapter, and what went wrong on it.

use std::sync::{Arc, Mutex, PoisonError};

use super::adapter::{AdapterKind, GpuAdapter};
use super::rows::SharedRows;
use super::unchecked;
use crate::engine::{AdapterDescription, EngineError};

/// Asked for where the adapter has them; nothing but the resident engine depends on any of them.
const WANTED: wgpu::Features = wgpu::Features::TIMESTAMP_QUERY
    .union(wgpu::Features::MEMORY_DECORATION_COHERENT)
    .union(wgpu::Features::PIPELINE_CACHE)
    .union(wgpu::Features::PASSTHROUGH_SHADERS)
    .union(wgpu::Features::SUBGROUP);

/// An open device.
#[derive(Debug)]
pub struct GpuDevice {
    /// Makes buffers, pipelines and encoders.
    pub device: wgpu::Device,
    /// Takes commands.
    pub queue: wgpu::Queue,
    /// Limits that the device was opened with: all that the adapter has.
    pub limits: wgpu::Limits,
    /// Features that the device was opened with.
    pub features: wgpu::Features,
    /// The adapter, for people and for `run.json`.
    pub description: AdapterDescription,
    /// What the adapter is made of.
    pub kind: AdapterKind,
    /// What it was opened on.
    pub adapter: GpuAdapter,
    /// Rows that are there.
    pub rows: SharedRows,
    troubles: Arc<Troubles>,
}

/// What wgpu's callbacks, which come from any thread, have said; the first of each kind, since
/// what follows are consequences.
#[derive(Debug, Default)]
struct Troubles {
    lost: Mutex<Option<String>>,
    error: Mutex<Option<String>>,
}

impl GpuDevice {
    pub(super) fn open(
        adapter: &wgpu::Adapter,
        described: &GpuAdapter,
    ) -> Result<Self, EngineError> {
        let features = described.features() & WANTED;
        let limits = described.limits().clone();
        let description = wgpu::DeviceDescriptor {
            label: Some("regatta.device"),
            required_features: features,
            required_limits: limits.clone(),
            memory_hints: wgpu::MemoryHints::Performance,
            ..Default::default()
        };
        let by_wgpu = || pollster::block_on(adapter.request_device(&description));
        let opened = unchecked::open(adapter, &description).map_or_else(by_wgpu, Ok);
        let (device, queue) = opened.map_err(|error| EngineError::Device {
            adapter: described.name().to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            rows: SharedRows::default(),
            troubles: listen(&device),
            device,
            queue,
            limits,
            features,
            description: described.description(),
            kind: described.kind(),
            adapter: described.clone(),
        })
    }

    /// The driver's words when the device is lost: it was reset, removed, or out of memory. Nothing
    /// on it can be used any more.
    pub fn lost(&self) -> Option<String> {
        read(&self.troubles.lost)
    }

    /// Compiles something; what is wrong with it is this call's, and no other hears of it. A driver that refuses to
    /// make a pipeline loses wgpu the device, which [`Self::check`] tells.
    ///
    /// # Errors
    /// [`EngineError::NotCompiled`] with wgpu's words; [`EngineError::Device`] when memory is full.
    pub fn compiled<R>(&self, compile: impl FnOnce() -> R) -> Result<R, EngineError> {
        use wgpu::ErrorFilter::{Internal, OutOfMemory, Validation};
        // The last ends first. What a driver says is internal, and has a pipeline that is not valid for consequence.
        let scopes = [Validation, OutOfMemory, Internal].map(|f| self.device.push_error_scope(f));
        let made = compile();
        let errors = scopes
            .into_iter()
            .rev()
            .map(|s| pollster::block_on(s.pop()));
        let first = errors.fold(None, |first: Option<wgpu::Error>, error| first.or(error));
        let Some(error) = first else { return Ok(made) };
        let (adapter, reason) = (self.description.name.clone(), one_line(&error.to_string()));
        Err(match error {
            wgpu::Error::OutOfMemory { .. } => EngineError::Device { adapter, reason },
            _ => EngineError::NotCompiled { adapter, reason },
        })
    }

    /// Whether anything went wrong that no error scope has caught.
    ///
    /// # Errors
    /// [`EngineError::DeviceLost`], or [`EngineError::Device`] with wgpu's words.
    pub fn check(&self) -> Result<(), EngineError> {
        let adapter = self.description.name.clone();
        if let Some(reason) = self.lost() {
            return Err(EngineError::DeviceLost { adapter, reason });
        }
        match read(&self.troubles.error) {
            Some(reason) => Err(EngineError::Device { adapter, reason }),
            None => Ok(()),
        }
    }
}

/// wgpu's own handler of uncaptured errors panics; these record.
fn listen(device: &wgpu::Device) -> Arc<Troubles> {
    let troubles = Arc::new(Troubles::default());
    let heard = Arc::clone(&troubles);
    device.set_device_lost_callback(move |reason, message| {
        note(&heard.lost, lost_text(reason, &message));
    });
    let heard = Arc::clone(&troubles);
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        note(&heard.error, one_line(&error.to_string()));
    }));
    troubles
}

fn lost_text(reason: wgpu::DeviceLostReason, message: &str) -> String {
    match (reason, one_line(message)) {
        (wgpu::DeviceLostReason::Destroyed, _) => "it was destroyed".to_owned(),
        (_, message) if message.is_empty() => "the driver gives no reason".to_owned(),
        (_, message) => message,
    }
}

/// wgpu's messages have several indented lines.
fn one_line(message: &str) -> String {
    let words: Vec<&str> = message.split_whitespace().collect();
    words.join(" ")
}

fn note(slot: &Mutex<Option<String>>, text: String) {
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    slot.get_or_insert(text);
}

fn read(slot: &Mutex<Option<String>>) -> Option<String> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::gpu::enumerate;
    use crate::engine::gpu::kernels::{Checks, Kernel};

    fn usable() -> Vec<GpuDevice> {
        let found = enumerate().into_iter().filter(|a| a.refusal().is_none());
        let opened = found.map(|adapter| {
            println!("on {} {}", adapter.backend(), adapter.name());
            adapter.open().expect("it opens")
        });
        opened.collect()
    }

    #[test]
    fn a_lost_device_says_so_and_nothing_panics() {
        for device in usable() {
            assert!(device.check().is_ok());
            device.device.destroy();
            let _ = device.device.poll(wgpu::PollType::wait_indefinitely());
            assert_eq!(device.lost().as_deref(), Some("it was destroyed"));
            let error = device.check().unwrap_err().to_string();
            assert!(error.contains(&device.description.name), "{error}");
        }
    }

    #[test]
    fn the_first_error_that_nobody_caught_is_kept() {
        for device in usable() {
            for label in ["first", "second"] {
                // A mapped buffer has a size of a multiple of 4.
                let _ = device.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some(label),
                    size: 3,
                    usage: wgpu::BufferUsages::COPY_SRC,
                    mapped_at_creation: true,
                });
            }
            let error = device.check().unwrap_err().to_string();
            assert!(error.contains("first"), "{error}");
            assert!(!error.contains('\n'), "{error}");
            assert_eq!(device.lost(), None);
        }
    }

    #[test]
    fn what_does_not_compile_is_said_there_alone() {
        for device in usable() {
            let compile = |text: &str| {
                let kernel = || Kernel::from_wgsl(&device, Checks::On, "kernel", text.to_owned());
                device.compiled(kernel)
            };
            let of_other_name = "@compute @workgroup_size(1) fn other() {}";
            for wrong in ["no WGSL", of_other_name] {
                let error = compile(wrong).unwrap_err();
                assert!(matches!(error, EngineError::NotCompiled { .. }), "{error}");
                assert!(!error.to_string().contains('\n'), "{error}");
            }
            assert!(compile("@compute @workgroup_size(1) fn kernel() {}").is_ok());
            assert!(device.check().is_ok());
        }
    }

    #[test]
    fn a_loss_has_a_reason_in_one_line() {
        for (reason, message, expected) in [
            (
                wgpu::DeviceLostReason::Unknown,
                "",
                "the driver gives no reason",
            ),
            (
                wgpu::DeviceLostReason::Unknown,
                "out\n  of memory",
                "out of memory",
            ),
            (wgpu::DeviceLostReason::Destroyed, "x", "it was destroyed"),
        ] {
            assert_eq!(lost_text(reason, message), expected);
        }
    }
}
