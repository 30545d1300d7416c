//! Training against validation: how much better a network fits what it has seen.

use std::collections::BTreeSet;

use crate::report::rank::{Goal, Pair};

use super::axis::{Scale, extent, plottable};
use super::plot::{Area, Plot};
use super::range::Range;
use super::series::Series;
use super::svg::{Path, Point};
use super::{Study, section as page_section};

const SIZE: Point = (480.0, 340.0);
const AREA: Area = Area {
    left: 62.0,
    top: 12.0,
    right: 466.0,
    bottom: 296.0,
};

pub(super) fn section(study: &Study) -> String {
    let Some(pair) = Pair::find(study.ranked.iter().copied(), study.input.objective) else {
        return String::new();
    };
    let goal = Goal::of_metric(&pair.val);
    let Some((mut plot, clipped)) = frame(study, &pair, goal) else {
        return String::new();
    };
    let series = Series::of(study);
    for at in 0..series.len() {
        draw_trials(&mut plot, study, &pair, &series, at);
    }
    let ring = draw_best(&mut plot, study, &pair);
    let edge = if clipped {
        " Trials far off the others are drawn at the edge."
    } else {
        ""
    };
    let side = match goal {
        Goal::Maximize => "below",
        Goal::Minimize => "above",
    };
    let lead = format!(
        "On the line both are equal; {side} it, a trial does better on its training rows.{edge}"
    );
    let extra = if ring {
        "<li><i class=\"ring\"></i>best trial</li>\n"
    } else {
        ""
    };
    let body = format!(
        "<figure>{}</figure>\n{}",
        plot.svg.finish(&format!(
            "{} by {} of every ranked trial",
            pair.val, pair.train
        )),
        series.legend(extra)
    );
    page_section("gap", "Training and validation", &lead, &body)
}

/// Training and validation means of the ranked trials that have both.
fn points<'a>(study: &'a Study, pair: &'a Pair) -> impl Iterator<Item = (usize, f64, f64)> + 'a {
    study
        .ranked
        .iter()
        .enumerate()
        .filter_map(|(at, trial)| pair.of(trial).map(|(train, val)| (at, train, val)))
        .filter(|(_, train, val)| plottable(*train) && plottable(*val))
}

/// Axes of one range, so that the diagonal is a diagonal; and whether some trials lie beyond them.
fn frame(study: &Study, pair: &Pair, goal: Goal) -> Option<(Plot, bool)> {
    let both = || points(study, pair).flat_map(|(_, train, val)| [train, val]);
    let range = Range::of(points(study, pair).map(|(_, _, val)| val), goal)?;
    let (low, high) = extent(both())?;
    let limits = match goal {
        Goal::Maximize if range.clipped => (low.max(range.worst), high),
        Goal::Minimize if range.clipped => (low, high.min(range.worst)),
        _ => (low, high),
    };
    let scale = |to| Scale::fitting(limits, to).padded(0.03);
    let (x, y) = (scale(AREA.across()), scale(AREA.upwards()));
    let clipped = both().any(|value| !x.covers(value));
    let mut plot = Plot::new(SIZE, AREA, x, y, (&pair.train, &pair.val));
    plot.svg
        .line("diagonal", (AREA.left, AREA.bottom), (AREA.right, AREA.top));
    Some((plot, clipped))
}

fn draw_trials(plot: &mut Plot, study: &Study, pair: &Pair, series: &Series, at: usize) {
    let places: BTreeSet<(i32, i32)> = points(study, pair)
        .filter(|(trial, ..)| series.index(study.ranked[*trial]) == at)
        .map(|(_, train, val)| plot.at(train, val))
        .map(|(x, y)| (x.round() as i32, y.round() as i32))
        .collect();
    let mut path = Path::default();
    for (x, y) in places {
        path.dot((x.into(), y.into()));
    }
    plot.svg.open(&Series::class(at), series.label(at));
    plot.svg.path("dots", &path);
    plot.svg.close();
}

fn draw_best(plot: &mut Plot, study: &Study, pair: &Pair) -> bool {
    let Some((_, train, val)) = points(study, pair).find(|(at, ..)| *at == 0) else {
        return false;
    };
    let place = plot.at(train, val);
    plot.svg.circle("ring", place, 7.0);
    true
}
