//! The wave that is being trained, as a safetensors file that other tools can open.
//!
//! Tensors: `parameters` [members, parameters], `moment_1`, `moment_2` (one row for each member
//! whose optimizer keeps it) and `running` [members, running] in f32, or, where rows differ in
//! length, in one dimension, row after row; `members` [members, 11] u64 and `losses` [members, 2]
//! f64 with how far each is and how long its rows are; `histories` [members of the wave, 7] u64 and
//! `curves` [epochs summed, 3] f64.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::{StoreError, atomic};
use crate::engine::MemberSnapshot;
use crate::train::MemberId;

const MEMBER_FIELDS: usize = 11;
/// Of versions whose waves had one shape: lengths of rows are those of the tensors.
const MEMBER_FIELDS_OF_ONE_SHAPE: usize = 9;
const HISTORY_FIELDS: usize = 7;

/// What a member did, epoch by epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberHistory {
    /// Whose history it is.
    pub id: MemberId,
    /// Training loss, validation loss and validation accuracy of each epoch.
    pub epochs: Vec<[f64; 3]>,
    /// Training rows seen, when the member left the wave.
    pub samples: u64,
    /// Updates made, when the member left the wave.
    pub steps: u64,
    /// The member diverged and has left the wave.
    pub diverged: bool,
}

/// The unfinished wave.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Where it was, and what it had cost.
    pub header: CheckpointHeader,
    /// State of the members that are kept.
    pub members: Vec<MemberSnapshot>,
    /// Histories of all members of the wave, in the order of the plan.
    pub histories: Vec<MemberHistory>,
}

/// The scalar part of a checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckpointHeader {
    /// Number of the wave.
    pub wave: u64,
    /// It trains the refit of the best trial.
    pub refit: bool,
    /// Seconds spent training.
    pub train_s: f64,
    /// Seconds spent evaluating.
    pub evaluate_s: f64,
    /// Seconds of wall time.
    pub wall_s: f64,
}

/// Writes the checkpoint, whole or not at all.
pub fn write(path: &Path, checkpoint: &Checkpoint) -> Result<(), StoreError> {
    let tensors = Tensors::of(checkpoint);
    let header = serde_json::to_string(&checkpoint.header).expect("plain numbers");
    let info = HashMap::from([("regatta".to_owned(), header)]);
    let bytes = safetensors::serialize(tensors.views(), Some(info))
        .map_err(|error| StoreError::damaged(path, error))?;
    atomic::write_bytes(path, &bytes)
}

/// Reads a checkpoint; `None` when there is none.
pub fn read(path: &Path) -> Result<Option<Checkpoint>, StoreError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io("read", path)(error)),
    };
    parse(&bytes)
        .map(Some)
        .map_err(|reason| StoreError::DamagedCheckpoint {
            path: path.to_owned(),
            reason,
        })
}

/// The tensors as bytes, little-endian.
struct Tensors {
    all: Vec<(&'static str, Dtype, Vec<usize>, Vec<u8>)>,
}

impl Tensors {
    fn of(checkpoint: &Checkpoint) -> Self {
        let members = &checkpoint.members;
        let mut tensors = Self { all: Vec::new() };
        let rows = members.iter().map(|m| &m.parameters);
        tensors.add_f32("parameters", rows);
        for (k, name) in ["moment_1", "moment_2"].into_iter().enumerate() {
            tensors.add_f32(name, members.iter().filter_map(|m| m.moments.get(k)));
        }
        tensors.add_f32("running", members.iter().map(|m| &m.running));
        tensors.add_u64(
            "members",
            MEMBER_FIELDS,
            members.iter().flat_map(member_fields),
        );
        let losses = members.iter().flat_map(|m| [m.loss_sum, m.train_loss]);
        tensors.add_f64("losses", 2, losses);
        let histories = &checkpoint.histories;
        tensors.add_u64(
            "histories",
            HISTORY_FIELDS,
            histories.iter().flat_map(history_fields),
        );
        let curves = histories
            .iter()
            .flat_map(|h| h.epochs.iter().flatten().copied());
        tensors.add_f64("curves", 3, curves);
        tensors
    }

    fn add_f32<'a>(&mut self, name: &'static str, rows: impl Iterator<Item = &'a Vec<f32>>) {
        let (mut bytes, mut widths) = (Vec::new(), Vec::new());
        for row in rows {
            widths.push(row.len());
            bytes.extend(row.iter().flat_map(|value| value.to_le_bytes()));
        }
        let width = widths.first().copied().unwrap_or(0);
        let shape = match widths.iter().all(|&other| other == width) {
            true => vec![widths.len(), width],
            false => vec![widths.iter().sum()],
        };
        self.all.push((name, Dtype::F32, shape, bytes));
    }

    fn add_u64(&mut self, name: &'static str, width: usize, values: impl Iterator<Item = u64>) {
        self.add(
            name,
            Dtype::U64,
            width,
            values.flat_map(u64::to_le_bytes).collect(),
        );
    }

    fn add_f64(&mut self, name: &'static str, width: usize, values: impl Iterator<Item = f64>) {
        self.add(
            name,
            Dtype::F64,
            width,
            values.flat_map(f64::to_le_bytes).collect(),
        );
    }

    fn add(&mut self, name: &'static str, dtype: Dtype, width: usize, bytes: Vec<u8>) {
        let shape = vec![bytes.len() / (8 * width), width];
        self.all.push((name, dtype, shape, bytes));
    }

    fn views(&self) -> Vec<(&'static str, TensorView<'_>)> {
        let mut views = Vec::new();
        for (name, dtype, shape, bytes) in &self.all {
            let view = TensorView::new(*dtype, shape.clone(), bytes);
            views.push((*name, view.expect("shapes are made from the bytes")));
        }
        views
    }
}

fn member_fields(member: &MemberSnapshot) -> [u64; MEMBER_FIELDS] {
    [
        member.id.trial,
        u64::from(member.id.repeat),
        u64::from(member.id.fold),
        member.moments.len() as u64,
        member.steps,
        member.samples,
        u64::from(member.epoch),
        member.cursor,
        u64::from(member.diverged),
        member.parameters.len() as u64,
        member.running.len() as u64,
    ]
}

fn history_fields(history: &MemberHistory) -> [u64; HISTORY_FIELDS] {
    [
        history.id.trial,
        u64::from(history.id.repeat),
        u64::from(history.id.fold),
        history.epochs.len() as u64,
        history.samples,
        history.steps,
        u64::from(history.diverged),
    ]
}

type Parsed<T> = Result<T, String>;

fn parse(bytes: &[u8]) -> Parsed<Checkpoint> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
    let info = metadata
        .metadata()
        .as_ref()
        .and_then(|info| info.get("regatta"));
    let header = info.ok_or("it is not regatta's")?;
    let header = serde_json::from_str(header).map_err(|e| e.to_string())?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    Ok(Checkpoint {
        header,
        members: parse_members(&tensors)?,
        histories: parse_histories(&tensors)?,
    })
}

fn parse_members(tensors: &SafeTensors<'_>) -> Parsed<Vec<MemberSnapshot>> {
    let mut parameters = Rows::f32(tensors, "parameters")?;
    let mut moments = [
        Rows::f32(tensors, "moment_1")?,
        Rows::f32(tensors, "moment_2")?,
    ];
    let mut running = Rows::f32_if_there(tensors, "running")?;
    let losses = words(tensors, "losses", Dtype::F64)?;
    let losses: Vec<f64> = losses.into_iter().map(f64::from_bits).collect();
    let members = words(tensors, "members", Dtype::U64)?;
    let columns = tensors.tensor("members").map_err(|e| e.to_string())?;
    let columns = match columns.shape() {
        &[_, columns @ (MEMBER_FIELDS | MEMBER_FIELDS_OF_ONE_SHAPE)] => columns,
        shape => return Err(format!("`members` is {shape:?}")),
    };
    let mut losses = losses.chunks_exact(2);
    let mut snapshots = Vec::new();
    for fields in members.chunks_exact(columns) {
        let kept = usize_of(fields[3]);
        let of_member = |field: usize| fields.get(field).copied().map(usize_of);
        let (values, statistics) = (of_member(9), of_member(10));
        let loss = losses.next().ok_or("`losses` is too short")?;
        snapshots.push(MemberSnapshot {
            id: id(fields)?,
            parameters: parameters.next(values)?,
            moments: moments
                .iter_mut()
                .take(kept)
                .map(|rows| rows.next(values))
                .collect::<Parsed<_>>()?,
            running: running.next(statistics)?,
            steps: fields[4],
            samples: fields[5],
            epoch: u32_of(fields[6])?,
            cursor: fields[7],
            loss_sum: loss[0],
            train_loss: loss[1],
            diverged: fields[8] != 0,
        });
    }
    Ok(snapshots)
}

fn parse_histories(tensors: &SafeTensors<'_>) -> Parsed<Vec<MemberHistory>> {
    let curves = words(tensors, "curves", Dtype::F64)?;
    let mut curves = curves
        .chunks_exact(3)
        .map(|epoch| [0, 1, 2].map(|i| f64::from_bits(epoch[i])));
    let histories = words(tensors, "histories", Dtype::U64)?;
    let history = |fields: &[u64]| {
        let length = usize_of(fields[3]);
        let epochs: Vec<_> = curves.by_ref().take(length).collect();
        if epochs.len() < length {
            return Err("`curves` is too short".to_owned());
        }
        Ok(MemberHistory {
            id: id(fields)?,
            epochs,
            samples: fields[4],
            steps: fields[5],
            diverged: fields[6] != 0,
        })
    };
    histories
        .chunks_exact(HISTORY_FIELDS)
        .map(history)
        .collect()
}

fn id(fields: &[u64]) -> Parsed<MemberId> {
    Ok(MemberId {
        trial: fields[0],
        repeat: u32_of(fields[1])?,
        fold: u32_of(fields[2])?,
    })
}

fn u32_of(value: u64) -> Parsed<u32> {
    u32::try_from(value).map_err(|_| format!("{value} is out of range"))
}

/// Larger numbers than fit are larger than any tensor.
fn usize_of(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// All values of a tensor of 8-byte numbers, as their bits.
fn words(tensors: &SafeTensors<'_>, name: &str, dtype: Dtype) -> Parsed<Vec<u64>> {
    let tensor = tensors.tensor(name).map_err(|e| e.to_string())?;
    if tensor.dtype() != dtype {
        return Err(format!("`{name}` holds {:?}", tensor.dtype()));
    }
    let chunks = tensor.data().chunks_exact(8);
    let word = |chunk: &[u8]| u64::from_le_bytes(chunk.try_into().expect("8 bytes"));
    Ok(chunks.map(word).collect())
}

/// Rows of f32, one after another.
struct Rows<'a> {
    name: &'static str,
    /// Of a row, where all have one.
    width: Option<usize>,
    bytes: &'a [u8],
}

impl<'a> Rows<'a> {
    fn f32(tensors: &SafeTensors<'a>, name: &'static str) -> Parsed<Self> {
        let tensor = tensors.tensor(name).map_err(|e| e.to_string())?;
        match (tensor.dtype(), tensor.shape()) {
            (Dtype::F32, &[_, width]) => Ok(Self {
                name,
                width: Some(width),
                bytes: tensor.data(),
            }),
            (Dtype::F32, &[_]) => Ok(Self {
                name,
                width: None,
                bytes: tensor.data(),
            }),
            (dtype, shape) => Err(format!("`{name}` holds {dtype:?} {shape:?}")),
        }
    }

    /// Rows of no values where there is no such tensor: versions without batch norm wrote none.
    fn f32_if_there(tensors: &SafeTensors<'a>, name: &'static str) -> Parsed<Self> {
        if tensors.names().contains(&name) {
            return Self::f32(tensors, name);
        }
        Ok(Self {
            name,
            width: Some(0),
            bytes: &[],
        })
    }

    /// The next row: of so many values, if that is known, else as wide as all.
    fn next(&mut self, values: Option<usize>) -> Parsed<Vec<f32>> {
        let bytes = values.or(self.width).and_then(|width| width.checked_mul(4));
        let split = bytes.and_then(|bytes| self.bytes.split_at_checked(bytes));
        let (row, rest) = split.ok_or_else(|| format!("`{}` is too short", self.name))?;
        self.bytes = rest;
        let value = |chunk: &[u8]| f32::from_le_bytes(chunk.try_into().expect("4 bytes"));
        Ok(row.chunks_exact(4).map(value).collect())
    }
}
