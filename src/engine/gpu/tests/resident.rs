//! The resident engine against the layered one, bit for bit, over shapes, forms and tiles.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::members::{assert_same, trained};
use super::*;
use crate::engine::gpu::{AdapterKind, Form, GpuAdapter, ResidentKernel, Tuned, WaveClass};
use crate::engine::{Part, SHAPE_VARIANT};

/// Shapes whose rows and columns leave parts of tiles empty, a linear model, and networks of several shapes.
fn shapes() -> Vec<Made> {
    vec![
        Made::new(130, 9, &[20, 7], 5, false),
        Made::new(130, 64, &[64], 10, true),
        Made::new(130, 9, &[20, 7], 5, false).with_batch_norm(true),
        Made::new(130, 70, &[33, 40], 5, false),
        Made::new(130, 5, &[], 3, false),
        Made::new(130, 64, &[20, 7], 10, true)
            .with_batch_norm(true)
            .mixed(),
    ]
}

fn is_llvmpipe(adapter: &GpuAdapter) -> bool {
    adapter.name().starts_with("llvmpipe")
}

/// The first of its adapters, where it is installed.
pub fn llvmpipe() -> Option<(String, GpuAdapter)> {
    adapters()
        .into_iter()
        .find(|(_, adapter)| is_llvmpipe(adapter))
}

/// A member that is given large weights.
const LARGE: usize = 0;

/// What is counted of members that were trained for an epoch, over both parts.
pub fn counted(made: &Made, engine: &dyn Engine, members: &[Member]) -> String {
    let mut wave = made.start(engine, members);
    wave.train(1, &never).unwrap();
    let mut states = wave.save().unwrap();
    // Finite weights with logits that are not.
    let large = &mut states[LARGE].parameters;
    large
        .iter_mut()
        .for_each(|weight| *weight = (*weight * 1e38).clamp(-6e37, 6e37) * 5.0);
    wave.load(&states).unwrap();
    let both = [Part::Training, Part::Validation].map(|part| wave.evaluate(part).unwrap());
    let mut lines = String::new();
    for evaluations in both {
        assert_eq!(evaluations.len(), members.len());
        for (member, evaluation) in members.iter().zip(evaluations) {
            // Debug prints the shortest text that reads back as the same bits.
            writeln!(lines, "{:?}: {evaluation:?}", member.id).unwrap();
        }
    }
    lines
}

/// State and counts, by kernels that are compiled once for both. Members with batches of several sizes are evaluated so
/// many rows at once. Of those that are counted one diverges, and one has logits that are not finite.
#[test]
fn both_engines_compute_and_count_the_same() {
    for (name, adapter) in adapters() {
        for made in shapes() {
            let all = made.members(30);
            let mut one_diverges = all.clone();
            one_diverges[3].hyperparameters.learning_rate = 1e30;
            let [(_, layered), others @ ..] = engines();
            let layered = engine(&adapter, layered);
            let expected = trained(&made, &layered, &all, 2);
            let counts = counted(&made, &layered, &one_diverges);
            let seen = |what| counts.matches(what).count();
            assert_eq!(seen("None"), 2, "{name}: one diverges");
            assert_eq!(seen("loss_sum: NaN"), 2, "{name}: {counts}");
            for (form, options) in others {
                let shown = format!("{name}, {form}: {}", made.names());
                let engine = engine(&adapter, options);
                assert_same(&expected, &trained(&made, &engine, &all, 2), &shown);
                assert_eq!(counts, counted(&made, &engine, &one_diverges), "{shown}");
            }
        }
    }
}

/// Members of one kind: where nothing is staged, what follows a product is written out for each value then.
#[test]
fn waves_of_one_kind_have_the_same_bits() {
    for (name, adapter) in adapters() {
        for kind in [0, 3] {
            let mut all = members(6);
            for member in &mut all {
                member.hyperparameters.optimizer = optimizers()[kind];
                member.hyperparameters.activation = Activation::Tanh;
                member.hyperparameters.dropout = 0.0;
            }
            let made = Made::new(130, 9, &[20, 7], 5, false).with_batch_norm(kind == 0);
            let [layered, others @ ..] = engines();
            let layered = engine(&adapter, layered.1);
            let expected = trained(&made, &layered, &all, 2);
            let counts = counted(&made, &layered, &all);
            for (form, options) in others {
                let shown = format!("{name}, {form}: optimizer {kind}");
                let engine = engine(&adapter, options);
                assert_same(&expected, &trained(&made, &engine, &all, 2), &shown);
                assert_eq!(counts, counted(&made, &engine, &all), "{shown}");
            }
        }
    }
}

/// Kernels with the shape written in, which a study of one shape may have.
#[test]
fn a_shape_that_is_written_in_changes_no_bit() {
    for (name, adapter) in adapters() {
        let all = members(30);
        for made in shapes().into_iter().filter(|made| made.shapes.len() == 1) {
            let [layered, others @ ..] = engines();
            let layered = engine(&adapter, layered.1);
            let (expected, counts) = (
                trained(&made, &layered, &all, 2),
                counted(&made, &layered, &all),
            );
            let first = others[0].0;
            for (form, options) in others {
                let shown = format!("{name}, {form}: {}", made.names());
                let engine = engine(&adapter, options);
                engine.will_train(&BTreeSet::from([made.shape().clone()]));
                let written = engine.is_written_in(&made.shapes);
                let one_hidden = made.shape().layers().len() <= 2;
                let software = adapter.kind() == AdapterKind::Software;
                let measured = software || adapter.orders_plain_buffers();
                assert_eq!(written, one_hidden && measured, "{shown}");
                let shapes = BTreeSet::from([made.shape().clone()]);
                let record = engine.adapter_for(&shapes, 64);
                let variant = &record.variants[&format!("{SHAPE_VARIANT}{}", made.shape())];
                assert_eq!(variant.ends_with(", shape written in"), written, "{shown}");
                // Several shapes: nothing is written in.
                let other = Shape::new(3, &[4], 2);
                let several = BTreeSet::from([made.shape().clone(), other]);
                engine.will_train(&several);
                assert!(!engine.is_written_in(&made.shapes), "{shown}");
                if !written {
                    continue;
                }
                engine.will_train(&shapes);
                assert_same(&expected, &trained(&made, &engine, &all, 2), &shown);
                assert_eq!(counts, counted(&made, &engine, &all), "{shown}");
                // The kernels of both are kept apart.
                if form == first {
                    engine.will_train(&several);
                    assert_same(&expected, &trained(&made, &engine, &all, 2), &shown);
                }
            }
        }
    }
}

/// Members of several shapes in the same dispatches, and those of each shape in a wave of their own.
#[test]
fn networks_of_several_shapes_are_trained_together() {
    for (name, adapter) in adapters() {
        let made = Made::new(130, 9, &[20, 7], 5, false);
        let made = made.with_batch_norm(true).mixed();
        let all = made.members(30);
        for (form, options) in engines() {
            let (shown, engine) = (format!("{name}, {form}"), engine(&adapter, options));
            let together = engine.trains_together(&made.setup(&all));
            assert_eq!(together, form != "layered", "{shown}");
            let (states, counts) = (
                trained(&made, &engine, &all, 2),
                counted(&made, &engine, &all),
            );
            for shape in 0..made.shapes.len() {
                let of_shape = |slot: &usize| all[*slot].shape == shape;
                let slots: Vec<usize> = (0..all.len()).filter(of_shape).collect();
                let own = |&slot: &usize| Member {
                    shape: 0,
                    ..all[slot]
                };
                let own: Vec<Member> = slots.iter().map(own).collect();
                let alone = made.only(shape);
                let expected = trained(&alone, &engine, &own, 2);
                let found: Vec<_> = slots.iter().map(|&slot| states[slot].clone()).collect();
                assert_same(&expected, &found, &format!("{shown}: shape {shape}"));
                let lines = counted(&alone, &engine, &own);
                // The first of each wave is given large weights.
                let few = |line: &&str| !line.contains("NaN");
                for line in lines.lines().filter(few) {
                    assert!(counts.contains(line), "{shown}: {line}");
                }
            }
        }
    }
}

#[test]
fn what_was_compiled_ahead_is_what_waves_are_trained_with() {
    for (name, adapter) in adapters() {
        let made = Made::new(130, 9, &[], 5, false);
        let all = made.members(9);
        let engine = engine(
            &adapter,
            Options {
                engine: EngineKind::Auto,
                ..options()
            },
        );
        let Options {
            tiles, resident, ..
        } = options();
        let forms = [Form::Layered(tiles), Form::Resident(resident)];
        assert_eq!(engine.compiled(), [0, 0], "{name}");
        engine.compile(&forms, &made.setup(&all)).unwrap();
        assert_eq!(engine.compiled(), [2, 1], "{name}");
        let class = WaveClass::of_shapes(&made.shapes, all.len());
        for form in forms {
            engine.set_tuned(Tuned::only(&class, form));
            drop(made.start(&engine, &all));
            assert_eq!(engine.compiled(), [2, 1], "{name}: {}", form.name());
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
    let (mut layered, mut of_resident) = Form::all_tiles();
    let used = used_tiles();
    if !is_llvmpipe(&adapter) {
        // SwiftShader takes minutes to compile them all.
        layered.clear();
        of_resident = used.clone();
    }
    for tiles in layered {
        let options = Options { tiles, ..options() };
        let found = trained(&made, &engine(&adapter, options), &all, 2);
        assert_same(&expected, &found, &Form::Layered(tiles).name());
    }
    for tiles in of_resident {
        for weights_in_storage in [false, true] {
            // Weights in storage are measured with no tiles but the used ones.
            if weights_in_storage && !used.contains(&tiles) {
                continue;
            }
            let options = Options {
                resident: tiles,
                ..resident(weights_in_storage)
            };
            let found = trained(&made, &engine(&adapter, options), &all, 2);
            assert_same(&expected, &found, &format!("{name}: {}", tiles.name()));
        }
    }
}

/// Fills the arena with NaN.
const POISON: &str = "
    for (var i = t; i < arrayLengthOfArena; i += THREADS) {
        arena[i] = vec4<f32>(bitcast<f32>(0x7fc00000u | (t & 1u)));
    }
    workgroupBarrier();
";

/// The text with the arena poisoned before or behind a line.
fn poisoned(text: &str, line: &str, before: bool) -> String {
    assert_eq!(text.matches(line).count(), 1, "{line}");
    let declared = text.split("var<workgroup> arena: array<vec4<f32>, ").nth(1);
    let length = declared.and_then(|rest| rest.split('>').next());
    let poison = POISON.replace("arrayLengthOfArena", &format!("{}u", length.unwrap()));
    let replaced = match before {
        true => format!("{poison}{line}"),
        false => format!("{line}{poison}"),
    };
    text.replace(line, &replaced)
}

/// What a workgroup's memory holds at first is nobody's: nothing of it reaches a result. On llvmpipe, which
/// compiles each of these texts in seconds.
#[test]
fn nothing_is_read_of_the_arena_before_it_is_written() {
    const LOAD: &str = "    load_weights(begun, t);\n";
    const LOAD_TO_EVALUATE: &str = "    load_weights(step, t);\n";

    if let Some((name, adapter)) = llvmpipe() {
        for made in [
            Made::new(130, 9, &[20, 7], 5, false)
                .with_batch_norm(true)
                .mixed(),
            Made::new(130, 64, &[64], 10, true),
        ] {
            let all = made.members(10);
            for weights_in_storage in [false, true] {
                let trains = |edit: &dyn Fn(String) -> String| {
                    let engine = engine(&adapter, resident(weights_in_storage));
                    engine.edit_resident(ResidentKernel::Train, &made.setup(&all), edit);
                    trained(&made, &engine, &all, 1)
                };
                let expected = trains(&|text| text);
                let found = trains(&|text| poisoned(&text, LOAD, true));
                let shown = format!("{name}, {}, in storage: {weights_in_storage}", made.names());
                assert_same(&expected, &found, &shown);
                let evaluates = |edit: &dyn Fn(String) -> String| {
                    let engine = engine(&adapter, resident(weights_in_storage));
                    engine.edit_resident(ResidentKernel::Evaluate, &made.setup(&all), edit);
                    counted(&made, &engine, &all)
                };
                let counts = evaluates(&|text| text);
                let poisoned_first = evaluates(&|text| poisoned(&text, LOAD_TO_EVALUATE, true));
                assert_eq!(counts, poisoned_first, "{shown}");
                if !weights_in_storage {
                    let poisoned_behind =
                        evaluates(&|text| poisoned(&text, LOAD_TO_EVALUATE, false));
                    assert_ne!(counts, poisoned_behind, "{shown}: the poison works");
                    let lost = trains(&|text| poisoned(&text, LOAD, false));
                    let finite = |members: &[crate::engine::MemberSnapshot]| {
                        members.iter().filter(|member| !member.diverged).count()
                    };
                    assert!(
                        finite(&lost) < finite(&expected),
                        "{shown}: the poison works"
                    );
                }
            }
        }
    }
}
