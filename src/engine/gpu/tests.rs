//! The layered engine on every adapter found: against the f64 oracle, and bit against bit.

mod ahead;
mod barriers;
mod faults;
mod layout;
mod members;
mod oracle;
mod resident;
mod shaders;
mod sweeps;
mod timing;

use super::kernels::Checks;
use super::options::DIRECT;
use super::shader::Tiles;
use super::shader::{ResidentTiles, TileShape};
use super::{AdapterKind, EngineKind, GpuAdapter, GpuEngine, Options, enumerate};
use crate::data::{Dataset, FeatureValues, Features, Fold, Scaling, Splits};
use crate::engine::{Engine, Running, TrainingData, WaveSetup};
use crate::seed::Seed;
use crate::train::{Activation, Hyperparameters, Member, MemberId, Optimizer, Shape};

/// Every adapter that can be used, each with its name for messages.
fn adapters() -> Vec<(String, GpuAdapter)> {
    let usable = enumerate().into_iter().filter(|a| a.refusal().is_none());
    let named: Vec<(String, GpuAdapter)> = usable
        .map(|a| (format!("{} {}", a.backend(), a.name()), a))
        .collect();
    let names: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
    println!("adapters: {names:?}");
    named
}

/// CI says that there must be one, so that a missing driver does not pass for a green run.
#[test]
fn an_adapter_is_found_where_one_is_expected() {
    let expected = std::env::var_os("REGATTA_EXPECT_ADAPTER").is_some();
    assert!(!expected || !adapters().is_empty(), "no GPU adapter here");
}

/// The layered engine as on software adapters. The resident kernel has small tiles, which compile soon.
fn options() -> Options {
    Options {
        engine: EngineKind::Layered,
        resident: SMALL_TILES,
        roomy: None,
        ..Options::for_kind(AdapterKind::Software)
    }
}

const SMALL_TILES: ResidentTiles = ResidentTiles {
    threads: 8,
    thread_rows: 4,
    thread_columns_4: 1,
    columns_4: 4,
    inner_4: 4,
};

fn resident(weights_in_storage: bool) -> Options {
    Options {
        engine: EngineKind::Resident,
        weights_in_storage,
        ..options()
    }
}

/// Nothing is staged.
fn direct() -> Options {
    Options {
        resident: ResidentTiles {
            inner_4: 0,
            ..SMALL_TILES
        },
        ..resident(false)
    }
}

/// The tiles of the resident kernel that are taken unmeasured.
fn used_tiles() -> Vec<ResidentTiles> {
    let kinds = [AdapterKind::Discrete, AdapterKind::Software];
    let of_kinds = kinds.map(|kind| Options::for_kind(kind).resident);
    of_kinds.into_iter().chain([DIRECT]).collect()
}

/// Each engine in each of its forms.
fn engines() -> [(&'static str, Options); 4] {
    [
        ("layered", options()),
        ("resident", resident(false)),
        ("resident, nothing staged", direct()),
        ("resident, weights in storage", resident(true)),
    ]
}

fn engine(adapter: &GpuAdapter, options: Options) -> GpuEngine {
    GpuEngine::new(adapter.open().expect("it opens"), options)
}

/// Runs a check on every adapter with both engines; of the resident one in the two forms that are taken unasked,
/// since some drivers take seconds to compile one. `resident` has the third.
fn on_every_adapter(check: impl Fn(&str, &GpuEngine)) {
    for (name, adapter) in adapters() {
        for (form, options) in engines().into_iter().take(3) {
            check(&format!("{name}, {form}"), &engine(&adapter, options));
        }
    }
}

fn tile(rows: u32, columns: u32, thread_rows: u32) -> TileShape {
    TileShape {
        rows,
        columns,
        thread_rows,
    }
}

/// Other ways to compile the same kernels.
fn other_options() -> Vec<(&'static str, Options)> {
    let ordinary = options();
    let tiles = |rows, weights| Tiles {
        rows,
        weights,
        narrow_thread_rows: 4,
    };
    vec![
        (
            "checks on",
            Options {
                checks: Checks::On,
                ..ordinary
            },
        ),
        (
            "other tiles",
            Options {
                tiles: tiles(tile(16, 32, 4), tile(32, 16, 4)),
                ..ordinary
            },
        ),
        (
            "large tiles",
            Options {
                tiles: tiles(tile(64, 64, 8), tile(64, 32, 8)),
                ..ordinary
            },
        ),
        (
            "arena",
            Options {
                arena: true,
                ..ordinary
            },
        ),
        ("resident", resident(false)),
        ("resident, weights in storage", resident(true)),
        (
            "resident, checks on",
            Options {
                checks: Checks::On,
                ..resident(false)
            },
        ),
        (
            "resident, weights in storage, checks on",
            Options {
                checks: Checks::On,
                ..resident(true)
            },
        ),
    ]
}

/// A dataset with two folds and a refit, of random-looking rows; and networks for it.
struct Made {
    dataset: Dataset,
    splits: Splits,
    shapes: Vec<Shape>,
}

impl Made {
    fn new(rows: u32, columns: usize, hidden: &[u64], classes: u32, bytes: bool) -> Self {
        let number = |i: usize| (i.wrapping_mul(2_654_435_761) >> 7) % 251;
        let values: Vec<usize> = (0..rows as usize * columns).map(number).collect();
        let values = if bytes {
            FeatureValues::U8(values.iter().map(|&v| v as u8).collect())
        } else {
            FeatureValues::F32(values.iter().map(|&v| v as f32 / 100.0 - 1.2).collect())
        };
        let features = Features::new(columns, values);
        // A class that the features say something about.
        let class = |row: u32| {
            let sum: f32 = (0..columns).map(|c| features.get(row as usize, c)).sum();
            (sum.abs() * 7.0) as u32 % classes
        };
        let all: Vec<u32> = (0..rows).collect();
        let fold = |train: Vec<u32>, validation: Vec<u32>| Fold {
            scaling: Scaling::fit(&features, &train, crate::data::Scale::Standard),
            train,
            validation,
        };
        let (even, odd): (Vec<u32>, Vec<u32>) = all.iter().partition(|&&row| row % 3 != 0);
        let splits = Splits {
            folds: vec![fold(even.clone(), odd.clone()), fold(odd, even)],
            refit: fold(all.clone(), Vec::new()),
        };
        let names = |count: u32| (0..count).map(|i| i.to_string()).collect();
        Self {
            shapes: vec![Shape::new(columns, hidden, classes as usize)],
            dataset: Dataset {
                name: "made".to_owned(),
                feature_names: names(columns as u32),
                targets: all.iter().map(|&row| class(row)).collect(),
                class_names: names(classes),
                groups: None,
                given_test_rows: 0,
                features,
            },
            splits,
        }
    }

    fn with_batch_norm(self, batch_norm: bool) -> Self {
        let shapes = self.shapes.into_iter();
        Self {
            shapes: shapes.map(|s| s.with_batch_norm(batch_norm)).collect(),
            ..self
        }
    }

    /// With networks of other shapes beside its own: wider, linear, and without batch norm.
    fn mixed(mut self) -> Self {
        let own = self.shape();
        let other = |hidden| Shape::new(own.inputs(), hidden, own.outputs());
        let others = [other(&[33]), other(&[])];
        self.shapes.extend(others);
        self
    }

    /// The same with one of its shapes.
    fn only(&self, shape: usize) -> Self {
        Self {
            dataset: self.dataset.clone(),
            splits: self.splits.clone(),
            shapes: vec![self.shapes[shape].clone()],
        }
    }

    /// The only shape, or the first.
    fn shape(&self) -> &Shape {
        &self.shapes[0]
    }

    /// [`members`] whose networks have all its shapes.
    fn members(&self, count: u64) -> Vec<Member> {
        const SHAPES: [usize; 10] = [0, 1, 2, 0, 0, 1, 0, 2, 1, 2];
        let mut members = members(count);
        for (i, member) in members.iter_mut().enumerate() {
            member.shape = SHAPES[i % SHAPES.len()] % self.shapes.len();
        }
        members
    }

    fn names(&self) -> String {
        let names: Vec<String> = self.shapes.iter().map(Shape::to_string).collect();
        names.join(" ")
    }

    fn setup<'r>(&'r self, members: &'r [Member]) -> WaveSetup<'r, 'r> {
        WaveSetup {
            data: TrainingData {
                dataset: &self.dataset,
                splits: &self.splits,
            },
            shapes: &self.shapes,
            members,
            seed: SEED,
        }
    }

    fn start<'r>(&'r self, engine: &'r dyn Engine, members: &'r [Member]) -> Box<dyn Running + 'r> {
        engine.start(self.setup(members)).expect("it starts")
    }
}

/// An optimizer of each kind, with and without its settings.
fn optimizers() -> [Optimizer; 6] {
    let sgd = |momentum, nesterov| Optimizer::Sgd { momentum, nesterov };
    let rmsprop = |momentum| Optimizer::Rmsprop {
        rho: 0.97,
        epsilon: 1e-8,
        momentum,
    };
    [
        sgd(0.0, false),
        sgd(0.9, false),
        sgd(0.8, true),
        Optimizer::Adam {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
        },
        rmsprop(0.0),
        rmsprop(0.5),
    ]
}

const ACTIVATIONS: [Activation; 4] = [
    Activation::Relu,
    Activation::Tanh,
    Activation::Sigmoid,
    Activation::Identity,
];

/// Members of every optimizer, activation, fold and several batch sizes and learning rates.
fn members(count: u64) -> Vec<Member> {
    (0..count)
        .map(|trial| {
            let i = trial as usize;
            Member {
                shape: 0,
                id: MemberId {
                    trial,
                    repeat: (trial / 2 % 2) as u32,
                    fold: (trial % 2) as u32,
                },
                hyperparameters: Hyperparameters {
                    learning_rate: [0.01, 0.003, 0.02][i % 3],
                    batch_size: [16, 1, 7, 33, 64][i % 5],
                    optimizer: optimizers()[i % 6],
                    activation: ACTIVATIONS[(i / 2) % 4],
                    dropout: [0.0, 0.3, 0.0][i % 3],
                },
            }
        })
        .collect()
}

/// Seed of all waves.
const SEED: Seed = Seed(3);

fn never() -> bool {
    false
}
