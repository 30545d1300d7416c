use super::super::{Fold, SplitKind, Splits, shuffle, split};
use super::*;
use crate::seed::{Seed, Stream};

/// A config with `folds`, or with a holdout if it is 0.
fn dividing(folds: u32, test: f64, kind: SplitKind) -> DataConfig {
    DataConfig {
        test: TestPart::Fraction(test),
        folds: (folds > 0).then_some(folds),
        split: kind,
        ..DataConfig::default()
    }
}

const SHUFFLED: SplitKind = SplitKind::Shuffled;
const ORDERED: SplitKind = SplitKind::Ordered;

/// Rows of each class.
fn counts(data: &Dataset, rows: &[u32]) -> Vec<usize> {
    let of = |class| {
        rows.iter()
            .filter(move |&&row| data.targets[row as usize] == class)
    };
    (0..data.classes() as u32)
        .map(|class| of(class).count())
        .collect()
}

/// Checks that both parts ascend and together are exactly `rows`.
#[track_caller]
fn check_partition(fold: &Fold, rows: &[u32]) {
    let mut all = [&fold.train[..], &fold.validation].concat();
    assert!(fold.train.is_sorted() && fold.validation.is_sorted());
    all.sort_unstable();
    assert_eq!(all, rows);
}

/// Checks that the folds divide what the refit trains on, and the refit all of `rows`.
#[track_caller]
fn check_splits(splits: &Splits, rows: u32) {
    check_partition(&splits.refit, &(0..rows).collect::<Vec<_>>());
    for fold in &splits.folds {
        check_partition(fold, &splits.refit.train);
    }
}

#[test]
fn the_shuffle_is_the_same_in_every_version() {
    let mut rows: Vec<u32> = (0..10).collect();
    shuffle(&mut rows, &mut Seed(42).rng(Stream::Folds));
    assert_eq!(rows, PINNED);
}

#[test]
fn the_shuffle_is_uniform() {
    let mut rng = Seed(1).rng(Stream::Folds);
    let mut seen = std::collections::HashMap::new();
    for _ in 0..24_000 {
        let mut rows = [0, 1, 2, 3];
        shuffle(&mut rows, &mut rng);
        *seen.entry(rows).or_insert(0_u32) += 1;
    }
    assert_eq!(seen.len(), 24);
    // 1000 expected; five standard deviations are 155.
    assert!(
        seen.values().all(|&count| count.abs_diff(1000) < 155),
        "{seen:?}"
    );
    shuffle(&mut [], &mut rng);
    let mut one = [7];
    shuffle(&mut one, &mut rng);
    assert_eq!(one, [7]);
}

#[test]
fn digits_hold_out_as_many_rows_as_by_scikit_learn() {
    let data = load(&config("digits")).unwrap();
    let splits = split(&data, &dividing(3, 0.2, SHUFFLED), Seed(0)).unwrap();
    check_splits(&splits, 1797);
    assert_eq!(splits.refit.validation.len(), 360);
    assert_eq!(splits.refit.train.len(), 1437);
    assert_eq!(splits.smallest_training_rows(), 958);
    // 360 of the class counts by largest remainder; classes 1 and 5 tie for the last row.
    let test = counts(&data, &splits.refit.validation);
    assert_eq!(test, [36, 37, 35, 37, 36, 36, 36, 36, 35, 36]);
}

#[test]
fn folds_differ_by_one_row_at_most_in_all_and_per_class() {
    let data = load(&config("digits")).unwrap();
    let splits = split(&data, &dividing(5, 0.0, SHUFFLED), Seed(3)).unwrap();
    check_splits(&splits, 1797);
    assert!(splits.refit.validation.is_empty());
    let mut validated: Vec<u32> = splits
        .folds
        .iter()
        .flat_map(|f| f.validation.clone())
        .collect();
    validated.sort_unstable();
    assert_eq!(validated, (0..1797).collect::<Vec<_>>());
    let within_one =
        |counts: Vec<usize>| counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1;
    let sizes = splits.folds.iter().map(|fold| fold.validation.len());
    assert!(within_one(sizes.collect()));
    let per_fold: Vec<Vec<usize>> = splits
        .folds
        .iter()
        .map(|fold| counts(&data, &fold.validation))
        .collect();
    for class in 0..10 {
        assert!(
            within_one(per_fold.iter().map(|fold| fold[class]).collect()),
            "{per_fold:?}"
        );
    }
}

#[test]
fn the_holdout_is_stratified_and_scaling_is_fitted_on_training_rows() {
    let data = dataset(&[0, 0, 0, 0, 0, 0, 1, 1, 1, 1], None);
    let splits = split(&data, &dividing(0, 0.0, SHUFFLED), Seed(0)).unwrap();
    check_splits(&splits, 10);
    assert_eq!(splits.folds.len(), 1);
    assert_eq!(counts(&data, &splits.folds[0].validation), [1, 1]);
    let train = splits.folds[0].train.iter();
    let mean = f64::from(train.sum::<u32>()) / 8.0;
    assert!((f64::from(splits.folds[0].scaling.offset[0]) - mean).abs() < 1e-6);
    assert_eq!(splits.refit.scaling.offset, [4.5]);
}

#[test]
fn the_test_part_depends_on_the_seed_alone() {
    let data = load(&config("wine")).unwrap();
    let test = |folds, seed| {
        let splits = split(&data, &dividing(folds, 0.25, SHUFFLED), Seed(seed)).unwrap();
        splits.refit.validation
    };
    assert_eq!(test(3, 0), test(5, 0));
    assert_eq!(test(0, 0), test(5, 0));
    assert_ne!(test(3, 0), test(3, 1));
    let config = dividing(3, 0.25, SHUFFLED);
    assert_eq!(
        split(&data, &config, Seed(7)).unwrap(),
        split(&data, &config, Seed(7)).unwrap()
    );
}

#[test]
fn a_split_is_the_same_in_every_version() {
    let data = dataset(&[0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1], None);
    let splits = split(&data, &dividing(2, 0.2, SHUFFLED), Seed(0)).unwrap();
    assert_eq!(splits.refit.validation, PINNED_TEST);
    assert_eq!(splits.folds[0].validation, PINNED_FOLD);
}

#[test]
fn ordered_folds_are_those_of_scikit_learns_time_series_split() {
    let targets: Vec<u32> = (0..12).map(|row| row % 2).collect();
    let data = dataset(&targets, None);
    // 12 rows, 2 of them the test part; TimeSeriesSplit(3).split(range(10)).
    let splits = split(&data, &dividing(3, 0.15, ORDERED), Seed(0)).unwrap();
    assert_eq!(splits.refit.validation, [10, 11]);
    let folds = [(0..4, 4..6), (0..6, 6..8), (0..8, 8..10)];
    assert_eq!(splits.folds.len(), 3);
    for (fold, (train, validation)) in splits.folds.iter().zip(folds) {
        assert_eq!(fold.train, train.collect::<Vec<u32>>());
        assert_eq!(fold.validation, validation.collect::<Vec<u32>>());
    }
    let splits = split(&data, &dividing(0, 0.0, ORDERED), Seed(0)).unwrap();
    assert_eq!(splits.folds[0].validation, [9, 10, 11]);
}

#[test]
fn groups_stay_together_everywhere() {
    let groups: Vec<u32> = (0..60).map(|row| row * 7 % 13).collect();
    let targets: Vec<u32> = (0..60).map(|row| row % 2).collect();
    let data = dataset(&targets, Some(&groups));
    for seed in 0..20 {
        for folds in [0, 3] {
            let splits = split(&data, &dividing(folds, 0.2, SHUFFLED), Seed(seed)).unwrap();
            check_splits(&splits, 60);
            for fold in splits.folds.iter().chain([&splits.refit]) {
                let of = |rows: &[u32]| -> Vec<u32> {
                    rows.iter().map(|&row| groups[row as usize]).collect()
                };
                let train = of(&fold.train);
                assert!(
                    of(&fold.validation)
                        .iter()
                        .all(|group| !train.contains(group))
                );
            }
            // 12 of 60 rows are asked for, and groups have 4 or 5.
            assert!(splits.refit.validation.len().abs_diff(12) <= 2);
        }
    }
}

#[test]
fn groups_of_unequal_size_are_dealt_largest_first() {
    let groups = [0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3];
    let data = dataset(&[0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1], Some(&groups));
    let splits = split(&data, &dividing(2, 0.0, SHUFFLED), Seed(0)).unwrap();
    assert_eq!(splits.folds[0].validation, [0, 1, 2, 3, 4, 5]);
    assert_eq!(splits.folds[1].validation, [6, 7, 8, 9, 10, 11]);
}

#[test]
fn a_given_test_part_is_the_last_rows() {
    let mut data = dataset(&[0, 1, 0, 1, 0, 1, 0, 1], None);
    data.given_test_rows = 3;
    let mut config = dividing(2, 0.0, SHUFFLED);
    config.test = TestPart::Given;
    let splits = split(&data, &config, Seed(0)).unwrap();
    assert_eq!(splits.refit.validation, [5, 6, 7]);
    check_splits(&splits, 8);
    data.given_test_rows = 0;
    check_error(
        "none",
        split(&data, &config, Seed(0)),
        "the test part would be empty",
    );
}

#[test]
fn divisions_that_leave_nothing_are_refused_and_their_twins_are_accepted() {
    let few = dataset(&[0, 1, 0, 1], None);
    let lone = dataset(&[0, 0, 0, 0, 1], None);
    let late = dataset(&[0, 0, 0, 0, 1, 1], None);
    let grouped = dataset(&[0, 1, 0, 1], Some(&[0, 0, 1, 1]));
    let cases = [
        (
            &few,
            dividing(5, 0.0, SHUFFLED),
            Some("4 rows cannot be divided into 5 parts"),
        ),
        (&few, dividing(2, 0.0, SHUFFLED), None),
        (
            &few,
            dividing(4, 0.0, ORDERED),
            Some("4 rows cannot be divided into 5 parts"),
        ),
        (
            &few,
            dividing(3, 0.0, ORDERED),
            Some("class `c1` has no row in the training part of fold 0"),
        ),
        (
            &few,
            dividing(0, 0.9, SHUFFLED),
            Some("the training part beside the test part would be empty"),
        ),
        (
            &few,
            dividing(0, 0.5, SHUFFLED),
            Some("in the training part of fold 0"),
        ),
        (
            &few,
            dividing(0, 0.5, ORDERED),
            Some("in the training part of fold 0"),
        ),
        (&few, dividing(0, 0.0, ORDERED), None),
        (
            &lone,
            dividing(5, 0.0, SHUFFLED),
            Some("class `c1` has no row in the training part"),
        ),
        (&lone, dividing(0, 0.0, SHUFFLED), None),
        (
            &late,
            dividing(2, 0.0, ORDERED),
            Some("training part of fold 0 (2 in all data)"),
        ),
        (
            &late,
            dividing(0, 0.1, ORDERED),
            Some("training part of fold 0 (2 in all data)"),
        ),
        (&late, dividing(0, 0.0, SHUFFLED), None),
        (
            &grouped,
            dividing(3, 0.0, SHUFFLED),
            Some("2 groups cannot be divided into 3 parts"),
        ),
        (&grouped, dividing(2, 0.0, SHUFFLED), None),
        (
            &grouped,
            dividing(2, 0.2, SHUFFLED),
            Some("1 group cannot be divided into 2 parts"),
        ),
    ];
    for (data, config, part) in cases {
        let case = format!("{config:?} of {:?}", data.targets);
        match part {
            Some(part) => check_error(&case, split(data, &config, Seed(0)), part),
            None => drop(check_accepted(&case, split(data, &config, Seed(0)))),
        }
    }
}

const PINNED: [u32; 10] = [7, 5, 8, 6, 1, 3, 2, 9, 4, 0];
const PINNED_TEST: [u32; 3] = [3, 4, 10];
const PINNED_FOLD: [u32; 5] = [1, 2, 6, 7, 8];
