//! The resident engine against the layered one, bit for bit, over shapes, forms and tiles.

use super::members::{assert_same, trained};
use super::*;
use crate::engine::gpu::AdapterKind;

/// Shapes whose rows and columns leave parts of tiles empty, and a linear model.
fn shapes() -> Vec<Made> {
    vec![
        Made::new(130, 9, &[20, 7], 5, false),
        Made::new(130, 64, &[64], 10, true),
        Made::new(130, 9, &[20, 7], 5, false).with_batch_norm(true),
        Made::new(130, 70, &[33, 40], 5, false),
        Made::new(130, 5, &[], 3, false),
    ]
}

#[test]
fn both_engines_compute_the_same_bits() {
    for (name, adapter) in adapters() {
        let all = members(30);
        for made in shapes() {
            let [layered, others @ ..] = engines();
            let expected = trained(&made, &engine(&adapter, layered.1), &all, 2);
            for (form, options) in others {
                let found = trained(&made, &engine(&adapter, options), &all, 2);
                assert_same(
                    &expected,
                    &found,
                    &format!("{name}, {form}: {}", made.shape),
                );
            }
        }
    }
}

/// A dispatch that makes many steps must not run into the limit of loops that software adapters have.
#[test]
fn long_epochs_have_the_same_bits() {
    for (name, adapter) in adapters() {
        let mut all = members(8);
        for member in &mut all[..4] {
            member.hyperparameters.batch_size = 1;
        }
        let made = Made::new(1500, 9, &[8], 3, false);
        let [layered, others @ ..] = engines();
        let expected = trained(&made, &engine(&adapter, layered.1), &all, 2);
        for (form, options) in others {
            let found = trained(&made, &engine(&adapter, options), &all, 2);
            assert_same(&expected, &found, &format!("{name}, {form}"));
        }
    }
}

/// With the tiles that hardware and software adapters are given, which take seconds to compile: on one
/// adapter, with what the default sweep needs.
#[test]
fn tiles_that_are_used_change_no_bit() {
    let Some((name, adapter)) = adapters().into_iter().next() else {
        return;
    };
    let mut all = members(9);
    for (i, member) in all.iter_mut().enumerate() {
        member.hyperparameters.optimizer = optimizers()[[0, 3, 4][i % 3]];
        member.hyperparameters.activation = Activation::Relu;
        member.hyperparameters.dropout = 0.0;
    }
    let made = Made::new(130, 64, &[64], 10, true);
    let expected = trained(&made, &engine(&adapter, options()), &all, 2);
    for kind in [AdapterKind::Software, AdapterKind::Discrete] {
        let used = Options::for_kind(kind).resident;
        for weights_in_storage in [false, true] {
            let options = Options {
                resident: used,
                ..resident(weights_in_storage)
            };
            let found = trained(&made, &engine(&adapter, options), &all, 2);
            assert_same(&expected, &found, &format!("{name}: {}", used.name()));
        }
    }
}
