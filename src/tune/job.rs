//! What of a study is measured: a wave of each of its classes.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::bench::Workload;
use crate::engine::TUNED_VARIANT;
use crate::engine::gpu::{AdapterKind, Form, Tuned, WaveClass};
use crate::plan::{Limits, Wave};
use crate::study::Study;

/// Classes of a study that are measured: those with the most work.
const MOST_CLASSES: usize = 4;

/// A class of a study's waves.
#[derive(Clone, Debug)]
pub struct Job<'s> {
    /// The class.
    pub class: WaveClass,
    /// Its largest wave.
    pub workload: Workload<'s>,
    /// Operations of the whole study in waves of this class.
    pub flops: f64,
}

/// The classes of a study under these limits, by their work, the largest first. Of a long study the first
/// generation stands for all.
pub fn jobs<'s>(study: &Study<'s>, limits: Limits) -> Vec<Job<'s>> {
    let Some(generation) = study.generations(limits).next() else {
        return Vec::new();
    };
    let scale = study.trials() as f64 / generation.proposals.len() as f64;
    let epochs = f64::from(study.sweep.train.epochs);
    let rows = |fold: u32| study.splits.folds[fold as usize].train.len() as f64;
    let mut classes: BTreeMap<WaveClass, (Wave, f64)> = BTreeMap::new();
    for wave in generation.waves {
        let class = WaveClass::new(&wave.shape, wave.members.len());
        let samples: f64 = wave.members.iter().map(|m| rows(m.id.fold) * epochs).sum();
        let flops = scale * samples * wave.shape.flops_per_sample() as f64;
        match classes.entry(class) {
            Entry::Vacant(place) => {
                place.insert((wave, flops));
            }
            Entry::Occupied(mut there) => {
                let (largest, sum) = there.get_mut();
                *sum += flops;
                if wave.members.len() > largest.members.len() {
                    *largest = wave;
                }
            }
        }
    }
    let job = |(class, (wave, flops)): (WaveClass, (Wave, f64))| Job {
        class,
        workload: Workload {
            dataset: study.dataset,
            splits: study.splits.clone(),
            shape: wave.shape,
            members: wave.members,
            seed: study.sweep.search.seed,
        },
        flops,
    };
    let mut jobs: Vec<Job<'s>> = classes.into_iter().map(job).collect();
    jobs.sort_by(|a, b| b.flops.total_cmp(&a.flops));
    jobs.truncate(MOST_CLASSES);
    jobs
}

/// The forms that a run was begun with, by the variants in its `run.json`; and the names of those that this
/// version or adapter does not have.
pub fn recorded(
    jobs: &[Job<'_>],
    variants: &BTreeMap<String, String>,
    kind: AdapterKind,
) -> (Tuned, Vec<String>) {
    let (mut tuned, mut unknown) = (Tuned::default(), Vec::new());
    for job in jobs {
        let Some(name) = variants.get(&format!("{TUNED_VARIANT}{}", job.class)) else {
            continue;
        };
        match Form::named(name, kind) {
            Some(form) => tuned.set(job.class.clone(), form),
            None => unknown.push(name.clone()),
        }
    }
    (tuned, unknown)
}
