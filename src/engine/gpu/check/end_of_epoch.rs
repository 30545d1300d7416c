//! The table of `end_of_epoch`.

use super::bounded::Bounded;
use super::stage::Stage;
use super::table::{Case, Run, Subject, Table, one_variant};
use super::tally::Expected;
use crate::engine::EngineError;
use crate::engine::cpu::Real;
use crate::engine::gpu::kernels::end_of_epoch::{self, Bindings, WORKGROUP_MEMBERS};
use crate::engine::gpu::layout::{MemberData, State};

/// Nothing of the variant counts.
pub const TABLE: Table = Table {
    kernel: "end_of_epoch",
    compile: end_of_epoch::compile,
    variants: one_variant,
    cases: |_| vec![Box::new(Ends) as _],
};

/// Members, more than a workgroup does.
const MEMBERS: u32 = WORKGROUP_MEMBERS + 21;
const TRAIN_LOSS: usize = std::mem::offset_of!(State, train_loss) / 4;

/// Every pair of: has finished the epoch or not, is diverged or not; is marked or not; is in the
/// list or not.
struct Ends;

impl Ends {
    fn rows(slot: u32) -> u32 {
        100 + slot
    }

    fn finished(slot: u32) -> bool {
        slot.is_multiple_of(2)
    }

    fn diverged(slot: u32) -> bool {
        slot % 7 == 3
    }

    fn marked(slot: u32) -> bool {
        slot % 3 == 1
    }

    fn live(slot: u32) -> bool {
        slot % 5 != 4
    }

    fn before(slot: u32) -> State {
        let left = if Self::finished(slot) {
            0
        } else {
            1 + slot % 9
        };
        State {
            position: Self::rows(slot) - left,
            steps: 10 + slot,
            epoch: slot % 4,
            diverged: u32::from(Self::diverged(slot)),
            loss_sum: 40.0 + slot as f32,
            loss_rest: 0.001,
            train_loss: 3.5,
            ..State::default().with_samples(7_000_000_000)
        }
    }

    fn expected(slot: u32) -> Vec<Expected> {
        let before = Self::before(slot);
        let words = |state: &State| -> Vec<Expected> {
            let words = bytemuck::pod_collect_to_vec::<u8, u32>(bytemuck::bytes_of(state));
            words.into_iter().map(Expected::Bits).collect()
        };
        if !Self::finished(slot) || Self::diverged(slot) || !Self::live(slot) {
            return words(&before);
        }
        let mut after = words(&State {
            position: 0,
            epoch: before.epoch + 1,
            diverged: u32::from(Self::marked(slot)),
            loss_sum: 0.0,
            loss_rest: 0.0,
            ..before
        });
        let sum = Bounded::from_f32(before.loss_sum) + Bounded::from_f32(before.loss_rest);
        after[TRAIN_LOSS] = Expected::Near(sum / Bounded::from_f32(Self::rows(slot) as f32));
        after
    }
}

impl Case for Ends {
    fn name(&self) -> String {
        format!("{MEMBERS} members")
    }

    fn run(&self, on: Subject<'_>, _changed: Option<usize>) -> Result<Run, EngineError> {
        let mut stage = Stage::new(on.gpu);
        let slots = 0..MEMBERS;
        let member = |slot| MemberData {
            rows: Self::rows(slot),
            ..MemberData::default()
        };
        let members: Vec<MemberData> = slots.clone().map(member).collect();
        let live: Vec<u32> = slots.clone().filter(|&slot| Self::live(slot)).collect();
        let marks: Vec<u32> = slots.clone().map(|s| u32::from(Self::marked(s))).collect();
        let states: Vec<State> = slots.map(Self::before).collect();
        let members = stage.read("members", &members)?;
        let live_list = stage.read("live", &live)?;
        let marks = stage.read("marks", &marks)?;
        let states = stage.write("states", &states)?;
        let bindings = Bindings {
            members: stage.bind(members),
            live: stage.bind(live_list),
            marks: stage.bind(marks),
            states: stage.bind(states),
        };
        let bindings = bindings.bind(&on.gpu.device, on.kernel);
        let workgroups = (live.len() as u32).div_ceil(WORKGROUP_MEMBERS);
        let left = stage.dispatch(on.kernel, &bindings, workgroups)?;
        Ok(Run::new(left, &[("states", states)]))
    }

    fn expected(&self) -> Vec<Vec<Expected>> {
        vec![(0..MEMBERS).flat_map(Self::expected).collect()]
    }
}
