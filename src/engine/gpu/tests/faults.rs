//! A device that is lost, and one that has no room.

use std::cell::Cell;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::*;
use crate::data::{load, split};
use crate::engine::{EngineError, Part, Progress};
use crate::plan::Limits;
use crate::space::{Overrides, Sweep, resolve};
use crate::store::{self, TrialRecord};
use crate::study::{Control, Ending, Event, Observer, Study};

/// Destroys the engine's device at one event, and keeps what it is warned of.
struct Saboteur<'e> {
    engine: &'e GpuEngine,
    /// Events until then.
    events: Cell<u32>,
    warnings: Vec<String>,
}

impl Observer for Saboteur<'_> {
    fn on(&mut self, event: Event<'_>) {
        match event {
            Event::Warning(warning) => self.warnings.push(warning.to_owned()),
            Event::Trained { .. } => {
                self.events.set(self.events.get().wrapping_sub(1));
                if self.events.get() == 0 {
                    self.engine.device().device.destroy();
                }
            }
            _ => {}
        }
    }
}

fn iris() -> (Sweep, Made) {
    let overrides = Overrides {
        data: Some("iris".to_owned()),
        set: [
            "learning_rate=0.01,0.003",
            "batch_size=16",
            "optimizer=adam",
            "hidden=8,5x3",
        ]
        .map(str::to_owned)
        .to_vec(),
        epochs: Some(6),
        folds: Some(3),
        ..Overrides::default()
    };
    let sweep = resolve(None, &overrides).unwrap();
    let dataset = load(&sweep.data).unwrap();
    let splits = split(&dataset, &sweep.data, sweep.search.seed).unwrap();
    let made = Made {
        shapes: vec![Shape::new(4, &[8], 3)],
        dataset,
        splits,
    };
    (sweep, made)
}

/// Runs a study, whose checkpoints are written whenever it pauses; gives its trials as text but for their waves, and
/// the warnings.
fn study(engine: &GpuEngine, lose_after: u32) -> (String, Vec<String>) {
    let (sweep, made) = iris();
    let study = Study {
        sweep: &sweep,
        dataset: &made.dataset,
        splits: &made.splits,
        engine,
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("run");
    let mut run = store::create(&folder, &study.record()).unwrap();
    let plan = run.reader().run().unwrap().plan;
    let mut observer = Saboteur {
        engine,
        events: Cell::new(lose_after),
        warnings: Vec::new(),
    };
    let mut control = Control {
        observer: &mut observer,
        stop: &AtomicBool::new(false),
        checkpoint_every: Duration::ZERO,
        started: Instant::now(),
        compiled_s: 0.0,
        trace: Default::default(),
    };
    let ending = study.run(&mut run, &plan, &mut control).unwrap();
    assert!(matches!(ending, Ending::Finished(_)));
    let trials = run.reader().trials().unwrap();
    let mut trials: Vec<TrialRecord> = trials.collect::<Result<_, _>>().unwrap();
    trials.sort_by_key(|trial| trial.trial);
    trials.iter_mut().for_each(|trial| trial.wave = 0);
    (format!("{trials:?}"), observer.warnings)
}

#[test]
fn a_lost_device_is_replaced_and_changes_no_bit() {
    for (name, adapter) in adapters() {
        let engine = |options| {
            let engine = engine(&adapter, options);
            // Two waves: the second is begun while the first is trained, which has both shapes in the resident engine.
            let limits = Limits {
                most_members: 9,
                ..engine.limits()
            };
            engine.with_limits(limits).with_waves_beside()
        };
        let (expected, warnings) = study(&engine(options()), 0);
        assert!(warnings.is_empty(), "{name}: {warnings:?}");
        // In the middle of the first wave and of the second, and in the refit, whose events follow.
        for (lose_after, options) in [1, 4, 8, 14]
            .into_iter()
            .flat_map(|at| [options(), resident(false)].map(|options| (at, options)))
        {
            let (trials, warnings) = study(&engine(options), lose_after);
            assert_eq!(trials, expected, "{name}: lost after {lose_after}");
            assert_eq!(warnings.len(), 1, "{name}: {warnings:?}");
            for words in ["was lost", "goes on from", adapter.name()] {
                assert!(warnings[0].contains(words), "{name}: {warnings:?}");
            }
        }
    }
}

#[test]
fn a_lost_device_is_an_error_that_says_how_to_go_on() {
    on_every_adapter(|name, engine| {
        let (_, made) = iris();
        let one = members(1);
        let mut wave = made.start(engine, &one);
        engine.device().device.destroy();
        let error = wave.train(1, &never).unwrap_err();
        assert!(
            matches!(error, EngineError::DeviceLost { .. }),
            "{name}: {error}"
        );
        assert!(error.to_string().contains("--resume"), "{name}: {error}");
        assert!(!error.what().contains("--resume"), "{name}: {error}");
        engine.recover().unwrap();
        let mut wave = made.start(engine, &one);
        assert_eq!(wave.train(1, &never).unwrap(), Progress::Reached, "{name}");
        // Before a wave begins, when all kernels are compiled.
        engine.device().device.destroy();
        let error = engine.start(made.setup(&one)).err();
        let lost = matches!(error, Some(EngineError::DeviceLost { .. }));
        assert!(lost, "{name}: {error:?}");
    });
}

#[test]
fn a_wave_without_room_is_halved_and_changes_no_bit() {
    for ((name, adapter), options) in adapters()
        .into_iter()
        .flat_map(|adapter| [options(), resident(false)].map(|options| (adapter.clone(), options)))
    {
        let made = Made::new(90, 9, &[20, 7], 5, false).with_batch_norm(true);
        // In the layered engine each shape has buffers of its own.
        let made = match options.engine {
            EngineKind::Resident => made.mixed(),
            _ => made,
        };
        let mut all = made.members(13);
        all[7].hyperparameters.learning_rate = 1e30;
        let whole = engine(&adapter, options);
        let needed = whole.predicted_bytes(&made.setup(&all));
        let trained = |engine: &GpuEngine| {
            let mut wave = made.start(engine, &all);
            wave.train(1, &never).unwrap();
            wave.copy(0, 6).unwrap();
            wave.keep(&[0, 1, 2, 4, 5, 6, 7, 11, 12]);
            let kept = wave.members();
            wave.train(2, &never).unwrap();
            let counts = wave.evaluate(Part::Validation).unwrap();
            let weights = wave.weights(4).unwrap();
            (kept, format!("{:?}", wave.save().unwrap()), counts, weights)
        };
        let expected = trained(&whole);
        let each = all
            .chunks(1)
            .map(|one| whole.predicted_bytes(&made.setup(one)));
        let alone = each.max().unwrap();
        for most in [needed - 1, (needed + alone) / 2, alone + 4000] {
            let cramped = Options {
                most_bytes: Some(most),
                ..options
            };
            let got = trained(&engine(&adapter, cramped));
            assert!(got == expected, "{name}: {most} of {needed} bytes");
        }
        let none = Options {
            most_bytes: Some(1000),
            ..options
        };
        let error = engine(&adapter, none)
            .start(made.setup(&all))
            .err()
            .unwrap();
        assert!(matches!(error, EngineError::OutOfMemory { .. }), "{name}");
        assert!(error.to_string().contains(adapter.name()), "{error}");
    }
}
