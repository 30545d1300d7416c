//! A wave that the resident kernels train, a workgroup a member.
//!
//! An epoch is a row of submissions of about 40 ms: slices of training, and behind the last of them, in the
//! same submission where there is room, the evaluation that the caller has announced, and the copies of what
//! the host wants to know. Before the host waits for these, it submits the first slice of the next epoch: the
//! device trains while the host works on what it has read.

use std::collections::BTreeMap;

use super::shared::{Shared, Trainer};
use crate::engine::gpu::evaluated::Evaluated;
use crate::engine::gpu::layered::ResidentBuffers;
use crate::engine::gpu::layered::pace::Pace;
use crate::engine::gpu::layout::State;
use crate::engine::gpu::resident::{
    EvaluationSlice, EvaluationSlices, PartBuffers, Resident, Slice, Slices,
};
use crate::engine::gpu::timing::{Encoding, PassKind};
use crate::engine::gpu::transfer::{self, Readback, ReadbackOnItsWay, Wanted};
use crate::engine::{EngineError, Part};

/// Trains and evaluates a wave by the resident kernels.
pub struct ResidentTrainer {
    kernels: Resident,
    own: ResidentBuffers,
    training: wgpu::BindGroup,
    parts: BTreeMap<Part, Evaluating>,
    /// Batches are padded to a multiple of so many rows.
    row_tile: u32,
    pace: Pace,
    ahead: Option<Ahead>,
    /// The epoch that a pause has stopped in, or one that nobody has asked for yet.
    flight: Option<Flight>,
    /// What was counted at the end of the last epoch, until training goes on.
    scored: Option<(Part, Vec<u32>)>,
}

/// A part with the bindings that evaluate it.
struct Evaluating {
    buffers: PartBuffers,
    bindings: wgpu::BindGroup,
}

/// What the caller said it will do.
#[derive(Clone, Copy)]
struct Ahead {
    until: u32,
    part: Part,
}

/// An epoch on its way.
struct Flight {
    epoch: u32,
    slices: Slices,
    evaluation: Option<(Part, EvaluationSlices)>,
    /// All of it is submitted, and what is read of it is on its way.
    end: Option<(ReadbackOnItsWay, wgpu::SubmissionIndex)>,
    /// The caller stopped in it: the device is idle, and the states are known.
    paused: bool,
}

impl Flight {
    /// Everything but the readback is submitted.
    fn is_over(&self) -> bool {
        let evaluated = self.evaluation.as_ref().is_none_or(|(_, e)| e.are_over());
        self.slices.are_over() && evaluated
    }
}

impl ResidentTrainer {
    /// Lays out both parts: a wave whose evaluations have no room is refused when it can still be halved.
    pub fn new(
        kernels: Resident,
        own: ResidentBuffers,
        wave: &Shared<'_>,
        row_tile: u32,
    ) -> Result<Self, EngineError> {
        let (gpu, buffers) = (&wave.gpu, &wave.buffers);
        let mut parts = BTreeMap::new();
        for part in [Part::Training, Part::Validation] {
            let classes = wave.classes();
            let of_part = PartBuffers::new(gpu, &wave.placement, wave.data, classes, part)?;
            let bindings = kernels.bind_evaluation(gpu, buffers, &own, &of_part);
            let evaluating = Evaluating {
                buffers: of_part,
                bindings,
            };
            parts.insert(part, evaluating);
        }
        Ok(Self {
            training: kernels.bind_training(gpu, buffers, &own),
            kernels,
            own,
            parts,
            row_tile,
            pace: Pace::default(),
            ahead: None,
            flight: None,
            scored: None,
        })
    }

    /// An epoch of members that are so far, of which nothing is submitted yet.
    fn flight(&self, wave: &Shared<'_>, epoch: u32, states: &[State]) -> Flight {
        let evaluation = self.announced(wave).map(|ahead| {
            let slices = self.evaluation_slices(wave, ahead.part);
            (ahead.part, slices)
        });
        Flight {
            epoch,
            slices: Slices::new(&wave.placement, states, epoch, &self.kernels.form),
            evaluation,
            end: None,
            paused: false,
        }
    }

    /// What was announced, unless its results are too many to be read at once.
    fn announced(&self, wave: &Shared<'_>) -> Option<Ahead> {
        let fits = |part| Readback::takes(&[wave.wanted_states(), self.wanted_results(part)]);
        self.ahead.filter(|ahead| fits(ahead.part))
    }

    fn evaluation_slices(&self, wave: &Shared<'_>, part: Part) -> EvaluationSlices {
        let live = wave.live.iter().copied();
        let live = live.filter(|&slot| wave.states[slot as usize].diverged == 0);
        let costs = &wave.placement.row_costs;
        let live = live.map(|slot| (slot, costs[slot as usize]));
        let rows = self.parts[&part].buffers.most_rows();
        EvaluationSlices::new(rows, live.collect(), self.kernels.form.most_rows)
    }

    fn wanted_results(&self, part: Part) -> Wanted<'_> {
        let results = &self.parts[&part].buffers.results;
        Wanted::beginning(results, results.size())
    }

    /// Submits about 40 ms of what is left of an epoch.
    fn submit(&mut self, wave: &Shared<'_>, flight: &mut Flight) -> Result<(), EngineError> {
        let budget = self.pace.budget();
        let trained = flight.slices.next(budget);
        let mut work = trained.as_ref().map_or(0.0, |slice| slice.work);
        let mut encoding = Encoding::new(&wave.gpu, wave.timer.as_ref())?;
        if let Some(slice) = &trained {
            self.encode_training(wave, &mut encoding, flight.epoch, slice);
        }
        if let Some((part, slices)) = &mut flight.evaluation
            && flight.slices.are_over()
            && (trained.is_none() || work < budget)
        {
            work += self.encode_evaluation(wave, &mut encoding, *part, slices, budget - work);
        }
        let readback = flight.is_over().then(|| {
            let evaluated = flight.evaluation.as_ref();
            let results = evaluated.map(|(part, _)| self.wanted_results(*part));
            let wanted: Vec<_> = std::iter::once(wave.wanted_states())
                .chain(results)
                .collect();
            Readback::encode(&wave.gpu, encoding.encoder(), &wanted)
        });
        let submission = self.pace.submit(&wave.gpu, encoding.finish(), work)?;
        flight.end = readback.map(|readback| (readback.on_its_way(), submission));
        Ok(())
    }

    fn encode_training(
        &self,
        wave: &Shared<'_>,
        encoding: &mut Encoding<'_>,
        epoch: u32,
        slice: &Slice,
    ) {
        let kernels = &self.kernels;
        kernels.write_training(&wave.gpu, &self.own, self.row_tile, epoch, slice);
        encoding.pass(PassKind::Train, 1, |pass| {
            let workgroups = kernels.workgroups(&slice.slots);
            kernels.train.dispatch(pass, &self.training, workgroups);
        });
    }

    /// Adds the next rows of a part; gives the work.
    fn encode_evaluation(
        &self,
        wave: &Shared<'_>,
        encoding: &mut Encoding<'_>,
        part: Part,
        slices: &mut EvaluationSlices,
        budget: f64,
    ) -> f64 {
        if slices.are_new() {
            let results = &self.parts[&part].buffers.results;
            encoding.encoder().clear_buffer(results, 0, None);
        }
        let Some(slice) = slices.next(budget) else {
            return 0.0;
        };
        self.encode_evaluation_slice(wave, encoding, part, &slice);
        slice.work
    }

    fn encode_evaluation_slice(
        &self,
        wave: &Shared<'_>,
        encoding: &mut Encoding<'_>,
        part: Part,
        slice: &EvaluationSlice,
    ) {
        let (kernels, Evaluating { buffers, bindings }) = (&self.kernels, &self.parts[&part]);
        kernels.write_evaluation(&wave.gpu, &self.own, self.row_tile, buffers, slice);
        encoding.pass(PassKind::Evaluate, 1, |pass| {
            let workgroups = kernels.workgroups(&slice.slots);
            kernels.evaluate.dispatch(pass, bindings, workgroups);
        });
    }

    /// Begins the epoch behind this one, whose end is not known yet, if that was announced.
    fn go_ahead(&mut self, wave: &mut Shared<'_>, epoch: u32) -> Result<(), EngineError> {
        let next = epoch + 1;
        if self.announced(wave).is_none_or(|ahead| ahead.until <= next) {
            return Ok(());
        }
        wave.bring_orders(next);
        // Members that diverge meanwhile do nothing in it.
        let begun = |state: &State| match state.epoch == epoch {
            true => State {
                epoch: next,
                position: 0,
                ..*state
            },
            false => *state,
        };
        let states: Vec<State> = wave.states.iter().map(begun).collect();
        let mut flight = self.flight(wave, next, &states);
        self.submit(wave, &mut flight)?;
        self.flight = Some(flight);
        Ok(())
    }

    /// Evaluates a part now.
    fn results(&mut self, wave: &Shared<'_>, part: Part) -> Result<Vec<u32>, EngineError> {
        // One that the caller stopped in is gone into anew from the states.
        let paused = self.flight.take().is_none_or(|flight| flight.paused);
        assert!(
            paused,
            "a wave that trains ahead is evaluated as was announced"
        );
        let mut slices = self.evaluation_slices(wave, part);
        self.pace.begin();
        while !slices.are_over() {
            let budget = self.pace.budget();
            let mut encoding = Encoding::new(&wave.gpu, wave.timer.as_ref())?;
            let work = self.encode_evaluation(wave, &mut encoding, part, &mut slices, budget);
            self.pace.submit(&wave.gpu, encoding.finish(), work)?;
        }
        let read = transfer::read(&wave.gpu, &[self.wanted_results(part)])?;
        Ok(transfer::values(&read[0]))
    }
}

impl Trainer for ResidentTrainer {
    /// No member is in this epoch, and no row is evaluated.
    fn compile(&mut self, wave: &Shared<'_>) -> Result<(), EngineError> {
        let mut encoding = Encoding::new(&wave.gpu, None)?;
        let nothing = Slice {
            rows: 0,
            slots: 0..1,
            work: 0.0,
        };
        self.encode_training(wave, &mut encoding, u32::MAX, &nothing);
        let nothing = EvaluationSlice {
            rows: 0..0,
            slots: 0..1,
            work: 0.0,
        };
        self.encode_evaluation_slice(wave, &mut encoding, Part::Training, &nothing);
        let submission = wave.gpu.queue.submit([encoding.finish()]);
        transfer::wait(&wave.gpu, Some(submission))
    }

    /// Says so on the device, where the states may have moved on.
    fn keep(&mut self, wave: &mut Shared<'_>) {
        let buffer = &wave.buffers.states;
        for (slot, state) in (0..).zip(&mut wave.states) {
            if state.released != 0 || wave.live.binary_search(&slot).is_ok() {
                continue;
            }
            state.released = 1;
            // The kernels pass over members that have diverged.
            if state.diverged == 0 {
                let at = size_of::<State>() as u64 * u64::from(slot)
                    + std::mem::offset_of!(State, released) as u64;
                wave.gpu
                    .queue
                    .write_buffer(buffer, at, &1_u32.to_ne_bytes());
            }
        }
    }

    fn train_epoch(
        &mut self,
        wave: &mut Shared<'_>,
        epoch: u32,
        pause: &(dyn Fn() -> bool + Sync),
    ) -> Result<bool, EngineError> {
        self.scored = None;
        let mut flight = match self.flight.take() {
            Some(flight) => {
                assert_eq!(
                    flight.epoch, epoch,
                    "the epoch to go on with is the one in flight"
                );
                flight
            }
            None => {
                wave.bring_orders(epoch);
                self.pace.begin();
                self.flight(wave, epoch, &wave.states)
            }
        };
        if std::mem::take(&mut flight.paused) {
            self.pace.begin();
        } else {
            self.pace.host_was_away();
        }
        let mut first = true;
        let (readback, submission) = loop {
            if let Some(end) = flight.end.take() {
                break end;
            }
            if !first && pause() {
                let states = wave.read_states()?;
                wave.take_states(states);
                flight.paused = true;
                self.flight = Some(flight);
                return Ok(false);
            }
            first = false;
            self.submit(wave, &mut flight)?;
        };
        self.go_ahead(wave, epoch)?;
        let read = readback.wait(&wave.gpu, Some(submission))?;
        wave.take_states(transfer::values(&read[0]));
        self.scored = flight
            .evaluation
            .map(|(part, _)| (part, transfer::values(&read[1])));
        Ok(true)
    }

    fn evaluate(
        &mut self,
        wave: &Shared<'_>,
        part: Part,
    ) -> Result<BTreeMap<u32, Evaluated>, EngineError> {
        let words = match self.scored.take() {
            Some((scored, words)) if scored == part => words,
            _ => self.results(wave, part)?,
        };
        let (of_part, classes) = (&self.parts[&part].buffers, wave.classes());
        let counted = wave.live.iter().map(|&slot| {
            let scaling = wave.placement.data[slot as usize].scaling;
            (slot, of_part.evaluated(&words, slot, scaling, classes))
        });
        let counted = counted.collect();
        self.scored = Some((part, words));
        Ok(counted)
    }

    fn unfinished(&self) -> Option<u32> {
        self.flight.as_ref().map(|flight| flight.epoch)
    }

    fn is_ahead(&self) -> bool {
        self.flight.as_ref().is_some_and(|flight| !flight.paused)
    }

    fn train_ahead(&mut self, until: u32, part: Part) {
        self.ahead = Some(Ahead { until, part });
    }

    fn settle(&mut self, wave: &mut Shared<'_>) -> Result<(), EngineError> {
        self.scored = None;
        if self.flight.take().is_some() {
            let states = wave.read_states()?;
            wave.take_states(states);
        }
        Ok(())
    }

    #[cfg(test)]
    fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }
}
