//! Barriers of the resident kernels: each that is taken away changes a result, or is listed with why it does not.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::members::trained;
use super::resident::{counted, llvmpipe};
use super::*;
use crate::engine::gpu::ResidentKernel;

/// Several groups of invocations, which llvmpipe runs one after another, each to the next barrier.
const SEVERAL_GROUPS: ResidentTiles = ResidentTiles {
    threads: 32,
    thread_rows: 4,
    columns_4: 8,
    inner_4: 4,
    ..SMALL_TILES
};

/// The same, where nothing is staged.
const SEVERAL_GROUPS_DIRECT: ResidentTiles = ResidentTiles {
    inner_4: 0,
    ..SEVERAL_GROUPS
};

const BARRIERS: [&str; 2] = ["workgroupBarrier();", "storageBarrier();"];

/// A barrier that a kernel can lose unnoticed on llvmpipe: its function, its number there counted from 0, and why.
type Unnoticed = (&'static str, usize, &'static str);

/// Of the kernel that trains, in all forms.
const UNNOTICED: &[Unnoticed] = &[
    ("store_weights", 0, "all parameters are finite here"),
    (
        "loss_and_gradient",
        0,
        "the invocation that leads is in the last group",
    ),
    (
        "loss_and_gradient",
        2,
        "another stands before; this one orders storage",
    ),
];

/// Where there is batch norm.
const UNNOTICED_NORM: &[Unnoticed] = &[
    ("norm_forward", 0, PUBLISHED),
    (
        "norm_statistics",
        1,
        "those that merge are in the first group",
    ),
    ("norm_backward", 0, PUBLISHED),
    ("norm_sums", 1, "those that add are in the first group"),
];

/// Where operands are staged.
const UNNOTICED_STAGED: &[Unnoticed] = &[
    ("forward", 0, ORDERS_STORAGE),
    ("forward_narrow", 3, STAGED_BEHIND),
    ("backward_input", 0, ORDERS_STORAGE),
    ("backward_input_narrow", 3, STAGED_BEHIND),
    ("backward_weights_wide", 3, STAGED_ALIKE),
    ("backward_weights_narrow", 3, STAGED_ALIKE),
];

/// Where nothing is staged and a step is judged while the others go on, which is without batch norm.
const UNNOTICED_LATE: &[Unnoticed] = &[(
    "resident",
    1,
    "the plan is loaded behind; this one orders storage",
)];

/// The same without a hidden layer.
const UNNOTICED_LINEAR: &[Unnoticed] = &[("backward_input", 0, "there is none")];

/// Of the kernel that evaluates, in all forms.
const UNNOTICED_IN_EVALUATIONS: &[Unnoticed] = &[
    ("count", 1, "blocks are summed in the first group"),
    ("count", 2, "another stands before; this one orders storage"),
];

/// Where operands are staged.
const UNNOTICED_IN_STAGED_EVALUATIONS: &[Unnoticed] = &[
    ("forward", 0, ORDERS_STORAGE),
    ("forward_narrow", 3, STAGED_BEHIND),
];

const PUBLISHED: &str = "those that publish are in the first group";
const ORDERS_STORAGE: &str = "the tile's last barrier stands before; this one orders storage";
const STAGED_ALIKE: &str = "what is staged next falls on values that the same group has read";
const STAGED_BEHIND: &str = "not seen to matter; a store of other values in its place is noticed";

/// Where a barrier stands: its function, and its number there counted from 0.
type Place = (String, usize);

/// Of each barrier in the text, its line and where it stands.
fn places_of(text: &str) -> Vec<(usize, Place)> {
    let (mut function, mut number) = ("", 0);
    let mut places = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if let Some(rest) = line.strip_prefix("fn ") {
            function = rest.split('(').next().unwrap_or_default();
            number = 0;
        }
        if BARRIERS.contains(&line.trim()) {
            places.push((at, (function.to_owned(), number)));
            number += 1;
        }
    }
    // None may escape by standing beside others in a line.
    let all: usize = BARRIERS.iter().map(|b| text.matches(b).count()).sum();
    assert_eq!(places.len(), all);
    places
}

/// The text without these barriers.
fn without_barriers(text: &str, gone: &BTreeSet<Place>) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    for (at, place) in places_of(text) {
        if gone.contains(&place) {
            lines[at] = "";
        }
    }
    lines.join("\n")
}

/// Members without anything that llvmpipe would take long to compile; one makes several steps a dispatch.
fn plain_members() -> Vec<Member> {
    let mut all = members(2);
    for (member, batch_size) in all.iter_mut().zip([50, 7]) {
        member.hyperparameters.batch_size = batch_size;
        member.hyperparameters.optimizer = optimizers()[0];
        member.hyperparameters.activation = Activation::Relu;
        member.hyperparameters.dropout = 0.0;
    }
    all
}

/// Takes away each barrier of a kernel in turn that is not listed, of those in functions whose names begin so, which
/// must change the result; and all that are listed together, which must not.
fn barriers_are_needed(
    kernel: ResidentKernel,
    tiles: ResidentTiles,
    made: &Made,
    of_functions: &str,
    listed: &[&[Unnoticed]],
    result: fn(&Made, &GpuEngine, &[Member]) -> String,
) {
    let Some((_, adapter)) = llvmpipe() else {
        return;
    };
    let all = plain_members();
    let options = Options {
        resident: tiles,
        ..resident(false)
    };
    let engine = engine(&adapter, options);
    let expected = result(made, &engine, &all);
    let places = RefCell::default();
    let without = |gone: &BTreeSet<Place>| {
        engine.edit_resident(kernel, &made.setup(&all), |text| {
            let all = places_of(&text).into_iter().map(|(_, place)| place);
            places.replace(all.collect());
            without_barriers(&text, gone)
        });
        result(made, &engine, &all)
    };
    let listed = listed.iter().copied().flatten();
    let listed: BTreeSet<Place> = listed.map(|(f, n, _)| ((*f).to_owned(), *n)).collect();
    // One compilation for all of them.
    assert_eq!(without(&listed), expected, "without any of {listed:?}");
    let places: BTreeSet<Place> = places.take();
    assert!(listed.is_subset(&places), "{listed:?} of {places:?}");
    let wanted = places
        .difference(&listed)
        .filter(|(f, _)| f.starts_with(of_functions));
    let changes = |place: &&Place| without(&BTreeSet::from([(*place).clone()])) != expected;
    let (noticed, unnoticed): (Vec<_>, Vec<_>) = wanted.partition(changes);
    println!("noticed: {noticed:?}");
    assert!(!noticed.is_empty());
    assert!(
        unnoticed.is_empty(),
        "unnoticed and not listed: {unnoticed:?}"
    );
}

/// Layers whose tiles are wide and narrow.
fn deep() -> Made {
    Made::new(130, 40, &[37, 22, 7, 22], 5, false)
}

fn epoch_of(made: &Made, engine: &GpuEngine, all: &[Member]) -> String {
    format!("{:?}", trained(made, engine, all, 1))
}

/// Of the kernel that trains where operands are staged.
#[test]
fn every_barrier_is_needed() {
    barriers_are_needed(
        ResidentKernel::Train,
        SEVERAL_GROUPS,
        &deep(),
        "",
        &[UNNOTICED, UNNOTICED_STAGED],
        epoch_of,
    );
}

/// The same, of those that are there with batch norm alone: with it the kernel takes twice as long to compile.
#[test]
fn every_barrier_of_batch_norm_is_needed() {
    barriers_are_needed(
        ResidentKernel::Train,
        SEVERAL_GROUPS,
        &deep().with_batch_norm(true),
        "norm_",
        &[UNNOTICED, UNNOTICED_NORM, UNNOTICED_STAGED],
        epoch_of,
    );
}

/// Of the kernel that trains where nothing is staged.
fn direct_barriers_are_needed(made: &Made, listed: &[&[Unnoticed]]) {
    let tiles = SEVERAL_GROUPS_DIRECT;
    barriers_are_needed(ResidentKernel::Train, tiles, made, "", listed, epoch_of);
}

#[test]
fn every_barrier_is_needed_where_nothing_is_staged() {
    direct_barriers_are_needed(&deep(), &[UNNOTICED, UNNOTICED_LATE]);
}

#[test]
fn every_barrier_of_batch_norm_is_needed_where_nothing_is_staged() {
    direct_barriers_are_needed(&deep().with_batch_norm(true), &[UNNOTICED, UNNOTICED_NORM]);
}

#[test]
fn every_barrier_of_a_linear_model_is_needed_where_nothing_is_staged() {
    let linear = Made::new(130, 40, &[], 5, false);
    direct_barriers_are_needed(&linear, &[UNNOTICED, UNNOTICED_LATE, UNNOTICED_LINEAR]);
}

#[test]
fn every_barrier_of_evaluations_is_needed() {
    barriers_are_needed(
        ResidentKernel::Evaluate,
        SEVERAL_GROUPS,
        &deep().with_batch_norm(true),
        "",
        &[UNNOTICED_IN_EVALUATIONS, UNNOTICED_IN_STAGED_EVALUATIONS],
        |made, engine, all| counted(made, engine, all),
    );
}

#[test]
fn every_barrier_of_evaluations_is_needed_where_nothing_is_staged() {
    barriers_are_needed(
        ResidentKernel::Evaluate,
        SEVERAL_GROUPS_DIRECT,
        &deep().with_batch_norm(true),
        "",
        &[UNNOTICED_IN_EVALUATIONS],
        |made, engine, all| counted(made, engine, all),
    );
}
