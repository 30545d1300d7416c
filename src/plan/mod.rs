//! Trials -> members -> cohorts -> waves, under an adapter's limits.
//!
//! The plan is a pure function of the trials and of the [`Limits`], which are stored with the run:
//! resume lays the same members into the same waves.

mod footprint;
mod resident;

use std::borrow::Borrow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::train::{Hyperparameters, Member, MemberId, Shape};

pub use footprint::{BufferLayout, Footprint, LayerBytes, NormBytes};
pub use resident::{ScratchLayer, ScratchLayout, arena_layout};

/// A trial that is ready to be laid out.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedTrial {
    /// Number of the trial.
    pub trial: u64,
    /// Shape of its network.
    pub shape: Shape,
    /// How its members are trained.
    pub hyperparameters: Hyperparameters,
}

/// Members that are trained together.
#[derive(Clone, Debug, PartialEq)]
pub struct Wave {
    /// Number of the wave in the study, from 0.
    pub number: u64,
    /// Shapes of its networks, in the order of their first members.
    pub shapes: Vec<Shape>,
    /// Its members: trial after trial, and in a trial repeat after repeat, fold after fold.
    pub members: Vec<Member>,
}

impl Wave {
    /// Shape of a member's network.
    pub fn shape_of(&self, member: &Member) -> &Shape {
        &self.shapes[member.shape]
    }

    /// Bytes of all its members.
    pub fn bytes(&self, layout: Option<BufferLayout>) -> u64 {
        let bytes = |member: &Member| {
            Footprint::new(self.shape_of(member), &member.hyperparameters, layout).total()
        };
        self.members.iter().map(bytes).fold(0, u64::saturating_add)
    }
}

/// What a wave may hold on the adapter that a study uses, and what is enough for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes that a wave never exceeds, but by a single member: parameters, moments and running
    /// statistics, and with a `layout` also activations.
    pub most_bytes: u64,
    /// Members that a wave never exceeds.
    pub most_members: u64,
    /// A wave that would exceed these bytes by another trial is closed, if it has ...
    pub enough_bytes: u64,
    /// ... at least these members, which keep the adapter busy.
    pub enough_members: u64,
    /// How a GPU engine lays members out; the cpu engine has no need of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<BufferLayout>,
}

impl Limits {
    /// Whether these bytes are within the limits.
    pub fn hold(&self, bytes: &Footprint) -> bool {
        let most_buffer = self.layout.map_or(u64::MAX, |l| l.most_buffer_bytes);
        bytes.total() <= self.most_bytes && bytes.largest() <= most_buffer
    }
}

/// Members that every trial has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MembersPerTrial {
    /// Seeds of the same trial.
    pub repeats: u32,
    /// Train/validation splits.
    pub folds: u32,
}

impl MembersPerTrial {
    /// repeats x folds.
    pub fn count(self) -> u64 {
        u64::from(self.repeats) * u64::from(self.folds)
    }

    /// The place of a member in the lists of a trial's record.
    pub fn slot(self, id: MemberId) -> usize {
        id.repeat as usize * self.folds as usize + id.fold as usize
    }
}

/// Bytes of state that a member holds between steps: parameters, moments and running statistics in
/// f32.
pub fn member_bytes(shape: &Shape, hyperparameters: &Hyperparameters) -> u64 {
    let values = 1 + hyperparameters.optimizer.moments() as u64;
    (shape.parameters() as u64 * values + shape.running() as u64) * 4
}

/// Lays out one generation of trials: cohorts, or groups of them that share waves, in the order in
/// which their first trial was proposed, each cut into waves that keep to the limits. A trial's
/// members stay in one wave unless they alone exceed what it may hold. Numbers start at `first_wave`.
pub fn waves(
    trials: &[PlannedTrial],
    per_trial: MembersPerTrial,
    limits: Limits,
    first_wave: u64,
) -> Vec<Wave> {
    let mut waves: Vec<Wave> = Vec::new();
    for group in groups(trials, limits.layout) {
        let (shapes, shape_of) = distinct(&group);
        let mut packer = Packer::new(limits);
        for (&trial, &shape) in group.iter().zip(&shape_of) {
            let footprint = Footprint::new(&trial.shape, &trial.hyperparameters, limits.layout);
            packer.add(members(trial, shape, per_trial), &footprint);
        }
        let of_group = packer.finish().into_iter();
        waves.extend(of_group.map(|members| {
            let (shapes, members) = with_own_shapes(&shapes, members);
            Wave {
                number: 0,
                shapes,
                members,
            }
        }));
    }
    for (wave, number) in waves.iter_mut().zip(first_wave..) {
        wave.number = number;
    }
    waves
}

/// The trials whose members may share waves: of one shape, or of all that are mixed. Groups are in the order of their
/// first trial.
fn groups(trials: &[PlannedTrial], layout: Option<BufferLayout>) -> Vec<Vec<&PlannedTrial>> {
    let mixed = |shape: &Shape| layout.is_some_and(|layout| layout.is_mixed(shape));
    let mut place: BTreeMap<Option<&Shape>, usize> = BTreeMap::new();
    let mut groups: Vec<Vec<&PlannedTrial>> = Vec::new();
    for trial in trials {
        let key = (!mixed(&trial.shape)).then_some(&trial.shape);
        let at = *place.entry(key).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[at].push(trial);
    }
    groups
}

/// The shapes of some trials, and the place of each trial's among them.
fn distinct<'t>(trials: &[&'t PlannedTrial]) -> (Vec<&'t Shape>, Vec<usize>) {
    let mut place: BTreeMap<&Shape, usize> = BTreeMap::new();
    let mut shapes = Vec::new();
    let mut shape_of = Vec::with_capacity(trials.len());
    for trial in trials {
        let at = *place.entry(&trial.shape).or_insert_with(|| {
            shapes.push(&trial.shape);
            shapes.len() - 1
        });
        shape_of.push(at);
    }
    (shapes, shape_of)
}

/// Members whose shapes are among these, with those shapes alone that they have, in the order of their first members.
pub fn with_own_shapes<S: Borrow<Shape>>(
    shapes: &[S],
    mut members: Vec<Member>,
) -> (Vec<Shape>, Vec<Member>) {
    let mut place: BTreeMap<usize, usize> = BTreeMap::new();
    let mut own = Vec::new();
    for member in &mut members {
        member.shape = *place.entry(member.shape).or_insert_with(|| {
            own.push(shapes[member.shape].borrow().clone());
            own.len() - 1
        });
    }
    (own, members)
}

fn members(trial: &PlannedTrial, shape: usize, per_trial: MembersPerTrial) -> Vec<Member> {
    let member = |repeat, fold| Member {
        id: MemberId {
            trial: trial.trial,
            repeat,
            fold,
        },
        shape,
        hyperparameters: trial.hyperparameters,
    };
    (0..per_trial.repeats)
        .flat_map(|repeat| (0..per_trial.folds).map(move |fold| member(repeat, fold)))
        .collect()
}

/// Fills one wave after another.
struct Packer {
    limits: Limits,
    full: Vec<Vec<Member>>,
    open: Vec<Member>,
    open_bytes: Footprint,
}

impl Packer {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            full: Vec::new(),
            open: Vec::new(),
            open_bytes: Footprint::default(),
        }
    }

    /// Adds the members of one trial, each of this footprint.
    fn add(&mut self, members: Vec<Member>, each: &Footprint) {
        let whole = members.len() as u64;
        let stays_whole = self.may_hold(0, &Footprint::default(), whole, each);
        if self.is_enough(whole * each.total()) || stays_whole && !self.takes(whole, each) {
            self.close();
        }
        for member in members {
            if !self.takes(1, each) {
                self.close();
            }
            self.open.push(member);
            self.open_bytes.add(each, 1);
        }
    }

    /// The open wave keeps the adapter busy, and these further bytes would be more than enough.
    fn is_enough(&self, bytes: u64) -> bool {
        self.open.len() as u64 >= self.limits.enough_members
            && self.open_bytes.total() + bytes > self.limits.enough_bytes
    }

    fn takes(&self, members: u64, each: &Footprint) -> bool {
        self.may_hold(self.open.len() as u64, &self.open_bytes, members, each)
    }

    fn may_hold(&self, open: u64, bytes: &Footprint, members: u64, each: &Footprint) -> bool {
        let mut bytes = bytes.clone();
        bytes.add(each, members);
        open + members <= self.limits.most_members && self.limits.hold(&bytes)
    }

    /// A member that is larger than a wave still gets one of its own: whether it can be trained at
    /// all is the engine's word.
    fn close(&mut self) {
        if !self.open.is_empty() {
            self.full.push(std::mem::take(&mut self.open));
            self.open_bytes = Footprint::default();
        }
    }

    fn finish(mut self) -> Vec<Vec<Member>> {
        self.close();
        self.full
    }
}

#[cfg(test)]
mod tests;
