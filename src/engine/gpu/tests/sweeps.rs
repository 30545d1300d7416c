//! Whole curves inside the envelope in which f32 trajectories are not chaotic.

use super::*;
use crate::data::{DataConfig, load, split};
use crate::engine::Part;
use crate::engine::cpu::CpuEngine;

/// Digits, 12 trials: accuracies of the GPU and the cpu engine agree within 0.01.
#[test]
fn accuracies_on_digits_agree_with_the_cpu_engine() {
    for batch_norm in [false, true] {
        check_accuracies(batch_norm);
    }
}

fn check_accuracies(batch_norm: bool) {
    let config = DataConfig {
        source: "digits".to_owned(),
        folds: Some(3),
        ..DataConfig::default()
    };
    let dataset = load(&config).unwrap();
    let splits = split(&dataset, &config, Seed(0)).unwrap();
    let made = Made {
        shapes: vec![Shape::new(64, &[32], 10).with_batch_norm(batch_norm)],
        dataset,
        splits,
    };
    let adam = optimizers()[3];
    let all: Vec<Member> = (0..12)
        .map(|trial| Member {
            shape: 0,
            id: MemberId {
                trial,
                repeat: 0,
                fold: (trial % 3) as u32,
            },
            hyperparameters: Hyperparameters {
                learning_rate: [0.01, 0.003, 0.001][trial as usize / 4],
                batch_size: [32, 64][trial as usize % 2],
                optimizer: if trial % 4 < 2 { adam } else { optimizers()[1] },
                activation: Activation::Relu,
                dropout: [0.0, 0.2][trial as usize / 6],
            },
        })
        .collect();
    let cpu_engine = CpuEngine::<f32>::new(None).unwrap();
    let accuracies = |engine: &dyn Engine| -> Vec<f64> {
        let mut wave = made.start(engine, &all);
        wave.train(4, &never).unwrap();
        let evaluations = wave.evaluate(Part::Validation).unwrap();
        let accuracy = |e: &crate::engine::Evaluation| {
            e.true_positives.iter().sum::<u64>() as f64 / e.rows as f64
        };
        evaluations
            .iter()
            .map(|e| accuracy(e.as_ref().unwrap()))
            .collect()
    };
    let expected = accuracies(&cpu_engine);
    on_every_adapter(|name, engine| {
        for (a, b) in accuracies(engine).iter().zip(&expected) {
            assert!((a - b).abs() <= 0.01, "{name}: {a} {b}");
        }
    });
}
