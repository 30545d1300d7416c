//! A member's bits depend on the member alone: not on threads, neighbours, slots, pauses or resume.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::data::{DataConfig, Dataset, Splits, load, split};
use crate::engine::cpu::CpuEngine;
use crate::engine::{
    Engine, EngineError, MemberSnapshot, Part, Progress, Running, TrainingData, WaveSetup,
};
use crate::seed::Seed;
use crate::train::{Activation, Hyperparameters, Member, MemberId, Optimizer, Shape};

struct Iris {
    dataset: Dataset,
    splits: Splits,
    shapes: Vec<Shape>,
}

/// Iris for networks without batch norm, and for those with it.
fn both() -> [Iris; 2] {
    [iris(), with_batch_norm()]
}

fn with_batch_norm() -> Iris {
    let plain = iris();
    Iris {
        shapes: plain
            .shapes
            .into_iter()
            .map(|s| s.with_batch_norm(true))
            .collect(),
        ..plain
    }
}

fn iris() -> Iris {
    let config = DataConfig {
        source: "iris".to_owned(),
        folds: Some(3),
        ..DataConfig::default()
    };
    let dataset = load(&config).unwrap();
    let splits = split(&dataset, &config, Seed(0)).unwrap();
    Iris {
        shapes: vec![Shape::new(4, &[16, 8], 3)],
        dataset,
        splits,
    }
}

impl Iris {
    fn start<'r>(&'r self, engine: &'r CpuEngine, members: &'r [Member]) -> Box<dyn Running + 'r> {
        let setup = WaveSetup {
            data: TrainingData {
                dataset: &self.dataset,
                splits: &self.splits,
            },
            shapes: &self.shapes,
            members,
            seed: Seed(0),
        };
        engine.start(setup).unwrap()
    }
}

/// Members of every optimizer, batch size and fold, two in five with dropout; the one at `diverging`
/// cannot stay finite.
fn members(count: u64, diverging: Option<u64>) -> Vec<Member> {
    let optimizers = [
        Optimizer::Sgd {
            momentum: 0.9,
            nesterov: true,
        },
        Optimizer::Adam {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
        },
        Optimizer::Rmsprop {
            rho: 0.99,
            epsilon: 1e-8,
            momentum: 0.0,
        },
    ];
    (0..count)
        .map(|trial| Member {
            shape: 0,
            id: MemberId {
                trial,
                repeat: (trial % 2) as u32,
                fold: (trial % 3) as u32,
            },
            hyperparameters: Hyperparameters {
                learning_rate: if Some(trial) == diverging { 1e6 } else { 0.01 },
                batch_size: [1, 7, 16, 64][trial as usize % 4],
                optimizer: optimizers[(trial / 3) as usize % 3],
                activation: Activation::Relu,
                dropout: [0.0, 0.3, 0.0, 0.0, 0.6][trial as usize % 5],
            },
        })
        .collect()
}

fn never() -> bool {
    false
}

/// The whole state after `epochs` epochs.
fn trained(
    iris: &Iris,
    engine: &CpuEngine,
    members: &[Member],
    epochs: u32,
) -> Vec<MemberSnapshot> {
    let mut wave = iris.start(engine, members);
    assert_eq!(wave.train(epochs, &never).unwrap(), Progress::Reached);
    wave.save().unwrap()
}

/// Asserts that two states are the same to the bit, NaN included.
#[track_caller]
fn assert_same(a: &[MemberSnapshot], b: &[MemberSnapshot], what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    for (a, b) in a.iter().zip(b) {
        // Debug prints the shortest text that reads back as the same bits.
        assert!(
            format!("{a:?}") == format!("{b:?}"),
            "{what}: member {:?} differs",
            a.id
        );
    }
}

#[test]
#[should_panic(expected = "differs")]
fn assert_same_notices_the_last_bit() {
    let members = members(1, None);
    let state = trained(&iris(), &engine(1), &members, 1);
    let mut other = state.clone();
    other[0].parameters[3] = other[0].parameters[3].next_up();
    assert_same(&state, &other, "test");
}

fn engine(threads: usize) -> CpuEngine {
    CpuEngine::new(Some(threads)).unwrap()
}

#[test]
fn threads_do_not_change_a_bit() {
    for iris in both() {
        let members = members(24, None);
        let one = trained(&iris, &engine(1), &members, 3);
        for threads in [2, 3, 8] {
            let many = trained(&iris, &engine(threads), &members, 3);
            assert_same(&one, &many, &format!("{threads} threads"));
        }
    }
}

/// Layers whose products several threads share: forward, back and of weights (what is done behind each is
/// split in `behind.rs`).
#[test]
fn threads_that_share_the_products_of_a_few_members_do_not_change_a_bit() {
    for batch_norm in [false, true] {
        let iris = Iris {
            // Right sides that are read where they lie, and one that is packed.
            shapes: vec![Shape::new(4, &[504, 520, 530], 3).with_batch_norm(batch_norm)],
            ..iris()
        };
        // One of each optimizer.
        let mut few: Vec<Member> = members(9, None).into_iter().step_by(3).collect();
        for (member, batch_size) in few.iter_mut().zip([80, 67, 65]) {
            member.hyperparameters.batch_size = batch_size;
        }
        for count in 1..=3 {
            let one = trained(&iris, &engine(1), &few[..count], 2);
            for threads in [2, 3, 8] {
                let many = trained(&iris, &engine(threads), &few[..count], 2);
                assert_same(&one, &many, &format!("{count} on {threads} threads"));
            }
        }
    }
}

#[test]
fn neighbours_and_slots_do_not_change_a_bit() {
    for iris in both() {
        let all = members(24, None);
        let together = trained(&iris, &engine(2), &all, 3);
        for (slot, member) in all.iter().enumerate() {
            let alone = trained(&iris, &engine(1), &[*member], 3);
            assert_same(&together[slot..=slot], &alone, &format!("slot {slot}"));
        }
        let mut reversed = all;
        reversed.reverse();
        let mut backwards = trained(&iris, &engine(2), &reversed, 3);
        backwards.reverse();
        assert_same(&together, &backwards, "backwards");
    }
}

#[test]
fn a_diverging_neighbour_changes_no_bit_of_the_others() {
    for iris in both() {
        for diverging in [0, 3, 6, 13] {
            let healthy = trained(&iris, &engine(2), &members(16, None), 4);
            let mixed = trained(&iris, &engine(2), &members(16, Some(diverging)), 4);
            for (slot, (a, b)) in healthy.iter().zip(&mixed).enumerate() {
                if slot as u64 == diverging {
                    assert!(b.diverged && b.epoch < 4, "trial {diverging}: {b:?}");
                } else {
                    assert!(!b.diverged, "slot {slot}");
                    assert_same(
                        std::slice::from_ref(a),
                        std::slice::from_ref(b),
                        &format!("slot {slot} beside trial {diverging}"),
                    );
                }
            }
        }
    }
}

#[test]
fn a_diverged_member_is_frozen_and_not_evaluated() {
    for iris in both() {
        let (engine, members) = (engine(1), members(2, Some(1)));
        let mut wave = iris.start(&engine, &members);
        wave.train(2, &never).unwrap();
        let frozen = wave.save().unwrap();
        wave.train(5, &never).unwrap();
        assert_same(&wave.save().unwrap()[1..], &frozen[1..], "frozen");
        let evaluations = wave.evaluate(Part::Validation).unwrap();
        assert!(evaluations[0].is_some() && evaluations[1].is_none());
    }
}

#[test]
fn pauses_at_any_step_change_no_bit() {
    for iris in both() {
        let members = members(12, None);
        let straight = trained(&iris, &engine(1), &members, 3);
        for every in [1, 2, 7, 100] {
            let (engine, asked) = (engine(2), AtomicUsize::new(0));
            let mut wave = iris.start(&engine, &members);
            let pause = || asked.fetch_add(1, Ordering::Relaxed) % every == every - 1;
            let mut pauses = 0;
            loop {
                // With `every` of 1 a call that pauses at once makes no step; the next one may.
                let stuck = every == 1 && pauses % 2 == 1;
                let may_pause: &(dyn Fn() -> bool + Sync) = if stuck { &never } else { &pause };
                if wave.train(3, may_pause).unwrap() == Progress::Reached {
                    break;
                }
                pauses += 1;
            }
            assert!(pauses > 0, "every {every}");
            assert_same(&straight, &wave.save().unwrap(), &format!("every {every}"));
        }
    }
}

#[test]
fn a_loaded_state_goes_on_to_the_same_bits() {
    for iris in both() {
        let members = members(12, Some(5));
        let straight = trained(&iris, &engine(2), &members, 4);
        let (engine, steps) = (engine(1), AtomicUsize::new(0));
        let mut first = iris.start(&engine, &members);
        let pause = || steps.fetch_add(1, Ordering::Relaxed) >= 200;
        assert_eq!(first.train(4, &pause).unwrap(), Progress::Paused);
        let state = first.save().unwrap();
        assert!(
            state.iter().any(|member| member.cursor > 0),
            "paused within an epoch"
        );
        let mut second = iris.start(&engine, &members);
        second.load(&state).unwrap();
        second.train(4, &never).unwrap();
        assert_same(&straight, &second.save().unwrap(), "loaded");
    }
}

#[test]
fn a_state_of_another_shape_or_member_is_refused() {
    let (iris, engine, members) = (with_batch_norm(), engine(1), members(2, None));
    let mut wave = iris.start(&engine, &members);
    let state = wave.save().unwrap();
    let mut short = state.clone();
    short[0].parameters.pop();
    let mut foreign = state.clone();
    foreign[0].id.trial = 99;
    let mut poor = state.clone();
    poor[0].moments.clear();
    let mut still = state.clone();
    still[1].running.clear();
    let rows = iris.splits.folds[state[0].id.fold as usize].train.len() as u64;
    let mut far = state.clone();
    far[0].cursor = rows + 1;
    for bad in [short, foreign, poor, still, far] {
        assert!(matches!(
            wave.load(&bad),
            Err(EngineError::StateMismatch { .. })
        ));
    }
    let mut ended = state;
    ended[0].cursor = rows;
    wave.load(&ended).unwrap();
}

#[test]
fn kept_members_go_on_to_the_same_bits() {
    for iris in both() {
        let members = members(8, None);
        let straight = trained(&iris, &engine(2), &members, 4);
        let engine = engine(2);
        let mut wave = iris.start(&engine, &members);
        wave.train(2, &never).unwrap();
        wave.keep(&[1, 2, 6]);
        assert_eq!(wave.members(), [members[1], members[2], members[6]]);
        wave.train(4, &never).unwrap();
        let kept = wave.save().unwrap();
        let expected = [1, 2, 6].map(|slot: usize| straight[slot].clone());
        assert_same(&kept, &expected, "kept");
    }
}

#[test]
fn a_copy_has_the_network_and_keeps_its_own_hyperparameters() {
    let (iris, engine, mut members) = (with_batch_norm(), engine(1), members(2, None));
    members[1].hyperparameters.learning_rate = 0.5;
    let mut wave = iris.start(&engine, &members);
    wave.train(1, &never).unwrap();
    assert_ne!(wave.weights(0).unwrap(), wave.weights(1).unwrap());
    wave.copy(0, 1).unwrap();
    assert_eq!(wave.weights(0).unwrap(), wave.weights(1).unwrap());
    let state = wave.save().unwrap();
    assert_eq!(state[0].running, state[1].running);
    assert_eq!(wave.members(), members);
}

#[test]
fn a_copy_between_optimizers_is_refused() {
    let (iris, engine, members) = (iris(), engine(1), members(9, None));
    let mut wave = iris.start(&engine, &members);
    wave.train(1, &never).unwrap();
    assert!(matches!(
        wave.copy(0, 3),
        Err(EngineError::StateMismatch { .. })
    ));
}

#[test]
fn samples_and_steps_are_counted() {
    for iris in both() {
        let members = members(4, None);
        for snapshot in trained(&iris, &engine(1), &members, 3) {
            let rows = iris.splits.folds[snapshot.id.fold as usize].train.len();
            let member = members.iter().find(|m| m.id == snapshot.id).unwrap();
            let steps = rows.div_ceil(member.hyperparameters.batch_size);
            assert_eq!(snapshot.samples, 3 * rows as u64);
            assert_eq!(snapshot.steps, 3 * steps as u64);
        }
    }
}

#[test]
fn iris_is_learnt() {
    for iris in both() {
        let (engine, mut members) = (engine(2), members(9, None));
        for member in &mut members {
            // 24 units are too few for dropout, and one row has nothing left behind batch norm.
            member.hyperparameters.dropout = 0.0;
            if iris.shapes[0].batch_norm() && member.hyperparameters.batch_size == 1 {
                member.hyperparameters.batch_size = 8;
            }
        }
        let mut wave = iris.start(&engine, &members);
        wave.train(60, &never).unwrap();
        for (member, evaluation) in members.iter().zip(wave.evaluate(Part::Validation).unwrap()) {
            let evaluation = evaluation.unwrap();
            let correct: u64 = evaluation.true_positives.iter().sum();
            let accuracy = correct as f64 / evaluation.rows as f64;
            assert!(accuracy > 0.85, "{member:?}: {accuracy}");
        }
    }
}

#[test]
fn a_network_that_is_too_large_is_refused_by_name() {
    let error = engine(1)
        .capacity(&Shape::new(1000, &[65_536; 64], 10), 32)
        .unwrap_err();
    let text = error.to_string();
    assert!(text.contains("65536") && text.contains("bytes"), "{text}");
}

/// A wave of several shapes: each member as in a wave of its own shape.
#[test]
fn shapes_in_one_wave_have_the_bits_of_waves_of_their_own() {
    let mut iris = iris();
    iris.shapes.push(Shape::new(4, &[], 3));
    iris.shapes
        .push(Shape::new(4, &[9], 3).with_batch_norm(true));
    let mut all = members(20, Some(4));
    for (i, member) in all.iter_mut().enumerate() {
        member.shape = [2, 0, 1, 0, 2][i % 5];
    }
    let engine = engine(2);
    let expected: Vec<MemberSnapshot> = all
        .chunks(1)
        .flat_map(|one| trained(&iris, &engine, one, 3))
        .collect();
    assert!(expected[4].diverged);
    let mut wave = iris.start(&engine, &all);
    assert_eq!(wave.members(), all);
    let asked = AtomicUsize::new(0);
    let pause = || asked.fetch_add(1, Ordering::Relaxed) % 3 == 2;
    while wave.train(3, &pause).unwrap() == Progress::Paused {}
    assert_same(&expected, &wave.save().unwrap(), "all together");
    // Out of a state in another order, and with members that leave.
    let state: Vec<MemberSnapshot> = wave.save().unwrap().into_iter().rev().collect();
    let mut wave = iris.start(&engine, &all);
    wave.load(&state).unwrap();
    wave.keep(&[0, 3, 7, 15]);
    let kept = [19, 16, 12, 4];
    assert_eq!(wave.members(), kept.map(|slot: usize| all[slot]));
    assert_same(
        &wave.save().unwrap(),
        &kept.map(|slot| expected[slot].clone()),
        "kept",
    );
    assert_eq!(wave.weights(1).unwrap(), expected[16].parameters);
    let counted = wave.evaluate(Part::Validation).unwrap();
    let none: Vec<bool> = counted.iter().map(Option::is_none).collect();
    assert_eq!(none, [false, false, false, true]);
    let status = wave.status();
    assert_eq!(status[2].samples, expected[12].samples);
    let refused = wave.copy(0, 1).unwrap_err().to_string();
    assert!(
        refused.contains("4-9-3+batch_norm") && refused.contains("4-16-8-3"),
        "{refused}"
    );
    let mut foreign = state;
    foreign[0].id.trial = 99;
    let refused = wave.load(&foreign).unwrap_err().to_string();
    assert!(refused.contains("99"), "{refused}");
}

/// Dropout's masks are a matter of seed, repeat, fold and step, so that a member that took over the
/// state of another trial goes on as that one would.
#[test]
fn trials_share_their_dropout_masks() {
    for iris in both() {
        let mut members = members(2, None);
        members[0].hyperparameters.batch_size = 9;
        members[1] = Member {
            id: MemberId {
                trial: 1,
                ..members[0].id
            },
            ..members[0]
        };
        members[0].hyperparameters.dropout = 0.4;
        members[1].hyperparameters.dropout = 0.4;
        let mut state = trained(&iris, &engine(1), &members, 2);
        state[1].id = state[0].id;
        assert_same(&state[..1], &state[1..], "trials of one dropout");
        members[1].hyperparameters.dropout = 0.5;
        let other = trained(&iris, &engine(1), &members, 2);
        assert_ne!(other[0].parameters, other[1].parameters);
    }
}
