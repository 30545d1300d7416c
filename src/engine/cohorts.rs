//! A wave of several shapes, where nothing trains these together: a wave for each of them.

use std::collections::BTreeMap;

use super::{
    EngineError, Evaluation, MemberSnapshot, MemberStatus, Part, Progress, Running, Timing,
    WaveSetup,
};
use crate::train::{Member, MemberId, Shape};

/// Starts a wave for the members of each shape, by `start`; one of a single shape as it is.
///
/// # Errors
/// As `start`.
pub fn start<'r>(
    setup: WaveSetup<'r, '_>,
    start: impl Fn(WaveSetup<'r, '_>) -> Result<Box<dyn Running + 'r>, EngineError>,
) -> Result<Box<dyn Running + 'r>, EngineError> {
    if setup.shapes.len() == 1 {
        return start(setup);
    }
    let mut cohorts: Vec<Cohort<'_>> = Vec::new();
    let mut cohort_of = BTreeMap::new();
    for (s, shape) in setup.shapes.iter().enumerate() {
        let of_shape = setup.members.iter().filter(|member| member.shape == s);
        let members: Vec<Member> = of_shape.map(|m| Member { shape: 0, ..*m }).collect();
        if members.is_empty() {
            continue;
        }
        cohort_of.extend(members.iter().map(|member| (member.id, cohorts.len())));
        let shapes = std::slice::from_ref(shape);
        let running = start(WaveSetup {
            shapes,
            members: &members,
            ..setup
        })?;
        cohorts.push(Cohort {
            place: s,
            shape: shape.clone(),
            running,
        });
    }
    let order = setup.members.iter().map(|member| cohort_of[&member.id]);
    Ok(Box::new(Cohorts {
        order: order.collect(),
        cohorts,
        cohort_of,
    }))
}

/// The members of one shape.
struct Cohort<'r> {
    /// Of the shape, in the setup.
    place: usize,
    shape: Shape,
    running: Box<dyn Running + 'r>,
}

/// Waves of a shape each, which take turns epoch by epoch.
///
/// None of them trains ahead ([`Running::train_ahead`]): at a pause of one, others would be further than what was
/// noted of them.
struct Cohorts<'r> {
    cohorts: Vec<Cohort<'r>>,
    /// The cohort of each member that the wave was begun with.
    cohort_of: BTreeMap<MemberId, usize>,
    /// The cohort of each slot; in a cohort slots have the same order.
    order: Vec<usize>,
}

impl<'r> Cohorts<'r> {
    /// The cohort of each slot, and the slot in it.
    fn places(&self) -> Vec<(usize, usize)> {
        let mut next = vec![0..; self.cohorts.len()];
        let place = |&cohort: &usize| (cohort, next[cohort].next().expect("no end"));
        self.order.iter().map(place).collect()
    }

    /// What each cohort has for its slots, in the order of all.
    fn merged<T>(&self, of: impl Fn(&Cohort<'r>) -> Vec<T>) -> Vec<T> {
        self.in_order(self.cohorts.iter().map(of).collect())
    }

    fn in_order<T>(&self, of_cohorts: Vec<Vec<T>>) -> Vec<T> {
        let mut each: Vec<_> = of_cohorts.into_iter().map(Vec::into_iter).collect();
        let next = |&cohort: &usize| each[cohort].next().expect("an entry for each slot");
        self.order.iter().map(next).collect()
    }
}

impl Running for Cohorts<'_> {
    fn train(
        &mut self,
        epoch: u32,
        pause: &(dyn Fn() -> bool + Sync),
    ) -> Result<Progress, EngineError> {
        for cohort in &mut self.cohorts {
            if cohort.running.train(epoch, pause)? == Progress::Paused {
                return Ok(Progress::Paused);
            }
        }
        Ok(Progress::Reached)
    }

    fn is_whole(&self) -> bool {
        self.cohorts.iter().all(|cohort| cohort.running.is_whole())
    }

    fn compile_s(&self) -> f64 {
        self.cohorts.iter().map(|c| c.running.compile_s()).sum()
    }

    fn timing(&self) -> Result<Option<Timing>, EngineError> {
        let mut sum = Some(Timing::default());
        for cohort in &self.cohorts {
            let of_cohort = cohort.running.timing()?;
            sum = sum.zip(of_cohort).map(|(sum, other)| Timing {
                device_s: sum.device_s.zip(other.device_s).map(|(a, b)| a + b),
                encode_s: sum.encode_s + other.encode_s,
                dispatches: sum.dispatches + other.dispatches,
            });
        }
        Ok(sum)
    }

    fn status(&self) -> Vec<MemberStatus> {
        self.merged(|cohort| cohort.running.status())
    }

    fn evaluate(&mut self, part: Part) -> Result<Vec<Option<Evaluation>>, EngineError> {
        let evaluated = self.cohorts.iter_mut().map(|c| c.running.evaluate(part));
        let evaluated = evaluated.collect::<Result<_, EngineError>>()?;
        Ok(self.in_order(evaluated))
    }

    fn keep(&mut self, slots: &[usize]) {
        assert!(slots.is_sorted(), "slots to keep ascend");
        let (places, mut kept) = (self.places(), vec![Vec::new(); self.cohorts.len()]);
        for &slot in slots {
            let (cohort, at) = places[slot];
            kept[cohort].push(at);
        }
        for (cohort, kept) in self.cohorts.iter_mut().zip(&kept) {
            cohort.running.keep(kept);
        }
        self.order = slots.iter().map(|&slot| self.order[slot]).collect();
    }

    fn copy(&mut self, from: usize, to: usize) -> Result<(), EngineError> {
        let places = self.places();
        let [(of_from, from), (of_to, at)] = [places[from], places[to]];
        if of_from != of_to {
            let id = self.members()[to].id;
            let shapes = [of_from, of_to].map(|cohort| &self.cohorts[cohort].shape);
            return Err(MemberSnapshot::of_other_shape(id, shapes));
        }
        self.cohorts[of_to].running.copy(from, at)
    }

    fn save(&self) -> Result<Vec<MemberSnapshot>, EngineError> {
        let saved = self.cohorts.iter().map(|c| c.running.save());
        Ok(self.in_order(saved.collect::<Result<_, EngineError>>()?))
    }

    fn load(&mut self, snapshots: &[MemberSnapshot]) -> Result<(), EngineError> {
        let mut of_cohorts = vec![Vec::new(); self.cohorts.len()];
        let mut order = Vec::with_capacity(snapshots.len());
        for snapshot in snapshots {
            let cohort = self.cohort_of.get(&snapshot.id).copied();
            let cohort = cohort.ok_or_else(|| MemberSnapshot::of_no_member(snapshot.id))?;
            of_cohorts[cohort].push(snapshot.clone());
            order.push(cohort);
        }
        for (cohort, snapshots) in self.cohorts.iter_mut().zip(&of_cohorts) {
            cohort.running.load(snapshots)?;
        }
        self.order = order;
        Ok(())
    }

    fn members(&self) -> Vec<Member> {
        self.merged(|cohort| {
            let members = cohort.running.members().into_iter();
            let of_setup = |member| Member {
                shape: cohort.place,
                ..member
            };
            members.map(of_setup).collect()
        })
    }

    fn weights(&self, slot: usize) -> Result<Vec<f32>, EngineError> {
        let (cohort, slot) = self.places()[slot];
        self.cohorts[cohort].running.weights(slot)
    }
}
