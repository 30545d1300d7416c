//! What is measured: the cases of a suite, by the kind of adapter.

use std::str::FromStr;

use crate::train::{Optimizer, Shape};

/// A list of cases by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// Training throughput.
    Training,
}

impl Suite {
    /// Its name on the command line and in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Training => "training",
        }
    }
}

impl FromStr for Suite {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "training" => Ok(Self::Training),
            _ => Err(format!(
                "--suite {word} is none of the suites that are built: training"
            )),
        }
    }
}

/// What cases are trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// The built-in digits: 64 inputs, 10 classes.
    Digits,
    /// Synthetic bytes of 784 inputs and 10 classes, as small images have them.
    Pixels,
}

impl Data {
    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Digits => "digits",
            Self::Pixels => "pixels",
        }
    }
}

/// Members that differ in nothing but the learning rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Group {
    /// Rows a step.
    pub batch_size: usize,
    /// Optimizer, with PyTorch's defaults.
    pub optimizer: Optimizer,
    /// How many.
    pub members: usize,
}

/// One wave to measure.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Rows and classes.
    pub data: Data,
    /// Networks of all members.
    pub shape: Shape,
    /// Training rows of an epoch.
    pub rows: usize,
    /// One group: a uniform wave; several: a mixed one.
    pub groups: Vec<Group>,
    /// Of a mixed case: members of the uniform cases that it is compared with.
    pub compared_with: Option<usize>,
}

impl Case {
    /// Members of the wave.
    pub fn members(&self) -> usize {
        self.groups.iter().map(|group| group.members).sum()
    }

    /// The group of a uniform case.
    pub fn uniform(&self) -> Option<Group> {
        match self.groups[..] {
            [group] => Some(group),
            _ => None,
        }
    }

    /// Steps of the wave in an epoch: those of the members with the smallest batches.
    pub fn steps_an_epoch(&self) -> usize {
        let steps = self.groups.iter().map(|g| self.rows.div_ceil(g.batch_size));
        steps.max().unwrap_or(0)
    }
}

/// How fast an adapter is, roughly: it says how much work a case may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// Hardware.
    Gpu,
    /// The native engine.
    Cpu,
    /// The processor behind a graphics API.
    Software,
}

/// How long is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Seconds of one sample at least: so many whole epochs.
    pub sample_s: f64,
    /// Seconds of all samples of a case, at which no further one is begun.
    pub case_s: f64,
    /// Samples that a case has at least.
    pub least_samples: usize,
}

/// The cases of the suite `training` for one adapter.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingPlan {
    /// In their order; a mixed case follows the uniform ones that it is compared with.
    pub cases: Vec<Case>,
    /// For each of them.
    pub budget: Budget,
}

/// Batch sizes x members x optimizers.
struct Grid<'a> {
    batch_sizes: &'a [usize],
    members: &'a [usize],
    optimizers: &'a [Optimizer],
}

const SGD: Optimizer = Optimizer::Sgd {
    momentum: 0.0,
    nesterov: false,
};
const ADAM: Optimizer = Optimizer::Adam {
    beta_1: 0.9,
    beta_2: 0.999,
    epsilon: 1e-8,
};
const RMSPROP: Optimizer = Optimizer::Rmsprop {
    rho: 0.99,
    epsilon: 1e-8,
    momentum: 0.0,
};
const OPTIMIZERS: [Optimizer; 3] = [SGD, ADAM, RMSPROP];
const BATCH_SIZES: [usize; 5] = [16, 32, 64, 128, 256];
/// Batch sizes of the mixed case, which has a group for each with each optimizer.
const MIXED_BATCH_SIZES: &[usize] = BATCH_SIZES.split_at(4).0;
/// Training rows of digits after a fifth for the test and a fifth of the rest for validation.
const DIGITS_ROWS: usize = 1149;

impl TrainingPlan {
    /// What is measured on an adapter of this speed.
    pub fn new(speed: Speed, quick: bool) -> Self {
        let rows = match (speed, quick) {
            (Speed::Software, true) => 128,
            (Speed::Software, false) => 512,
            (Speed::Gpu | Speed::Cpu, _) => DIGITS_ROWS,
        };
        // Of the uniform cases that the mixed one is compared with.
        let reference = if speed == Speed::Gpu { 1024 } else { 24 };
        let mut cases = Vec::new();
        for grid in grids(speed, quick, &[reference]) {
            cases.extend(grid.cases(rows));
        }
        cases.push(mixed(rows, reference));
        let larger: &[usize] = match (speed, quick) {
            (Speed::Gpu, false) => &[16, 64, 256],
            (Speed::Gpu, true) => &[64],
            (Speed::Cpu, false) => &[16, 64],
            (Speed::Cpu, true) | (Speed::Software, false) => &[16],
            (Speed::Software, true) => &[],
        };
        let rows = if speed == Speed::Software { 256 } else { 2048 };
        cases.extend(larger.iter().map(|&members| pixels(rows, members)));
        Self {
            cases,
            budget: budget(speed, quick),
        }
    }
}

fn grids<'a>(speed: Speed, quick: bool, reference: &'a [usize]) -> Vec<Grid<'a>> {
    let grid = |batch_sizes, members, optimizers| Grid {
        batch_sizes,
        members,
        optimizers,
    };
    match (speed, quick) {
        (Speed::Gpu, false) => {
            let members = &[1, 16, 64, 256, 1024, 4096];
            vec![grid(&BATCH_SIZES, members, &OPTIMIZERS)]
        }
        (Speed::Cpu, false) => vec![grid(&BATCH_SIZES, &[1, 24, 64, 256], &OPTIMIZERS)],
        (Speed::Software, false) => vec![grid(&BATCH_SIZES, &[1, 24, 64], &OPTIMIZERS)],
        (_, true) => {
            let members = if speed == Speed::Gpu {
                &[1, 64, 4096][..]
            } else {
                &[1, 64]
            };
            vec![
                grid(MIXED_BATCH_SIZES, reference, &OPTIMIZERS),
                grid(&[32], members, &[ADAM]),
            ]
        }
    }
}

fn budget(speed: Speed, quick: bool) -> Budget {
    let (sample_s, case_s) = match (speed, quick) {
        (_, true) => (0.1, 0.4),
        (Speed::Gpu | Speed::Cpu, false) => (0.05, 0.6),
        (Speed::Software, false) => (0.2, 1.0),
    };
    Budget {
        sample_s,
        case_s,
        least_samples: 3,
    }
}

impl Grid<'_> {
    fn cases(&self, rows: usize) -> Vec<Case> {
        let mut cases = Vec::new();
        for &optimizer in self.optimizers {
            for &batch_size in self.batch_sizes {
                for &members in self.members {
                    let group = Group {
                        batch_size,
                        optimizer,
                        members,
                    };
                    cases.push(digits(rows, vec![group], None));
                }
            }
        }
        cases
    }
}

fn digits(rows: usize, groups: Vec<Group>, compared_with: Option<usize>) -> Case {
    Case {
        data: Data::Digits,
        shape: Shape::new(64, &[64], 10),
        rows,
        groups,
        compared_with,
    }
}

/// As many members as the uniform cases have, or a few less: the same number in each group.
fn mixed(rows: usize, reference: usize) -> Case {
    let members = reference / (MIXED_BATCH_SIZES.len() * OPTIMIZERS.len());
    let mut groups = Vec::new();
    for optimizer in OPTIMIZERS {
        groups.extend(MIXED_BATCH_SIZES.iter().map(|&batch_size| Group {
            batch_size,
            optimizer,
            members,
        }));
    }
    digits(rows, groups, Some(reference))
}

fn pixels(rows: usize, members: usize) -> Case {
    let group = Group {
        batch_size: 256,
        optimizer: ADAM,
        members,
    };
    Case {
        data: Data::Pixels,
        shape: Shape::new(784, &[256, 256], 10),
        rows,
        groups: vec![group],
        compared_with: None,
    }
}
