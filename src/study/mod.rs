//! A study: ask -> plan -> train -> tell -> store. Where the layers meet.
//!
//! Trials come from the sampler a generation at a time, are laid out in waves, trained, and written
//! as they finish; the next wave is planned and started while one is trained; nothing of a finished
//! trial stays in memory but its score. A study that is gone on with proposes and plans the same
//! trials again and skips the waves whose trials are all there.

mod assembly;
mod estimate;
mod finish;
mod observer;
mod planner;
mod session;
mod tally;
mod wave;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use crate::data::{Dataset, Splits};
use crate::engine::{
    AdapterDescription, Engine, EngineError, SHAPE_VARIANT, Trace, TrainingData, WaveSetup,
};
use crate::plan::{self, Limits, MembersPerTrial, PlannedTrial, Wave};
use crate::report::ReportError;
use crate::search::{Grid, Proposal, Sampler};
use crate::space::{Assignment, Sweep, assign};
use crate::store::{
    AdapterRecord, DataRecord, PlanRecord, Run, RunRecord, SCHEMA_VERSION, StoreError,
    SummaryRecord,
};
use crate::train::{Hyperparameters, Shape};

use assembly::Assembly;
use planner::Planner;
use session::Session;
use tally::Tally;
use wave::WaveEnd;

pub use estimate::{Estimate, estimate};
pub use observer::{Event, Observer, Silent};

/// Trials that a sampler without results of its own is asked for at once.
const GENERATION_TRIALS: usize = 1024;
/// Members that these trials may have: trials of many folds and repeats are asked for in smaller
/// numbers, so that a generation stays small in memory.
const GENERATION_MEMBERS: u64 = 1 << 16;

/// Why a study cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StudyError {
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The run could not be written or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// `cv_results.csv` could not be made.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The run was made from another sweep, data or seed.
    #[error(
        "{run} was begun with another {what} ({stored}) than this one ({given}); resume it with the settings it was begun with, or name another folder with --out"
    )]
    OtherRun {
        /// The folder.
        run: String,
        /// What differs.
        what: &'static str,
        /// As it was.
        stored: String,
        /// As it is now.
        given: String,
    },
    /// The records hold a trial that the sweep does not propose, or hold it twice.
    #[error(
        "trial {trial} is in trials.jsonl twice, or is none of the sweep's; the run is damaged: begin anew with another --out"
    )]
    UnknownTrial {
        /// The trial.
        trial: u64,
    },
}

impl StudyError {
    /// The mistake is in what was asked for, not in the work.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Engine(error) => error.is_usage(),
            Self::Store(error) => error.is_usage(),
            Self::OtherRun { .. } => true,
            Self::Report(_) | Self::UnknownTrial { .. } => false,
        }
    }
}

/// What a study is made of. Everything is settled before it begins.
#[derive(Clone, Copy)]
pub struct Study<'s> {
    /// The resolved sweep.
    pub sweep: &'s Sweep,
    /// The rows.
    pub dataset: &'s Dataset,
    /// Their folds.
    pub splits: &'s Splits,
    /// What trains.
    pub engine: &'s dyn Engine,
}

/// How a study is watched and stopped.
pub struct Control<'c> {
    /// Hears what happens.
    pub observer: &'c mut dyn Observer,
    /// Set from anywhere to stop at the next step: what is finished is kept, the rest is in the
    /// checkpoint.
    pub stop: &'c AtomicBool,
    /// How often the unfinished wave is written to the disk.
    pub checkpoint_every: Duration,
    /// When the process began, for the wall time.
    pub started: Instant,
    /// Seconds for which kernels were compiled and measured since; the first wave has them among its own.
    pub compiled_s: f64,
    /// Gets what the host does as spans.
    pub trace: Trace,
}

/// How a study ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// All trials are there.
    Finished(Box<SummaryRecord>),
    /// `stop` was set.
    Interrupted,
}

impl<'s> Study<'s> {
    /// Trials the sampler proposes in all.
    pub fn trials(&self) -> u64 {
        Grid::new(&self.sweep.space).total().unwrap_or(0)
    }

    /// Members that every trial has.
    pub fn members_per_trial(&self) -> MembersPerTrial {
        MembersPerTrial {
            repeats: self.sweep.data.repeats,
            folds: self.sweep.data.folds_count(),
        }
    }

    /// Training rows that all members see in one epoch of one trial, summed.
    pub fn rows_per_trial_epoch(&self) -> u64 {
        let rows: usize = self.splits.folds.iter().map(|fold| fold.train.len()).sum();
        rows as u64 * u64::from(self.sweep.data.repeats)
    }

    /// The generations of the study: proposals, and their waves under these limits.
    pub fn generations(&self, limits: Limits) -> impl Iterator<Item = Generation> + use<'s> {
        let (study, mut grid, mut next_wave) = (*self, Grid::new(&self.sweep.space), 0);
        let most = GENERATION_MEMBERS / self.members_per_trial().count().max(1);
        let most =
            usize::try_from(most).map_or(GENERATION_TRIALS, |n| n.clamp(1, GENERATION_TRIALS));
        std::iter::from_fn(move || {
            let proposals = grid.propose(most);
            if proposals.is_empty() {
                return None;
            }
            let planned: Vec<PlannedTrial> = proposals.iter().map(|p| study.planned(p)).collect();
            let waves = plan::waves(&planned, study.members_per_trial(), limits, next_wave);
            next_wave += waves.len() as u64;
            Some(Generation { proposals, waves })
        })
    }

    /// What an engine is given of a wave.
    fn setup<'w>(&self, wave: &'w Wave) -> WaveSetup<'s, 'w> {
        WaveSetup {
            data: self.data(),
            shapes: &wave.shapes,
            members: &wave.members,
            seed: self.sweep.search.seed,
        }
    }

    fn planned(&self, proposal: &Proposal) -> PlannedTrial {
        let assignment = assign(&self.sweep.space, &proposal.params);
        PlannedTrial {
            trial: proposal.trial,
            shape: self.shape(&assignment),
            hyperparameters: Hyperparameters::from_assignment(&assignment),
        }
    }

    fn shape(&self, assignment: &Assignment) -> Shape {
        let (inputs, outputs) = (self.dataset.features.columns(), self.dataset.classes());
        Shape::new(inputs, &assignment.hidden(), outputs)
            .with_batch_norm(assignment.bool("batch_norm"))
    }

    /// The adapter, with what it takes for the networks of this study.
    pub fn adapter(&self) -> AdapterDescription {
        self.engine
            .adapter_for(&self.shapes(), self.largest_batch())
    }

    fn adapter_record(&self) -> AdapterRecord {
        adapter_record(self.adapter())
    }

    fn data(&self) -> TrainingData<'s> {
        TrainingData {
            dataset: self.dataset,
            splits: self.splits,
        }
    }

    /// Checks that every network of the study fits the adapter, before anything is written, and tells the
    /// engine which these are.
    ///
    /// # Errors
    /// The engine's reason.
    pub fn check_capacity(&self) -> Result<(), StudyError> {
        self.engine.check_data(self.dataset)?;
        let batch = self.largest_batch();
        let shapes = self.shapes();
        for shape in &shapes {
            self.engine.capacity(shape, batch)?;
        }
        self.engine.will_train(&shapes);
        Ok(())
    }

    fn largest_batch(&self) -> usize {
        let space = self.sweep.space.only(&["batch_size"]);
        let mut grid = Grid::new(&space);
        let mut largest = 1;
        loop {
            let proposals = grid.propose(GENERATION_TRIALS);
            if proposals.is_empty() {
                return largest;
            }
            for proposal in proposals {
                let batch_size = assign(&space, &proposal.params).u64("batch_size");
                largest = largest.max(usize::try_from(batch_size).unwrap_or(usize::MAX));
            }
        }
    }

    /// The shapes of the study's networks, found without walking through all its trials.
    fn shapes(&self) -> BTreeSet<Shape> {
        let named = ["hidden", "layers", "units", "batch_norm"];
        let space = self.sweep.space.only(&named);
        let mut grid = Grid::new(&space);
        let mut shapes = BTreeSet::new();
        loop {
            let proposals = grid.propose(GENERATION_TRIALS);
            if proposals.is_empty() {
                return shapes;
            }
            let shape = |proposal: &Proposal| self.shape(&assign(&space, &proposal.params));
            shapes.extend(proposals.iter().map(shape));
        }
    }

    /// What `run.json` holds of a study that begins now.
    pub fn record(&self) -> RunRecord {
        RunRecord {
            schema_version: SCHEMA_VERSION,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            created: jiff::Timestamp::now()
                .strftime("%Y-%m-%dT%H:%M:%SZ")
                .to_string(),
            sweep: serde_json::to_value(self.sweep).expect("a sweep is plain JSON"),
            seed: self.sweep.search.seed.0,
            data: self.data_record(),
            adapter: self.adapter_record(),
            plan: PlanRecord {
                trials: self.trials(),
                members_per_trial: self.members_per_trial().count(),
                limits: self.engine.limits(),
            },
        }
    }

    fn data_record(&self) -> DataRecord {
        let test_rows = self.splits.refit.validation.len() as u64;
        DataRecord {
            name: self.dataset.name.clone(),
            fingerprint: self.dataset.fingerprint(),
            rows: self.splits.refit.train.len() as u64,
            test_rows,
            features: self.dataset.features.columns() as u64,
            classes: self.dataset.class_names.clone(),
        }
    }

    /// Checks that a run that is gone on with is of this very study.
    ///
    /// # Errors
    /// [`StudyError::OtherRun`] names what differs.
    pub fn check_same(&self, folder: &str, stored: &RunRecord) -> Result<(), StudyError> {
        let given = self.record();
        // The fingerprint says what the data is; from where it was read may differ.
        let without_source = |sweep: &serde_json::Value| {
            let mut sweep = sweep.clone();
            if let Some(data) = sweep
                .pointer_mut("/data")
                .and_then(|data| data.as_object_mut())
            {
                data.remove("source");
            }
            sweep
        };
        let sweeps = (without_source(&stored.sweep), without_source(&given.sweep));
        let compared = [
            ("sweep", first_difference(&sweeps.0, &sweeps.1)),
            (
                "data",
                differ(&stored.data.fingerprint, &given.data.fingerprint),
            ),
            (
                "engine",
                differ(&stored.adapter.engine, &given.adapter.engine),
            ),
        ];
        for (what, difference) in compared {
            if let Some((stored, given)) = difference {
                return Err(StudyError::OtherRun {
                    run: folder.to_owned(),
                    what,
                    stored,
                    given,
                });
            }
        }
        Ok(())
    }

    /// Checks that waves that were planned for one adapter fit the buffers of this one.
    ///
    /// # Errors
    /// [`EngineError::AdapterLacks`] names the limit.
    pub fn check_plan(&self, plan: &PlanRecord) -> Result<(), StudyError> {
        let most = |limits: Limits| limits.layout.map(|layout| layout.most_buffer_bytes);
        match (most(plan.limits), most(self.engine.limits())) {
            (Some(needed), Some(value)) if value < needed => Err(EngineError::AdapterLacks {
                adapter: self.engine.adapter().name,
                what: "bytes a buffer, with which the run was planned".to_owned(),
                value,
                needed,
            }
            .into()),
            _ => Ok(()),
        }
    }

    /// A warning where a run is gone on with on another adapter than it was begun on: bits are
    /// promised on the same one only.
    pub fn other_machine(&self, stored: &RunRecord) -> Option<String> {
        let (now, then) = (self.adapter_record(), &stored.adapter);
        let describe = |adapter: &AdapterRecord| {
            let named = adapter.variants.iter();
            let variants = named.filter(|(name, _)| !name.starts_with(SHAPE_VARIANT));
            let variants: Vec<&str> = variants.map(|(_, variant)| variant.as_str()).collect();
            format!(
                "{} ({}; {})",
                adapter.name,
                adapter.driver,
                variants.join(", ")
            )
        };
        let (now, then) = (describe(&now), describe(then));
        (now != then).then(|| {
            format!("the run was begun on {then} and goes on on {now}: its last bits may differ from those of one machine")
        })
    }

    /// Trains all trials that the run does not hold yet, and ends it.
    ///
    /// # Errors
    /// When the engine or the disk fails. What was written stays, and can be gone on with.
    pub fn run(
        &self,
        run: &mut Run,
        plan: &PlanRecord,
        control: &mut Control<'_>,
    ) -> Result<Ending, StudyError> {
        let tally = Tally::read(&run.reader(), &self.sweep.train.objective, self.trials())?;
        self.engine.will_train(&self.shapes());
        let losses = AtomicU32::new(0);
        let planner = Planner {
            study: *self,
            limits: plan.limits,
            held: tally.held(),
            losses: &losses,
            stop: control.stop,
        };
        let mut session = Session {
            study: *self,
            run,
            tally,
            assembly: Assembly::new(self.members_per_trial()),
            control,
            losses: &losses,
            resumed: false,
            marked: None,
        };
        std::thread::scope(|scope| {
            let (plans, planned) = sync_channel(0);
            let planner = scope.spawn(move || planner.run(&plans));
            for planned in planned {
                match session.wave(planned) {
                    Ok(WaveEnd::Finished) => {}
                    Ok(WaveEnd::Interrupted) => {
                        session.run.settle()?;
                        return Ok(Ending::Interrupted);
                    }
                    Err(error) => return Err(session.failed(error)),
                }
            }
            // Were the plan cut short, the study would not be at its end.
            if let Err(panic) = planner.join() {
                std::panic::resume_unwind(panic);
            }
            session.finish()
        })
    }
}

/// Trials that are proposed together, and their waves.
#[derive(Clone, Debug)]
pub struct Generation {
    /// What the sampler proposed.
    pub proposals: Vec<Proposal>,
    /// Their members, laid out.
    pub waves: Vec<Wave>,
}

/// An adapter as a record.
pub fn adapter_record(adapter: AdapterDescription) -> AdapterRecord {
    AdapterRecord {
        name: adapter.name,
        backend: adapter.backend,
        driver: adapter.driver,
        engine: adapter.engine,
        limits: adapter.limits,
        variants: adapter.variants,
    }
}

fn differ(stored: &str, given: &str) -> Option<(String, String)> {
    (stored != given).then(|| (stored.to_owned(), given.to_owned()))
}

/// The first place where two JSON values differ: its path with either value.
fn first_difference(
    stored: &serde_json::Value,
    given: &serde_json::Value,
) -> Option<(String, String)> {
    use serde_json::Value;
    if stored == given {
        return None;
    }
    let inside = |label: &str, a: &Value, b: &Value| {
        let (a, b) = first_difference(a, b)?;
        Some((format!("{label}: {a}"), format!("{label}: {b}")))
    };
    match (stored, given) {
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => a
            .iter()
            .find_map(|(key, value)| inside(key, value, &b[key])),
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter()
                .zip(b)
                .find_map(|(a, b)| match (a["name"].as_str(), b["name"].as_str()) {
                    (Some(name), Some(other)) if name == other => inside(name, a, b),
                    _ => first_difference(a, b),
                })
        }
        _ => Some((short(stored), short(given))),
    }
}

fn short(value: &serde_json::Value) -> String {
    let text = value.to_string();
    let cut: String = text.chars().take(80).collect();
    if cut.len() < text.len() {
        cut + "..."
    } else {
        cut
    }
}
