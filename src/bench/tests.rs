//! Measuring by a script of times: statistics, records and tables without a clock; and cases on the
//! engines that are here, without a look at their speed.

use std::cell::RefCell;

use super::work::members;
use super::*;
use crate::engine::MemberSnapshot;
use crate::engine::cpu::CpuEngine;
use crate::engine::gpu::{GpuEngine, Options, enumerate};
use crate::store::AdapterRecord;
use crate::train::{Activation, Hyperparameters, Member, MemberId, Optimizer, Shape};

const BUDGET: Budget = Budget {
    sample_s: 1.0,
    case_s: 4.0,
    least_samples: 3,
};

/// Gives the seconds of its script, call after call; the last one again and again.
struct Script {
    seconds: Vec<f64>,
    on_device: Option<f64>,
    wrong: bool,
    calls: RefCell<Vec<u32>>,
}

impl Script {
    fn new(seconds: &[f64]) -> Self {
        Self {
            seconds: seconds.to_vec(),
            on_device: None,
            wrong: false,
            calls: RefCell::default(),
        }
    }
}

struct ScriptRun<'s> {
    script: &'s Script,
    rows: u64,
}

impl Executor for Script {
    fn engine(&self) -> String {
        "scripted".to_owned()
    }

    fn verify(&self, _case: &Case) -> Result<f64, BenchError> {
        if self.wrong {
            return Err(BenchError::Wrong {
                member: 7,
                what: "the loss".to_owned(),
                error: 0.5,
                limit: 1e-5,
            });
        }
        Ok(2.0)
    }

    fn run(
        &self,
        case: &Case,
        drive: &mut dyn FnMut(&mut dyn Run) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        let rows = (case.rows * case.members()) as u64;
        drive(&mut ScriptRun { script: self, rows })
    }
}

impl Run for ScriptRun<'_> {
    fn compile_s(&self) -> f64 {
        0.5
    }

    fn train(&mut self, epochs: u32) -> Result<Sample, BenchError> {
        let mut calls = self.script.calls.borrow_mut();
        let last = self.script.seconds.len() - 1;
        let wall_s = self.script.seconds[calls.len().min(last)];
        calls.push(epochs);
        Ok(Sample {
            wall_s,
            device_s: self.script.on_device.map(|share| share * wall_s),
            trial_samples: self.rows * u64::from(epochs),
            encode_s: self.script.on_device.map(|_| 2e-6),
            dispatches: 4,
        })
    }
}

const ADAM: Optimizer = Optimizer::Adam {
    beta_1: 0.9,
    beta_2: 0.999,
    epsilon: 1e-8,
};

fn group(batch_size: usize, members: usize) -> Group {
    Group {
        batch_size,
        optimizer: ADAM,
        members,
    }
}

fn case(groups: &[Group], compared_with: Option<usize>) -> Case {
    Case {
        data: Data::Digits,
        shape: Shape::new(64, &[64], 10),
        rows: 100,
        groups: groups.to_vec(),
        compared_with,
    }
}

fn record(fma_peak_gflops: Option<f64>) -> BenchRecord {
    BenchRecord {
        schema_version: SCHEMA_VERSION,
        version: "0.1.0".to_owned(),
        suite: "training".to_owned(),
        date: "2026-11-25T08:00:00Z".to_owned(),
        quick: false,
        machine: MachineRecord {
            cpu: "a processor".to_owned(),
            cores: 2,
            system: "linux x86_64".to_owned(),
            load_average: Some(0.1),
        },
        adapters: vec![AdapterEntry {
            adapter: AdapterRecord {
                name: "a card".to_owned(),
                backend: "vulkan".to_owned(),
                driver: "a driver 1".to_owned(),
                engine: "scripted".to_owned(),
                limits: [("threads".to_owned(), 2)].into(),
                variants: [("tile".to_owned(), "4x4".to_owned())].into(),
            },
            fma_peak_gflops,
            timestamps: true,
        }],
        cases: Vec::new(),
    }
}

fn measured(script: &Script, case: &Case) -> CaseRecord {
    let mut record = record(Some(0.1));
    measure(script, case, BUDGET, &mut record);
    record.cases.remove(0)
}

#[track_caller]
fn close(actual: f64, expected: f64) {
    let error = (actual - expected).abs();
    assert!(error <= 1e-12 * expected.abs(), "{actual} {expected}");
}

#[test]
fn median_and_deviation_of_raw_values() {
    for (values, expected) in [
        (&[][..], None),
        (&[3.0], Some((3.0, 0.0))),
        (&[1.0, 9.0], Some((5.0, 4.0))),
        (&[5.0, 1.0, 2.0], Some((2.0, 1.0))),
        (&[1.0, 2.0, 3.0, 1000.0], Some((2.5, 1.0))),
    ] {
        let spread = Spread::of(values).map(|s| (s.median, s.mad));
        assert_eq!(spread, expected, "{values:?}");
    }
}

#[test]
fn samples_are_whole_epochs_as_long_as_asked_for() {
    // An epoch of 0.5 s: two epochs a sample. The warm-up sees 0.2 s an epoch, so five.
    let script = Script::new(&[0.5, 0.4, 1.0]);
    let entry = measured(&script, &case(&[group(32, 3)], None));
    assert_eq!(*script.calls.borrow(), [1, 2, 5, 5, 5, 5]);
    let figures = entry.figures.unwrap();
    assert_eq!((figures.epochs, figures.steps), (5, 20));
    assert_eq!(figures.samples_s, [1.0; 4]);
    assert_eq!(figures.trial_samples, 1500);
    assert_eq!(figures.device_samples_s, None);
    assert_eq!(figures.encode_us_per_dispatch, None);
    assert_eq!(figures.mixed, None);
    close(figures.compile_s, 2.5);
    close(figures.steps_per_s, 20.0);
    close(figures.trial_samples_per_s.median, 1500.0);
    close(figures.gflops, 1500.0 * 20_224.0 * 1e-9);
    close(figures.share_of_fma_peak.unwrap(), figures.gflops / 0.1);
    assert!(entry.verified);
}

#[test]
fn a_slow_case_still_has_three_samples() {
    let script = Script::new(&[9.0]);
    let figures = measured(&script, &case(&[group(32, 3)], None)).figures;
    assert_eq!(figures.unwrap().samples_s, [9.0; 3]);
    assert_eq!(*script.calls.borrow(), [1; 4]);
}

#[test]
fn the_devices_share_is_a_median_of_samples() {
    let script = Script {
        on_device: Some(0.25),
        ..Script::new(&[1.0])
    };
    let figures = measured(&script, &case(&[group(32, 3)], None)).figures;
    let figures = figures.unwrap();
    assert_eq!(figures.device_samples_s, Some(vec![0.25; 4]));
    close(figures.device_share.unwrap(), 0.25);
    close(figures.encode_us_per_dispatch.unwrap(), 0.5);
}

#[test]
fn a_wrong_result_is_a_row_with_its_error_and_no_figure() {
    let script = Script {
        wrong: true,
        ..Script::new(&[1.0])
    };
    let entry = measured(&script, &case(&[group(32, 3)], None));
    assert!(!entry.verified);
    assert_eq!(entry.figures, None);
    let error = entry.error.as_deref().unwrap();
    assert!(error.contains("member 7: the loss is off by"), "{error}");
    assert!(line(&entry).ends_with(error));
    assert!(script.calls.borrow().is_empty(), "nothing was timed");
}

/// Two uniform cases of 100 and 150 rows a second, one that mixes them at 96, and a wrong one.
fn mixed_record() -> BenchRecord {
    let mut record = record(Some(2.0));
    for (batch_size, seconds) in [(16, 2.0), (64, 4.0 / 3.0)] {
        let case = case(&[group(batch_size, 2)], None);
        measure(&Script::new(&[seconds]), &case, BUDGET, &mut record);
    }
    let mixed = case(&[group(16, 1), group(64, 1)], Some(2));
    measure(&Script::new(&[200.0 / 96.0]), &mixed, BUDGET, &mut record);
    let wrong = Script {
        wrong: true,
        ..Script::new(&[1.0])
    };
    measure(&wrong, &case(&[group(16, 2)], None), BUDGET, &mut record);
    record
}

#[test]
fn a_mixed_case_is_compared_with_its_uniform_ones_one_after_another() {
    let record = mixed_record();
    let figures = record.cases[2].figures.as_ref().unwrap();
    let mixed = figures.mixed.unwrap();
    // Half of the rows at 100 a second and half at 150: 120 a second.
    close(mixed.uniform_trial_samples_per_s, 120.0);
    close(mixed.ratio, 0.8);
    assert_eq!(figures.steps, 7 * u64::from(figures.epochs));
}

#[test]
fn a_mixed_case_without_its_uniform_ones_has_no_ratio() {
    let mixed = case(&[group(16, 1), group(64, 1)], Some(2));
    let figures = measured(&Script::new(&[1.0]), &mixed).figures;
    assert_eq!(figures.unwrap().mixed, None);
}

#[test]
fn the_table_of_a_record() {
    insta::assert_snapshot!(table(&mixed_record(), None), @r"
    a card (vulkan), fma peak 2.00 GFLOP/s
    ┌──────────┬──────────┬───────┬─────────┬───────────┬─────────────────┬─────────┬─────────┬─────────────┬───────────┐
    │ engine   ┆ shape    ┆ batch ┆ members ┆ optimizer ┆ trial-samples/s ┆ steps/s ┆ GFLOP/s ┆ of FMA peak ┆ on device │
    ╞══════════╪══════════╪═══════╪═════════╪═══════════╪═════════════════╪═════════╪═════════╪═════════════╪═══════════╡
    │ scripted ┆ 64-64-10 ┆    16 ┆       2 ┆ adam      ┆     100 ± 0.0 % ┆    3.50 ┆ 0.00202 ┆     0.101 % ┆           │
    │ scripted ┆ 64-64-10 ┆    64 ┆       2 ┆ adam      ┆     150 ± 0.0 % ┆    1.50 ┆ 0.00303 ┆     0.152 % ┆           │
    │ scripted ┆ 64-64-10 ┆ mixed ┆       2 ┆ mixed     ┆    96.0 ± 0.0 % ┆    3.36 ┆ 0.00194 ┆    0.0971 % ┆           │
    │ scripted ┆ 64-64-10 ┆    16 ┆       2 ┆ adam      ┆          failed ┆         ┆         ┆             ┆           │
    └──────────┴──────────┴───────┴─────────┴───────────┴─────────────────┴─────────┴─────────┴─────────────┴───────────┘
    mixed: 0.80 x the rate of its 2-member uniform cases one after another (120 trial-samples/s)
    scripted 64-64-10, 2 members, batch 16, adam: wrong result after one step of member 7: the loss is off by 5.000e-1, more than 1.000e-5; no figure is given (see `regatta check`)
    ");
}

#[test]
fn a_record_is_read_back_as_it_was_written() {
    let record = mixed_record();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bench.json");
    check_place(&path).unwrap();
    write(&path, &record).unwrap();
    check_place(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let read: BenchRecord = serde_json::from_str(&text).unwrap();
    assert_eq!(read, record);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    // The keys that others' scripts rely on.
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let case = &value["cases"][0];
    for key in [
        "engine",
        "shape",
        "batch_size",
        "members",
        "optimizer",
        "steps",
        "samples_s",
    ] {
        assert!(!case[key].is_null(), "{key}");
    }
    assert_eq!(case["trial_samples_per_s"]["mad"], 0.0);
    assert_eq!(value["adapters"][0]["name"], "a card");
    assert!(value["cases"][3]["error"].is_string());
    assert_eq!(value["cases"][3].get("samples_s"), None);
}

#[test]
fn a_file_of_another_kind_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("notes.txt", "mine"),
        ("empty", ""),
        ("other.json", r#"{"schema_version": 1, "cases": []}"#),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let error = check_place(&path).unwrap_err();
        assert!(error.is_usage());
        assert!(error.to_string().contains(name), "{error}");
    }
    let error = check_place(folder.path()).unwrap_err();
    assert!(error.is_usage(), "{error}");
}

#[test]
fn every_mixed_case_follows_the_uniform_ones_that_it_needs() {
    for speed in [Speed::Gpu, Speed::Cpu, Speed::Software] {
        for quick in [false, true] {
            let plan = TrainingPlan::new(speed, quick);
            let mixed = plan.cases.iter().position(|c| c.uniform().is_none());
            let mixed = mixed.expect("there is one");
            let (case, before) = (&plan.cases[mixed], &plan.cases[..mixed]);
            assert_eq!(case.groups.len(), 12);
            for group in &case.groups {
                let wanted = Group {
                    members: case.compared_with.unwrap(),
                    ..*group
                };
                let found = before
                    .iter()
                    .any(|c| c.uniform() == Some(wanted) && c.rows == case.rows);
                assert!(found, "{speed:?} {wanted:?}");
            }
            for (at, case) in plan.cases.iter().enumerate() {
                assert!(!plan.cases[..at].contains(case), "{case:?} is there twice");
            }
        }
    }
}

#[test]
fn members_of_a_group_differ_in_their_learning_rates_alone() {
    let members = members(&case(&[group(16, 3), group(64, 1)], None));
    let rates: Vec<f64> = members
        .iter()
        .map(|m| m.hyperparameters.learning_rate)
        .collect();
    for (rate, expected) in rates.iter().zip([1e-4, 1e-3, 1e-2, 1e-4]) {
        close(*rate, expected);
    }
    let trials: Vec<u64> = members.iter().map(|m| m.id.trial).collect();
    assert_eq!(trials, [0, 1, 2, 3]);
}

#[test]
fn an_unknown_suite_is_refused_by_name() {
    assert_eq!("training".parse(), Ok(Suite::Training));
    let error = "roofline".parse::<Suite>().unwrap_err();
    assert!(error.contains("--suite roofline"), "{error}");
}

/// A small case of each kind.
fn small_cases() -> [Case; 3] {
    let pixels = Case {
        data: Data::Pixels,
        shape: Shape::new(784, &[16], 10),
        rows: 40,
        ..case(&[group(32, 2)], None)
    };
    [
        case(&[group(32, 5)], None),
        case(&[group(16, 2), group(64, 1)], Some(3)),
        pixels,
    ]
}

/// Long enough for one sample.
const SHORT: Budget = Budget {
    sample_s: 1e-6,
    case_s: 1e-6,
    least_samples: 1,
};

#[test]
fn the_native_engine_is_verified_and_measured() {
    let engine = CpuEngine::<f32>::new(Some(2)).unwrap();
    let executor = EngineExecutor::new(&engine).unwrap();
    let mut record = record(None);
    for case in small_cases() {
        measure(&executor, &case, SHORT, &mut record);
    }
    for entry in &record.cases {
        assert_eq!(entry.error, None);
        let figures = entry.figures.as_ref().unwrap();
        assert_eq!((figures.epochs, figures.samples_s.len()), (1, 1));
        let rows = entry.rows * entry.members;
        assert_eq!(figures.trial_samples, rows as u64);
        assert_eq!(figures.share_of_fma_peak, None);
        assert_eq!(figures.step_cost, None);
    }
}

#[test]
fn the_layered_engine_is_verified_and_measured_on_every_adapter() {
    for adapter in enumerate().iter().filter(|a| a.refusal().is_none()) {
        println!("on {} {}", adapter.backend(), adapter.name());
        let options = Options::for_adapter(adapter);
        let engine = GpuEngine::new(adapter.open().unwrap(), options).with_timing();
        let executor = EngineExecutor::on_gpu(&engine).unwrap();
        let mut record = record(Some(1.0));
        for case in small_cases() {
            measure(&executor, &case, SHORT, &mut record);
        }
        for entry in &record.cases {
            assert_eq!(entry.error, None);
            let figures = entry.figures.as_ref().unwrap();
            let on_device = figures.device_samples_s.as_ref();
            assert_eq!(on_device.is_some(), engine.has_timestamps());
            assert!(on_device.is_none_or(|s| s[0] >= 0.0));
            assert!(figures.encode_us_per_dispatch.unwrap() > 0.0);
            assert!(figures.step_cost.unwrap().bytes_read > 0);
        }
    }
}

/// Gradients of a linear model of two inputs and one output: two weights, a bias.
const GRADIENTS: [f32; 3] = [0.5, -0.25, 0.125];
const INITIAL: [f32; 3] = [0.5, -0.5, 0.0];
const RATE: f64 = 0.01;

/// A member after its first step by these gradients.
fn stepped(optimizer: Optimizer, gradients: [f32; 3]) -> MemberSnapshot {
    let decayed = |rate: f64, power: i32| -> Vec<f32> {
        let moment = |&g: &f32| ((1.0 - rate) * f64::from(g).powi(power)) as f32;
        gradients.iter().map(moment).collect()
    };
    // Roots of (1 - rho) g^2 are by 10 smaller than g; Adam corrects them.
    let (moments, scale): (_, fn(f64) -> f64) = match optimizer {
        Optimizer::Sgd { .. } => (Vec::new(), |g| g),
        Optimizer::Adam { beta_1, beta_2, .. } => {
            (vec![decayed(beta_1, 1), decayed(beta_2, 2)], f64::signum)
        }
        Optimizer::Rmsprop { rho, .. } => (vec![decayed(rho, 2)], |g| 10.0 * g.signum()),
    };
    let moved = |(&p, &g): (&f32, &f32)| (f64::from(p) - RATE * scale(f64::from(g))) as f32;
    MemberSnapshot {
        id: first_member(optimizer).id,
        parameters: INITIAL.iter().zip(&gradients).map(moved).collect(),
        moments,
        running: Vec::new(),
        steps: 1,
        samples: 8,
        epoch: 1,
        cursor: 0,
        loss_sum: 0.0,
        train_loss: 2.0,
        diverged: false,
    }
}

fn first_member(optimizer: Optimizer) -> Member {
    Member {
        shape: 0,
        id: MemberId {
            trial: 3,
            repeat: 0,
            fold: 0,
        },
        hyperparameters: Hyperparameters {
            learning_rate: RATE,
            batch_size: 8,
            optimizer,
            activation: Activation::Relu,
            dropout: 0.0,
        },
    }
}

fn verified(
    optimizer: Optimizer,
    gradients: [f32; 3],
    change: impl Fn(&mut MemberSnapshot),
) -> Result<(), BenchError> {
    let mut actual = stepped(optimizer, gradients);
    change(&mut actual);
    let step = verify::FirstStep {
        member: &first_member(optimizer),
        shape: &Shape::new(2, &[], 1),
        initial: &INITIAL,
        actual: &actual,
        oracle: &stepped(optimizer, GRADIENTS),
    };
    step.check()
}

const SGD: Optimizer = Optimizer::Sgd {
    momentum: 0.0,
    nesterov: false,
};
const RMSPROP: Optimizer = Optimizer::Rmsprop {
    rho: 0.99,
    epsilon: 1e-8,
    momentum: 0.0,
};

#[test]
fn verifying_accepts_rounding_and_notices_other_gradients() {
    for optimizer in [SGD, ADAM, RMSPROP] {
        let check = |gradients| verified(optimizer, gradients, |_| ());
        check(GRADIENTS).unwrap();
        check([0.500_01, -0.25, 0.125_001]).unwrap();
        for wrong in [
            [0.501, -0.25, 0.125],
            [0.5, 0.25, 0.125],
            [0.5, -0.25, 0.126],
            [0.5, -0.25, -0.125],
            [f32::NAN, -0.25, 0.125],
        ] {
            let error = check(wrong).expect_err(optimizer.name()).to_string();
            assert!(error.contains("member 3"), "{error}");
        }
    }
}

#[test]
fn verifying_notices_what_else_is_off() {
    for optimizer in [SGD, ADAM, RMSPROP] {
        let wrong = |change: fn(&mut MemberSnapshot)| {
            let error = verified(optimizer, GRADIENTS, change);
            error.expect_err(optimizer.name()).to_string()
        };
        for (error, expected) in [
            (wrong(|s| s.steps = 2), "the count of steps"),
            (wrong(|s| s.train_loss += 3e-5), "the loss"),
            (wrong(|s| s.train_loss = f64::NAN), "the loss"),
            (wrong(|s| s.parameters[1] += 1e-4), "the weights of layer 0"),
            (wrong(|s| s.parameters[2] = f32::NAN), "biases of layer 0"),
        ] {
            assert!(error.contains(expected), "{error}: {expected}");
        }
    }
}
