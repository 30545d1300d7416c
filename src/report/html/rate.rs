//! The objective by learning rate: every trial, and the best ones at each rate.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::report::rank::Goal;
use crate::store::{TrialRecord, TrialState};

use super::axis::{Scale, extent, plottable};
use super::escape::Text;
use super::levels::Levels;
use super::plot::{Area, Plot};
use super::series::Series;
use super::svg::{Path, Point};
use super::{Study, section as page_section};

const RATE: &str = "learning_rate";
const SIZE: Point = (480.0, 340.0);
const AREA: Area = Area {
    left: 62.0,
    top: 12.0,
    right: 466.0,
    bottom: 296.0,
};

pub(super) fn section(study: &Study) -> String {
    if !study.is_swept(RATE) {
        return String::new();
    }
    let series = Series::of(study);
    let Some(mut plot) = frame(study) else {
        return String::new();
    };
    for at in 0..series.len() {
        plot.svg.open(&Series::class(at), series.label(at));
        draw_trials(&mut plot, study, &series, at);
        draw_best(&mut plot, study, &series, at);
        plot.svg.close();
    }
    let diverged = draw_diverged(&mut plot, study, &series);
    let extra = if diverged {
        "<li><i class=\"cross\">×</i>diverged</li>\n"
    } else {
        ""
    };
    let objective = study.input.objective;
    let body = format!(
        "<figure>{}</figure>\n{}",
        plot.svg.finish(&format!("{objective} by learning rate")),
        series.legend(extra)
    );
    let lead = format!(
        "<code>{}</code> of every trial; lines join the best at each rate.",
        Text(objective)
    );
    page_section("rate", "Learning rate", &lead, &body)
}

fn rate_of(trial: &TrialRecord) -> Option<f64> {
    trial.params.get(RATE)?.as_f64().filter(|&v| plottable(v))
}

/// Ranked trials with their rates and values.
fn points<'a>(study: &Study<'a>) -> impl Iterator<Item = (&'a TrialRecord, f64, f64)> {
    study
        .scored()
        .filter_map(|(trial, value)| Some((trial, rate_of(trial)?, value)))
}

fn frame(study: &Study) -> Option<Plot> {
    let rates = extent(study.input.trials.iter().filter_map(rate_of))?;
    let values = extent(points(study).map(|(_, _, value)| value))?;
    let x = Scale::fitting(rates, AREA.across()).padded(0.03);
    let y = match study.input.goal {
        Goal::Minimize => Scale::fitting(values, AREA.upwards()),
        Goal::Maximize => Scale::linear(values, AREA.upwards()),
    };
    let y = y.padded(0.06);
    let label = if x.is_log() {
        "learning rate (log)"
    } else {
        "learning rate"
    };
    Some(Plot::new(SIZE, AREA, x, y, (label, study.input.objective)))
}

/// Dots, at most one a unit of the drawing.
fn draw_trials(plot: &mut Plot, study: &Study, series: &Series, at: usize) {
    let places: BTreeSet<(i32, i32)> = points(study)
        .filter(|(trial, ..)| series.index(trial) == at)
        .map(|(_, rate, value)| plot.at(rate, value))
        .map(|(x, y)| (x.round() as i32, y.round() as i32))
        .collect();
    let mut path = Path::default();
    for (x, y) in places {
        path.dot((x.into(), y.into()));
    }
    plot.svg.path("dots faint", &path);
}

/// A line through the best trial of each rate, or of each bin of rates.
fn draw_best(plot: &mut Plot, study: &Study, series: &Series, at: usize) {
    let rates: Vec<Value> = points(study).map(|(_, rate, _)| rate.into()).collect();
    let levels = Levels::of(rates.iter());
    let mut best: Vec<Option<(f64, f64)>> = vec![None; levels.len()];
    // Trials come best first, so the first of a level is its best.
    for (_, rate, value) in points(study).filter(|(trial, ..)| series.index(trial) == at) {
        if let Some(level) = levels.index(&rate.into()) {
            best[level].get_or_insert((rate, value));
        }
    }
    let line: Vec<Point> = best
        .into_iter()
        .flatten()
        .map(|(rate, value)| plot.at(rate, value))
        .collect();
    let mut path = Path::default();
    path.polyline(&line);
    plot.svg.path("line", &path);
    let mut dots = Path::default();
    line.into_iter().for_each(|point| dots.dot(point));
    plot.svg.path("dots", &dots);
}

/// Crosses on the axis at the rates of diverged trials; whether there were any.
fn draw_diverged(plot: &mut Plot, study: &Study, series: &Series) -> bool {
    let places: BTreeSet<i32> = study
        .unranked
        .iter()
        .filter(|trial| trial.state == TrialState::Diverged)
        .filter_map(|trial| {
            let shift = 9.0 * (series.index(trial) as f64 - (series.len() as f64 - 1.0) / 2.0);
            Some((plot.x.at(rate_of(trial)?) + shift).round() as i32)
        })
        .collect();
    let mut path = Path::default();
    for &x in &places {
        path.cross((x.into(), AREA.bottom - 6.0), 3.0);
    }
    plot.svg.path("cross", &path);
    !places.is_empty()
}
