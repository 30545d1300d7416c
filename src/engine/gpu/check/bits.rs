//! Bit identity under load: the one real test for races on a GPU.

use super::tally::KernelReport;
use crate::data::{DataConfig, Dataset, Splits, load, split};
use crate::engine::{
    Engine, EngineError, Evaluation, MemberSnapshot, Part, Progress, TrainingData, WaveSetup,
};
use crate::seed::Seed;
use crate::train::{Activation, Hyperparameters, Member, MemberId, Optimizer, Shape};

/// Of so many members, one is trained again in another wave.
const SUBSET: usize = 3;
const FOLDS: u32 = 3;

/// How much is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Members of the wave, at least 1.
    pub members: usize,
    /// Times that it is trained, at least 1.
    pub repeats: usize,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            members: 24,
            repeats: 2,
        }
    }
}

/// What an engine is to give again.
struct Trained {
    snapshot: MemberSnapshot,
    evaluation: Option<Evaluation>,
}

/// The work: digits, one epoch.
struct Work {
    dataset: Dataset,
    splits: Splits,
    shapes: Vec<Shape>,
}

/// Which networks are trained.
#[derive(Clone, Copy, Debug)]
enum Networks {
    /// 64-64-10.
    One,
    /// The same with batch norm, a deeper one, and a linear one.
    Several,
}

impl Networks {
    const ALL: [Self; 2] = [Self::One, Self::Several];

    fn shapes(self, inputs: usize, classes: usize) -> Vec<Shape> {
        let shape = |hidden| Shape::new(inputs, hidden, classes);
        match self {
            Self::One => vec![shape(&[64])],
            Self::Several => vec![
                shape(&[64]).with_batch_norm(true),
                shape(&[24, 12]),
                shape(&[]),
            ],
        }
    }

    /// For messages.
    fn name(self) -> &'static str {
        match self {
            Self::One => "one shape",
            Self::Several => "several shapes",
        }
    }
}

/// Trains the same members for one epoch of few rows on two engines, and compares what they have learnt,
/// tensor by tensor: to 1e-4 of the norm; and what they count of rows that were not trained on. Where drivers translate alike they are the same to the bit.
///
/// # Errors
/// When an engine fails. That they differ is no error; the report says so.
pub fn agreement(
    known: &dyn Engine,
    other: &dyn Engine,
    name: &'static str,
) -> Result<KernelReport, EngineError> {
    let mut report = KernelReport::new(name);
    let mut members = members(24);
    for member in &mut members {
        // Steep paths would take what rounding differs by apart, and so would a gradient that is nothing but
        // rounding, divided by its own size.
        member.hyperparameters.learning_rate = member.hyperparameters.learning_rate.min(0.01);
        match &mut member.hyperparameters.optimizer {
            Optimizer::Adam { epsilon, .. } | Optimizer::Rmsprop { epsilon, .. } => {
                *epsilon = EPSILON_TO_AGREE;
            }
            Optimizer::Sgd { .. } => {}
        }
    }
    for networks in Networks::ALL {
        let work = Work::digits(networks).with_rows(ROWS_TO_AGREE);
        let expected = work.train(known, &members)?;
        // Kernels may have the shape written in, where there is one.
        other.will_train(&work.shapes.iter().cloned().collect());
        let found = work.train(other, &members)?;
        for (expected, found) in expected.iter().zip(&found) {
            compare_values(&expected.snapshot, &found.snapshot, networks, &mut report);
            compare_counts(expected, found, networks, &mut report);
        }
    }
    Ok(report)
}

/// Of adam and rmsprop where engines are compared.
const EPSILON_TO_AGREE: f64 = 1e-3;
/// Training rows of a fold where engines are compared: a few steps.
const ROWS_TO_AGREE: usize = 40;
/// Largest difference of a tensor, by its norm.
const MOST_DIFFERENCE: f64 = 1e-4;

fn compare_values(
    expected: &MemberSnapshot,
    found: &MemberSnapshot,
    networks: Networks,
    report: &mut KernelReport,
) {
    report.cases += 1;
    let trial = expected.id.trial;
    let at = format!("member {trial}, {}", networks.name());
    if expected.steps != found.steps || expected.diverged != found.diverged {
        return report.fail(format!(
            "{at}: {} steps, not {}",
            found.steps, expected.steps
        ));
    }
    let tensors = |s: &MemberSnapshot| {
        let mut tensors = vec![s.parameters.clone(), s.running.clone()];
        tensors.extend(s.moments.iter().cloned());
        tensors
    };
    for (expected, found) in tensors(expected).iter().zip(&tensors(found)) {
        let error = relative_difference(expected, found) / MOST_DIFFERENCE;
        if error > report.largest_error {
            report.largest_error = error;
            report.at.clone_from(&at);
        }
        // NaN is a failure too.
        if error.is_nan() || error > 1.0 {
            report.fail(format!("{at}: {error:.1} times the largest difference"));
        }
    }
}

/// What both counted on rows that were not trained on: the losses, and where rows were put. A row whose two
/// best logits differ by rounding may be put elsewhere.
fn compare_counts(
    expected: &Trained,
    found: &Trained,
    networks: Networks,
    report: &mut KernelReport,
) {
    let trial = expected.snapshot.id.trial;
    let at = format!("evaluation of member {trial}, {}", networks.name());
    let (Some(expected), Some(found)) = (&expected.evaluation, &found.evaluation) else {
        if expected.evaluation.is_some() != found.evaluation.is_some() {
            report.fail(format!("{at}: one engine has none"));
        }
        return;
    };
    let loss = (expected.loss_sum - found.loss_sum).abs() / expected.loss_sum.abs().max(1.0);
    // NaN is a failure too.
    if loss.is_nan() || loss > MOST_DIFFERENCE {
        let (known, other) = (expected.loss_sum, found.loss_sum);
        report.fail(format!("{at}: a loss of {other}, not {known}"));
    }
    let elsewhere =
        |a: &[u64], b: &[u64]| a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).sum::<u64>();
    let most = 2 * (1 + expected.rows / 100);
    for (name, a, b) in [
        ("given", &expected.predicted, &found.predicted),
        (
            "rightly given",
            &expected.true_positives,
            &found.true_positives,
        ),
    ] {
        if elsewhere(a, b) > most {
            report.fail(format!("{at}: {name} the classes {b:?}, not {a:?}"));
        }
    }
}

/// Norm of the difference, over the norm of what is expected.
fn relative_difference(expected: &[f32], found: &[f32]) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let pairs = expected.iter().zip(found);
    let difference = norm(&mut pairs.map(|(a, b)| f64::from(*a) - f64::from(*b)));
    let size = norm(&mut expected.iter().map(|a| f64::from(*a)));
    if difference == 0.0 {
        0.0
    } else {
        difference / size
    }
}

/// Trains one wave of mixed members again and again, then a part of them in another order and
/// number, and compares the whole state of every member bit for bit. One member is trained alone by `fresh`, an
/// engine like the other that has compiled nothing yet: its kernels are for what that member needs.
///
/// # Errors
/// When the engine fails. That bits differ is no error; the report says so.
pub fn bit_identity(
    engine: &dyn Engine,
    fresh: &dyn Engine,
    load: Load,
) -> Result<KernelReport, EngineError> {
    let members = members(load.members);
    let mut report = KernelReport::new("bit identity");
    for networks in Networks::ALL {
        check_work(
            [engine, fresh],
            &Work::digits(networks),
            &members,
            load.repeats,
            &mut report,
        )?;
    }
    Ok(report)
}

fn check_work(
    [engine, fresh]: [&dyn Engine; 2],
    work: &Work,
    members: &[Member],
    repeats: usize,
    report: &mut KernelReport,
) -> Result<(), EngineError> {
    let first = work.train(engine, members)?;
    for repeat in 1..repeats {
        let again = work.train(engine, members)?;
        compare(&format!("repeat {repeat}"), &first, &again, report);
    }
    // One member alone, then several.
    let subset: Vec<Member> = members.iter().rev().step_by(SUBSET).copied().collect();
    for (engine, members) in [(fresh, &subset[..1]), (engine, &subset)] {
        let fewer = work.train(engine, members)?;
        let what = format!("in a wave of {}", members.len());
        let same = fewer.iter().map(|t| t.snapshot.id.trial as usize);
        let before: Vec<&Trained> = same.map(|trial| &first[trial]).collect();
        compare(&what, &before, &fewer, report);
    }
    Ok(())
}

impl Work {
    fn digits(networks: Networks) -> Self {
        let config = DataConfig {
            source: "digits".to_owned(),
            folds: Some(FOLDS),
            ..DataConfig::default()
        };
        let dataset = load(&config).expect("digits are built in");
        let splits = split(&dataset, &config, Seed(0)).expect("digits have rows for the folds");
        Self {
            shapes: networks.shapes(dataset.features.columns(), dataset.classes()),
            dataset,
            splits,
        }
    }

    /// With so many training rows a fold.
    fn with_rows(mut self, rows: usize) -> Self {
        for fold in &mut self.splits.folds {
            fold.train.truncate(rows);
        }
        self
    }

    fn train(&self, engine: &dyn Engine, members: &[Member]) -> Result<Vec<Trained>, EngineError> {
        let data = TrainingData {
            dataset: &self.dataset,
            splits: &self.splits,
        };
        let of_shape = |member: &Member| Member {
            shape: member.id.trial as usize % self.shapes.len(),
            ..*member
        };
        let members: Vec<Member> = members.iter().map(of_shape).collect();
        let mut running = engine.start(WaveSetup {
            data,
            shapes: &self.shapes,
            members: &members,
            seed: Seed(0),
        })?;
        let progress = running.train(1, &|| false)?;
        assert_eq!(progress, Progress::Reached, "nothing pauses it");
        let evaluations = running.evaluate(Part::Validation)?;
        let both = running.save()?.into_iter().zip(evaluations);
        let trained = both.map(|(snapshot, evaluation)| Trained {
            snapshot,
            evaluation,
        });
        Ok(trained.collect())
    }
}

/// Members that differ in everything that a wave mixes.
fn members(count: usize) -> Vec<Member> {
    let member = |i: usize| Member {
        shape: 0,
        id: MemberId {
            trial: i as u64,
            repeat: 0,
            fold: i as u32 % FOLDS,
        },
        hyperparameters: Hyperparameters {
            learning_rate: [0.03, 0.001, 0.01, 0.0003, 0.1][i % 5],
            batch_size: [16, 128, 32, 64][i / 2 % 4],
            optimizer: optimizer(i / 3),
            activation: [Activation::Relu, Activation::Tanh, Activation::Sigmoid][i / 4 % 3],
            dropout: [0.0, 0.25][i / 7 % 2],
        },
    };
    (0..count).map(member).collect()
}

fn optimizer(i: usize) -> Optimizer {
    let sgd = |momentum, nesterov| Optimizer::Sgd { momentum, nesterov };
    let rmsprop = |momentum| Optimizer::Rmsprop {
        rho: 0.99,
        epsilon: 1e-8,
        momentum,
    };
    let adam = Optimizer::Adam {
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-8,
    };
    [
        adam,
        sgd(0.0, false),
        rmsprop(0.0),
        sgd(0.9, false),
        rmsprop(0.5),
        sgd(0.9, true),
    ][i % 6]
}

fn compare<A: std::borrow::Borrow<Trained>>(
    what: &str,
    before: &[A],
    after: &[Trained],
    report: &mut KernelReport,
) {
    report.cases += 1;
    if before.len() != after.len() {
        return report.fail(format!("{what}: members are missing"));
    }
    for (before, after) in before.iter().zip(after) {
        if let Some(part) = first_difference(before.borrow(), after) {
            let trial = after.snapshot.id.trial;
            report.fail(format!("{what}: member {trial} has another {part}"));
        }
    }
}

/// The first part of a member's state that is not the same to the bit.
fn first_difference(a: &Trained, b: &Trained) -> Option<&'static str> {
    let (s, t) = (&a.snapshot, &b.snapshot);
    let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<u32>>();
    let moments = |s: &MemberSnapshot| s.moments.iter().flat_map(|m| bits(m)).collect::<Vec<_>>();
    let counts = |s: &MemberSnapshot| (s.id, s.steps, s.samples, s.epoch, s.cursor, s.diverged);
    let losses = |s: &MemberSnapshot| (s.loss_sum.to_bits(), s.train_loss.to_bits());
    let counted = |e: &Option<Evaluation>| {
        e.as_ref().map(|e| {
            let loss = e.loss_sum.to_bits();
            (e.true_positives.clone(), e.predicted.clone(), loss)
        })
    };
    [
        ("count", counts(s) != counts(t)),
        ("parameter", bits(&s.parameters) != bits(&t.parameters)),
        ("moment", moments(s) != moments(t)),
        ("running statistic", bits(&s.running) != bits(&t.running)),
        ("training loss", losses(s) != losses(t)),
        (
            "evaluation",
            counted(&a.evaluation) != counted(&b.evaluation),
        ),
    ]
    .into_iter()
    .find_map(|(part, differs)| differs.then_some(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::cpu::CpuEngine;

    #[test]
    fn the_cpu_engine_gives_the_same_bits() {
        let engine = CpuEngine::<f32>::new(Some(2)).unwrap();
        let load = Load {
            members: 7,
            repeats: 3,
        };
        let report = bit_identity(&engine, &engine, load).unwrap();
        assert!(report.passed(), "{report:?}");
        assert_eq!(report.cases, 8);
    }

    #[test]
    fn engines_that_learn_something_else_do_not_agree() {
        let engine = CpuEngine::<f32>::new(Some(1)).unwrap();
        let report = agreement(&engine, &engine, "x").unwrap();
        assert!(report.passed() && report.cases == 48, "{report:?}");
        let members = members(1);
        let work = Work::digits(Networks::Several).with_rows(ROWS_TO_AGREE);
        let right = work.train(&engine, &members).unwrap().remove(0).snapshot;
        type Change = fn(&mut MemberSnapshot);
        let changes: [Change; 5] = [
            |s| s.steps += 1,
            |s| s.parameters.iter_mut().for_each(|p| *p *= 1.001),
            |s| s.parameters[0] = f32::NAN,
            |s| s.moments[0].iter_mut().for_each(|m| *m *= 0.999),
            |s| s.running[0] += 1.0,
        ];
        for change in changes {
            let mut wrong = right.clone();
            change(&mut wrong);
            let mut report = KernelReport::new("x");
            compare_values(&right, &wrong, Networks::Several, &mut report);
            assert!(!report.passed(), "{report:?}");
        }
    }

    #[test]
    fn engines_that_count_something_else_do_not_agree() {
        let engine = CpuEngine::<f32>::new(Some(1)).unwrap();
        let work = Work::digits(Networks::Several).with_rows(ROWS_TO_AGREE);
        let train = || work.train(&engine, &members(1)).unwrap().remove(0);
        let right = train();
        type Change = fn(&mut Option<Evaluation>);
        let changes: [Change; 5] = [
            |e| *e = None,
            |e| e.as_mut().unwrap().loss_sum *= 1.001,
            |e| e.as_mut().unwrap().loss_sum = f64::NAN,
            |e| e.as_mut().unwrap().predicted[3] += 40,
            |e| e.as_mut().unwrap().true_positives[0] += 40,
        ];
        for change in changes {
            let mut wrong = train();
            let mut report = KernelReport::new("x");
            report.cases = 1;
            compare_counts(&right, &wrong, Networks::Several, &mut report);
            assert!(report.passed(), "{report:?}");
            change(&mut wrong.evaluation);
            compare_counts(&right, &wrong, Networks::Several, &mut report);
            assert!(!report.passed(), "{report:?}");
        }
    }

    #[test]
    fn a_bit_that_differs_is_found_wherever_it_is() {
        let engine = CpuEngine::<f32>::new(Some(1)).unwrap();
        let work = Work::digits(Networks::Several);
        let train = || work.train(&engine, &members(1)).unwrap();
        let right = train();
        type Change = fn(&mut Trained);
        let changes: [(&str, Change); 6] = [
            ("count", |t| t.snapshot.samples += 1),
            ("parameter", |t| {
                let last = t.snapshot.parameters.last_mut().unwrap();
                *last = last.next_up();
            }),
            ("moment", |t| t.snapshot.moments[1][0] = -0.0),
            ("running statistic", |t| t.snapshot.running[1] += 1e-6),
            ("training loss", |t| t.snapshot.train_loss = f64::NAN),
            ("evaluation", |t| t.evaluation = None),
        ];
        for (part, change) in changes {
            let mut wrong = train();
            assert_eq!(first_difference(&right[0], &wrong[0]), None);
            change(&mut wrong[0]);
            assert_eq!(first_difference(&right[0], &wrong[0]), Some(part));
            let mut report = KernelReport::new("x");
            compare("again", &right, &wrong, &mut report);
            assert!(!report.passed(), "{part}");
        }
    }
}
