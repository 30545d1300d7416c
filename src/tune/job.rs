//! What of a study is measured: a wave of each of its classes.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry::{Occupied, Vacant};

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

impl Job<'_> {
    /// Training rows that all members see in waves of this class, if all waves mix shapes as its largest does.
    pub fn trial_samples(&self) -> f64 {
        let members = self.workload.members.iter();
        let samples: usize = members.map(|member| self.workload.rows(member)).sum();
        self.flops * samples as f64 / self.workload.epoch_flops()
    }
}

/// The classes of a study under these limits, by their work, the largest first. Of a long study the first
/// generation stands for all.
pub fn jobs<'s>(study: &Study<'s>, limits: Limits) -> Vec<Job<'s>> {
    let Some(generation) = study.generations(limits).next() else {
        return Vec::new();
    };
    let scale = study.trials() as f64 / generation.proposals.len() as f64;
    let epochs = f64::from(study.sweep.train.epochs);
    let mut jobs: BTreeMap<WaveClass, Job<'s>> = BTreeMap::new();
    for Wave {
        shapes, members, ..
    } in generation.waves
    {
        let class = WaveClass::of_shapes(&shapes, members.len());
        let workload = Workload {
            dataset: study.dataset,
            splits: study.splits.clone(),
            shapes,
            members,
            seed: study.sweep.search.seed,
        };
        let rows = |member: &Member| workload.rows(member);
        let steps = |member: &Member| rows(member).div_ceil(member.hyperparameters.batch_size);
        let steps = workload.members.iter().map(steps).max().unwrap_or(0);
        let flops = scale * epochs * workload.epoch_flops();
        let steps = scale * epochs * steps as f64;
        match jobs.entry(class.clone()) {
            Vacant(entry) => {
                entry.insert(Job {
                    class,
                    workload,
                    flops,
                    steps,
                });
            }
            Occupied(mut entry) => {
                let job = entry.get_mut();
                job.flops += flops;
                job.steps += steps;
                if workload.members.len() > job.workload.members.len() {
                    job.workload = workload;
                }
            }
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
