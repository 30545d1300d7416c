//! Where each member of a wave lies on the device: a pure function of the wave.

use std::collections::BTreeMap;

use crate::engine::WaveSetup;
use crate::engine::gpu::layout::MemberData;
use crate::plan::BufferLayout;
use crate::train::{Member, MemberId, dropout_key};

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
    /// The members in the order of their steps an epoch, most first: slot after slot.
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
}

impl Placement {
    /// Places the members of a wave.
    pub fn new(setup: &WaveSetup<'_>, layout: BufferLayout) -> Self {
        let (members, slots) = by_steps(setup);
        let (orders, order_rows) = orders(setup);
        let folds = folds(setup.members);
        let (mut first_row, mut first_moment) = (0, 0);
        let mut data = Vec::with_capacity(members.len());
        for member in &members {
            let id = member.id;
            let order = &orders[&(id.repeat, id.fold)];
            data.push(MemberData {
                order_start: order.start,
                rows: order.rows,
                first_row,
                first_moment,
                scaling: folds[&id.fold].0,
                ..MemberData::new(
                    &member.hyperparameters,
                    dropout_key(setup.seed, id.repeat, id.fold),
                )
            });
            let rows = layout.padded_rows(member.hyperparameters.batch_size);
            first_row += u32::try_from(rows).expect("rows are limited by memory");
            let moments = member.hyperparameters.optimizer.moments();
            first_moment += u32::try_from(moments).expect("moments are few");
        }
        let mut ids: Vec<(u32, MemberId)> = folds.into_values().collect();
        ids.sort_unstable();
        Self {
            data,
            members,
            slots,
            rows: first_row,
            orders: orders.into_values().collect(),
            order_rows,
            folds: ids.into_iter().map(|(_, id)| id).collect(),
        }
    }
}

/// Members with more steps an epoch first, so that a step that only they make is a prefix.
fn by_steps(setup: &WaveSetup<'_>) -> (Vec<Member>, Vec<u32>) {
    let steps = |member: &Member| {
        let rows = setup.data.fold(member.id).train.len();
        rows.div_ceil(member.hyperparameters.batch_size)
    };
    let mut order: Vec<usize> = (0..setup.members.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(steps(&setup.members[i])));
    let mut slots = vec![0; order.len()];
    for (slot, &i) in (0..).zip(&order) {
        slots[i] = slot;
    }
    (order.iter().map(|&i| setup.members[i]).collect(), slots)
}

/// The orders in the order of their keys, one behind the other.
fn orders(setup: &WaveSetup<'_>) -> (BTreeMap<(u32, u32), Order>, u32) {
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
