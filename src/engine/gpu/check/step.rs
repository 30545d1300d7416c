//! The table of `step`.

use super::bounded::Bounded;
use super::scene::step_factors;
use super::stage::{POISON, Stage};
use super::table::{Case, Run, Subject, Table, one_variant};
use super::tally::{Expected, KernelReport, Output};
use crate::engine::EngineError;
use crate::engine::cpu::Real;
use crate::engine::gpu::kernels::step::{self, Bindings, WORKGROUP_MEMBERS};
use crate::engine::gpu::layout::{Cursor, MemberData, State};
use crate::train::{Activation, DIVERGED_CROSS_ENTROPY, Hyperparameters, Optimizer};

/// Nothing of the variant counts.
pub const TABLE: Table = Table {
    kernel: "step",
    compile: step::compile,
    variants: one_variant,
    cases: |_| vec![Box::new(Steps::all()) as _],
};

/// What the factors may be off, as a share: ln beta and its product with the steps are each rounded
/// once (2), 1 - e^x is within 8 roundings, and its root, the product and the quotient add a few.
const FACTOR: f64 = 16.0 / (1 << 24) as f64;
const ROUNDING: f64 = 1.0 / (1 << 24) as f64;
/// Rows that a batch has at most here; members lie so far apart.
const PLACE_ROWS: u32 = 48;
/// Words of the structs, in which the kernels write floats.
const STATE_WORDS: usize = size_of::<State>() / 4;
const CURSOR_WORDS: usize = size_of::<Cursor>() / 4;

/// One member before a step.
#[derive(Clone, Debug)]
struct Situation {
    hyperparameters: Hyperparameters,
    /// Rows of its fold.
    fold_rows: u32,
    state: State,
    /// Rows of the batch; 0 when it has none.
    rows: u32,
    /// Loss of each 16 of them.
    losses: Vec<f32>,
    /// It is in the list.
    live: bool,
}

struct Steps(Vec<Situation>);

const SGD: Optimizer = Optimizer::Sgd {
    momentum: 0.9,
    nesterov: true,
};
const RMSPROP: Optimizer = Optimizer::Rmsprop {
    rho: 0.99,
    epsilon: 1e-6,
    momentum: 0.0,
};

fn adam(beta_1: f64, beta_2: f64) -> Optimizer {
    Optimizer::Adam {
        beta_1,
        beta_2,
        epsilon: 1e-8,
    }
}

/// A member of the optimizer in the middle of its third epoch.
fn usual(optimizer: Optimizer) -> Situation {
    Situation {
        hyperparameters: Hyperparameters {
            learning_rate: 0.003,
            batch_size: 37,
            optimizer,
            activation: Activation::Relu,
            dropout: 0.0,
        },
        fold_rows: 500,
        state: State {
            position: 74,
            steps: 29,
            epoch: 2,
            loss_sum: 81.25,
            loss_rest: 1e-6,
            train_loss: 0.75,
            ..State::default().with_samples(1074)
        },
        rows: 37,
        losses: vec![12.5, 7.125, 3.0625],
        live: true,
    }
}

impl Situation {
    /// The loss of a batch of one block, and whether the step is sound.
    fn with_loss(loss: f32) -> Self {
        Self {
            rows: 16,
            losses: vec![loss],
            ..usual(SGD)
        }
    }

    fn with_state(self, change: impl FnOnce(State) -> State) -> Self {
        Self {
            state: change(self.state),
            ..self
        }
    }

    fn is_sound(&self) -> bool {
        let loss: f32 = self.losses.iter().sum();
        let most = DIVERGED_CROSS_ENTROPY as f32 * self.rows as f32;
        loss.is_finite() && loss <= most
    }

    fn acts(&self) -> bool {
        self.live && self.rows > 0
    }

    fn after(&self) -> State {
        if !self.acts() {
            return self.state;
        }
        if !self.is_sound() {
            return State {
                diverged: 1,
                ..self.state
            };
        }
        let samples = self.state.samples() + u64::from(self.rows);
        State {
            position: self.state.position + self.rows,
            steps: self.state.steps + 1,
            ..self.state.with_samples(samples)
        }
    }

    /// The epoch's loss, of which rounding must lose nothing but of what it has lost before.
    fn loss_after(&self) -> Bounded {
        let before = Bounded::exact(f64::from(self.state.loss_sum));
        let rest = f64::from(self.state.loss_rest);
        let mut loss = Bounded::ZERO;
        for &block in &self.losses {
            loss += Bounded::from_f32(block);
        }
        let lost = ROUNDING * (before.value + loss.value);
        Bounded {
            value: before.value + rest + loss.value,
            limit: loss.limit + 8.0 * ROUNDING * (rest.abs() + lost),
        }
    }
}

impl Steps {
    /// More members than a workgroup does.
    fn all() -> Self {
        let mut all = Self::counts();
        all.extend(Self::losses());
        all.extend(Self::factors());
        while all.len() < WORKGROUP_MEMBERS as usize + 9 {
            let gone = all.len().is_multiple_of(5);
            all.push(Situation {
                live: !gone,
                ..usual(adam(0.9, 0.999))
            });
        }
        Self(all)
    }

    fn counts() -> Vec<Situation> {
        let at = |position: u32| usual(SGD).with_state(|state| State { position, ..state });
        let samples = |samples: u64| usual(SGD).with_state(|state| state.with_samples(samples));
        let waits = Situation {
            rows: 0,
            ..usual(RMSPROP)
        };
        vec![
            usual(SGD),
            waits.clone(),
            waits.with_state(|state| State {
                diverged: 1,
                ..state
            }),
            // The next batch is the last, smaller one; this is the last.
            at(500 - 37 - 20),
            at(500 - 37),
            // The low word of the count overflows, reaches 0, and does not yet.
            samples(u64::from(u32::MAX) - 5),
            samples((3 << 32) - 37),
            samples((3 << 32) - 38),
        ]
    }

    fn losses() -> Vec<Situation> {
        let most = 16.0 * DIVERGED_CROSS_ENTROPY as f32;
        let mut all: Vec<Situation> = [
            0.0,
            most,
            most.next_up(),
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            3e38,
        ]
        .into_iter()
        .map(Situation::with_loss)
        .collect();
        // Together they are infinite.
        all.push(Situation {
            losses: vec![3e38, 3e38, 0.0],
            ..usual(RMSPROP)
        });
        for (sum, rest, loss) in [(1e6, 0.03, 0.0123), (1e-3, 0.0, 1e4), (1e5, -1e-3, 33.3)] {
            all.push(Situation::with_loss(loss).with_state(|state| State {
                loss_sum: sum,
                loss_rest: rest,
                ..state
            }));
        }
        all
    }

    fn factors() -> Vec<Situation> {
        let mut all = vec![usual(RMSPROP)];
        for (beta_1, beta_2) in [(0.9, 0.999), (0.0, 0.0), (0.99, 0.99999), (0.5, 0.9)] {
            for step in [1, 2, 7, 10, 1000, 1_000_000] {
                all.push(usual(adam(beta_1, beta_2)).with_state(|state| State {
                    steps: step - 1,
                    ..state
                }));
            }
        }
        all
    }

    fn live(&self) -> Vec<u32> {
        let live = (0..).zip(&self.0).filter(|(_, situation)| situation.live);
        live.map(|(slot, _)| slot).collect()
    }

    fn members(&self) -> Vec<MemberData> {
        let member = |(slot, situation): (u32, &Situation)| MemberData {
            order_start: 1000 * slot,
            rows: situation.fold_rows,
            first_row: PLACE_ROWS * slot,
            scaling: slot % 3,
            ..MemberData::new(&situation.hyperparameters, [0; 2])
        };
        (0..).zip(&self.0).map(member).collect()
    }

    fn forward(&self) -> Vec<Cursor> {
        let cursor = |(slot, situation): (u32, &Situation)| Cursor {
            first: 1000 * slot + situation.state.position,
            rows: situation.rows,
            steps: situation.state.steps,
            scaling: slot % 3,
            step_size: 7.0,
            epsilon: 9.0,
            inverse_rows: 1.0 / situation.rows.max(1) as f32,
            unused: 0,
        };
        (0..).zip(&self.0).map(cursor).collect()
    }

    fn partials(&self) -> Vec<f32> {
        let blocks = PLACE_ROWS as usize / 16;
        let mut all = Vec::new();
        for situation in &self.0 {
            let used = situation.rows.div_ceil(16) as usize;
            let mut losses = vec![f32::from_bits(POISON); blocks];
            losses[..used].copy_from_slice(&situation.losses[..used]);
            all.extend(losses);
        }
        all
    }

    fn expected_states(&self) -> Vec<Expected> {
        let expected = |situation: &Situation| {
            let mut words = bits(&situation.after());
            if situation.acts() && situation.is_sound() {
                // Their sum is looked at, see `check_derived`.
                words[LOSS_SUM] = Expected::Anything;
                words[LOSS_SUM + 1] = Expected::Anything;
            }
            words
        };
        self.0.iter().flat_map(expected).collect()
    }

    /// The next batch of those that act.
    fn expected_forward(&self) -> Vec<Expected> {
        let cursors = self.forward();
        let expected = |(slot, situation): (usize, &Situation)| {
            if !situation.acts() {
                return bits(&cursors[slot]);
            }
            let after = situation.after();
            let left = situation.fold_rows - after.position;
            let batch = situation.hyperparameters.batch_size as u32;
            let rows = if after.diverged == 0 {
                batch.min(left)
            } else {
                0
            };
            let next = Cursor {
                first: 1000 * slot as u32 + after.position,
                rows,
                steps: after.steps,
                step_size: 0.0,
                epsilon: 0.0,
                ..cursors[slot]
            };
            let mut words = bits(&next);
            words[INVERSE_ROWS] = near(1.0 / f64::from(rows.max(1)), FACTOR);
            words
        };
        self.0.iter().enumerate().flat_map(expected).collect()
    }

    /// This batch with its factors; without rows where nothing is to be done.
    fn expected_backward(&self) -> Vec<Expected> {
        let cursors = self.forward();
        let expected = |(slot, situation): (usize, &Situation)| {
            let mut words = vec![Expected::Bits(POISON); CURSOR_WORDS];
            if situation.acts() {
                words = bits(&cursors[slot]);
            }
            if situation.live && !(situation.acts() && situation.is_sound()) {
                words[ROWS] = Expected::Bits(0);
            } else if situation.acts() {
                let step = u64::from(situation.state.steps) + 1;
                let (step_size, epsilon) = step_factors(&situation.hyperparameters, step);
                words[STEP_SIZE] = near(step_size, FACTOR);
                words[STEP_SIZE + 1] = near(epsilon, FACTOR);
            }
            words
        };
        self.0.iter().enumerate().flat_map(expected).collect()
    }
}

/// Places of fields, in words.
const LOSS_SUM: usize = std::mem::offset_of!(State, loss_sum) / 4;
const ROWS: usize = std::mem::offset_of!(Cursor, rows) / 4;
const STEP_SIZE: usize = std::mem::offset_of!(Cursor, step_size) / 4;
const INVERSE_ROWS: usize = std::mem::offset_of!(Cursor, inverse_rows) / 4;

fn bits<T: bytemuck::Pod>(value: &T) -> Vec<Expected> {
    let words = bytemuck::pod_collect_to_vec::<u8, u32>(bytemuck::bytes_of(value));
    words.into_iter().map(Expected::Bits).collect()
}

fn near(value: f64, share: f64) -> Expected {
    Expected::Near(Bounded::exact(value).widened(share * value.abs()))
}

impl Case for Steps {
    fn name(&self) -> String {
        format!("{} members", self.0.len())
    }

    fn run(&self, on: Subject<'_>, _changed: Option<usize>) -> Result<Run, EngineError> {
        let mut stage = Stage::new(on.gpu);
        let live = self.live();
        let states: Vec<State> = self.0.iter().map(|situation| situation.state).collect();
        let members = stage.read("members", &self.members())?;
        let live_list = stage.read("live", &live)?;
        let partials = stage.read("partials", &self.partials())?;
        let states = stage.write("states", &states)?;
        let forward = stage.write("forward", &self.forward())?;
        let backward = stage.output("backward", self.0.len() * CURSOR_WORDS)?;
        let bindings = Bindings {
            members: stage.bind(members),
            live: stage.bind(live_list),
            partials: stage.bind(partials),
            states: stage.bind(states),
            forward: stage.bind(forward),
            backward: stage.bind(backward),
        };
        let bindings = bindings.bind(&on.gpu.device, on.kernel);
        let workgroups = (live.len() as u32).div_ceil(WORKGROUP_MEMBERS);
        let left = stage.dispatch(on.kernel, &bindings, workgroups)?;
        let outputs = [
            ("states", states),
            ("forward", forward),
            ("backward", backward),
        ];
        Ok(Run::new(left, &outputs))
    }

    fn expected(&self) -> Vec<Vec<Expected>> {
        vec![
            self.expected_states(),
            self.expected_forward(),
            self.expected_backward(),
        ]
    }

    fn check_derived(&self, outputs: &[Output], report: &mut KernelReport) {
        let states = outputs[0].words.chunks_exact(STATE_WORDS);
        for (slot, (words, situation)) in states.zip(&self.0).enumerate() {
            if situation.acts() && situation.is_sound() {
                let part = |i: usize| f64::from(f32::from_bits(words[LOSS_SUM + i]));
                let place = || format!("{}, loss of slot {slot}", self.name());
                report.near(place, part(0) + part(1), situation.loss_after());
            }
        }
    }
}
