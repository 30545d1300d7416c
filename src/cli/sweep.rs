//! `regatta sweep`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::adapters::{self, Chosen};
use super::arguments::SweepArguments;
use super::exit::{FAILED, INTERRUPTED, Usage};
use super::progress::{Expected, Progress};
use super::timeline::Timeline;
use super::{output, tune_kernels};
use crate::data::{self, Dataset, Splits};
use crate::engine::gpu::GpuEngine;
use crate::engine::{Engine, Trace};
use crate::report::{Goal, Score, count_text, duration_text, leaderboard, summary_text};
use crate::space::{self, Overrides, Sweep, SweepFile};
use crate::store::{
    self, Opened, PlanRecord, Run, RunReader, RunRecord, SummaryRecord, TrialRecord,
};
use crate::study::{Control, Ending, Estimate, Study, estimate};

/// Trials that the table on stdout shows.
const SHOWN_TRIALS: usize = 10;
/// Folds x repeats: a trial's record holds all of its members.
const MOST_MEMBERS_PER_TRIAL: u64 = 10_000;

/// Resolves, trains, prints.
pub fn run(arguments: &SweepArguments, started: Instant) -> anyhow::Result<ExitCode> {
    let timeline = Timeline::new(arguments.trace.as_deref())?;
    let code = sweep(arguments, started, &timeline.trace);
    let written = timeline.write(arguments.quiet);
    let code = code?;
    written?;
    Ok(code)
}

fn sweep(arguments: &SweepArguments, started: Instant, trace: &Trace) -> anyhow::Result<ExitCode> {
    let recorded = recorded_adapter(arguments);
    let (adapter, engine) = recorded.unzip();
    let engine = arguments.engine.clone().or(engine.flatten());
    let chosen = adapters::choose(
        adapter.as_deref().unwrap_or(&arguments.adapter),
        engine.as_deref(),
        arguments.threads,
    )?
    .with_trace(trace);
    let earlier = open_earlier(arguments)?;
    let resolved = resolve(arguments, earlier.record())?;
    let study = resolved.study(chosen.engine());
    for warning in &resolved.warnings {
        output::tell(&format!("warning: {warning}"));
    }
    let compiled_s = match &chosen {
        Chosen::Gpu(engine) => take_kernels(arguments, &study, engine, earlier.record())?,
        Chosen::Cpu(_) => 0.0,
    };
    if arguments.dry_run {
        if let Earlier::Read(folder, record) = &earlier {
            study.check_same(&folder.display().to_string(), record)?;
        }
        return dry_run(arguments, &study);
    }
    let opened = match earlier {
        Earlier::Opened(opened) => Some(*opened),
        Earlier::None | Earlier::Read(..) => None,
    };
    let (run, plan) = begin(arguments, &study, opened)?;
    let begun = Begun {
        started,
        compiled_s,
        trace: trace.clone(),
    };
    train(arguments, &study, run, &plan, begun)
}

/// Has the engine take kernels that are fast for the study, or those that the run was begun with. Gives the
/// seconds spent on it.
fn take_kernels(
    arguments: &SweepArguments,
    study: &Study<'_>,
    engine: &GpuEngine,
    earlier: Option<&RunRecord>,
) -> anyhow::Result<f64> {
    if let Some(record) = earlier {
        tune_kernels::take_recorded(study, engine, record);
        return Ok(0.0);
    }
    if arguments.no_tune {
        return Ok(0.0);
    }
    study.check_capacity()?;
    tune_kernels::prepare(study, engine, arguments)
}

/// What of the process's time was before training.
struct Begun {
    /// When it began.
    started: Instant,
    /// Seconds of compiling and measuring kernels.
    compiled_s: f64,
    /// Where the rest is recorded.
    trace: Trace,
}

/// The adapter that the run was begun on, where it is gone on with and none is named: `cpu`, or
/// backend and name, by which it is found again; and of a GPU what `--engine` said then.
fn recorded_adapter(arguments: &SweepArguments) -> Option<(String, Option<String>)> {
    if !arguments.resume || !arguments.adapter.eq_ignore_ascii_case("auto") {
        return None;
    }
    let folder = arguments.out.clone().unwrap_or_else(store::latest);
    // What cannot be read is said when the run is opened.
    let adapter = store::open(&folder).and_then(|run| run.run()).ok()?.adapter;
    Some(match adapter.engine.as_str() {
        "cpu" => ("cpu".to_owned(), None),
        engine => {
            let engine = adapter
                .variants
                .get("engine")
                .map_or(engine, String::as_str);
            let name = format!("{}:{}", adapter.backend, adapter.name);
            (name, Some(engine.to_owned()))
        }
    })
}

/// The run that `--resume` names.
enum Earlier {
    /// There is none, or it was not asked for.
    None,
    /// It is only looked at: nothing is trained.
    Read(PathBuf, Box<RunRecord>),
    /// It is gone on with.
    Opened(Box<Opened>),
}

impl Earlier {
    fn record(&self) -> Option<&RunRecord> {
        match self {
            Self::None => None,
            Self::Read(_, record) => Some(record),
            Self::Opened(opened) => Some(&opened.record),
        }
    }
}

/// The run that `--resume` goes on with, if it is there.
fn open_earlier(arguments: &SweepArguments) -> anyhow::Result<Earlier> {
    let out = arguments.out.as_deref();
    if !arguments.resume {
        return match out {
            Some(out) if store::is_taken(out)? => {
                let path = out.to_owned();
                Err(store::StoreError::Exists { path }.into())
            }
            _ => Ok(Earlier::None),
        };
    }
    let folder = out.map_or_else(store::latest, Path::to_owned);
    if !arguments.dry_run {
        let opened = store::resume(&folder)?;
        return Ok(opened.map_or(Earlier::None, |opened| Earlier::Opened(Box::new(opened))));
    }
    if !store::is_taken(&folder)? {
        return Ok(Earlier::None);
    }
    let record = store::open(&folder)?.run()?;
    Ok(Earlier::Read(folder, Box::new(record)))
}

/// Everything that is settled before anything is written.
pub struct Resolved {
    sweep: Sweep,
    dataset: Dataset,
    splits: Splits,
    warnings: Vec<String>,
}

impl Resolved {
    /// The study on an engine.
    pub fn study<'s>(&'s self, engine: &'s dyn Engine) -> Study<'s> {
        Study {
            sweep: &self.sweep,
            dataset: &self.dataset,
            splits: &self.splits,
            engine,
        }
    }
}

fn resolve(arguments: &SweepArguments, earlier: Option<&RunRecord>) -> anyhow::Result<Resolved> {
    if let Some(record) = earlier
        && arguments.is_bare()
    {
        let sweep = serde_json::from_value(record.sweep.clone())
            .context("run.json holds a sweep that this version does not know")?;
        return load(sweep);
    }
    resolve_file(arguments.file.as_deref(), &arguments.overrides())
}

/// What a sweep file, or without one the default, means with these flags.
///
/// # Errors
/// The first mistake in either, or in the data.
pub fn resolve_file(file: Option<&Path>, overrides: &Overrides) -> anyhow::Result<Resolved> {
    let file = file.map(read_sweep_file).transpose()?;
    load(space::resolve(file, overrides)?)
}

fn load(sweep: Sweep) -> anyhow::Result<Resolved> {
    let members = u64::from(sweep.data.repeats) * u64::from(sweep.data.folds_count());
    if members > MOST_MEMBERS_PER_TRIAL {
        return Err(Usage(format!(
            "folds x repeats is {members}, and a trial has at most {MOST_MEMBERS_PER_TRIAL} members; take fewer of either"
        ))
        .into());
    }
    let dataset = data::load(&sweep.data)?;
    let splits = data::split(&dataset, &sweep.data, sweep.search.seed)?;
    let (sweep, warnings) = sweep.fit_to_rows(splits.smallest_training_rows())?;
    Ok(Resolved {
        sweep,
        dataset,
        splits,
        warnings,
    })
}

fn read_sweep_file(path: &Path) -> anyhow::Result<SweepFile> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Usage(format!("cannot read the sweep file {shown}: {error}")))?;
    Ok(SweepFile {
        path: path.to_owned(),
        text,
    })
}

/// The run's folder, new or gone on with, and the plan that it keeps to.
fn begin(
    arguments: &SweepArguments,
    study: &Study<'_>,
    opened: Option<Opened>,
) -> anyhow::Result<(Run, PlanRecord)> {
    if let Some(opened) = opened {
        let folder = opened.run.folder().display().to_string();
        study.check_same(&folder, &opened.record)?;
        study.check_plan(&opened.record.plan)?;
        if let Some(warning) = study.other_machine(&opened.record) {
            output::tell(&format!("warning: {warning}"));
        }
        if opened.torn_bytes > 0 {
            let bytes = opened.torn_bytes;
            output::tell(&format!(
                "warning: {bytes} bytes of a torn last line were cut off in {folder}"
            ));
        }
        return Ok((opened.run, opened.record.plan));
    }
    study.check_capacity()?;
    let name = &study.dataset.name;
    let folder = match &arguments.out {
        Some(out) => out.clone(),
        None => store::default_folder(name)?,
    };
    let record = study.record();
    Ok((store::create(&folder, &record)?, record.plan))
}

fn train(
    arguments: &SweepArguments,
    study: &Study<'_>,
    mut run: Run,
    plan: &PlanRecord,
    begun: Begun,
) -> anyhow::Result<ExitCode> {
    let reader = run.reader();
    if let Some(summary) = reader.summary()? {
        reader.check_complete(&summary)?;
        if !arguments.quiet {
            let folder = reader.folder().display();
            output::tell(&format!("{folder} is finished; nothing is left to do"));
        }
        return print_results(arguments, study, &reader, &summary);
    }
    let stop = stop_on_signals()?;
    let mut progress = progress(arguments, study, &reader)?;
    let mut control = Control {
        observer: &mut progress,
        stop: &stop,
        checkpoint_every: Duration::from_secs(arguments.checkpoint_every),
        started: begun.started,
        compiled_s: begun.compiled_s,
        trace: begun.trace,
    };
    let ending = study.run(&mut run, plan, &mut control);
    progress.clear();
    match ending? {
        Ending::Finished(summary) => print_results(arguments, study, &reader, &summary),
        Ending::Interrupted => {
            output::tell(&interrupted_text(reader.folder()));
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

fn interrupted_text(folder: &Path) -> String {
    let shown = folder.display();
    format!(
        "interrupted; what was done is in {shown}: go on with `regatta sweep --resume --out {shown}`"
    )
}

/// A flag that Ctrl-C and a polite kill set. The second Ctrl-C ends the process at once.
fn stop_on_signals() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::SeqCst) {
            std::process::exit(i32::from(INTERRUPTED));
        }
    })
    .context("cannot listen to Ctrl-C")?;
    Ok(stop)
}

fn progress(
    arguments: &SweepArguments,
    study: &Study<'_>,
    reader: &RunReader,
) -> anyhow::Result<Progress> {
    let expected = Expected {
        trials: study.trials(),
        rows_per_trial: study.rows_per_trial_epoch() * u64::from(study.sweep.train.epochs),
        objective: study.sweep.train.objective.clone(),
    };
    let quiet = arguments.quiet;
    let mut progress = Progress::new(expected, quiet);
    let mut recorded = 0;
    for trial in reader.trials()? {
        trial?;
        recorded += 1;
    }
    progress.skip(recorded);
    if !quiet {
        let name = &study.dataset.name;
        let (trials, members) = (
            study.trials(),
            study.trials() * study.members_per_trial().count(),
        );
        let adapter = study.adapter();
        progress.line(&format!(
            "{name}: {} trials, {} members on {} ({}), run in {}",
            count_text(trials),
            count_text(members),
            adapter.name,
            adapter.engine,
            reader.folder().display()
        ));
        if recorded > 0 {
            progress.line(&format!("{recorded} trials are on record already"));
        }
    }
    Ok(progress)
}

/// Prints the leaderboard and the summary, or the JSON. When every trial diverged the study has no
/// result, and the exit code says so.
fn print_results(
    arguments: &SweepArguments,
    study: &Study<'_>,
    reader: &RunReader,
    summary: &SummaryRecord,
) -> anyhow::Result<ExitCode> {
    if arguments.json {
        output::print_json(summary)?;
    } else {
        let objective = &study.sweep.train.objective;
        let best = best_trials(reader, objective)?;
        let table = leaderboard(&best, summary.trials, objective, output::table_style());
        let folder = reader.folder().display();
        output::print(&format!(
            "{table}\n{}run      {folder} (`regatta report {folder}` makes a page of it)\n",
            summary_text(summary)
        ))?;
    }
    if summary.best.is_none() {
        output::tell("error: no trial is complete: every one diverged; try lower learning rates");
        return Ok(ExitCode::from(FAILED));
    }
    Ok(ExitCode::SUCCESS)
}

/// The best few trials, best first, read one by one.
fn best_trials(reader: &RunReader, objective: &str) -> anyhow::Result<Vec<TrialRecord>> {
    let goal = Goal::of_metric(objective);
    let mut best: Vec<TrialRecord> = Vec::new();
    for trial in reader.trials()? {
        let trial = trial?;
        if Score::of(&trial, objective).value.is_none() {
            continue;
        }
        best.push(trial);
        if best.len() == 2 * SHOWN_TRIALS {
            best = ranked(best, objective, goal);
        }
    }
    Ok(ranked(best, objective, goal))
}

fn ranked(trials: Vec<TrialRecord>, objective: &str, goal: Goal) -> Vec<TrialRecord> {
    let order = crate::report::rank(&trials, objective, goal);
    order.into_iter().take(SHOWN_TRIALS).cloned().collect()
}

fn dry_run(arguments: &SweepArguments, study: &Study<'_>) -> anyhow::Result<ExitCode> {
    study.check_capacity()?;
    let estimate = estimate(study)?;
    if arguments.json {
        output::print_json(&estimate)?;
    } else {
        output::print(&estimate_text(study, &estimate))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn estimate_text(study: &Study<'_>, estimate: &Estimate) -> String {
    let adapter = study.adapter();
    let per_trial = study.members_per_trial();
    let mebibytes = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    let lines = [
        ("trials", count_text(estimate.trials)),
        (
            "members",
            format!(
                "{} ({} a trial: {} folds x {} repeats)",
                count_text(estimate.members),
                per_trial.count(),
                per_trial.folds,
                per_trial.repeats
            ),
        ),
        (
            "cohorts",
            format!("{} (networks of one shape)", estimate.cohorts),
        ),
        (
            "waves",
            format!("{} (members trained at once)", estimate.waves),
        ),
        (
            "memory",
            format!(
                "{} for the largest wave, {} for the data",
                mebibytes(estimate.wave_bytes),
                mebibytes(estimate.data_bytes)
            ),
        ),
        (
            "work",
            format!(
                "{} trial-samples, {:.3} TFLOP{}",
                count_text(estimate.trial_samples),
                estimate.flops / 1e12,
                if estimate.extrapolated {
                    " (scaled up from the first trials)"
                } else {
                    ""
                }
            ),
        ),
        (
            "time",
            format!(
                "about {} of training on {} ({}), from a probe of a few steps; evaluation and refit come on top",
                duration_text(estimate.train_s),
                adapter.name,
                adapter.engine
            ),
        ),
    ];
    let text: Vec<String> = lines.iter().map(|(k, v)| format!("{k:<8} {v}\n")).collect();
    text.concat()
}
