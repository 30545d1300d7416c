//! `regatta adapters`, and the choice of one.

mod choice;
mod listing;

use super::exit::Usage;
use super::output;
use crate::engine::cpu::CpuEngine;
use crate::engine::gpu::{self, EngineKind, GpuAdapter, GpuEngine};
use crate::engine::{Engine, Trace};
use choice::{Candidate, Kind};

pub use listing::run;

/// What `--adapter` names is not here.
#[derive(Debug, thiserror::Error)]
#[error("there is no adapter `{name}` here; there is: {list} (see `regatta adapters`)")]
pub struct NoSuchAdapter {
    name: String,
    list: String,
}

/// An adapter that was asked for and is there.
#[derive(Debug)]
pub enum Adapter {
    /// The native engine's.
    Cpu,
    /// One that wgpu found.
    Gpu(Box<GpuAdapter>),
}

/// What [`find`] found.
#[derive(Debug)]
pub struct Found {
    /// The adapter.
    pub adapter: Adapter,
    /// Why this one, for people.
    pub reason: String,
}

/// The adapters of this machine. The native one is the first; the others follow in wgpu's order.
struct Here {
    candidates: Vec<Candidate>,
    gpus: Vec<GpuAdapter>,
}

impl Here {
    fn look() -> anyhow::Result<Self> {
        let gpus = gpu::enumerate();
        let mut candidates = vec![Candidate {
            kind: Kind::Cpu,
            adapter: CpuEngine::<f32>::new(None)?.adapter(),
            refusal: None,
        }];
        candidates.extend(gpus.iter().map(|gpu| Candidate {
            kind: Kind::Gpu(gpu.kind()),
            adapter: gpu.description(),
            refusal: gpu.refusal().map(|refusal| refusal.to_string()),
        }));
        Ok(Self { candidates, gpus })
    }

    /// The adapter at an index of the listing.
    fn take(&self, index: usize) -> anyhow::Result<Adapter> {
        let gpu = index.checked_sub(1).and_then(|index| self.gpus.get(index));
        match gpu.map(|gpu| (gpu, gpu.refusal())) {
            None => Ok(Adapter::Cpu),
            Some((_, Some(refusal))) => Err(refusal.into()),
            Some((gpu, None)) => Ok(Adapter::Gpu(Box::new(gpu.clone()))),
        }
    }

    fn no_such(&self, name: &str) -> NoSuchAdapter {
        let shown = |index| choice::shown(&self.candidates, index);
        let list: Vec<String> = (0..self.candidates.len()).map(shown).collect();
        NoSuchAdapter {
            name: name.to_owned(),
            list: list.join(", "),
        }
    }
}

/// The one adapter that `--adapter` names. When several match, the one that is taken is said on
/// stderr. Loads the drivers of GPUs, unless it is `cpu` that is named.
///
/// # Errors
/// [`NoSuchAdapter`] (exit code 3); [`EngineError::AdapterLacks`](crate::engine::EngineError) for
/// one that nothing can be trained on (3); [`Usage`] (2) for `all`.
pub fn find(adapter: &str) -> anyhow::Result<Found> {
    if ["cpu", "0"].contains(&adapter.to_lowercase().as_str()) {
        return Ok(Found {
            adapter: Adapter::Cpu,
            reason: "it was named".to_owned(),
        });
    }
    if is_all(adapter) {
        return Err(Usage(
            "--adapter all is for commands that take one adapter after another, and this one takes one; name it (see `regatta adapters`)".to_owned(),
        )
        .into());
    }
    let here = Here::look()?;
    let chosen = choice::choose(&here.candidates, adapter).ok_or_else(|| here.no_such(adapter))?;
    let found = Found {
        adapter: here.take(chosen.index)?,
        reason: chosen.reason,
    };
    if let Some(note) = chosen.note {
        output::tell(&format!("warning: {note}"));
    }
    Ok(found)
}

/// The adapters that `--adapter` names, for commands that take one after another: `all` means
/// every one that can be used.
///
/// # Errors
/// As [`find`].
pub fn find_all(adapter: &str) -> anyhow::Result<Vec<Found>> {
    if !is_all(adapter) {
        return Ok(vec![find(adapter)?]);
    }
    let here = Here::look()?;
    let usable = (0..here.candidates.len()).filter_map(|index| here.take(index).ok());
    let found = usable.map(|adapter| Found {
        adapter,
        reason: "all were asked for".to_owned(),
    });
    Ok(found.collect())
}

fn is_all(adapter: &str) -> bool {
    adapter.eq_ignore_ascii_case("all")
}

/// An engine that was asked for.
pub enum Chosen {
    /// The native one.
    Cpu(CpuEngine<f32>),
    /// One of a GPU adapter.
    Gpu(Box<GpuEngine>),
}

impl Chosen {
    /// The same engine, whose device is recorded where it is a GPU's.
    pub fn with_trace(self, trace: &Trace) -> Self {
        match self {
            Self::Gpu(engine) => Self::Gpu(Box::new(engine.with_trace(trace.clone()))),
            cpu => cpu,
        }
    }

    /// What trains.
    pub fn engine(&self) -> &dyn Engine {
        match self {
            Self::Cpu(engine) => engine,
            Self::Gpu(engine) => engine.as_ref(),
        }
    }
}

/// The engine that `--adapter`, `--engine` and `--threads` name.
///
/// # Errors
/// As [`find`], or [`Usage`] for an engine that the adapter does not have.
pub fn choose(adapter: &str, engine: Option<&str>, threads: Option<u16>) -> anyhow::Result<Chosen> {
    let kind = engine_kind(engine)?;
    let found = find(adapter)?;
    match found.adapter {
        Adapter::Cpu => {
            check_engine_of_cpu(adapter, engine, &found.reason)?;
            let cpu = CpuEngine::<f32>::new(threads.map(usize::from))?;
            if let Some(threads) = threads {
                // What else is done by all cores; where that has begun, it goes on as it is.
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.into());
                let _ = pool.build_global();
            }
            Ok(Chosen::Cpu(cpu))
        }
        Adapter::Gpu(gpu) => {
            check_threads_of_gpu(&gpu, threads)?;
            Ok(Chosen::Gpu(Box::new(gpu_engine(&gpu, kind)?)))
        }
    }
}

fn engine_kind(engine: Option<&str>) -> Result<EngineKind, Usage> {
    let word = engine.unwrap_or("auto");
    EngineKind::of(word).ok_or_else(|| {
        Usage(format!(
            "--engine {word} is none of: auto, layered, resident"
        ))
    })
}

fn check_engine_of_cpu(adapter: &str, engine: Option<&str>, reason: &str) -> Result<(), Usage> {
    match engine {
        None => Ok(()),
        Some("auto") if adapter.eq_ignore_ascii_case("auto") => Ok(()),
        Some(word) => Err(Usage(format!(
            "--engine {word} is for GPU adapters, and the adapter is `cpu` ({reason}), which has one engine; leave out --engine"
        ))),
    }
}

fn check_threads_of_gpu(gpu: &GpuAdapter, threads: Option<u16>) -> Result<(), Usage> {
    match threads {
        None => Ok(()),
        Some(threads) => Err(Usage(format!(
            "--threads {threads} is for the cpu adapter, and the adapter is `{}`; leave out --threads, or take --adapter cpu",
            gpu.name()
        ))),
    }
}

/// An engine on a GPU, with what is fast there.
///
/// # Errors
/// [`Usage`] where the adapter cannot have the resident engine; else when it cannot be opened.
pub fn gpu_engine(adapter: &GpuAdapter, engine: EngineKind) -> anyhow::Result<GpuEngine> {
    let options = gpu::Options {
        engine,
        ..gpu::Options::for_adapter(adapter)
    };
    if engine == EngineKind::Resident && !adapter.has_coherent_buffers() {
        let name = adapter.name();
        return Err(Usage(format!(
            "--engine resident needs coherent buffers (MEMORY_DECORATION_COHERENT), which `{name}` lacks; take --engine layered, or leave it out"
        ))
        .into());
    }
    Ok(GpuEngine::new(adapter.open()?, options))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_means_every_adapter_that_can_be_used() {
        let here = Here::look().unwrap();
        let usable = here.candidates.iter().filter(|c| c.refusal.is_none());
        let found = find_all("ALL").unwrap();
        assert_eq!(found.len(), usable.count());
        assert!(matches!(found[0].adapter, Adapter::Cpu), "{found:?}");
        let gpus = found[1..].iter();
        let gpus: Vec<&GpuAdapter> = gpus
            .map(|found| match &found.adapter {
                Adapter::Gpu(gpu) => gpu.as_ref(),
                Adapter::Cpu => panic!("cpu is listed once"),
            })
            .collect();
        println!("usable GPU adapters: {gpus:#?}");
        assert_eq!(find_all("cpu").unwrap().len(), 1);
        assert!(find_all("no such card").is_err());
    }

    #[test]
    fn an_index_means_the_adapter_of_the_listing() {
        let here = Here::look().unwrap();
        for (index, candidate) in here.candidates.iter().enumerate() {
            let name = match here.take(index) {
                Ok(Adapter::Cpu) => here.candidates[0].adapter.name.clone(),
                Ok(Adapter::Gpu(gpu)) => gpu.name().to_owned(),
                Err(refusal) => {
                    assert_eq!(Some(refusal.to_string()), candidate.refusal);
                    continue;
                }
            };
            assert_eq!(name, candidate.adapter.name, "{index}");
        }
    }

    #[test]
    fn engines_go_with_adapters() {
        assert_eq!(engine_kind(Some("layered")).ok(), Some(EngineKind::Layered));
        assert!(engine_kind(Some("fast")).is_err());
        assert!(check_engine_of_cpu("auto", Some("auto"), "").is_ok());
        assert!(check_engine_of_cpu("AUTO", Some("auto"), "").is_ok());
        assert!(check_engine_of_cpu("cpu", None, "").is_ok());
        for (adapter, engine) in [("cpu", "auto"), ("auto", "layered"), ("0", "resident")] {
            let refusal = check_engine_of_cpu(adapter, Some(engine), "why").unwrap_err();
            for word in [engine, "cpu", "why"] {
                assert!(refusal.to_string().contains(word), "{refusal}");
            }
        }
    }
}
