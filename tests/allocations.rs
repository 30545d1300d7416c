//! A step of the cpu engine, on one thread, takes no memory: after the first ones, which make room, none is asked for.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use regatta::data::{FeatureValues, Features, Scaling};
use regatta::engine::cpu::{Batch, Network, ScaledFeatures, Workspace};
use regatta::seed::Seed;
use regatta::train::{
    Activation, Hyperparameters, Optimizer, Shape, initial_parameters, initial_running,
};

thread_local! {
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, which counts how often each thread asks.
struct Counting;

// SAFETY: all is done by the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.with(|asked| asked.set(asked.get() + 1));
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ROWS: usize = 1024;

fn asked_by_steps(shape: &Shape, batch_size: usize, dropout: f64, optimizer: Optimizer) -> usize {
    let columns = shape.inputs();
    let values = (0..ROWS * columns).map(|i| (i % 17) as u8).collect();
    let features = Features::new(columns, FeatureValues::U8(values));
    let targets: Vec<u32> = (0..ROWS as u32).map(|row| row % 10).collect();
    let scaled = ScaledFeatures::<f32>::new(&features, &Scaling::identity(columns));
    let hyperparameters = Hyperparameters {
        learning_rate: 1e-4,
        batch_size,
        optimizer,
        activation: Activation::Tanh,
        dropout,
    };
    let initial = initial_parameters(shape, Seed(0), 0);
    let mut network = Network::new(&initial, &initial_running(shape), optimizer.moments());
    let mut workspace = Workspace::new(shape, batch_size);
    let rows: Vec<u32> = (0..ROWS as u32).collect();
    let mut epoch = || {
        for rows in rows.chunks(batch_size) {
            let batch = Batch {
                features: &scaled,
                targets: &targets,
                rows,
            };
            workspace.step(&mut network, batch, &hyperparameters, [1, 2], |_| true);
        }
    };
    epoch();
    let before = ASKED.get();
    epoch();
    ASKED.get() - before
}

#[test]
fn steps_ask_for_no_memory() {
    let adam = Optimizer::Adam {
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-8,
    };
    let rmsprop = Optimizer::Rmsprop {
        rho: 0.99,
        epsilon: 1e-8,
        momentum: 0.9,
    };
    let small = || Shape::new(64, &[64, 32], 10);
    // Weights that are packed panel by panel.
    let large = || Shape::new(784, &[600], 10);
    for (shape, batch_size, dropout, optimizer) in [
        (small(), 32, 0.0, adam),
        (small(), 24, 0.25, rmsprop),
        (small().with_batch_norm(true), 32, 0.25, adam),
        (large(), 256, 0.0, adam),
        (large().with_batch_norm(true), 250, 0.25, rmsprop),
        // Gradients of a batch that are packed, and weights from both sides.
        (Shape::new(20, &[32, 8200], 10), 512, 0.0, adam),
    ] {
        let asked = asked_by_steps(&shape, batch_size, dropout, optimizer);
        assert_eq!(asked, 0, "{shape}, batch {batch_size}");
    }
    ASKED.set(0);
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(ASKED.get(), 1, "it counts");
}
