//! Where each member of a wave lies on the device: a pure function of the wave.

use std::collections::BTreeMap;

use crate::engine::WaveSetup;
use crate::engine::gpu::layout::MemberData;
use crate::plan::{BufferLayout, ScratchLayout};
use crate::train::{Member, MemberId, Shape, dropout_key};

/// A row order that members share: that of a repeat and fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// One of the members that share it.
    pub id: MemberId,
    /// Index of its first row in `orders`.
    pub start: u32,
    /// Training rows of the fold.
    pub rows: u32,
}

/// Members by slot, and the places of what belongs to them.
#[derive(Clone, Debug)]
pub struct Placement {
    /// The members, those that take longest first: slot after slot.
    pub members: Vec<Member>,
    /// The same as kernels read it.
    pub data: Vec<MemberData>,
    /// Slot of each member of the setup.
    pub slots: Vec<u32>,
    /// Rows that all batches take in the buffers of activations.
    pub rows: u32,
    /// Row orders of an epoch.
    pub orders: Vec<Order>,
    /// Rows of all orders.
    pub order_rows: u32,
    /// One member of each fold, in the order of `scaling`.
    pub folds: Vec<MemberId>,
    /// Slots of the members of each shape, ascending: in this order they lie where members of a shape do.
    pub cohorts: Vec<Vec<u32>>,
    /// What a row costs each slot, in rows of the network that costs most.
    pub row_costs: Vec<f64>,
    /// `vec4`s of the resident engine's scratch; 0 where that does not train the wave.
    pub scratch: u64,
}

impl Placement {
    /// Places the members of a wave.
    pub fn new(setup: &WaveSetup<'_, '_>, layout: BufferLayout) -> Self {
        let (members, slots) = longest_first(setup);
        let (orders, order_rows) = orders(setup);
        let folds = folds(setup.members);
        let tables = tables(setup.shapes, layout);
        let mut cohorts = vec![Vec::new(); setup.shapes.len()];
        let mut moments_before = vec![0; setup.shapes.len()];
        let (mut first_row, mut scratch) = (0, 0);
        let mut data = Vec::with_capacity(members.len());
        for (slot, member) in (0..).zip(&members) {
            let (id, table) = (member.id, &tables[member.shape]);
            let order = &orders[&(id.repeat, id.fold)];
            data.push(MemberData {
                order_start: order.start,
                rows: order.rows,
                first_row,
                first_moment: moments_before[member.shape],
                scaling: folds[&id.fold].0,
                index: count(cohorts[member.shape].len()),
                first_layer: table.first_layer,
                layers: table.layers,
                scratch: count(scratch),
                row_stride: table.row_stride,
                ..MemberData::new(
                    &member.hyperparameters,
                    dropout_key(setup.seed, id.repeat, id.fold),
                )
            });
            let batch_size = member.hyperparameters.batch_size;
            first_row += count(layout.padded_rows(batch_size));
            scratch += layout.scratch(setup.shape_of(member), batch_size) / 16;
            moments_before[member.shape] += count(member.hyperparameters.optimizer.moments());
            cohorts[member.shape].push(slot);
        }
        let costs = setup.shapes.iter().map(|s| s.flops_per_sample() as f64);
        let most = costs.clone().fold(0.0, f64::max);
        let costs: Vec<f64> = costs.map(|cost| cost / most).collect();
        let mut ids: Vec<(u32, MemberId)> = folds.into_values().collect();
        ids.sort_unstable();
        Self {
            row_costs: members.iter().map(|member| costs[member.shape]).collect(),
            data,
            members,
            slots,
            rows: first_row,
            orders: orders.into_values().collect(),
            order_rows,
            folds: ids.into_iter().map(|(_, id)| id).collect(),
            cohorts,
            scratch,
        }
    }
}

/// Counts and places of a wave are those of its buffers, and bindings are smaller than 2^32 `vec4`s.
fn count(of: impl TryInto<u32>) -> u32 {
    let count = of.try_into().ok();
    count.expect("waves are limited by memory")
}

/// A shape in the resident engine's table of layers.
struct Table {
    first_layer: u32,
    layers: u32,
    row_stride: u32,
}

fn tables(shapes: &[Shape], layout: BufferLayout) -> Vec<Table> {
    let mut first_layer = 0;
    let table = |shape: &Shape| {
        let layers = count(shape.layers().len());
        let scratch = ScratchLayout::new(shape, layout.gathers);
        let table = Table {
            first_layer,
            layers,
            row_stride: count(scratch.row_stride),
        };
        first_layer += layers;
        table
    };
    shapes.iter().map(table).collect()
}

/// What a step costs beside its rows, in rows, roughly.
pub const STEP_ROWS: u32 = 8;

/// Members that take longest first. Those of one shape by their steps an epoch, so that a step that only some make is
/// a prefix.
fn longest_first(setup: &WaveSetup<'_, '_>) -> (Vec<Member>, Vec<u32>) {
    let work = |member: &Member| {
        let rows = setup.data.fold(member.id).train.len();
        let steps = rows.div_ceil(member.hyperparameters.batch_size);
        if setup.shapes.len() == 1 {
            return steps as u64;
        }
        let rows = rows as u64 + steps as u64 * u64::from(STEP_ROWS);
        rows.saturating_mul(setup.shape_of(member).flops_per_sample())
    };
    let mut order: Vec<usize> = (0..setup.members.len()).collect();
    order.sort_by_cached_key(|&i| std::cmp::Reverse(work(&setup.members[i])));
    let mut slots = vec![0; order.len()];
    for (slot, &i) in (0..).zip(&order) {
        slots[i] = slot;
    }
    (order.iter().map(|&i| setup.members[i]).collect(), slots)
}

/// The orders in the order of their keys, one behind the other.
fn orders(setup: &WaveSetup<'_, '_>) -> (BTreeMap<(u32, u32), Order>, u32) {
    let mut orders: BTreeMap<(u32, u32), Order> = BTreeMap::new();
    for member in setup.members {
        let id = member.id;
        orders.entry((id.repeat, id.fold)).or_insert_with(|| {
            let rows = setup.data.fold(id).train.len();
            let rows = u32::try_from(rows).expect("rows are numbered in u32");
            Order { id, start: 0, rows }
        });
    }
    let mut start = 0;
    for order in orders.values_mut() {
        order.start = start;
        start += order.rows;
    }
    (orders, start)
}

/// Each fold with its place in `scaling`, and one of its members.
fn folds(members: &[Member]) -> BTreeMap<u32, (u32, MemberId)> {
    let mut folds = BTreeMap::new();
    for member in members {
        let next = u32::try_from(folds.len()).expect("folds are few");
        folds.entry(member.id.fold).or_insert((next, member.id));
    }
    folds
}
