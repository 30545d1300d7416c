//! The table of `find_non_finite`.

use super::stage::Stage;
use super::table::{Case, Run, Subject, Table, one_variant};
use super::tally::Expected;
use crate::engine::EngineError;
use crate::engine::gpu::kernels::find_non_finite::{self, Bindings};
use crate::engine::gpu::layout::LayerData;

/// Nothing of the variant counts.
pub const TABLE: Table = Table {
    kernel: "find_non_finite",
    compile: find_non_finite::compile,
    variants: one_variant,
    cases: |_| {
        let strides = [1, 7, 64, 65, 200].into_iter();
        strides
            .map(|stride| Box::new(Find { stride }) as _)
            .collect()
    },
};

const MEMBERS: u32 = 11;
/// It is not in the list, and has values that are not finite.
const GONE: u32 = 6;
/// It was marked before, and its values are finite.
const MARKED: u32 = 8;
/// Values at the ends of the finite numbers, and beyond them.
const FINITE: [f32; 5] = [0.0, f32::MAX, f32::MIN, f32::MIN_POSITIVE, 1.0];
const NOT_FINITE: [f32; 3] = [f32::INFINITY, f32::NAN, f32::NEG_INFINITY];

/// Members with this many `vec4`s each; those of odd slots have one value that is not finite.
struct Find {
    stride: u32,
}

impl Find {
    fn is_finite(slot: u32) -> bool {
        slot.is_multiple_of(2) && slot != GONE
    }

    fn values(&self, slot: u32) -> Vec<f32> {
        let count = 4 * self.stride as usize;
        let mut values: Vec<f32> = FINITE.iter().copied().cycle().take(count).collect();
        if !Self::is_finite(slot) {
            // The first, the last, and places in between.
            let at = [0, count - 1, count / 2, 4 * 64 % count, count / 3][slot as usize / 2 % 5];
            values[at] = NOT_FINITE[slot as usize % 3];
        }
        values
    }
}

impl Case for Find {
    fn name(&self) -> String {
        format!("{} values a member", 4 * self.stride)
    }

    fn run(&self, on: Subject<'_>, _changed: Option<usize>) -> Result<Run, EngineError> {
        let mut stage = Stage::new(on.gpu);
        let live: Vec<u32> = (0..MEMBERS).filter(|&slot| slot != GONE).collect();
        let values: Vec<f32> = (0..MEMBERS).flat_map(|slot| self.values(slot)).collect();
        let marks: Vec<u32> = (0..MEMBERS).map(|slot| u32::from(slot == MARKED)).collect();
        let layer = stage.uniform(&LayerData {
            member_stride: self.stride,
            ..LayerData::default()
        })?;
        let live_list = stage.read("live", &live)?;
        let values = stage.read("values", &values)?;
        let marks = stage.write("marks", &marks)?;
        let bindings = Bindings {
            layer: layer.as_entire_buffer_binding(),
            live: stage.bind(live_list),
            values: stage.bind(values),
            marks: stage.bind(marks),
        };
        let bindings = bindings.bind(&on.gpu.device, on.kernel);
        let left = stage.dispatch(on.kernel, &bindings, live.len() as u32)?;
        Ok(Run::new(left, &[("marks", marks)]))
    }

    fn expected(&self) -> Vec<Vec<Expected>> {
        let marked = |slot| slot == MARKED || (slot != GONE && !Self::is_finite(slot));
        let marks = (0..MEMBERS).map(|slot| Expected::Bits(u32::from(marked(slot))));
        vec![marks.collect()]
    }
}
