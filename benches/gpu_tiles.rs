//! Which tiles of the product kernels are fast: a sweep over them, on one adapter.
//!
//!     cargo bench --bench gpu_tiles -- [ADAPTER [resident]]   ADAPTER: part of a name, driver or backend
//!
//! Stands for the choice of `Options::for_adapter`. First the resident kernel in several tiles, and with the
//! shape written into it, beside the layered engine, with the seconds that each takes to compile (a driver that keeps compiled shaders
//! has them at once the second time). Then, unless `resident` alone is asked for, the layered engine
//! with other tiles: of rows with the chosen tile of weights, then of weights with the chosen tile of
//! rows. Rounds are interleaved, and a figure is the median of steps a second, beside the best. A GPU is
//! given 64 times the members.

use std::collections::BTreeSet;
use std::time::Instant;

use regatta::data::{DataConfig, FeatureValues, Features, load, split};
use regatta::engine::gpu::{
    AdapterKind, EngineKind, Form, GpuAdapter, GpuEngine, Options, ResidentTiles, TileShape, Tiles,
    enumerate,
};
use regatta::engine::{Engine, TrainingData, WaveSetup};
use regatta::seed::Seed;
use regatta::train::{Activation, Hyperparameters, Member, MemberId, Optimizer, Shape};

const ROUNDS: usize = 3;

/// (rows, columns, rows an invocation)
const ROW_TILES: [(u32, u32, u32); 10] = [
    (16, 32, 4),
    (16, 64, 4),
    (32, 32, 4),
    (32, 32, 8),
    (32, 64, 4),
    (32, 64, 8),
    (64, 32, 8),
    (64, 64, 4),
    (64, 64, 8),
    (64, 128, 8),
];
/// (invocations, rows an invocation, vec4s of columns an invocation, vec4s of columns a tile, vec4s of
/// the inner dimension)
type Resident = (u32, u32, u32, u32, u32);
const RESIDENT_TILES: [Resident; 6] = [
    (8, 8, 2, 8, 16),
    (8, 8, 4, 8, 8),
    (8, 16, 4, 16, 8),
    (8, 16, 4, 16, 16),
    (16, 8, 2, 8, 16),
    (64, 8, 1, 16, 16),
];
const WEIGHT_TILES: [(u32, u32, u32); 9] = [
    (16, 16, 4),
    (32, 16, 4),
    (32, 32, 4),
    (32, 32, 8),
    (32, 64, 8),
    (64, 32, 8),
    (64, 64, 4),
    (64, 64, 8),
    (64, 128, 8),
];

struct Workload {
    name: &'static str,
    columns: usize,
    hidden: &'static [u64],
    batch_size: usize,
    members: u64,
}

const WORKLOADS: [Workload; 3] = [
    Workload {
        name: "64-64-10, batch 32",
        columns: 64,
        hidden: &[64],
        batch_size: 32,
        members: 64,
    },
    Workload {
        name: "64-128-128-10, batch 64",
        columns: 64,
        hidden: &[128, 128],
        batch_size: 64,
        members: 16,
    },
    Workload {
        name: "784-256-256-10, batch 256",
        columns: 784,
        hidden: &[256, 256],
        batch_size: 256,
        members: 4,
    },
];

fn tile((rows, columns, thread_rows): (u32, u32, u32)) -> TileShape {
    TileShape {
        rows,
        columns,
        thread_rows,
    }
}

fn main() {
    let mut words = std::env::args().skip(1).filter(|a| !a.starts_with('-'));
    let wanted = words.next().unwrap_or_default().to_lowercase();
    let only_resident = words.next().as_deref() == Some("resident");
    let names = |a: &GpuAdapter| format!("{}:{} {}", a.backend(), a.name(), a.driver());
    let found = enumerate()
        .into_iter()
        .find(|a| a.refusal().is_none() && names(a).to_lowercase().contains(&wanted));
    let Some(adapter) = found else {
        eprintln!("no GPU adapter here matches `{wanted}`");
        return;
    };
    println!("{}", names(&adapter));
    let times = match adapter.kind() {
        AdapterKind::Software => 1,
        _ => 64,
    };
    for workload in WORKLOADS {
        let members = times * workload.members;
        let workload = &Workload {
            members,
            ..workload
        };
        println!("\n{}, {members} members", workload.name);
        resident(&adapter, workload);
        if only_resident {
            continue;
        }
        let chosen = Options::for_adapter(&adapter).tiles;
        let rows = ROW_TILES.map(tile);
        let tiles: Vec<Tiles> = rows.iter().map(|&rows| Tiles { rows, ..chosen }).collect();
        sweep(&adapter, workload, "rows", &tiles, |t| t.rows);
        let weights = WEIGHT_TILES.map(tile);
        let tiles: Vec<Tiles> = weights
            .iter()
            .map(|&weights| Tiles { weights, ..chosen })
            .collect();
        sweep(&adapter, workload, "weights", &tiles, |t| t.weights);
    }
}

/// Those of the list, or on hardware what a tuner measures.
fn resident_tiles(kind: AdapterKind) -> Vec<ResidentTiles> {
    let of_form = |form| match form {
        Form::Resident(tiles) => Some(tiles),
        Form::Layered(_) => None,
    };
    let of_list =
        |&(threads, thread_rows, thread_columns_4, columns_4, inner_4): &Resident| ResidentTiles {
            threads,
            thread_rows,
            thread_columns_4,
            columns_4,
            inner_4,
        };
    match kind {
        AdapterKind::Software => RESIDENT_TILES.iter().map(of_list).collect(),
        _ => Form::candidates(kind, EngineKind::Resident)
            .into_iter()
            .filter_map(of_form)
            .collect(),
    }
}

fn resident(adapter: &GpuAdapter, workload: &Workload) {
    let chosen = Options::for_adapter(adapter);
    let layered = Options {
        engine: EngineKind::Layered,
        ..chosen
    };
    let mut all = vec![("layered".to_owned(), layered, false)];
    for resident in resident_tiles(adapter.kind()) {
        let options = Options {
            engine: EngineKind::Resident,
            resident,
            ..chosen
        };
        all.push((resident.name(), options, false));
        if resident == chosen.resident {
            // As a sweep of one shape is trained, where that is done.
            all.push((format!("{}, written in", resident.name()), options, true));
        }
    }
    let mut samples = vec![Vec::new(); all.len()];
    let mut compile_s = vec![0.0_f64; all.len()];
    for _ in 0..ROUNDS {
        for (i, (_, options, only_shape)) in all.iter().enumerate() {
            let (seconds, steps) = measured(adapter, workload, *options, *only_shape);
            compile_s[i] = compile_s[i].max(seconds);
            samples[i].push(steps);
        }
    }
    let medians: Vec<f64> = samples.iter_mut().map(|s| median(s)).collect();
    for (((name, ..), median), compile_s) in all.iter().zip(&medians).zip(compile_s) {
        let ratio = median / medians[0];
        println!(
            "  {name:48} {median:9.1} steps/s   {ratio:.2} of layered   {compile_s:.1} s to compile"
        );
    }
}

fn sweep(
    adapter: &GpuAdapter,
    workload: &Workload,
    what: &str,
    tiles: &[Tiles],
    of: fn(&Tiles) -> TileShape,
) {
    let mut samples = vec![Vec::new(); tiles.len()];
    for _ in 0..ROUNDS {
        for (tiles, samples) in tiles.iter().zip(&mut samples) {
            samples.push(steps_a_second(adapter, workload, *tiles));
        }
    }
    let medians: Vec<f64> = samples.iter_mut().map(|s| median(s)).collect();
    let best = medians.iter().copied().fold(0.0, f64::max);
    for (tiles, median) in tiles.iter().zip(medians) {
        let name = of(tiles).name();
        println!(
            "  {what:8} {name:12} {median:9.1} steps/s   {:.2} of the best",
            median / best
        );
    }
}

fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// Steps a second of the whole wave, after the first epoch, which compiles.
fn steps_a_second(adapter: &GpuAdapter, workload: &Workload, tiles: Tiles) -> f64 {
    let options = Options {
        tiles,
        engine: EngineKind::Layered,
        ..Options::for_adapter(adapter)
    };
    measured(adapter, workload, options, false).1
}

/// Seconds of compiling, and steps a second; the engine may be told that there is no other shape.
fn measured(
    adapter: &GpuAdapter,
    workload: &Workload,
    options: Options,
    only_shape: bool,
) -> (f64, f64) {
    let config = DataConfig {
        source: "digits".to_owned(),
        ..DataConfig::default()
    };
    let mut dataset = load(&config).expect("digits are built in");
    let splits = split(&dataset, &config, Seed(0)).expect("digits split");
    let mut splits = splits;
    if workload.columns != dataset.features.columns() {
        let values = (0..dataset.rows() * workload.columns).map(|i| (i % 251) as u8);
        dataset.features = Features::new(workload.columns, FeatureValues::U8(values.collect()));
        for fold in splits.folds.iter_mut().chain([&mut splits.refit]) {
            fold.scaling = regatta::data::Scaling::identity(workload.columns);
        }
    }
    let shape = Shape::new(workload.columns, workload.hidden, 10);
    let member = |trial| Member {
        shape: 0,
        id: MemberId {
            trial,
            repeat: 0,
            fold: 0,
        },
        hyperparameters: Hyperparameters {
            learning_rate: 0.001,
            batch_size: workload.batch_size,
            optimizer: Optimizer::Adam {
                beta_1: 0.9,
                beta_2: 0.999,
                epsilon: 1e-8,
            },
            activation: Activation::Relu,
            dropout: 0.0,
        },
    };
    let members: Vec<Member> = (0..workload.members).map(member).collect();
    let engine = GpuEngine::new(adapter.open().expect("it opens"), options);
    if only_shape {
        engine.will_train(&BTreeSet::from([shape.clone()]));
    }
    let setup = WaveSetup {
        data: TrainingData {
            dataset: &dataset,
            splits: &splits,
        },
        shapes: std::slice::from_ref(&shape),
        members: &members,
        seed: Seed(0),
    };
    let mut wave = engine.start(setup).expect("it starts");
    wave.train(1, &|| false).expect("it trains");
    let before = wave.status()[0].steps;
    let begin = Instant::now();
    let mut epoch = 1;
    while begin.elapsed().as_secs_f64() < 0.4 {
        epoch += 1;
        wave.train(epoch, &|| false).expect("it trains");
    }
    let steps = (wave.status()[0].steps - before) as f64 / begin.elapsed().as_secs_f64();
    (wave.compile_s(), steps)
}
