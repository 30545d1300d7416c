//! Division of rows into folds and a test part.

mod grouped;
mod ordered;
mod stratified;

use rand_chacha::ChaCha8Rng;

use super::{DataConfig, DataError, Dataset, Scale, Scaling, SplitKind, TestPart};
use crate::seed::{Seed, Stream};

/// One train/validation split. Row indices into the [`Dataset`], ascending.
#[derive(Clone, Debug, PartialEq)]
pub struct Fold {
    /// Rows to train on.
    pub train: Vec<u32>,
    /// Rows to measure on.
    pub validation: Vec<u32>,
    /// Scaling fitted on `train`.
    pub scaling: Scaling,
}

/// All splits of a study.
#[derive(Clone, Debug, PartialEq)]
pub struct Splits {
    /// The folds, or the one holdout.
    pub folds: Vec<Fold>,
    /// The final fit: trains on all rows outside the test part, `validation` is the test part
    /// (empty if there is none).
    pub refit: Fold,
}

impl Splits {
    /// The number of training rows of the smallest fold.
    pub fn smallest_training_rows(&self) -> usize {
        let rows = self.folds.iter().map(|fold| fold.train.len());
        rows.min().unwrap_or(0)
    }
}

/// Divides the rows of `dataset`: first the test part, then the folds or the holdout.
///
/// Fractions are rounded up to whole rows, as scikit-learn's `train_test_split` does. Shuffled
/// parts are stratified: within one row per class of the whole's proportions, folds within one
/// row of each other. With groups, whole groups are drawn instead, and parts are as near to
/// their sizes as groups allow. Ordered folds are those of scikit-learn's `TimeSeriesSplit`:
/// each trains on all rows before its validation rows.
///
/// # Errors
///
/// Fewer rows or groups than parts, a part that would be empty, and a training part without a
/// class: [`DataError::TooFew`], [`DataError::EmptyPart`], [`DataError::MissingClass`]; and what
/// [`DataConfig::validate`] refuses.
pub fn split(dataset: &Dataset, config: &DataConfig, seed: Seed) -> Result<Splits, DataError> {
    config.validate()?;
    let divider = Divider {
        dataset,
        kind: config.split,
    };
    let Parts { keep, out: test } = divider.test_part(&config.test, seed)?;
    let mut rng = seed.rng(Stream::Folds);
    let parts = match config.holdout_fraction() {
        Some(fraction) => {
            let parts = divider.hold_out(&keep, fraction, "validation part", &mut rng)?;
            vec![parts]
        }
        None => divider.folds(&keep, config.folds_count() as usize, &mut rng)?,
    };
    let fold = |(number, parts): (usize, Parts)| {
        let name = format!("fold {number}");
        Fold::fit(dataset, parts, config.scale, &name)
    };
    let refit = Parts { keep, out: test };
    Ok(Splits {
        folds: parts
            .into_iter()
            .enumerate()
            .map(fold)
            .collect::<Result<_, _>>()?,
        refit: Fold::fit(dataset, refit, config.scale, "the refit")?,
    })
}

/// Rows to train on, and rows that are held out from them.
struct Parts {
    keep: Vec<u32>,
    out: Vec<u32>,
}

impl Parts {
    /// From the rows that are held out, and all of them.
    fn without(rows: &[u32], mut out: Vec<u32>) -> Self {
        out.sort_unstable();
        let kept = |row: &&u32| out.binary_search(row).is_err();
        let keep = rows.iter().filter(kept).copied().collect();
        Self { keep, out }
    }
}

struct Divider<'a> {
    dataset: &'a Dataset,
    kind: SplitKind,
}

impl Divider<'_> {
    fn test_part(&self, test: &TestPart, seed: Seed) -> Result<Parts, DataError> {
        let ordinary = self.dataset.rows() - self.dataset.given_test_rows;
        let end = |count: usize| u32::try_from(count).expect("row indices are u32");
        let rows: Vec<u32> = (0..end(ordinary)).collect();
        match *test {
            TestPart::Fraction(0.0) => Ok(Parts {
                keep: rows,
                out: Vec::new(),
            }),
            TestPart::Fraction(fraction) => {
                let mut rng = seed.rng(Stream::TestPart);
                self.hold_out(&rows, fraction, "test part", &mut rng)
            }
            TestPart::Given | TestPart::File(_) => {
                let out: Vec<u32> = (end(ordinary)..end(self.dataset.rows())).collect();
                check_parts(Parts { keep: rows, out }, "test part")
            }
        }
    }

    /// Holds out `fraction` of `rows`.
    fn hold_out(
        &self,
        rows: &[u32],
        fraction: f64,
        name: &str,
        rng: &mut ChaCha8Rng,
    ) -> Result<Parts, DataError> {
        let count = (rows.len() as f64 * fraction).ceil() as usize;
        let targets = &self.dataset.targets;
        let out = match (self.kind, &self.dataset.groups) {
            (SplitKind::Ordered, _) => rows[rows.len() - count..].to_vec(),
            (SplitKind::Shuffled, None) => stratified::draw(rows, targets, count, rng),
            (SplitKind::Shuffled, Some(groups)) => grouped::draw(rows, groups, count, rng)?,
        };
        check_parts(Parts::without(rows, out), name)
    }

    fn folds(
        &self,
        rows: &[u32],
        folds: usize,
        rng: &mut ChaCha8Rng,
    ) -> Result<Vec<Parts>, DataError> {
        let targets = &self.dataset.targets;
        let validations = match (self.kind, &self.dataset.groups) {
            (SplitKind::Ordered, _) => return ordered::folds(rows, folds),
            (SplitKind::Shuffled, None) => {
                check_count("row", rows.len(), folds)?;
                stratified::deal(rows, targets, folds, rng)
            }
            (SplitKind::Shuffled, Some(groups)) => grouped::deal(rows, groups, folds, rng)?,
        };
        let parts = validations.into_iter();
        Ok(parts.map(|out| Parts::without(rows, out)).collect())
    }
}

impl Fold {
    fn fit(dataset: &Dataset, parts: Parts, scale: Scale, name: &str) -> Result<Self, DataError> {
        check_classes(dataset, &parts.keep, name)?;
        Ok(Self {
            scaling: Scaling::fit(&dataset.features, &parts.keep, scale),
            train: parts.keep,
            validation: parts.out,
        })
    }
}

fn check_count(what: &'static str, have: usize, need: usize) -> Result<(), DataError> {
    match have < need {
        false => Ok(()),
        true => Err(DataError::TooFew {
            what,
            have,
            need,
            remedy: match what {
                "group" => "fewer folds (--folds K), rows of more groups, or no `group`",
                _ => "fewer folds (--folds K), a smaller test part or more data",
            },
        }),
    }
}

fn check_parts(parts: Parts, name: &str) -> Result<Parts, DataError> {
    let rows = parts.keep.len() + parts.out.len();
    let empty = match (parts.keep.is_empty(), parts.out.is_empty()) {
        (false, false) => return Ok(parts),
        (true, _) => format!("training part beside the {name}"),
        (false, true) => name.to_owned(),
    };
    Err(DataError::EmptyPart {
        part: empty,
        rows,
        remedy: match name {
            "validation part" => "change its fraction (--holdout F), or give more rows",
            _ => "change its fraction (--test T), or give more rows",
        },
    })
}

/// Each class needs a row to be trained on.
fn check_classes(dataset: &Dataset, train: &[u32], part: &str) -> Result<(), DataError> {
    let mut counts = vec![0_usize; dataset.classes()];
    for &row in train {
        counts[dataset.targets[row as usize] as usize] += 1;
    }
    let Some(class) = counts.iter().position(|&count| count == 0) else {
        return Ok(());
    };
    let targets = dataset.targets.iter();
    Err(DataError::MissingClass {
        part: part.to_owned(),
        class: dataset.class_names[class].clone(),
        rows: targets.filter(|&&target| target as usize == class).count(),
    })
}
