//! Measuring a wave changes nothing that it computes.

use super::{GpuEngine, Made, adapters, engine, members, never, options, resident};
use crate::engine::{Engine, MemberSnapshot, Part, Timing};
use crate::train::Member;

/// More passes than the timestamps of a timer have room for: two an epoch.
const EPOCHS: u32 = 300;

fn trained(
    made: &Made,
    engine: &dyn Engine,
    members: &[Member],
) -> (Vec<MemberSnapshot>, Option<Timing>) {
    let mut wave = made.start(engine, members);
    wave.train(EPOCHS, &never).unwrap();
    (wave.save().unwrap(), wave.timing().unwrap())
}

#[test]
fn a_timed_wave_computes_the_same_and_says_what_it_cost() {
    let made = Made::new(40, 5, &[6], 3, false);
    let mut members = members(4);
    for member in &mut members {
        member.hyperparameters.batch_size = 64;
    }
    for (name, adapter) in adapters() {
        let plain = engine(&adapter, options());
        let timed = engine(&adapter, options()).with_timing();
        let (expected, nothing) = trained(&made, &plain, &members);
        let (actual, timing) = trained(&made, &timed, &members);
        // Debug prints the shortest text that reads back as the same bits.
        assert!(format!("{actual:?}") == format!("{expected:?}"), "{name}");
        assert_eq!(nothing, None, "{name}");
        let timing = timing.unwrap();
        let step = timed.wave(made.setup(&members)).unwrap();
        let layers = made.shape().layers().len();
        let epoch = step.dispatches_a_step() + layers + 1;
        assert_eq!(timing.dispatches, u64::from(EPOCHS) * epoch as u64);
        assert!(timing.encode_s > 0.0, "{name}");
        assert_eq!(timing.device_s.is_some(), timed.has_timestamps(), "{name}");
        assert!(timing.device_s.is_none_or(|s| s > 0.0), "{name}");
    }
}

/// Passes of training and of evaluation in one submission, and epochs in flight while timestamps are read.
#[test]
fn a_timed_wave_that_trains_ahead_computes_the_same() {
    let made = Made::new(40, 5, &[6], 3, false);
    let members = members(4);
    for (name, adapter) in adapters() {
        let trained = |engine: &GpuEngine| {
            let mut wave = made.start(engine, &members);
            wave.train_ahead(EPOCHS, Part::Validation);
            for epoch in 1..=EPOCHS {
                wave.train(epoch, &never).unwrap();
                wave.evaluate(Part::Validation).unwrap();
            }
            let evaluated = wave.evaluate(Part::Training).unwrap();
            (
                format!("{evaluated:?} {:?}", wave.save().unwrap()),
                wave.timing().unwrap(),
            )
        };
        let (expected, _) = trained(&engine(&adapter, resident(false)));
        let timed = engine(&adapter, resident(false)).with_timing();
        let (found, timing) = trained(&timed);
        assert!(found == expected, "{name}");
        let timing = timing.unwrap();
        assert!(timing.dispatches >= u64::from(EPOCHS), "{name}");
        assert_eq!(timing.device_s.is_some(), timed.has_timestamps(), "{name}");
        assert!(timing.device_s.is_none_or(|s| s > 0.0), "{name}");
    }
}
