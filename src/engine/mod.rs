//! What trains members.
//!
//! An [`Engine`] is bound to one adapter. [`Engine::start`] puts the members of a wave on it;
//! the [`Running`] wave is then trained and evaluated epoch by epoch. Members are data: an engine
//! trains any mix of shapes and hyperparameters in one wave, and what it computes for a member
//! depends on that member alone.

mod cohorts;
pub mod cpu;
pub mod gpu;
mod snapshot;
mod trace;

use std::collections::{BTreeMap, BTreeSet};

use crate::data::{Dataset, Fold, Splits};
use crate::plan::Limits;
use crate::seed::Seed;
use crate::train::{Member, MemberId, REFIT, Shape};

pub use snapshot::MemberSnapshot;
pub use trace::{Busy, Span, Trace, Track};

/// The adapter and the engine on it, for people and for `run.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterDescription {
    /// Name of the device.
    pub name: String,
    /// `native` for the cpu engine.
    pub backend: String,
    /// Driver, or the library that does the products, with what it uses of the device.
    pub driver: String,
    /// `cpu`, `layered` or `resident`.
    pub engine: String,
    /// Limits that matter, by name.
    pub limits: BTreeMap<String, u64>,
    /// Kernel variants, by operation.
    pub variants: BTreeMap<String, String>,
}

/// Variants whose names begin like this say which engine trains a shape, and how.
pub const SHAPE_VARIANT: &str = "shape ";

/// Variants whose names begin like this say in which form waves of a class are trained, where that was
/// measured.
pub const TUNED_VARIANT: &str = "tuned ";

/// Why an engine cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A single member of the shape is too large for the adapter.
    #[error(
        "a network of shape {shape} needs {needed} bytes to be trained with its batches, more than the {available} bytes that `{adapter}` has; use smaller widths in `hidden` or a smaller `batch_size`"
    )]
    TooLarge {
        /// Shape of the network.
        shape: Shape,
        /// Bytes it needs.
        needed: u64,
        /// Bytes there are.
        available: u64,
        /// Name of the adapter.
        adapter: String,
    },
    /// The resident engine was asked for, and a workgroup cannot sensibly train the network.
    #[error(
        "the weights of a network of shape {shape} take {needed} bytes, more than the {available} bytes that one workgroup of `{adapter}` can train with --engine resident; {fits}, or take --engine layered"
    )]
    NotResident {
        /// Shape of the network.
        shape: Shape,
        /// Bytes of its parameters, rows padded.
        needed: u64,
        /// Bytes that they may take.
        available: u64,
        /// Name of the adapter.
        adapter: String,
        /// What would fit.
        fits: String,
    },
    /// The resident engine was asked for, and the driver would end a step before it is done.
    #[error(
        "a step of a network of shape {shape} with batches of {batch} rows is more than one workgroup of `{adapter}` can make with --engine resident: its driver ends loops after 65535 iterations; use a smaller `batch_size`, or take --engine layered"
    )]
    StepTooLong {
        /// Shape of the network.
        shape: Shape,
        /// Rows of the largest batch.
        batch: usize,
        /// Name of the adapter.
        adapter: String,
    },
    /// The rows do not fit the adapter.
    #[error(
        "the features of {data} take {bytes} bytes, more than the {available} bytes of a buffer of `{adapter}`; use --adapter cpu, or fewer rows"
    )]
    DataTooLarge {
        /// Name of the dataset.
        data: String,
        /// Bytes it needs.
        bytes: u64,
        /// Bytes there are.
        available: u64,
        /// Name of the adapter.
        adapter: String,
    },
    /// A stored state belongs to another network.
    #[error("the stored state of {what} does not fit this wave: {reason}")]
    StateMismatch {
        /// Which member or tensor.
        what: String,
        /// What differs.
        reason: String,
    },
    /// The threads of the cpu engine could not be started.
    #[error("the cpu engine could not start {threads} threads: {reason}")]
    Threads {
        /// Threads asked for.
        threads: usize,
        /// The system's words.
        reason: String,
    },
    /// An adapter is there, and a limit of it is too small for the kernels.
    #[error(
        "the adapter `{adapter}` has {value} {what}, and training needs {needed}; name another with --adapter (see `regatta adapters`)"
    )]
    AdapterLacks {
        /// Name of the adapter.
        adapter: String,
        /// The limit, in words and by wgpu's name.
        what: String,
        /// What the adapter has.
        value: u64,
        /// The least that will do.
        needed: u64,
    },
    /// The device was reset, removed, or gave up.
    #[error(
        "the adapter `{adapter}` was lost: {reason}; go on from the last checkpoint with --resume"
    )]
    DeviceLost {
        /// Name of the adapter.
        adapter: String,
        /// The driver's words.
        reason: String,
    },
    /// The adapter's memory is full.
    #[error(
        "the adapter `{adapter}` has no room for {what} of {bytes} bytes; end what else uses it, or use smaller widths in `hidden` or a smaller `batch_size`"
    )]
    OutOfMemory {
        /// Name of the adapter.
        adapter: String,
        /// What was to be put there.
        what: String,
        /// Its size.
        bytes: u64,
    },
    /// A list of a wave is larger than a buffer may be.
    #[error(
        "{what} of a wave take {bytes} bytes, more than the {available} bytes of a buffer of `{adapter}`; use fewer `repeats` or `folds`, or --adapter cpu"
    )]
    BufferTooLarge {
        /// Name of the adapter.
        adapter: String,
        /// What was to be put there.
        what: String,
        /// Its size.
        bytes: u64,
        /// The most that a buffer may have.
        available: u64,
    },
    /// A kernel is not taken by the adapter's driver, or by wgpu.
    #[error(
        "the adapter `{adapter}` does not compile a kernel: {reason}; update its driver, or name another with --adapter"
    )]
    NotCompiled {
        /// Name of the adapter.
        adapter: String,
        /// wgpu's or the driver's words.
        reason: String,
    },
    /// The adapter could not be opened, or failed in another way.
    #[error(
        "the adapter `{adapter}` failed: {reason}; update its driver, or name another with --adapter"
    )]
    Device {
        /// Name of the adapter.
        adapter: String,
        /// wgpu's or the driver's words.
        reason: String,
    },
}

impl EngineError {
    /// What happened, without what a person may do about it.
    pub fn what(&self) -> String {
        let sentence = self.to_string();
        let what = sentence.split("; ").next();
        what.unwrap_or_default().to_owned()
    }

    /// The mistake is in what was asked for, not in the work.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::TooLarge { .. }
                | Self::NotResident { .. }
                | Self::StepTooLong { .. }
                | Self::DataTooLarge { .. }
                | Self::BufferTooLarge { .. }
                | Self::AdapterLacks { .. }
        )
    }
}

/// The data of a study as engines see it: stored once for all members and folds.
#[derive(Clone, Copy, Debug)]
pub struct TrainingData<'d> {
    /// All rows.
    pub dataset: &'d Dataset,
    /// Which rows train and validate, with the scaling of each fold.
    pub splits: &'d Splits,
}

impl<'d> TrainingData<'d> {
    /// The fold a member trains on; for [`REFIT`] all rows outside the test part.
    pub fn fold(&self, id: MemberId) -> &'d Fold {
        if id.fold == REFIT {
            &self.splits.refit
        } else {
            &self.splits.folds[id.fold as usize]
        }
    }
}

/// What [`Engine::start`] is given: a wave on the data of a study, which live longer.
#[derive(Clone, Copy, Debug)]
pub struct WaveSetup<'d, 'w> {
    /// The rows.
    pub data: TrainingData<'d>,
    /// The shapes of its networks; some may have no members.
    pub shapes: &'w [Shape],
    /// The members, slot after slot.
    pub members: &'w [Member],
    /// Seed of the study.
    pub seed: Seed,
}

impl<'w> WaveSetup<'_, 'w> {
    /// Shape of a member's network.
    pub fn shape_of(&self, member: &Member) -> &'w Shape {
        &self.shapes[member.shape]
    }
}

/// Which rows of a member's fold are evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The rows it is trained on.
    Training,
    /// The rows of its fold that it is not trained on; for a refit the test rows.
    Validation,
}

impl Part {
    /// The rows of a fold that it means.
    pub fn rows(self, fold: &Fold) -> &[u32] {
        match self {
            Self::Training => &fold.train,
            Self::Validation => &fold.validation,
        }
    }
}

/// Counts and loss of one member over a part of the rows; metrics are made from them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// Rows that were evaluated.
    pub rows: u64,
    /// Cross-entropy in nats, summed over the rows.
    pub loss_sum: f64,
    /// Rows of each class that were given that class.
    pub true_positives: Vec<u64>,
    /// Rows that were given each class.
    pub predicted: Vec<u64>,
    /// Rows of each class.
    pub actual: Vec<u64>,
}

/// How far a member is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MemberStatus {
    /// Epochs trained to their end.
    pub epoch: u32,
    /// Mean loss over the rows of the last finished epoch, each row counted before the update that
    /// it was part of; NaN before the first.
    pub train_loss: f64,
    /// Rows trained on, counted again each time.
    pub samples: u64,
    /// Optimizer updates made.
    pub steps: u64,
    /// The loss, a weight or a running statistic stopped being finite, or the loss passed
    /// [`DIVERGED_CROSS_ENTROPY`](crate::train::DIVERGED_CROSS_ENTROPY): the member is frozen.
    pub diverged: bool,
}

/// What training has cost the device and the host, where an engine was told to measure it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timing {
    /// Seconds that the device spent training, by its own timestamps; `None` where it has none.
    pub device_s: Option<f64>,
    /// Seconds that the host spent encoding what the device did.
    pub encode_s: f64,
    /// Dispatches that were encoded.
    pub dispatches: u64,
}

/// How a call of [`Running::train`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Every live member reached the epoch.
    Reached,
    /// `pause` asked for a stop; the next call goes on from there.
    Paused,
}

/// Something that trains members on one adapter.
pub trait Engine: Sync {
    /// The adapter and the engine on it.
    fn adapter(&self) -> AdapterDescription;

    /// The same for networks of these shapes, with batches of up to so many rows: an adapter may have
    /// engines of which each takes some, and the variants then say which.
    fn adapter_for(&self, _shapes: &BTreeSet<Shape>, _batch: usize) -> AdapterDescription {
        self.adapter()
    }

    /// Says that from now on waves of these shapes are started, and of no others: an engine may compile kernels
    /// for them. Results do not depend on it.
    fn will_train(&self, _shapes: &BTreeSet<Shape>) {}

    /// What a wave may hold here. Stored with the run; the plan is made from it.
    fn limits(&self) -> Limits;

    /// Whether the adapter can hold the rows.
    ///
    /// # Errors
    /// [`EngineError::DataTooLarge`] when it cannot.
    fn check_data(&self, _dataset: &Dataset) -> Result<(), EngineError> {
        Ok(())
    }

    /// Members of this shape, with batches of up to `batch` rows, that the adapter can hold at once.
    ///
    /// # Errors
    /// [`EngineError::TooLarge`] when there is no room for a single one.
    fn capacity(&self, shape: &Shape, batch: usize) -> Result<u64, EngineError>;

    /// Makes the engine usable again after [`EngineError::DeviceLost`]: on a new device of the same
    /// adapter, or on another adapter. Waves that were started before are lost. Gives the name of
    /// what it now works on.
    ///
    /// # Errors
    /// When there is nothing to go on with.
    fn recover(&self) -> Result<String, EngineError> {
        Ok(self.adapter().name)
    }

    /// Puts the members on the adapter with their initial weights.
    ///
    /// # Errors
    /// When the adapter cannot hold them.
    fn start<'r>(&'r self, wave: WaveSetup<'r, '_>) -> Result<Box<dyn Running + 'r>, EngineError>;

    /// The same for a wave that is to be trained when another has ended, which is trained meanwhile; `None` where
    /// that would gain nothing.
    fn start_beside<'r>(
        &'r self,
        _wave: WaveSetup<'r, '_>,
    ) -> Option<Result<Box<dyn Running + 'r>, EngineError>> {
        None
    }
}

/// A wave that is being trained. Lists have one entry per slot, in slot order; slots are the
/// members that are still kept.
pub trait Running: Send {
    /// Trains every live member until it has finished `epoch` epochs. `pause` is asked at least
    /// every fraction of a second, from any thread.
    ///
    /// # Errors
    /// When the adapter fails.
    fn train(
        &mut self,
        epoch: u32,
        pause: &(dyn Fn() -> bool + Sync),
    ) -> Result<Progress, EngineError>;

    /// Says that from now on, until epoch `until`, `part` is evaluated after each epoch before anything is
    /// saved again, and that between epochs the caller asks for nothing but [`status`](Self::status),
    /// [`members`](Self::members), [`keep`](Self::keep) and [`save`](Self::save). So the engine may evaluate in
    /// the same go as it trains, and begin the next epoch while the caller works on the last: what is saved is
    /// then the state that a member has by then, while `status` and [`evaluate`](Self::evaluate) tell of the
    /// end of the epoch. Results do not depend on it.
    ///
    /// # Panics
    /// Not this call, but an evaluation of another part between epochs, whose weights are gone by then.
    fn train_ahead(&mut self, _until: u32, _part: Part) {}

    /// Whether an epoch is being trained although no call is running.
    fn is_ahead(&self) -> bool {
        false
    }

    /// Whether all of it is on the adapter at once.
    fn is_whole(&self) -> bool {
        true
    }

    /// Seconds spent compiling kernels for this wave.
    fn compile_s(&self) -> f64 {
        0.0
    }

    /// What training has cost since the start, where the engine was told to measure it; waits for
    /// the device.
    ///
    /// # Errors
    /// When the adapter fails.
    fn timing(&self) -> Result<Option<Timing>, EngineError> {
        Ok(None)
    }

    /// How far each member is.
    fn status(&self) -> Vec<MemberStatus>;

    /// Counts and losses of each member; `None` for diverged ones.
    ///
    /// # Errors
    /// When the adapter fails.
    fn evaluate(&mut self, part: Part) -> Result<Vec<Option<Evaluation>>, EngineError>;

    /// Keeps only the members at these slots, which must ascend: the one mechanism for early
    /// stopping, rungs and divergence.
    fn keep(&mut self, slots: &[usize]);

    /// Copies parameters, running statistics and optimizer state of the network at slot `from` over
    /// those at `to`; `to` keeps its own hyperparameters.
    ///
    /// # Errors
    /// [`EngineError::StateMismatch`] when the two networks have different shapes, their optimizers keep different
    /// moments, or more rows of an epoch were trained on than the other has.
    fn copy(&mut self, from: usize, to: usize) -> Result<(), EngineError>;

    /// The whole state, member by member.
    ///
    /// # Errors
    /// When the adapter fails.
    fn save(&self) -> Result<Vec<MemberSnapshot>, EngineError>;

    /// Goes on from a stored state: keeps the members that are in it, at their stored steps.
    ///
    /// # Errors
    /// [`EngineError::StateMismatch`] when the state belongs to other members or shapes.
    fn load(&mut self, snapshots: &[MemberSnapshot]) -> Result<(), EngineError>;

    /// The members that are still kept.
    fn members(&self) -> Vec<Member>;

    /// Parameters of the member at a slot, in the layout of [`Shape::layers`].
    ///
    /// # Errors
    /// When the adapter fails.
    fn weights(&self, slot: usize) -> Result<Vec<f32>, EngineError>;
}
