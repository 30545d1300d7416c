//! Rows and members of a case.

use std::collections::BTreeMap;

use super::{BenchError, Case, Data};
use crate::data::{
    DataConfig, Dataset, FeatureValues, Features, Fold, Scale, Scaling, Splits, load, split,
};
use crate::seed::Seed;
use crate::train::{Activation, Hyperparameters, Member, MemberId};

/// Seed of all that is drawn.
pub const SEED: Seed = Seed(0);
/// Learning rates of a group are spaced evenly in the logarithm between these: all of them train.
const LEARNING_RATES: (f64, f64) = (1e-4, 1e-2);
/// Rows of the synthetic data.
const PIXEL_ROWS: u32 = 2560;
const PIXEL_COLUMNS: usize = 784;
const CLASSES: u32 = 10;

/// Rows with their division.
#[derive(Debug)]
pub struct Rows {
    /// All rows.
    pub dataset: Dataset,
    fold: Fold,
}

impl Rows {
    fn new(dataset: Dataset) -> Result<Self, BenchError> {
        let config = DataConfig {
            scale: Scale::Standard,
            ..DataConfig::default()
        };
        let mut splits = split(&dataset, &config, SEED)?;
        let fold = splits.folds.swap_remove(0);
        Ok(Self { dataset, fold })
    }

    /// One fold that trains on the first so many of its rows.
    pub fn splits(&self, rows: usize) -> Splits {
        let columns = self.dataset.features.columns();
        let mut fold = self.fold.clone();
        fold.train.truncate(rows);
        fold.validation.truncate(1);
        Splits {
            folds: vec![fold],
            refit: Fold {
                train: Vec::new(),
                validation: Vec::new(),
                scaling: Scaling::identity(columns),
            },
        }
    }
}

/// The rows of all kinds of data, loaded once.
#[derive(Debug)]
pub struct AllRows {
    rows: BTreeMap<&'static str, Rows>,
}

impl AllRows {
    /// Loads digits and makes the synthetic rows.
    ///
    /// # Errors
    /// [`BenchError::Data`], which means that the program's own data is damaged.
    pub fn load() -> Result<Self, BenchError> {
        let digits = load(&DataConfig::default())?;
        let rows = [(Data::Digits, digits), (Data::Pixels, pixels())];
        let rows = rows.into_iter().map(|(data, set)| {
            let rows = Rows::new(set)?;
            Ok((data.name(), rows))
        });
        Ok(Self {
            rows: rows.collect::<Result<_, BenchError>>()?,
        })
    }

    /// The rows of a case.
    pub fn of(&self, case: &Case) -> &Rows {
        &self.rows[case.data.name()]
    }
}

/// Bytes that are drawn by a multiplicative hash, and classes that depend on them.
fn pixels() -> Dataset {
    let rows = PIXEL_ROWS as usize;
    let byte = |i: usize| ((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
    let values: Vec<u8> = (0..rows * PIXEL_COLUMNS).map(byte).collect();
    let class = |row: &[u8]| row.iter().map(|&v| u32::from(v)).sum::<u32>() % CLASSES;
    let targets = values.chunks_exact(PIXEL_COLUMNS).map(class).collect();
    Dataset {
        name: Data::Pixels.name().to_owned(),
        features: Features::new(PIXEL_COLUMNS, FeatureValues::U8(values)),
        feature_names: (0..PIXEL_COLUMNS).map(|c| format!("pixel_{c}")).collect(),
        targets,
        class_names: (0..CLASSES).map(|c| c.to_string()).collect(),
        groups: None,
        given_test_rows: 0,
    }
}

/// The members of a case, group after group; they differ in their learning rates too.
pub fn members(case: &Case) -> Vec<Member> {
    let mut members = Vec::with_capacity(case.members());
    for group in &case.groups {
        for i in 0..group.members {
            members.push(Member {
                shape: 0,
                id: MemberId {
                    trial: members.len() as u64,
                    repeat: 0,
                    fold: 0,
                },
                hyperparameters: Hyperparameters {
                    learning_rate: learning_rate(i, group.members),
                    batch_size: group.batch_size,
                    optimizer: group.optimizer,
                    activation: Activation::Relu,
                    dropout: 0.0,
                },
            });
        }
    }
    members
}

fn learning_rate(i: usize, members: usize) -> f64 {
    let (low, high) = LEARNING_RATES;
    let place = i as f64 / (members - 1).max(1) as f64;
    low * (high / low).powf(place)
}
