//! The table of `check_functions`: the elementary functions, and the random words of dropout.

use super::bounded::Bounded;
use super::stage::Stage;
use super::table::{Case, Native, Run, Subject, Table, one_variant};
use super::tally::{Expected, KernelReport};
use crate::engine::EngineError;
use crate::engine::cpu::Real;
use crate::engine::gpu::kernels::check_functions::{self, Bindings};

/// Nothing of the variant counts.
pub const TABLE: Table = Table {
    kernel: "check_functions",
    compile: check_functions::compile,
    variants: one_variant,
    cases: |_| vec![Box::new(Functions) as _],
};

/// The kernel's values, with the units in the last place that they may be off: twice what they are
/// on adapters that round products and quotients correctly, since a quotient of Vulkan may be off by
/// 2.5 more.
const FUNCTIONS: [(&str, f64); 8] = [
    ("exp", 4.0),
    ("tanh", 6.0),
    ("ln", 4.0),
    ("1 - exp", 8.0),
    ("relu", 0.0),
    ("sigmoid", 8.0),
    ("tanh", 6.0),
    ("identity", 0.0),
];
const ULP: f64 = f32::EPSILON as f64;

/// Counter, key and words of Philox4x32-10: the known answers of Random123 (Salmon, Moraes, Dror,
/// Shaw; `kat_vectors` of its distribution).
const PHILOX: [([u32; 4], [u32; 2], [u32; 4]); 3] = [
    (
        [0; 4],
        [0; 2],
        [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
    ),
    (
        [u32::MAX; 4],
        [u32::MAX; 2],
        [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
    ),
    (
        [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
        [0xa409_3822, 0x299f_31d0],
        [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
    ),
];

struct Functions;

/// Arguments of all functions: densely around 0, where they change their form, and to the ends of
/// f32's exponentials.
fn arguments() -> Vec<f32> {
    let grid = |count: u16, end: f32| {
        let step = |i: u16| end * (f32::from(i) / f32::from(count));
        (1..=count).map(step).collect::<Vec<f32>>()
    };
    let mut all = vec![0.0, 0.5, 0.625, 0.624_999_9, 1e-30, 87.3, 88.0, 1e-6, 1e20];
    for end in [1e-3, 1.0, 10.0, 88.0] {
        all.extend(grid(1500, end));
    }
    let negative: Vec<f32> = all.iter().map(|x| -x).collect();
    all.extend(negative);
    all.extend([-100.0, -1e4, f32::MAX, f32::MIN, 100.0, f32::NEG_INFINITY]);
    all
}

/// The functions at a place, or `None` where the kernels use none.
fn right(x: f32) -> [Option<f64>; FUNCTIONS.len()] {
    let at = f64::from(x);
    let exponential = if x < -87.3 { 0.0 } else { at.exp() };
    [
        (x <= 88.0).then_some(exponential),
        Some(at.tanh()),
        (x != 0.0 && x.is_finite()).then(|| at.abs().ln()),
        Some(-(-at.abs()).exp_m1()),
        x.is_finite().then_some(at.max(0.0)),
        Some(1.0 / (1.0 + (-at).exp())),
        Some(at.tanh()),
        x.is_finite().then_some(at),
    ]
}

fn bounded(value: f64, ulps: f64) -> Bounded {
    // Below the normal numbers a driver may give 0, and the sigmoid is a product of such.
    Bounded::exact(value).widened(ulps * ULP * value.abs() + 4.0 * f64::from(f32::MIN_POSITIVE))
}

fn expected(x: f32) -> Vec<Expected> {
    let values = right(x).into_iter().zip(FUNCTIONS);
    let expected = values.map(|(value, (_, ulps))| match value {
        Some(value) => Expected::Near(bounded(value, ulps)),
        None => Expected::Anything,
    });
    expected.collect()
}

/// NaN comes out of all that is used before a loss is looked at.
fn expected_of_nan() -> Vec<Expected> {
    let functions = FUNCTIONS.iter();
    let expected = functions.map(|(name, _)| match *name {
        "ln" | "1 - exp" => Expected::Anything,
        _ => Expected::NotANumber,
    });
    expected.collect()
}

impl Case for Functions {
    fn name(&self) -> String {
        "activations, ln, 1 - exp, philox".to_owned()
    }

    fn run(&self, on: Subject<'_>, _changed: Option<usize>) -> Result<Run, EngineError> {
        let mut stage = Stage::new(on.gpu);
        let mut arguments = arguments();
        arguments.push(f32::NAN);
        let counters: Vec<u32> = PHILOX.iter().flat_map(|known| known.0).collect();
        let keys: Vec<u32> = PHILOX.iter().flat_map(|known| known.1).collect();
        let x = stage.read("x", &arguments)?;
        let values = stage.output("values", FUNCTIONS.len() * arguments.len())?;
        let counters = stage.read("counters", &counters)?;
        let keys = stage.read("keys", &keys)?;
        let words = stage.output("words", 4 * PHILOX.len())?;
        let bindings = Bindings {
            x: stage.bind(x),
            values: stage.bind(values),
            counters: stage.bind(counters),
            keys: stage.bind(keys),
            words: stage.bind(words),
        };
        let bindings = bindings.bind(&on.gpu.device, on.kernel);
        let workgroups = (arguments.len() as u32).div_ceil(64);
        let left = stage.dispatch(on.kernel, &bindings, workgroups)?;
        Ok(Run::new(left, &[("values", values), ("words", words)]))
    }

    fn expected(&self) -> Vec<Vec<Expected>> {
        let words = PHILOX.iter().flat_map(|known| known.2);
        let mut values: Vec<Expected> = arguments().into_iter().flat_map(expected).collect();
        values.extend(expected_of_nan());
        vec![values, words.map(Expected::Bits).collect()]
    }

    fn check_native(&self, report: &mut KernelReport) -> Native {
        for x in arguments() {
            let functions = [Real::exp(x), Real::tanh(x)];
            for ((actual, right), (name, ulps)) in
                functions.into_iter().zip(right(x)).zip(FUNCTIONS)
            {
                if let Some(right) = right {
                    let place = || format!("{name} at {x:e}");
                    report.near(place, actual.into(), bounded(right, ulps));
                }
            }
        }
        Native::Checked
    }
}
