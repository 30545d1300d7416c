//! Memory and dispatches: predicted, and counted.

use super::*;
use crate::engine::gpu::wave::GpuWave;
use crate::engine::gpu::{AdapterKind, Form, Tuned, WaveClass};
use crate::engine::{EngineError, Part, Progress};
use crate::plan::{Footprint, Limits};

#[test]
fn predicted_bytes_are_those_that_are_allocated() {
    for (name, adapter) in adapters() {
        let with_arena = Options {
            arena: true,
            ..options()
        };
        for options in [options(), with_arena, resident(false)] {
            let engine = engine(&adapter, options);
            for (hidden, bytes) in [(vec![], false), (vec![5], true), (vec![20, 7], false)] {
                let made = Made::new(60, 9, &hidden, 5, bytes).with_batch_norm(!bytes);
                for count in [1, 7, 60] {
                    let members = members(count);
                    let wave = engine.wave(made.setup(&members)).unwrap();
                    let predicted = engine.predicted_bytes(&made.setup(&members));
                    assert_eq!(wave.bytes(), predicted, "{name}: {hidden:?}, {count}");
                }
            }
            let made = Made::new(60, 9, &[20, 7], 5, false)
                .with_batch_norm(true)
                .mixed();
            let members = made.members(17);
            if engine.trains_together(&made.setup(&members)) {
                let wave = engine.wave(made.setup(&members)).unwrap();
                let predicted = engine.predicted_bytes(&made.setup(&members));
                assert_eq!(wave.bytes(), predicted, "{name}: several shapes");
            }
        }
    }
}

/// Tiles that stage less leave more room for weights: then a form trains shapes that the engine's own does not.
#[test]
fn every_form_has_waves_laid_out_for_it() {
    let Some((_, adapter)) = adapters().into_iter().next() else {
        return;
    };
    let all = members(3);
    for kind in [AdapterKind::Software, AdapterKind::Discrete] {
        let options = Options::for_kind(kind);
        let with_roomy = engine(&adapter, options);
        let alone = Options {
            roomy: None,
            ..options
        };
        let engine = engine(&adapter, alone);
        let (mut between, mut by_roomy) = (0, 0);
        for width in (8..200).step_by(4) {
            let made = Made::new(20, 64, &[width], 10, false);
            let [usual, laid_out] = engine.trained_and_laid_out(&made.setup(&all));
            assert_eq!(usual, laid_out, "{width}");
            let [trains, laid_out] = with_roomy.trained_and_laid_out(&made.setup(&all));
            assert!(trains == laid_out && (trains || !usual), "{width}");
            by_roomy += usize::from(trains && !usual);
            let class = WaveClass::new(made.shape(), all.len());
            for form in Form::candidates(kind, EngineKind::Auto) {
                engine.set_tuned(Tuned::only(&class, form));
                let [trains, laid_out] = engine.trained_and_laid_out(&made.setup(&all));
                assert_eq!(trains, laid_out, "{width}: {}", form.name());
                between += usize::from(trains && !usual);
            }
            engine.set_tuned(Tuned::default());
        }
        assert!(
            between > 0,
            "{kind:?}: no form has more room than the usual one"
        );
        assert!(by_roomy > 0, "{kind:?}: roomy tiles train nothing more");
    }
}

#[test]
fn a_wave_takes_what_the_plan_counted_and_its_lists() {
    let Some((_, adapter)) = adapters().into_iter().next() else {
        return;
    };
    for (_, options) in engines() {
        let engine = engine(&adapter, options);
        let made = Made::new(60, 9, &[20, 7], 5, false);
        takes_what_the_plan_counted(&engine, &made);
        if options.engine == EngineKind::Resident {
            takes_what_the_plan_counted(&engine, &made.mixed());
        }
    }
}

fn takes_what_the_plan_counted(engine: &GpuEngine, made: &Made) {
    // Enough rows that the least does not count.
    let mut all = made.members(200);
    for member in &mut all {
        member.hyperparameters.batch_size = 16;
    }
    let layout = engine.limits().layout;
    let mut planned = Footprint::default();
    for member in &all {
        planned.add(
            &Footprint::new(&made.shapes[member.shape], &member.hyperparameters, layout),
            1,
        );
    }
    let wave = engine.wave(made.setup(&all)).unwrap();
    let (bytes, planned) = (wave.bytes(), planned.total());
    assert!(
        bytes > planned && bytes < planned + (1 << 20),
        "{bytes} {planned}"
    );
}

#[test]
fn a_step_is_three_dispatches_a_hidden_layer_and_five_and_two_a_norm_each_way() {
    let Some((_, adapter)) = adapters().into_iter().next() else {
        return;
    };
    let engine = engine(&adapter, options());
    for hidden in [vec![], vec![6], vec![6, 5], vec![4; 7]] {
        for batch_norm in [false, true] {
            let made = Made::new(40, 3, &hidden, 3, false).with_batch_norm(batch_norm);
            for count in [1, 50] {
                let members = members(count);
                let wave: GpuWave<'_> = engine.wave(made.setup(&members)).unwrap();
                let dispatches = wave.dispatches_a_step();
                let norms = if batch_norm { hidden.len() } else { 0 };
                let most = 3 * hidden.len() + 5 + 4 * norms;
                assert!(dispatches <= most, "{hidden:?}: {dispatches} > {most}");
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_with_the_limit() {
    for (name, adapter) in adapters() {
        let engine = engine(&adapter, options());
        let wide = Shape::new(64, &[65_536, 65_536], 10);
        let error = engine.capacity(&wide, 32).unwrap_err();
        assert!(matches!(error, EngineError::TooLarge { .. }), "{name}");
        let text = error.to_string();
        assert!(
            text.contains("65536") && text.contains(adapter.name()),
            "{text}"
        );
        let small = Shape::new(64, &[64], 10);
        assert!(engine.capacity(&small, 32).unwrap() > 1000, "{name}");
    }
}

/// The widest layer that the space allows: 1024 rows of it are more than a binding of 128 MiB.
#[test]
fn the_widest_layer_is_trained_where_its_batch_fits() {
    for (name, adapter) in adapters() {
        let engine = &engine(&adapter, options());
        let made = Made::new(20, 2, &[65_536], 2, false);
        let mut one = members(1);
        one[0].hyperparameters.optimizer = optimizers()[0];
        assert!(engine.capacity(made.shape(), 16).is_ok(), "{name}");
        let wave = engine.wave(made.setup(&one)).unwrap();
        let layout = engine.limits().layout.unwrap();
        assert!(wave.bytes() < 4 * layout.most_buffer_bytes, "{name}");
        drop(wave);
        let mut wave = made.start(engine, &one);
        assert_eq!(wave.train(1, &never).unwrap(), Progress::Reached, "{name}");
        let counted = wave.evaluate(Part::Training).unwrap();
        assert!(counted[0].is_some(), "{name}");
    }
}

#[test]
fn waves_keep_to_the_limit_of_a_binding() {
    let shape = Shape::new(64, &[64], 10);
    let hyperparameters = Hyperparameters::largest(32);
    let layout = crate::plan::BufferLayout {
        most_buffer_bytes: 1 << 20,
        row_tile: 32,
        gradients: false,
        most_resident_bytes: 0,
        gathers: false,
        most_mixed_bytes: 0,
    };
    let limits = Limits {
        most_bytes: u64::MAX,
        most_members: u64::MAX,
        enough_bytes: u64::MAX,
        enough_members: u64::MAX,
        layout: Some(layout),
    };
    let trials: Vec<_> = (0..100)
        .map(|trial| crate::plan::PlannedTrial {
            trial,
            shape: shape.clone(),
            hyperparameters,
        })
        .collect();
    let one = crate::plan::MembersPerTrial {
        repeats: 1,
        folds: 1,
    };
    let waves = crate::plan::waves(&trials, one, limits, 0);
    // The largest buffer is the moments of the first layer: 2 x 65 x 64 x 4 bytes a member.
    let fit = (1 << 20) / (2 * 65 * 64 * 4);
    let counts: Vec<usize> = waves.iter().map(|wave| wave.members.len()).collect();
    assert_eq!(counts[0], fit, "{counts:?}");
    assert_eq!(counts.iter().sum::<usize>(), 100);
}
