//! The study loop with a scripted engine: nothing is trained, and every result is known.

mod scripted;

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::*;
use crate::data::{self, DataConfig};
use crate::engine::cpu::CpuEngine;
use crate::plan::BufferLayout;
use crate::space::{Overrides, resolve};
use crate::store::{self, TrialRecord, TrialState};
use scripted::{Scripted, scripted};

/// A study of iris: 3 folds, 3 epochs, as many learning rates as asked.
struct Iris {
    sweep: Sweep,
    dataset: Dataset,
    splits: Splits,
}

fn iris(settings: &[&str]) -> Iris {
    let overrides = Overrides {
        data: Some("iris".to_owned()),
        set: settings.iter().map(|&s| s.to_owned()).collect(),
        epochs: Some(3),
        folds: Some(3),
        ..Overrides::default()
    };
    let sweep = resolve(None, &overrides).unwrap();
    let config: &DataConfig = &sweep.data;
    let dataset = data::load(config).unwrap();
    let splits = data::split(&dataset, config, sweep.search.seed).unwrap();
    Iris {
        sweep,
        dataset,
        splits,
    }
}

const TWELVE: [&str; 3] = [
    "learning_rate=log:1e-3..1e-1:6",
    "batch_size=16,32",
    "optimizer=sgd",
];

struct Done {
    ending: Ending,
    trials: Vec<TrialRecord>,
    lines: String,
    csv: String,
}

/// Runs a study in `folder`, going on with what is there.
fn run_in(folder: &std::path::Path, iris: &Iris, engine: &Scripted) -> Done {
    run_with(folder, iris, engine, &engine.stop)
}

fn run_with(folder: &std::path::Path, iris: &Iris, engine: &dyn Engine, stop: &AtomicBool) -> Done {
    let study = Study {
        sweep: &iris.sweep,
        dataset: &iris.dataset,
        splits: &iris.splits,
        engine,
    };
    let mut run = match store::resume(folder).unwrap() {
        Some(opened) => opened.run,
        None => store::create(folder, &study.record()).unwrap(),
    };
    let plan = run.reader().run().unwrap().plan;
    let mut control = Control {
        observer: &mut Silent,
        stop,
        checkpoint_every: Duration::from_secs(3600),
        started: Instant::now(),
        compiled_s: 0.0,
        trace: Trace::default(),
    };
    let ending = study.run(&mut run, &plan, &mut control).unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    Done {
        ending,
        trials: run.reader().trials().unwrap().map(Result::unwrap).collect(),
        lines: read("trials.jsonl"),
        csv: without_times(&read("cv_results.csv")),
    }
}

/// `cv_results.csv` without its first four columns, which are measured.
fn without_times(csv: &str) -> String {
    let rest = |line: &str| line.splitn(5, ',').nth(4).unwrap_or_default().to_owned() + "\n";
    csv.lines().map(rest).collect()
}

fn run(iris: &Iris, engine: &Scripted) -> Done {
    let folder = tempfile::tempdir().unwrap();
    run_in(&folder.path().join("run"), iris, engine)
}

#[track_caller]
fn summary(done: &Done) -> &SummaryRecord {
    match &done.ending {
        Ending::Finished(summary) => summary,
        Ending::Interrupted => panic!("interrupted"),
    }
}

#[test]
fn records_hold_what_the_engine_reported() {
    let done = run(&iris(&TWELVE), &scripted(|trial| Some(40 + trial), 1000));
    assert_eq!(done.trials.len(), 12);
    let trial = &done.trials[3];
    assert_eq!(
        (trial.trial, trial.state, trial.epochs),
        (3, TrialState::Complete, 3)
    );
    assert_eq!((trial.samples, trial.steps), (90, 9));
    assert_eq!(trial.metrics["val_accuracy"].folds, [Some(0.43); 3]);
    assert_eq!(trial.metrics["val_loss"].mean, Some(0.5));
    assert_eq!(trial.metrics["train_loss"].folds, [Some(0.1); 3]);
    assert_eq!(
        trial.curves["train_loss"][2],
        [Some(1.0), Some(0.5), Some(1.0 / 3.0)]
    );
    let names: Vec<&String> = trial.params.keys().collect();
    assert_eq!(names, ["learning_rate", "batch_size"]);
}

#[test]
fn the_best_is_refitted_and_scored_once() {
    let done = run(
        &iris(&TWELVE),
        &scripted(|trial| Some(90 - trial % 5), 1000),
    );
    let best = summary(&done).best.as_ref().unwrap();
    assert_eq!(best.trial, 0, "ties go to the first");
    assert_eq!(best.metrics["val_accuracy"].mean, Some(0.9));
    assert_eq!(best.test_accuracy, Some(0.91));
    assert_eq!(best.refit_epochs, Some(3));
}

#[test]
fn diverged_members_leave_and_their_trials_are_unranked() {
    let script = |trial| (trial != 0 && trial != 5).then_some(50 + trial);
    let done = run(&iris(&TWELVE), &scripted(script, 1000));
    assert_eq!(summary(&done).states[&TrialState::Diverged], 2);
    let diverged = &done.trials[5];
    assert_eq!(diverged.state, TrialState::Diverged);
    assert_eq!(diverged.epochs, 1);
    assert_eq!(diverged.metrics["val_accuracy"].mean, None);
    assert_eq!(diverged.curves["train_loss"][0], [Some(1.0), None]);
    assert_eq!(summary(&done).best.as_ref().unwrap().trial, 11);
}

#[test]
fn when_all_diverge_there_is_no_best() {
    let done = run(&iris(&TWELVE), &scripted(|_| None, 1000));
    assert_eq!(summary(&done).best, None);
    assert_eq!(summary(&done).states, [(TrialState::Diverged, 12)].into());
}

#[test]
fn wave_sizes_change_nothing_but_the_wave_number() {
    let (iris, script) = (iris(&TWELVE), |trial| Some(40 + trial * 7 % 13));
    let expected = run(&iris, &scripted(script, 1000));
    for wave_members in [1, 2, 3, 4, 7, 36] {
        let mut done = run(&iris, &scripted(script, wave_members));
        for trial in &mut done.trials {
            trial.wave = 0;
        }
        assert_eq!(done.trials, expected.trials, "waves of {wave_members}");
        assert_eq!(done.csv, expected.csv, "waves of {wave_members}");
    }
}

/// Stops after every possible number of calls of `train`, in waves that cut trials apart too.
#[test]
fn a_study_stopped_anywhere_goes_on_to_the_same_records() {
    let iris = iris(&TWELVE);
    let script = |trial| (trial != 4).then_some(40 + trial * 7 % 13);
    for wave_members in [2, 5, 12, 1000] {
        let expected = run(&iris, &scripted(script, wave_members));
        for stop_after in (0..60).step_by(if wave_members < 12 { 5 } else { 1 }) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("run");
            let mut engine = scripted(script, wave_members);
            engine.stop_after = stop_after;
            let first = run_in(&path, &iris, &engine);
            let done = match first.ending {
                Ending::Finished(_) => first,
                Ending::Interrupted => run_in(&path, &iris, &scripted(script, wave_members)),
            };
            let what = format!("waves of {wave_members}, stopped after {stop_after}");
            assert_eq!(done.lines, expected.lines, "{what}");
            assert_eq!(done.csv, expected.csv, "{what}");
            let samples = |done: &Done| summary(done).timing.trial_samples;
            assert_eq!(samples(&done), samples(&expected), "{what}");
        }
    }
}

/// A kill while the trials of a wave are written leaves some of them.
#[test]
fn a_wave_whose_trials_are_there_in_part_is_completed() {
    let (iris, script) = (iris(&TWELVE), |trial| Some(40 + trial));
    let expected = run(&iris, &scripted(script, 18));
    for left in 0..=12 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        run_in(&path, &iris, &scripted(script, 18));
        let lines: String = expected.lines.split_inclusive('\n').take(left).collect();
        std::fs::write(path.join("trials.jsonl"), lines).unwrap();
        std::fs::remove_file(path.join("summary.json")).unwrap();
        let done = run_in(&path, &iris, &scripted(script, 18));
        assert_eq!(done.lines, expected.lines, "{left} lines were left");
        assert_eq!(
            summary(&done).timing.trial_samples,
            summary(&expected).timing.trial_samples
        );
    }
}

#[test]
fn another_sweep_data_or_engine_is_refused_by_name() {
    let (first, engine) = (iris(&TWELVE), scripted(|_| Some(1), 10));
    let study = |iris| study_of(iris, &engine);
    let record = study(&first).record();
    study(&first).check_same("runs/x", &record).unwrap();
    let other = iris(&["learning_rate=0.5", "batch_size=16", "optimizer=sgd"]);
    let error = study(&other).check_same("runs/x", &record).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("runs/x was begun with another sweep"),
        "{error}"
    );
    let mut moved = record;
    moved.data.fingerprint = "other".to_owned();
    let error = study(&first).check_same("runs/x", &moved).unwrap_err();
    assert!(error.to_string().contains("another data"), "{error}");
}

fn study_of<'s>(iris: &'s Iris, engine: &'s Scripted) -> Study<'s> {
    Study {
        sweep: &iris.sweep,
        dataset: &iris.dataset,
        splits: &iris.splits,
        engine,
    }
}

#[test]
fn more_trials_than_a_generation_are_all_trained() {
    let iris = iris(&[
        "learning_rate=log:1e-4..1e-1:2500",
        "batch_size=16",
        "optimizer=sgd",
    ]);
    let done = run(&iris, &scripted(|trial| Some(trial % 90), 1000));
    assert_eq!(done.trials.len(), 2500);
    assert!(
        done.trials
            .iter()
            .zip(0..)
            .all(|(trial, number)| trial.trial == number)
    );
    assert_eq!(summary(&done).best.as_ref().unwrap().trial, 89);
    assert_eq!(summary(&done).timing.trial_samples, 2500 * 90);
}

/// Keeps the warnings.
#[derive(Default)]
struct Warnings(Vec<String>);

impl Observer for Warnings {
    fn on(&mut self, event: Event<'_>) {
        if let Event::Warning(text) = event {
            self.0.push(text.to_owned());
        }
    }
}

#[test]
fn what_could_not_be_written_is_said_where_the_engine_fails_too() {
    let folder = tempfile::tempdir().unwrap();
    let (path, iris) = (folder.path().join("run"), iris(&TWELVE));
    let engine = Scripted {
        refuses_from: 1,
        // Where it stands, the checkpoint cannot be removed when the first wave is on record.
        makes_folder: Some(path.join("checkpoint/wave.safetensors")),
        ..scripted(|_| Some(50), 3)
    };
    let study = study_of(&iris, &engine);
    let mut run = store::create(&path, &study.record()).unwrap();
    let plan = run.reader().run().unwrap().plan;
    let mut warnings = Warnings::default();
    let mut control = Control {
        observer: &mut warnings,
        stop: &engine.stop,
        checkpoint_every: Duration::from_secs(3600),
        started: Instant::now(),
        compiled_s: 0.0,
        trace: Trace::default(),
    };
    let error = study.run(&mut run, &plan, &mut control).unwrap_err();
    assert!(error.to_string().contains("there is no room"), "{error}");
    assert_eq!(warnings.0.len(), 1, "{:?}", warnings.0);
    assert!(warnings.0[0].contains("cannot remove"), "{:?}", warnings.0);
}

#[test]
fn batch_norm_makes_cohorts_of_its_own() {
    let engine = scripted(|_| Some(1), 1000);
    for (settings, expected) in [
        (
            &["hidden=8,4x4", "batch_norm=false,true"][..],
            &["4-4-4-3", "4-4-4-3+batch_norm", "4-8-3", "4-8-3+batch_norm"][..],
        ),
        (&["hidden=8", "batch_norm=true"], &["4-8-3+batch_norm"]),
        (&["hidden=[]", "batch_norm=false,true"], &["4-3"]),
    ] {
        let iris = iris(&[settings, &["batch_size=16", "learning_rate=0.1"]].concat());
        let study = study_of(&iris, &engine);
        let names = |shapes: BTreeSet<Shape>| shapes.iter().map(Shape::to_string).collect();
        let mut found: Vec<String> = names(study.shapes());
        found.sort_unstable();
        assert_eq!(found, expected);
        let waves = study
            .generations(engine.limits)
            .flat_map(|generation| generation.waves);
        let mut planned: Vec<String> = names(waves.flat_map(|wave| wave.shapes).collect());
        planned.sort_unstable();
        assert_eq!(planned, expected);
    }
}

/// The same with the engine that trains: members of a trial in one wave, in several, all in one; and waves of several
/// shapes.
#[test]
fn wave_sizes_change_no_bit_of_what_the_cpu_engine_trains() {
    let iris = iris(&[
        "hidden=8,5x4",
        "learning_rate=0.01,0.1",
        "batch_size=16,32",
        "optimizer=sgd,adam",
        "batch_norm=false,true",
        "dropout=0,0.3",
    ]);
    let mixing = BufferLayout {
        most_buffer_bytes: u64::MAX,
        row_tile: 16,
        gradients: false,
        most_resident_bytes: u64::MAX,
        most_mixed_bytes: u64::MAX,
        gathers: false,
    };
    let trained = |most_members, layout| {
        let folder = tempfile::tempdir().unwrap();
        let engine = CpuEngine::<f32>::new(Some(2)).unwrap();
        let limits = Limits {
            most_members,
            layout,
            ..engine.limits()
        };
        let (engine, stop) = (engine.with_limits(limits), AtomicBool::new(false));
        let mut done = run_with(&folder.path().join("run"), &iris, &engine, &stop);
        done.trials.iter_mut().for_each(|trial| trial.wave = 0);
        done.trials.sort_by_key(|trial| trial.trial);
        done.trials
    };
    let expected = trained(1000, None);
    assert_eq!(expected.len(), 64);
    for (most_members, layout) in [
        (1, None),
        (2, None),
        (3, None),
        (7, None),
        (7, Some(mixing)),
        (1000, Some(mixing)),
    ] {
        let found = trained(most_members, layout);
        let mixed = layout.is_some();
        assert!(found == expected, "waves of {most_members}, mixed: {mixed}");
    }
}

/// Where an engine does that, each wave is started while the one before is trained, if both have room.
#[test]
fn the_next_wave_is_started_beside_the_one_that_is_trained() {
    let iris = iris(&[
        "hidden=8",
        "learning_rate=0.1,0.2,0.3,0.4",
        "batch_size=16",
        "optimizer=adam",
    ]);
    let begun = |beside, in_pieces, enough_bytes| {
        let engine = Scripted {
            beside,
            in_pieces,
            limits: Limits {
                enough_bytes,
                enough_members: 3,
                ..scripted(|_| Some(1), 3).limits
            },
            ..scripted(|_| Some(1), 3)
        };
        assert_eq!(run(&iris, &engine).trials.len(), 4);
        let mut begun = engine.begun.into_inner().unwrap();
        assert_eq!(begun.pop(), Some(("start", 0)), "the refit");
        begun
    };
    let apart = [("start", 0), ("start", 1), ("start", 2), ("start", 3)];
    let beside = [("start", 0), ("beside", 1), ("beside", 2), ("beside", 3)];
    let does = Some(Ok(()));
    assert_eq!(begun(None, false, u64::MAX), apart);
    assert_eq!(begun(does, false, u64::MAX), beside);
    // What fails beside another wave is started anew.
    assert_eq!(begun(Some(Err(())), false, u64::MAX), apart);
    // A wave that has no room as a whole is no neighbour.
    assert_eq!(begun(does, true, u64::MAX), apart);
    // Three members of 4-8-3 with Adam's moments.
    let wave = 3 * 3 * 4 * (4 * 8 + 8 + 8 * 3 + 3);
    assert_eq!(begun(does, false, 2 * wave), beside);
    assert_eq!(begun(does, false, 2 * wave - 1), apart);
}
