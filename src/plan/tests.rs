use super::*;
use crate::train::{Activation, Optimizer};

const THREE_FOLDS: MembersPerTrial = MembersPerTrial {
    repeats: 1,
    folds: 3,
};

fn trial(trial: u64, hidden: u64) -> PlannedTrial {
    PlannedTrial {
        trial,
        shape: Shape::new(4, &[hidden], 3),
        hyperparameters: Hyperparameters {
            learning_rate: 0.1,
            batch_size: 8,
            optimizer: Optimizer::Sgd {
                momentum: 0.0,
                nesterov: false,
            },
            activation: Activation::Relu,
            dropout: 0.0,
        },
    }
}

fn limits(wave_members: u64) -> Limits {
    Limits {
        most_bytes: u64::MAX,
        most_members: wave_members,
        enough_bytes: u64::MAX,
        enough_members: 1,
        layout: None,
    }
}

fn trials_of(wave: &Wave) -> Vec<u64> {
    wave.members.iter().map(|member| member.id.trial).collect()
}

#[test]
fn shapes_become_cohorts_in_the_order_of_their_first_trial() {
    let trials = [trial(0, 8), trial(1, 16), trial(2, 8)];
    let waves = waves(&trials, THREE_FOLDS, limits(100), 5);
    assert_eq!(waves.len(), 2);
    assert_eq!(trials_of(&waves[0]), [0, 0, 0, 2, 2, 2]);
    assert_eq!(trials_of(&waves[1]), [1, 1, 1]);
    assert_eq!([waves[0].number, waves[1].number], [5, 6]);
}

#[test]
fn a_trial_is_not_cut_when_it_fits_a_wave() {
    let trials: Vec<_> = (0..3).map(|t| trial(t, 8)).collect();
    let waves = waves(&trials, THREE_FOLDS, limits(5), 0);
    let sizes: Vec<_> = waves.iter().map(|wave| wave.members.len()).collect();
    assert_eq!(sizes, [3, 3, 3]);
}

#[test]
fn a_trial_larger_than_a_wave_is_cut() {
    let trials: Vec<_> = (0..2).map(|t| trial(t, 8)).collect();
    let waves = waves(&trials, THREE_FOLDS, limits(2), 0);
    let sizes: Vec<_> = waves.iter().map(|wave| wave.members.len()).collect();
    assert_eq!(sizes, [2, 2, 2]);
    assert_eq!(trials_of(&waves[1]), [0, 1]);
}

#[test]
fn bytes_bound_a_wave_and_a_giant_gets_one_of_its_own() {
    let bytes = member_bytes(&trial(0, 8).shape, &trial(0, 8).hyperparameters);
    assert_eq!(bytes, (4 * 8 + 8 + 8 * 3 + 3) * 4);
    let with = trial(0, 8).shape.with_batch_norm(true);
    let with = member_bytes(&with, &trial(0, 8).hyperparameters);
    assert_eq!(with, (4 * 8 + 16 + 8 * 3 + 3 + 16) * 4, "and running ones");
    for (wave_bytes, expected) in [(6 * bytes, vec![6, 3]), (1, vec![1; 9])] {
        let limits = Limits {
            most_bytes: wave_bytes,
            ..limits(100)
        };
        let trials: Vec<_> = (0..3).map(|t| trial(t, 8)).collect();
        let waves = waves(&trials, THREE_FOLDS, limits, 0);
        let sizes: Vec<_> = waves.iter().map(|wave| wave.members.len()).collect();
        assert_eq!(sizes, expected);
    }
}

#[test]
fn members_are_ordered_by_trial_repeat_and_fold() {
    let per_trial = MembersPerTrial {
        repeats: 2,
        folds: 2,
    };
    let waves = waves(&[trial(7, 8)], per_trial, limits(100), 0);
    let ids: Vec<_> = waves[0]
        .members
        .iter()
        .map(|member| (member.id.repeat, member.id.fold))
        .collect();
    assert_eq!(ids, [(0, 0), (0, 1), (1, 0), (1, 1)]);
    let slots: Vec<_> = waves[0]
        .members
        .iter()
        .map(|member| per_trial.slot(member.id))
        .collect();
    assert_eq!(slots, [0, 1, 2, 3]);
}

#[test]
fn a_wave_is_closed_when_it_has_enough_bytes_and_enough_members() {
    let bytes = member_bytes(&trial(0, 8).shape, &trial(0, 8).hyperparameters);
    let trials: Vec<_> = (0..6).map(|t| trial(t, 8)).collect();
    for (enough_bytes, enough_members, expected) in [
        (6 * bytes, 1, vec![6, 6, 6]),
        (6 * bytes, 7, vec![9, 9]),
        (1, 4, vec![6, 6, 6]),
        (1, 1, vec![3; 6]),
        (u64::MAX, 1, vec![18]),
    ] {
        let limits = Limits {
            enough_bytes,
            enough_members,
            layout: None,
            ..limits(100)
        };
        let waves = waves(&trials, THREE_FOLDS, limits, 0);
        let sizes: Vec<_> = waves.iter().map(|wave| wave.members.len()).collect();
        assert_eq!(
            sizes, expected,
            "{enough_bytes} bytes, {enough_members} members"
        );
    }
}

/// Where the resident engine trains networks of up to so many bytes, and mixes those of up to so many.
fn mixing(most_mixed_bytes: u64) -> Limits {
    Limits {
        layout: Some(BufferLayout {
            most_buffer_bytes: u64::MAX,
            row_tile: 16,
            gradients: false,
            most_resident_bytes: 4000,
            most_mixed_bytes,
            gathers: false,
        }),
        ..limits(7)
    }
}

#[test]
fn small_shapes_share_waves_where_the_layout_says_so() {
    let bytes = |hidden| arena_layout(&trial(0, hidden).shape).1 * 16;
    assert!(bytes(16) < 1000 && bytes(40) > 1000 && bytes(40) < 4000 && bytes(99) > 4000);
    let hidden = [8, 99, 16, 40, 8, 99, 40];
    let trials: Vec<_> = (0..).zip(hidden).map(|(t, h)| trial(t, h)).collect();
    let shown = |limits| {
        let waves = waves(&trials, THREE_FOLDS, limits, 0);
        for wave in &waves {
            let used: std::collections::BTreeSet<usize> =
                wave.members.iter().map(|m| m.shape).collect();
            assert_eq!(
                used,
                (0..wave.shapes.len()).collect(),
                "no shape without members"
            );
            for member in &wave.members {
                let expected = &trials[member.id.trial as usize].shape;
                assert_eq!(wave.shape_of(member), expected);
            }
        }
        let mut each: Vec<Vec<u64>> = waves.iter().map(trials_of).collect();
        each.iter_mut().for_each(Vec::dedup);
        each
    };
    // Seven members a wave: two trials.
    let apart: [&[u64]; 4] = [&[0, 4], &[1, 5], &[2], &[3, 6]];
    assert_eq!(shown(mixing(0)), apart);
    let small: [&[u64]; 4] = [&[0, 2], &[4], &[1, 5], &[3, 6]];
    assert_eq!(shown(mixing(1000)), small);
    let resident: [&[u64]; 4] = [&[0, 2], &[3, 4], &[6], &[1, 5]];
    assert_eq!(
        shown(mixing(4000)),
        resident,
        "what the layered engine trains is apart"
    );
    assert_eq!(shown(mixing(u64::MAX)), resident);
}
