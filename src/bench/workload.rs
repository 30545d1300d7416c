//! Members with the rows that they train on: what an engine is verified and timed with.

use crate::data::{Dataset, Fold, Splits};
use crate::engine::{Engine, EngineError, MemberSnapshot, TrainingData, WaveSetup};
use crate::seed::Seed;
use crate::train::{Hyperparameters, Member, Shape, initial_parameters};

use super::BenchError;
use super::verify::FirstStep;

/// Kinds of members that are compared with the oracle at most: a sweep may have any number.
const MOST_KINDS: usize = 24;

/// A wave to be trained, with its rows.
#[derive(Clone, Debug)]
pub struct Workload<'d> {
    /// All rows.
    pub dataset: &'d Dataset,
    /// Which of them train.
    pub splits: Splits,
    /// Shapes of their networks.
    pub shapes: Vec<Shape>,
    /// The members.
    pub members: Vec<Member>,
    /// Seed of all that is drawn.
    pub seed: Seed,
}

impl Workload<'_> {
    /// What [`Engine::start`] is given.
    pub fn setup(&self) -> WaveSetup<'_, '_> {
        WaveSetup {
            data: TrainingData {
                dataset: self.dataset,
                splits: &self.splits,
            },
            shapes: &self.shapes,
            members: &self.members,
            seed: self.seed,
        }
    }

    /// Rows that a member sees in an epoch.
    pub fn rows(&self, member: &Member) -> usize {
        self.splits.folds[member.id.fold as usize].train.len()
    }

    /// Operations of an epoch.
    pub fn epoch_flops(&self) -> f64 {
        let flops = |member: &Member| {
            self.rows(member) as f64 * self.shapes[member.shape].flops_per_sample() as f64
        };
        self.members.iter().map(flops).sum()
    }

    /// The same with the first so many training rows of each fold, and one row to validate on.
    pub fn with_rows(&self, rows: usize) -> Self {
        let short = |fold: &Fold| {
            let mut fold = fold.clone();
            fold.train.truncate(rows);
            fold.validation.truncate(1);
            fold
        };
        Self {
            splits: Splits {
                folds: self.splits.folds.iter().map(short).collect(),
                refit: short(&self.splits.refit),
            },
            ..self.clone()
        }
    }

    /// The same with some of its members.
    pub fn with_members(&self, slots: &[usize]) -> Self {
        Self {
            members: slots.iter().map(|&slot| self.members[slot]).collect(),
            ..self.clone()
        }
    }

    /// Makes one step of every member, and compares a few with the oracle. Gives the seconds spent
    /// compiling kernels.
    ///
    /// # Errors
    /// [`BenchError::Wrong`], or what the engine says.
    pub fn verify(&self, engine: &dyn Engine, oracle: &dyn Engine) -> Result<f64, BenchError> {
        let batches = self.members.iter().map(|m| m.hyperparameters.batch_size);
        // An epoch of as many rows as the smallest batch has is one step for every member.
        let step = self.with_rows(batches.min().unwrap_or(1));
        let few = self.few();
        let (actual, compile_s) = step.trained(engine, &few)?;
        let chosen = step.with_members(&few);
        let every: Vec<usize> = (0..few.len()).collect();
        let (exact, _) = chosen.trained(oracle, &every)?;
        for (member, (actual, oracle)) in chosen.members.iter().zip(actual.iter().zip(&exact)) {
            let shape = &self.shapes[member.shape];
            let step = FirstStep {
                member,
                shape,
                initial: &initial_parameters(shape, self.seed, member.id.repeat),
                actual,
                oracle,
            };
            step.check()?;
        }
        Ok(compile_s)
    }

    /// The members at `kept` after one epoch, and the seconds of compiling.
    fn trained(
        &self,
        engine: &dyn Engine,
        kept: &[usize],
    ) -> Result<(Vec<MemberSnapshot>, f64), EngineError> {
        let mut wave = engine.start(self.setup())?;
        wave.train(1, &|| false)?;
        wave.keep(kept);
        Ok((wave.save()?, wave.compile_s()))
    }

    /// The first, the middle and the last member, and the first of each kind that differs in more than its
    /// learning rate.
    fn few(&self) -> Vec<usize> {
        let count = self.members.len();
        let mut few = vec![0, count / 2, count - 1];
        let work = |member: &Member| {
            let hyperparameters = Hyperparameters {
                learning_rate: 1.0,
                ..member.hyperparameters
            };
            (member.shape, hyperparameters)
        };
        let mut seen = Vec::new();
        for (slot, member) in self.members.iter().enumerate() {
            if seen.len() < MOST_KINDS && !seen.contains(&work(member)) {
                seen.push(work(member));
                few.push(slot);
            }
        }
        few.sort_unstable();
        few.dedup();
        few
    }
}
