//! A member's bits depend on the member alone: not on neighbours, slots, tiles, checks, pauses,
//! resume or the form of the update.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::engine::{EngineError, MemberSnapshot, Part, Progress};

/// With batch norm, which reads all rows of a batch and keeps state of its own; and networks without.
fn made() -> Made {
    Made::new(130, 9, &[20, 7], 5, false)
        .with_batch_norm(true)
        .mixed()
}

pub fn trained(
    made: &Made,
    engine: &dyn Engine,
    members: &[Member],
    epochs: u32,
) -> Vec<MemberSnapshot> {
    let mut wave = made.start(engine, members);
    assert_eq!(wave.train(epochs, &never).unwrap(), Progress::Reached);
    wave.save().unwrap()
}

/// The first field that differs, for messages.
fn difference(a: &MemberSnapshot, b: &MemberSnapshot) -> String {
    let first = |a: &[f32], b: &[f32]| {
        a.iter()
            .zip(b)
            .position(|(a, b)| a.to_bits() != b.to_bits())
    };
    if let Some(at) = first(&a.parameters, &b.parameters) {
        return format!(
            "parameter {at}: {:e} and {:e}",
            a.parameters[at], b.parameters[at]
        );
    }
    let short = |s: &MemberSnapshot| {
        let mut s = s.clone();
        s.parameters.clear();
        s.moments.clear();
        format!("{s:?}")
    };
    format!("{} and {}", short(a), short(b))
}

/// Asserts that two states are the same to the bit, NaN included.
#[track_caller]
pub fn assert_same(a: &[MemberSnapshot], b: &[MemberSnapshot], what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    for (a, b) in a.iter().zip(b) {
        // Debug prints the shortest text that reads back as the same bits.
        let same = format!("{a:?}") == format!("{b:?}");
        assert!(
            same,
            "{what}: member {:?} differs: {}",
            a.id,
            difference(a, b)
        );
    }
}

#[test]
fn neighbours_and_slots_do_not_change_a_bit() {
    on_every_adapter(|name, engine| {
        let made = made();
        let all = made.members(30);
        // Alone first: a kernel is compiled for what that member needs, and later another for what all do.
        let alone = [0, 4, 13].map(|slot| (slot, trained(&made, engine, &all[slot..=slot], 2)));
        let together = trained(&made, engine, &all, 2);
        let one = |slot| (slot, trained(&made, engine, &all[slot..=slot], 2));
        for (slot, alone) in alone.into_iter().chain([1, 29].map(one)) {
            assert_same(&together[slot..=slot], &alone, &format!("{name}: {slot}"));
        }
        let mut reversed = all;
        reversed.reverse();
        let mut backwards = trained(&made, engine, &reversed, 2);
        backwards.reverse();
        assert_same(&together, &backwards, &format!("{name}: backwards"));
    });
}

#[test]
fn two_runs_give_the_same_bits() {
    on_every_adapter(|name, engine| {
        let made = made();
        let all = made.members(40);
        let first = trained(&made, engine, &all, 2);
        for _ in 0..3 {
            assert_same(&first, &trained(&made, engine, &all, 2), name);
        }
    });
}

#[test]
fn checks_tiles_and_the_form_of_the_update_do_not_change_a_bit() {
    for (name, adapter) in adapters() {
        let made = made();
        let all = made.members(30);
        let ordinary = trained(&made, &engine(&adapter, options()), &all, 2);
        for (what, options) in other_options() {
            let other = trained(&made, &engine(&adapter, options), &all, 2);
            assert_same(&ordinary, &other, &format!("{name}: {what}"));
        }
    }
}

/// A folded dispatch has a few workgroups more than it needs; what they find must be nothing.
#[test]
fn dispatches_that_are_folded_to_two_dimensions_change_no_bit() {
    for (name, adapter) in adapters() {
        let with_arena = Options {
            arena: true,
            ..options()
        };
        for options in [options(), with_arena, resident(false)] {
            // Many members with batches of different size, of which the largest end first.
            let made = made();
            let mut all = made.members(140);
            for (i, member) in all.iter_mut().enumerate() {
                member.hyperparameters.batch_size = if i < 64 { 4 } else { 60 };
            }
            let flat = trained(&made, &engine(&adapter, options), &all, 2);
            for most in [7, 13] {
                let folded = engine(&adapter, options).with_most_workgroups(most);
                let what = format!("{name}: {most} a dimension");
                assert_same(&flat, &trained(&made, &folded, &all, 2), &what);
            }
        }
    }
}

#[test]
fn training_goes_on_however_often_it_is_paused() {
    on_every_adapter(|name, engine| {
        let made = made();
        let all = made.members(6);
        let straight = trained(&made, engine, &all, 1);
        let mut wave = made.start(engine, &all);
        let mut calls = 0;
        while wave.train(1, &|| true).unwrap() == Progress::Paused {
            calls += 1;
            assert!(calls < 10_000, "{name}: no step is made");
        }
        assert_same(&straight, &wave.save().unwrap(), name);
    });
}

#[test]
fn a_diverging_neighbour_changes_no_bit_of_the_others() {
    on_every_adapter(|name, engine| {
        let made = made();
        let healthy = made.members(18);
        let expected = trained(&made, engine, &healthy, 3);
        for diverging in [0, 5, 17] {
            let mut mixed = healthy.clone();
            mixed[diverging].hyperparameters.learning_rate = 1e30;
            let state = trained(&made, engine, &mixed, 3);
            for slot in 0..healthy.len() {
                if slot == diverging {
                    let bad = &state[slot];
                    assert!(bad.diverged && bad.epoch < 3, "{name}: {bad:?}");
                } else {
                    let what = format!("{name}: {slot} beside {diverging}");
                    assert_same(&expected[slot..=slot], &state[slot..=slot], &what);
                }
            }
        }
    });
}

#[test]
fn a_diverged_member_is_frozen_and_not_evaluated() {
    on_every_adapter(|name, engine| {
        let made = made();
        let mut both = made.members(2);
        both[1].hyperparameters.learning_rate = 1e30;
        let mut wave = made.start(engine, &both);
        wave.train(2, &never).unwrap();
        let frozen = wave.save().unwrap();
        wave.train(4, &never).unwrap();
        assert_same(&wave.save().unwrap()[1..], &frozen[1..], name);
        let evaluations = wave.evaluate(Part::Validation).unwrap();
        assert!(
            evaluations[0].is_some() && evaluations[1].is_none(),
            "{name}"
        );
    });
}

#[test]
fn pauses_at_any_step_change_no_bit() {
    on_every_adapter(|name, engine| {
        let made = made();
        let all = made.members(12);
        let straight = trained(&made, engine, &all, 2);
        for every in [1, 2, 3] {
            let asked = AtomicUsize::new(0);
            let pause = || asked.fetch_add(1, Ordering::Relaxed) % every == every - 1;
            let (mut wave, mut pauses) = (made.start(engine, &all), 0);
            while wave.train(2, &pause).unwrap() == Progress::Paused {
                pauses += 1;
            }
            assert!(pauses > 0, "{name}: every {every}");
            assert_same(
                &straight,
                &wave.save().unwrap(),
                &format!("{name}: every {every}"),
            );
        }
    });
}

#[test]
fn a_loaded_state_goes_on_to_the_same_bits() {
    on_every_adapter(|name, engine| {
        let made = made();
        let mut all = made.members(12);
        all[5].hyperparameters.learning_rate = 1e30;
        let straight = trained(&made, engine, &all, 3);
        let submissions = AtomicUsize::new(0);
        let pause = || submissions.fetch_add(1, Ordering::Relaxed) >= 3;
        let mut first = made.start(engine, &all);
        assert_eq!(first.train(3, &pause).unwrap(), Progress::Paused);
        let state = first.save().unwrap();
        assert!(
            state.iter().any(|m| m.cursor > 0),
            "{name}: within an epoch"
        );
        let mut second = made.start(engine, &all);
        second.load(&state).unwrap();
        second.train(3, &never).unwrap();
        assert_same(&straight, &second.save().unwrap(), name);
    });
}

#[test]
fn members_in_different_epochs_catch_up() {
    on_every_adapter(|name, engine| {
        let made = made();
        let all = made.members(6);
        let straight = trained(&made, engine, &all, 3);
        let early = trained(&made, engine, &all[..3], 2);
        let late = trained(&made, engine, &all[3..], 1);
        let mut wave = made.start(engine, &all);
        wave.load(&[early, late].concat()).unwrap();
        wave.train(3, &never).unwrap();
        assert_same(&straight, &wave.save().unwrap(), name);
    });
}

#[test]
fn a_state_of_another_shape_or_member_is_refused() {
    on_every_adapter(|name, engine| {
        let made = made();
        let both = made.members(2);
        let mut wave = made.start(engine, &both);
        let state = wave.save().unwrap();
        let mut short = state.clone();
        short[0].parameters.pop();
        let mut foreign = state.clone();
        foreign[0].id.trial = 99;
        let mut poor = state.clone();
        poor[1].moments.clear();
        let rows = made.splits.folds[state[1].id.fold as usize].train.len() as u64;
        let [mut ended, mut far] = [state.clone(), state.clone()];
        (ended[1].cursor, far[1].cursor) = (rows, rows + 1);
        for bad in [short, foreign, poor, far] {
            let refused = matches!(wave.load(&bad), Err(EngineError::StateMismatch { .. }));
            assert!(refused, "{name}");
        }
        wave.load(&ended).unwrap();
        wave.load(&state).unwrap();
        assert_same(&state, &wave.save().unwrap(), name);
    });
}

#[test]
fn kept_members_go_on_to_the_same_bits() {
    on_every_adapter(|name, engine| {
        let made = made();
        let all = made.members(10);
        let straight = trained(&made, engine, &all, 3);
        let mut wave = made.start(engine, &all);
        wave.train(1, &never).unwrap();
        wave.evaluate(Part::Validation).unwrap();
        wave.keep(&[1, 2, 6, 9]);
        assert_eq!(wave.members(), [1, 2, 6, 9].map(|slot| all[slot]));
        wave.train(2, &never).unwrap();
        wave.keep(&[0, 1, 3]);
        wave.train(3, &never).unwrap();
        let expected = [1, 2, 9].map(|slot: usize| straight[slot].clone());
        assert_same(&wave.save().unwrap(), &expected, name);
        assert_eq!(wave.evaluate(Part::Validation).unwrap().len(), 3, "{name}");
        wave.keep(&[]);
        assert_eq!(wave.train(9, &never).unwrap(), Progress::Reached);
        assert!(wave.evaluate(Part::Training).unwrap().is_empty(), "{name}");
    });
}

#[test]
fn a_copy_has_the_state_and_keeps_its_own_hyperparameters() {
    on_every_adapter(|name, engine| {
        let made = made();
        let mut all = made.members(13);
        all[6].hyperparameters.learning_rate = 0.5;
        let mut wave = made.start(engine, &all);
        wave.train(1, &never).unwrap();
        let before = wave.save().unwrap();
        wave.copy(0, 6).unwrap();
        let after = wave.save().unwrap();
        assert_eq!(after[6].parameters, before[0].parameters, "{name}");
        assert_eq!(after[6].moments, before[0].moments, "{name}");
        assert_eq!(wave.weights(6).unwrap(), before[0].parameters, "{name}");
        assert_same(&before[7..], &after[7..], name);
        assert_eq!(wave.members(), all, "{name}");
        let refused = wave.copy(0, 3);
        assert!(matches!(refused, Err(EngineError::StateMismatch { .. })));
    });
}

#[test]
fn a_copy_onto_a_diverged_member_is_sound_again() {
    on_every_adapter(|name, engine| {
        let made = made();
        let all = made.members(8);
        let mut wave = made.start(engine, &all);
        let mut state = wave.save().unwrap();
        // Training does not read it, so that only the end of the epoch finds it.
        state[6].running[0] = f32::INFINITY;
        wave.load(&state).unwrap();
        wave.train(1, &never).unwrap();
        assert!(wave.status()[6].diverged, "{name}");
        wave.copy(0, 6).unwrap();
        assert!(!wave.status()[6].diverged, "{name}");
        wave.train(2, &never).unwrap();
        let status = wave.status();
        assert!(
            !status[6].diverged && status[6].epoch == 2,
            "{name}: {status:?}"
        );
    });
}

#[test]
fn samples_and_steps_are_counted() {
    on_every_adapter(|name, engine| {
        let made = made();
        let all = made.members(10);
        for (member, snapshot) in all.iter().zip(trained(&made, engine, &all, 2)) {
            let rows = made.splits.folds[member.id.fold as usize].train.len();
            let steps = rows.div_ceil(member.hyperparameters.batch_size);
            assert_eq!(snapshot.samples, 2 * rows as u64, "{name}");
            assert_eq!(snapshot.steps, 2 * steps as u64, "{name}");
            assert_eq!(snapshot.cursor, 0, "{name}");
        }
    });
}
