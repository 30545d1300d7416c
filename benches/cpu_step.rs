//! One optimizer step of the cpu engine on one thread: the unit that every sweep is made of.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use regatta::data::{FeatureValues, Features, Scaling};
use regatta::engine::cpu::{Batch, Network, ScaledFeatures, Workspace};
use regatta::seed::Seed;
use regatta::train::{
    Activation, Hyperparameters, Optimizer, Shape, initial_parameters, initial_running,
};

const ROWS: usize = 1024;

fn adam() -> Optimizer {
    Optimizer::Adam {
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-8,
    }
}

fn sgd() -> Optimizer {
    Optimizer::Sgd {
        momentum: 0.0,
        nesterov: false,
    }
}

/// Rows of bytes as digits and images have them, with labels that depend on them.
fn data(columns: usize, classes: u32) -> (Features, Vec<u32>) {
    let byte = |i: usize| (i.wrapping_mul(2_654_435_761) >> 7) as u8 % 17;
    let values: Vec<u8> = (0..ROWS * columns).map(byte).collect();
    let targets = values
        .chunks_exact(columns)
        .map(|row| row.iter().map(|&v| u32::from(v)).sum::<u32>() % classes)
        .collect();
    (Features::new(columns, FeatureValues::U8(values)), targets)
}

fn step(c: &mut Criterion) {
    let digits = || Shape::new(64, &[64], 10);
    let deep = || Shape::new(64, &[128, 128], 10);
    let cases = [
        (digits(), adam(), 32, 0.0),
        (digits(), adam(), 128, 0.0),
        (digits(), sgd(), 32, 0.0),
        (Shape::new(784, &[128], 10), adam(), 32, 0.0),
        (deep(), adam(), 32, 0.0),
        (Shape::new(784, &[512, 512], 10), adam(), 32, 0.0),
        (Shape::new(784, &[512, 512], 10), adam(), 256, 0.0),
        (digits(), adam(), 32, 0.25),
        (digits().with_batch_norm(true), adam(), 32, 0.0),
        (deep().with_batch_norm(true), adam(), 32, 0.25),
    ];
    let mut group = c.benchmark_group("cpu_step");
    for (shape, optimizer, batch_size, dropout) in cases {
        let (features, targets) = data(shape.inputs(), 10);
        let scaled = ScaledFeatures::<f32>::new(&features, &Scaling::identity(shape.inputs()));
        let hyperparameters = Hyperparameters {
            learning_rate: 1e-3,
            batch_size,
            optimizer,
            activation: Activation::Relu,
            dropout,
        };
        let rows: Vec<u32> = (0..ROWS as u32).map(|i| (i * 13) % ROWS as u32).collect();
        let initial = initial_parameters(&shape, Seed(0), 0);
        let mut network = Network::new(&initial, &initial_running(&shape), optimizer.moments());
        let mut workspace = Workspace::new(&shape, batch_size);
        let id = format!("{} batch {batch_size} dropout {dropout}", optimizer.name());
        let id = BenchmarkId::new(shape.to_string(), id);
        group.throughput(Throughput::Elements(batch_size as u64));
        group.bench_function(id, |bencher| {
            let mut batches = rows.chunks_exact(batch_size).cycle();
            bencher.iter(|| {
                let batch = Batch {
                    features: &scaled,
                    targets: &targets,
                    rows: batches.next().expect("a cycle does not end"),
                };
                workspace.step(&mut network, batch, &hyperparameters, [1, 2], |_| true)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, step);
criterion_main!(benches);
