//! `regatta tune-kernels`, and what a sweep does of it.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use super::adapters::{self, Chosen};
use super::arguments::{SweepArguments, TuneKernelsArguments};
use super::exit::Usage;
use super::{output, sweep};
use crate::engine::gpu::GpuEngine;
use crate::report::{duration_text, rate_text};
use crate::space::Overrides;
use crate::store::RunRecord;
use crate::study::Study;
use crate::tune::{self, Cache, Job, Measurement, Tuner};

/// Measures, shows or clears.
pub fn run(arguments: &TuneKernelsArguments) -> anyhow::Result<ExitCode> {
    let place = tune::place()?;
    if arguments.clear {
        return clear(&place);
    }
    if arguments.show {
        return show(&place, arguments.json);
    }
    // What cannot be read would be lost by writing.
    let cache = Cache::read(&place)?;
    let chosen = adapters::choose(&arguments.adapter, arguments.engine.as_deref(), None)?;
    let Chosen::Gpu(engine) = &chosen else {
        return Err(Usage(format!(
            "tune-kernels measures kernels of GPU adapters, and --adapter {} is the native engine; name a GPU (see `regatta adapters`)",
            arguments.adapter
        ))
        .into());
    };
    let file = arguments.file.as_deref();
    let resolved = sweep::resolve_file(file, &Overrides::default())?;
    let study = resolved.study(engine.as_ref());
    study.check_capacity()?;
    // A place that cannot be written to is noticed before anything is measured.
    cache.write(&place)?;
    let jobs = tune::jobs(&study, study.engine.limits());
    let mut tuner = Tuner::new(engine, cache);
    tuner.measure(&jobs, &mut |job, measured| tell(job, measured))?;
    tuner.save(&place, &jobs)?;
    let entries = tuner.entries(&jobs);
    if arguments.json {
        output::print_json(&entries)?;
    } else {
        let blocks: Vec<String> = entries.iter().map(tune::block).collect();
        output::print(&blocks.join("\n"))?;
        output::tell(&format!("kept in {}", place.display()));
    }
    Ok(ExitCode::SUCCESS)
}

fn clear(place: &Path) -> anyhow::Result<ExitCode> {
    let said = match Cache::clear(place)? {
        true => format!("{} is removed", place.display()),
        false => format!("nothing was measured yet: there is no {}", place.display()),
    };
    output::tell(&said);
    Ok(ExitCode::SUCCESS)
}

fn show(place: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let cache = Cache::read(place)?;
    if json {
        output::print_json(&cache)?;
        return Ok(ExitCode::SUCCESS);
    }
    if cache.entries.is_empty() {
        let place = place.display();
        output::tell(&format!(
            "nothing was measured yet: there is no entry in {place}; `regatta tune-kernels --adapter A` measures"
        ));
    }
    output::print(&tune::table(&cache))?;
    Ok(ExitCode::SUCCESS)
}

fn tell(job: &Job<'_>, measured: &Measurement) {
    let found = match (measured.rate(), &measured.error) {
        (_, Some(error)) => format!("not used: {error}"),
        (rate, None) => format!("{} trial-samples/s", rate_text(rate)),
    };
    let took = duration_text(measured.took_s);
    output::tell(&format!(
        "{}: {}: {found} (took {took})",
        job.class, measured.form
    ));
}

/// Has the engine take the forms that a run was begun with.
pub fn take_recorded(study: &Study<'_>, engine: &GpuEngine, record: &RunRecord) {
    let jobs = tune::jobs(study, record.plan.limits);
    let (kind, options) = (engine.device().kind, engine.options());
    let (tuned, unknown) = tune::recorded(&jobs, &record.adapter.variants, kind, options);
    for name in unknown {
        output::tell(&format!(
            "warning: the run was begun with kernels that this adapter or version does not have ({name}); the usual ones of the same engine are taken, and results do not depend on them"
        ));
    }
    engine.set_tuned(tuned);
}

/// Has the engine take what is known to be fast for a sweep that begins; what is not known is measured where
/// the sweep is long. That there is no cache stops no sweep. Gives the seconds spent on it.
pub fn prepare(
    study: &Study<'_>,
    engine: &GpuEngine,
    arguments: &SweepArguments,
) -> anyhow::Result<f64> {
    let warn = |error: &tune::CacheError| output::tell(&format!("warning: {error}"));
    let read = tune::place().and_then(|place| Ok((Cache::read(&place)?, place)));
    let (cache, place) = match read {
        Ok(read) => read,
        Err(error) => {
            warn(&error);
            return Ok(0.0);
        }
    };
    let jobs = tune::jobs(study, study.engine.limits());
    let mut tuner = Tuner::new(engine, cache);
    if arguments.dry_run {
        tuner.take_known(&jobs);
        return Ok(0.0);
    }
    let begun = Instant::now();
    tuner.prepare(&jobs, &mut |job, measured| {
        if !arguments.quiet {
            tell(job, measured);
        }
    })?;
    if !tuner.has_changed() {
        return Ok(0.0);
    }
    let spent_s = begun.elapsed().as_secs_f64();
    if let Err(error) = tuner.save(&place, &jobs) {
        warn(&error);
    }
    Ok(spent_s)
}
