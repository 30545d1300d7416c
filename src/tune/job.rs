//! What of a study is measured: a wave of each of its classes.

use std::collections::BTreeMap;

use crate::bench::Workload;
use crate::engine::TUNED_VARIANT;
use crate::engine::gpu::{AdapterKind, Form, Options, Tuned, WaveClass, engine_of};
use crate::plan::{Limits, Wave};
use crate::study::Study;
use crate::train::Member;

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
    /// Steps of the whole study in waves of this class, one after another.
    pub steps: f64,
}

/// The classes of a study under these limits, by their work, the largest first. Of a long study the first
/// generation stands for all.
pub fn jobs<'s>(study: &Study<'s>, limits: Limits) -> Vec<Job<'s>> {
    let Some(generation) = study.generations(limits).next() else {
        return Vec::new();
    };
    let scale = study.trials() as f64 / generation.proposals.len() as f64;
    let epochs = f64::from(study.sweep.train.epochs);
    let rows = |member: &Member| study.splits.folds[member.id.fold as usize].train.len();
    let mut jobs: BTreeMap<WaveClass, Job<'s>> = BTreeMap::new();
    for Wave { shape, members, .. } in generation.waves {
        let class = WaveClass::new(&shape, members.len());
        let samples: usize = members.iter().map(rows).sum();
        let steps = |member: &Member| rows(member).div_ceil(member.hyperparameters.batch_size);
        let steps = members.iter().map(steps).max().unwrap_or(0);
        let flops_per_sample = shape.flops_per_sample() as f64;
        let job = jobs.entry(class.clone()).or_insert_with(|| Job {
            class,
            workload: Workload {
                dataset: study.dataset,
                splits: study.splits.clone(),
                shape: shape.clone(),
                members: Vec::new(),
                seed: study.sweep.search.seed,
            },
            flops: 0.0,
            steps: 0.0,
        });
        job.flops += scale * epochs * samples as f64 * flops_per_sample;
        job.steps += scale * epochs * steps as f64;
        if members.len() > job.workload.members.len() {
            (job.workload.shape, job.workload.members) = (shape, members);
        }
    }
    let mut jobs: Vec<Job<'s>> = jobs.into_values().collect();
    jobs.sort_by(|a, b| b.flops.total_cmp(&a.flops));
    jobs.truncate(MOST_CLASSES);
    jobs
}

/// The forms that a run was begun with, by the variants in its `run.json`, for an engine with these options; and
/// the names of those that this version or adapter does not have, in whose place the usual form of the same
/// engine is taken.
pub fn recorded(
    jobs: &[Job<'_>],
    variants: &BTreeMap<String, String>,
    kind: AdapterKind,
    options: Options,
) -> (Tuned, Vec<String>) {
    let forms = options.candidates(kind);
    let (mut tuned, mut unknown) = (Tuned::default(), Vec::new());
    for job in jobs {
        let Some(name) = variants.get(&format!("{TUNED_VARIANT}{}", job.class)) else {
            continue;
        };
        if Form::named(name, kind).is_none() {
            unknown.push(name.clone());
        }
        let same = forms.iter().find(|form| form.name() == *name);
        let alike = || forms.iter().find(|form| form.engine() == engine_of(name));
        if let Some(&form) = same.or_else(alike) {
            tuned.set(job.class.clone(), form);
        }
    }
    (tuned, unknown)
}
