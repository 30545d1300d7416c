//! Waves that train ahead of what the caller has asked for give the same results.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};

use super::members::assert_same;
use super::*;
use crate::engine::{MemberSnapshot, Part, Progress};

const EPOCHS: u32 = 6;

/// How a caller goes through the epochs.
#[derive(Clone, Copy, Debug, Default)]
struct Way {
    /// It says what it will do.
    ahead: bool,
    /// It asks for a pause whenever it is asked.
    pauses: bool,
    /// Submissions begin with a step of one member.
    crawls: bool,
    /// After this epoch another wave goes on from what was saved.
    saved_after: Option<u32>,
}

/// The whole course of a wave, as text, and its end.
struct Course {
    told: String,
    end: Vec<MemberSnapshot>,
    pauses: u32,
}

/// Trains as a study does: an epoch, its evaluation, and members that leave.
fn course(made: &Made, engine: &GpuEngine, members: &[Member], way: Way) -> Course {
    let start = || {
        let mut wave = engine.wave(made.setup(members)).unwrap();
        if way.crawls {
            wave.crawl();
        }
        if way.ahead {
            wave.train_ahead(EPOCHS, Part::Validation);
        }
        wave
    };
    let mut wave = start();
    let (mut told, asked, mut pauses) = (String::new(), AtomicU32::new(0), 0);
    // Every other time, so that some of an epoch is submitted in a row.
    let pause = || way.pauses && asked.fetch_add(1, Ordering::Relaxed) % 2 == 0;
    for epoch in 1..=EPOCHS {
        while wave.train(epoch, &pause).unwrap() == Progress::Paused {
            pauses += 1;
        }
        let evaluated = wave.evaluate(Part::Validation).unwrap();
        writeln!(told, "{epoch}: {:?} {evaluated:?}", wave.status()).unwrap();
        if epoch == 2 {
            let all = wave.members().len();
            wave.keep(&(0..all).filter(|slot| slot % 3 != 1).collect::<Vec<_>>());
        }
        // What a fast device had trained ahead is in what was saved: that epoch is over when the wave goes on.
        let loaded = way.saved_after.is_some_and(|saved| saved + 1 == epoch);
        if !loaded {
            assert_eq!(wave.is_ahead(), way.ahead && epoch < EPOCHS, "{way:?}");
        }
        if way.saved_after == Some(epoch) {
            let saved = wave.save().unwrap();
            wave = start();
            wave.load(&saved).unwrap();
        }
    }
    let last = wave.evaluate(Part::Training).unwrap();
    writeln!(told, "{last:?}").unwrap();
    Course {
        told,
        end: wave.save().unwrap(),
        pauses,
    }
}

#[test]
fn training_ahead_changes_nothing() {
    for (name, adapter) in adapters() {
        let made = Made::new(130, 9, &[20, 7], 5, false);
        let made = made.with_batch_norm(true).mixed();
        let mut all = made.members(25);
        all[4].hyperparameters.learning_rate = 1e30;
        for (i, member) in all[18..].iter_mut().enumerate() {
            // Some of these diverge later than in the first epoch.
            member.hyperparameters.learning_rate = 2.0 * f64::from(1 << i);
            member.hyperparameters.optimizer = optimizers()[1];
            member.hyperparameters.activation = Activation::Identity;
        }
        let engine = engine(&adapter, resident(false));
        let plain = course(&made, &engine, &all, Way::default());
        let diverged = plain
            .told
            .lines()
            .map(|line| line.matches("diverged: true").count());
        let diverged: Vec<usize> = diverged.collect();
        assert!(
            diverged[1] > diverged[0],
            "{name}: {diverged:?}, none in an epoch ahead"
        );
        for (pauses, crawls, saved_after) in [
            (false, false, None),
            (true, false, None),
            (false, true, None),
            (true, true, Some(1)),
            (false, false, Some(1)),
            (true, false, Some(3)),
        ] {
            let way = Way {
                ahead: true,
                pauses,
                crawls,
                saved_after,
            };
            let found = course(&made, &engine, &all, way);
            let shown = format!("{name}, {way:?}");
            assert_eq!(found.pauses > 0, pauses, "{shown}");
            assert_eq!(found.told, plain.told, "{shown}");
            assert_same(&found.end, &plain.end, &shown);
        }
    }
}
