//! Measuring on a software adapter: what is right is timed, what is wrong is struck out by name.

use super::*;
use crate::bench::Workload;
use crate::data::{self, DataConfig, Dataset, Splits};
use crate::engine::TUNED_VARIANT;
use crate::engine::gpu::{EngineKind, Options, ResidentKernel, WaveClass, enumerate};
use crate::seed::Seed;
use crate::train::{Activation, Hyperparameters, Member, MemberId, Optimizer, Shape};

const SGD: Optimizer = Optimizer::Sgd {
    momentum: 0.0,
    nesterov: false,
};

/// An engine on llvmpipe; none where it is not installed.
fn engine() -> Option<GpuEngine> {
    let is_llvmpipe = |a: &crate::engine::gpu::GpuAdapter| a.name().starts_with("llvmpipe");
    let adapter = enumerate().into_iter().find(is_llvmpipe);
    if adapter.is_none() {
        println!("skipped: llvmpipe is not installed");
    }
    let adapter = adapter?;
    let options = Options::for_adapter(&adapter);
    Some(GpuEngine::new(adapter.open().unwrap(), options))
}

fn iris() -> (Dataset, Splits) {
    let config = DataConfig {
        source: "iris".to_owned(),
        ..DataConfig::default()
    };
    let dataset = data::load(&config).unwrap();
    let splits = data::split(&dataset, &config, Seed(0)).unwrap();
    (dataset, splits)
}

/// Members of a linear model, which compiles fast.
fn job<'d>(dataset: &'d Dataset, splits: &Splits, flops: f64) -> Job<'d> {
    let member = |trial| Member {
        shape: 0,
        id: MemberId {
            trial,
            repeat: 0,
            fold: 0,
        },
        hyperparameters: Hyperparameters {
            learning_rate: 0.01,
            batch_size: [8, 32][trial as usize % 2],
            optimizer: SGD,
            activation: Activation::Relu,
            dropout: 0.0,
        },
    };
    let shape = Shape::new(4, &[], 3);
    Job {
        class: WaveClass::new(&shape, 5),
        workload: Workload {
            dataset,
            splits: splits.clone(),
            shapes: vec![shape],
            members: (0..5).map(member).collect(),
            seed: Seed(0),
        },
        flops,
        steps: 0.0,
    }
}

fn names(measured: &[Measurement]) -> Vec<&str> {
    measured.iter().map(|m| m.form.as_str()).collect()
}

#[test]
fn every_form_is_measured_and_kept_and_the_engine_takes_one() {
    let Some(engine) = engine() else { return };
    let (dataset, splits) = iris();
    let job = job(&dataset, &splits, 0.0);
    let mut tuner = Tuner::new(&engine, Cache::default());
    let mut told = 0;
    tuner
        .measure(std::slice::from_ref(&job), &mut |_, _| told += 1)
        .unwrap();
    let known = tuner.known(&job);
    let forms: Vec<String> = tuner.forms.iter().map(|form| form.name()).collect();
    assert_eq!(names(&known), forms);
    assert_eq!(told, forms.len());
    assert!(tuner.has_changed());
    for measured in &known {
        assert_eq!(measured.error, None, "{}", measured.form);
        // 100 rows of iris train in each fold; its epochs are whole.
        assert_eq!(
            measured.trial_samples,
            5 * splits.folds[0].train.len() as u64
        );
        assert_eq!(measured.epochs_s.len(), 3);
    }
    let taken = tuner.taken(&job).unwrap().name();
    let variants = engine.adapter().variants;
    assert_eq!(variants[&format!("{TUNED_VARIANT}{}", job.class)], taken);
    // With the shape written in, the same forms are other kernels.
    let only = std::collections::BTreeSet::from([job.workload.shapes[0].clone()]);
    engine.will_train(&only);
    assert_eq!(names(&tuner.known(&job)), [""; 0]);
}

/// A wave of several shapes is a class of its own; the layered engine trains each of them for itself.
#[test]
fn several_shapes_are_measured_together() {
    let Some(engine) = engine() else { return };
    let (dataset, splits) = iris();
    let mut job = job(&dataset, &splits, 1e6);
    let shapes = vec![Shape::new(4, &[], 3), Shape::new(4, &[5], 3)];
    for (i, member) in job.workload.members.iter_mut().enumerate() {
        member.shape = i % 2;
    }
    job.class = WaveClass::of_shapes(&shapes, 5);
    job.workload.shapes = shapes;
    assert_eq!(job.class.to_string(), "up to 4-8-4, 4 to 15 members");
    let share = job.workload.epoch_flops() / job.flops;
    let rows = 5.0 * splits.folds[0].train.len() as f64;
    assert!((job.trial_samples() * share / rows - 1.0).abs() < 1e-12);
    let mut on_engine = OnEngine::new(&engine, &job).unwrap();
    let tuner = Tuner::new(&engine, Cache::default());
    let forms = tuner.forms_of(&job);
    for name in ["resident", "layered"] {
        let form = *forms.iter().find(|form| form.engine() == name).unwrap();
        let measured = on_engine.measure(form, 60.0).unwrap();
        assert_eq!(measured.error, None, "{name}");
        assert_eq!(measured.trial_samples as f64, rows, "{name}");
        engine.set_tuned(Tuned::only(&job.class, form));
        let together = engine.trains_together(&job.workload.setup());
        assert_eq!(together, name == "resident");
    }
}

#[test]
fn a_wrong_form_is_struck_out_by_name() {
    let Some(engine) = engine() else { return };
    let (dataset, splits) = iris();
    let job = job(&dataset, &splits, 0.0);
    let mut on_engine = OnEngine::new(&engine, &job).unwrap();
    let mut tuner = Tuner::new(&engine, Cache::default());
    let resident = tuner.forms_of(&job)[0];
    assert_eq!(resident.engine(), "resident");
    engine.set_tuned(Tuned::only(&job.class, resident));
    engine.edit_resident(ResidentKernel::Train, &job.workload.setup(), |text| {
        text.replace("weight(at), gradient)", "weight(at), 1.01 * gradient)")
    });
    let wrong = on_engine.measure(resident, 60.0).unwrap();
    let error = wrong.error.clone().unwrap();
    assert!(error.contains("wrong result"), "{error}");
    assert!(!wrong.passing && !wrong.gave_up, "it stays so");
    assert_eq!(wrong.rate(), None);
    // It is known to be wrong: another is taken, measured or not.
    let mut entry = Entry {
        key: Key::new(&engine.adapter()),
        class: job.class.to_string(),
        measured: vec![wrong],
    };
    tuner.cache.put(entry.clone());
    assert_eq!(tuner.taken(&job).unwrap().engine(), "layered");
    // Where nothing but another engine's form is known, nothing is known to be faster.
    entry.measured[0].form = tuner.forms_of(&job)[1].name();
    entry.measured[0].error = None;
    tuner.cache.put(entry);
    assert_eq!(tuner.taken(&job), None);
}

#[test]
fn a_form_that_takes_many_times_as_long_is_given_up() {
    let Some(engine) = engine() else { return };
    let (dataset, splits) = iris();
    let job = job(&dataset, &splits, 0.0);
    let mut on_engine = OnEngine::new(&engine, &job).unwrap();
    let layered = Form::candidates(engine.device().kind, EngineKind::Layered)[0];
    let given_up = on_engine.measure(layered, 0.0).unwrap();
    let error = given_up.error.clone().unwrap();
    assert!(error.contains("one epoch takes more than"), "{error}");
    assert!(!given_up.passing && given_up.gave_up);
    assert_eq!(given_up.rate(), None);
    assert_eq!(on_engine.measure(layered, 60.0).unwrap().error, None);
}

#[test]
fn short_sweeps_measure_nothing_and_long_ones_what_is_not_known() {
    let Some(engine) = engine() else { return };
    let (dataset, splits) = iris();
    let job = |flops, steps| Job {
        steps,
        ..job(&dataset, &splits, flops)
    };
    assert!(!may_be_worth(&[job(1e10, 1e3)]), "0.2 s at the slowest");
    assert!(may_be_worth(&[job(1e15, 0.0)]));
    assert!(may_be_worth(&[job(1e5, 1e6)]), "many steps");
    let prepared = |job: &Job<'_>, known: &[Measurement], kind| {
        let mut tuner = Tuner::new(&engine, Cache::default());
        // However slow this machine is.
        tuner.budget_s = 1e6;
        tuner.kind = kind;
        tuner.cache.put(Entry {
            key: tuner.key.clone(),
            class: tuner.class(job),
            measured: known.to_vec(),
        });
        let jobs = std::slice::from_ref(job);
        tuner.prepare(jobs, &mut |_, _| ()).unwrap();
        assert_eq!(tuner.has_changed(), tuner.known(job).len() > known.len());
        tuner.known(job)
    };
    let measured = |job: Job<'_>, known: &[Measurement]| {
        // A software adapter takes too long to compile for a sweep to measure anything.
        assert_eq!(prepared(&job, known, AdapterKind::Software), known);
        prepared(&job, known, AdapterKind::Discrete)
    };
    let forms = Form::candidates(engine.device().kind, EngineKind::Auto);
    let first = measured(job(1e5, 1e6), &[]);
    assert_eq!(
        names(&first),
        [forms[0].name()],
        "it is looked at, and is short"
    );
    // What was compiled and run in no time leaves time for the others.
    let fast = |form: &Form| Measurement {
        form: form.name(),
        compile_s: 0.0,
        took_s: 0.0,
        ..first[0].clone()
    };
    let but_one: Vec<Measurement> = forms[..forms.len() - 1].iter().map(fast).collect();
    let all = measured(job(1e15, 0.0), &but_one);
    assert_eq!(all.len(), forms.len());
    let name = forms[forms.len() - 1].name();
    let last = all.iter().find(|measured| measured.form == name).unwrap();
    assert_eq!(last.error, None);
    assert!(last.compile_s < last.took_s);
}

#[test]
fn a_run_that_goes_on_has_the_forms_that_it_was_begun_with() {
    let (dataset, splits) = iris();
    let job = job(&dataset, &splits, 0.0);
    let kind = AdapterKind::Software;
    let form = Form::candidates(kind, EngineKind::Auto)[1];
    let variant = format!("{TUNED_VARIANT}{}", job.class);
    let variants = |name: String| [(variant.clone(), name)].into_iter().collect();
    let jobs = std::slice::from_ref(&job);
    let of = |engine| Options {
        engine,
        ..Options::for_kind(kind)
    };
    let taken = |name: &str, engine| {
        let (tuned, unknown) = recorded(jobs, &variants(name.to_owned()), kind, of(engine));
        (tuned.of(&job.class), unknown)
    };
    let none: Vec<String> = Vec::new();
    assert_eq!(
        taken(&form.name(), EngineKind::Auto),
        (Some(form), none.clone())
    );
    // Another engine was asked for: the run is not this form's any more, which the study refuses.
    assert_eq!(taken(&form.name(), EngineKind::Resident), (None, none));
    // A form of another version: the usual one of its engine.
    let (instead, unknown) = taken("layered by hand", EngineKind::Auto);
    assert_eq!(instead.map(Form::engine), Some("layered"));
    assert_eq!(unknown, ["layered by hand"]);
    let (tuned, unknown) = recorded(jobs, &Default::default(), kind, of(EngineKind::Auto));
    assert_eq!((tuned.of(&job.class), unknown.len()), (None, 0));
}
