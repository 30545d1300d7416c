//! Learning curves of the best trials.

use crate::report::params::params_text;
use crate::store::TrialRecord;

use super::axis::{Scale, extent, plottable};
use super::escape::{Text, cut};
use super::palette::{SERIES, series_class};
use super::plot::{Area, Plot};
use super::svg::{Path, Point};
use super::{Study, section as page_section};

/// Points of a curve that are drawn; longer ones are thinned.
const POINTS: usize = 200;
const SIZE: Point = (480.0, 330.0);
const AREA: Area = Area {
    left: 62.0,
    top: 12.0,
    right: 456.0,
    bottom: 286.0,
};

pub(super) fn section(study: &Study) -> String {
    let best: Vec<&TrialRecord> = study.ranked.iter().take(SERIES).copied().collect();
    let panels: Vec<String> = panels(study, &best)
        .iter()
        .filter_map(|panel| draw(panel, &best))
        .collect();
    if panels.is_empty() {
        return String::new();
    }
    let lead = format!(
        "The best {}: the mean over the members, in a band from the worst to the best of them.",
        if best.len() == 1 {
            "trial".to_owned()
        } else {
            format!("{} trials", best.len())
        }
    );
    let body = format!(
        "<div class=\"panels two\">\n{}</div>\n{}",
        panels.concat(),
        legend(&best)
    );
    page_section("curves", "Learning curves", &lead, &body)
}

/// What one plot shows: a metric on the validation rows, and perhaps on the training rows.
struct Panel {
    val: String,
    train: Option<&'static str>,
    /// From this epoch on; 1 is the first.
    from: f64,
}

impl Panel {
    /// The same metric on the validation rows, from the middle of the training on.
    fn second_half(&self, epochs: u32) -> Self {
        Self {
            val: self.val.clone(),
            train: None,
            from: f64::from(epochs / 2),
        }
    }

    fn is_enlarged(&self) -> bool {
        self.from > 1.0
    }

    fn caption(&self) -> String {
        let val = Text(&self.val);
        match self.train {
            _ if self.is_enlarged() => {
                format!("<code>{val}</code> of the second half, enlarged, band of the best only")
            }
            Some(train) => format!(
                "<code>{val}</code> (solid) and <code>{}</code> (dashed)",
                Text(train)
            ),
            None => format!("<code>{val}</code>"),
        }
    }
}

/// Fewer epochs have no second half worth a plot of its own.
const LONG: u32 = 6;

fn panels(study: &Study, best: &[&TrialRecord]) -> Vec<Panel> {
    let has = |name: &str| best.iter().any(|trial| trial.curves.contains_key(name));
    let objective = study.input.objective;
    let score = if has(objective) && objective != "val_loss" {
        objective
    } else {
        "val_accuracy"
    };
    let score = Panel {
        val: score.to_owned(),
        train: None,
        from: 1.0,
    };
    let loss = Panel {
        val: "val_loss".to_owned(),
        train: Some("train_loss"),
        from: 1.0,
    };
    let epochs = best.iter().map(|trial| trial.epochs).max().unwrap_or(0);
    let both = [score, loss].into_iter();
    both.flat_map(|panel| {
        let later = (epochs >= LONG).then(|| panel.second_half(epochs));
        [Some(panel), later]
    })
    .flatten()
    .collect()
}

/// A curve over the members: the mean and the range at each epoch at which all of them have a value.
struct Curve {
    points: Vec<Option<Spread>>,
}

#[derive(Clone, Copy)]
struct Spread {
    epoch: f64,
    mean: f64,
    low: f64,
    high: f64,
}

impl Curve {
    fn of(trial: &TrialRecord, name: &str, from: f64) -> Option<Self> {
        let members = trial.curves.get(name)?;
        let epochs = members.iter().map(Vec::len).max()?;
        let step = epochs.div_ceil(POINTS).max(1);
        let last = epochs.checked_sub(1)?;
        let points: Vec<Option<Spread>> = (0..last)
            .step_by(step)
            .chain([last])
            .map(|epoch| spread(members, epoch).filter(|spread| spread.epoch >= from))
            .collect();
        points
            .iter()
            .any(Option::is_some)
            .then_some(Self { points })
    }

    fn spreads(&self) -> impl Iterator<Item = &Spread> {
        self.points.iter().flatten()
    }

    /// Stretches without a gap.
    fn segments(&self) -> impl Iterator<Item = Vec<Spread>> {
        self.points
            .split(Option::is_none)
            .map(|segment| segment.iter().flatten().copied().collect::<Vec<Spread>>())
            .filter(|segment| !segment.is_empty())
    }
}

fn spread(members: &[Vec<Option<f64>>], epoch: usize) -> Option<Spread> {
    let values: Vec<f64> = members
        .iter()
        .map(|curve| {
            curve
                .get(epoch)
                .copied()
                .flatten()
                .filter(|&v| plottable(v))
        })
        .collect::<Option<_>>()?;
    let (low, high) = extent(values.iter().copied())?;
    Some(Spread {
        epoch: epoch as f64 + 1.0,
        mean: values.iter().sum::<f64>() / values.len() as f64,
        low,
        high,
    })
}

fn draw(panel: &Panel, best: &[&TrialRecord]) -> Option<String> {
    let of = |name: &str| -> Vec<Option<Curve>> {
        best.iter()
            .map(|trial| Curve::of(trial, name, panel.from))
            .collect()
    };
    let val = of(&panel.val);
    let train = panel.train.map(of).unwrap_or_default();
    let mut plot = frame(panel, &val, &train)?;
    // The best one last, so that it lies over the others.
    for (series, trial) in best.iter().enumerate().rev() {
        let title = format!(
            "{}. trial {}: {}",
            series + 1,
            trial.trial,
            params_text(&trial.params)
        );
        plot.svg.open(
            &format!("curve {}", series_class(series)),
            &cut(&title, 200),
        );
        if let Some(curve) = train.get(series).and_then(Option::as_ref) {
            draw_line(&mut plot, "line dashed", curve);
        }
        if let Some(curve) = &val[series] {
            if series == 0 || !panel.is_enlarged() {
                draw_band(&mut plot, curve);
            }
            draw_line(&mut plot, "line", curve);
        }
        plot.svg.close();
    }
    label_ends(&mut plot, &val);
    let title = format!("{} by epoch of the best {} trials", panel.val, best.len());
    Some(format!(
        "<figure><figcaption>{}</figcaption>{}</figure>\n",
        panel.caption(),
        plot.svg.finish(&title)
    ))
}

fn frame(panel: &Panel, val: &[Option<Curve>], train: &[Option<Curve>]) -> Option<Plot> {
    let drawn = || val.iter().chain(train).flatten();
    let banded = if panel.is_enlarged() { &val[..1] } else { val };
    let bands = banded
        .iter()
        .flatten()
        .flat_map(Curve::spreads)
        .flat_map(|s| [s.low, s.high]);
    let means = drawn().flat_map(Curve::spreads).map(|s| s.mean);
    let values = extent(bands.chain(means))?;
    let epochs = extent(drawn().flat_map(Curve::spreads).map(|s| s.epoch))?;
    let y = if panel.train.is_some() {
        Scale::fitting(values, AREA.upwards()).padded(0.03)
    } else {
        let is_share = values.0 >= 0.0 && values.1 <= 1.0;
        let (least, most) = if is_share {
            (0.0, 1.0)
        } else {
            (f64::MIN, f64::MAX)
        };
        Scale::linear(values, AREA.upwards())
            .padded(0.03)
            .within(least, most)
    };
    let x = Scale::counting(epochs, AREA.across());
    Some(Plot::new(SIZE, AREA, x, y, ("epoch", &panel.val)))
}

fn draw_line(plot: &mut Plot, class: &str, curve: &Curve) {
    let (mut lines, mut dots) = (Path::default(), Path::default());
    for segment in curve.segments() {
        let points: Vec<Point> = segment.iter().map(|s| plot.at(s.epoch, s.mean)).collect();
        let path = if points.len() > 1 {
            &mut lines
        } else {
            &mut dots
        };
        path.polyline(&points);
    }
    plot.svg.path(class, &lines);
    plot.svg.path("dots", &dots);
}

fn draw_band(plot: &mut Plot, curve: &Curve) {
    let mut path = Path::default();
    for segment in curve.segments().filter(|segment| segment.len() > 1) {
        let above = segment.iter().map(|s| plot.at(s.epoch, s.high));
        let below = segment.iter().rev().map(|s| plot.at(s.epoch, s.low));
        let outline: Vec<Point> = above.chain(below).collect();
        path.polyline(&outline);
        path.close();
    }
    plot.svg.path("band", &path);
}

/// Writes each trial's place at the end of its curve, so that colour is not the only key.
fn label_ends(plot: &mut Plot, curves: &[Option<Curve>]) {
    let mut ends: Vec<(usize, Point)> = curves
        .iter()
        .enumerate()
        .filter_map(|(series, curve)| {
            let last = curve.as_ref()?.spreads().last()?;
            Some((series, plot.at(last.epoch, last.mean)))
        })
        .collect();
    ends.sort_by(|(_, (_, a)), (_, (_, b))| a.total_cmp(b));
    let spread = spread_out(&ends.iter().map(|(_, (_, y))| *y).collect::<Vec<_>>());
    for ((series, (x, _)), y) in ends.into_iter().zip(spread) {
        let class = format!("end {}", series_class(series));
        plot.svg
            .text(&class, (x + 6.0, y + 4.0), &(series + 1).to_string());
    }
}

/// Moves sorted places so that neighbours are a line of text apart, and all are in the plot.
///
/// Labels that would overlap form a block around the middle of their places.
fn spread_out(places: &[f64]) -> Vec<f64> {
    const APART: f64 = 12.0;
    let mut blocks: Vec<Vec<f64>> = Vec::new();
    let top = |block: &[f64]| {
        let extent = (block.len() - 1) as f64 * APART;
        let middle = block.iter().sum::<f64>() / block.len() as f64;
        (middle - extent / 2.0)
            .min(AREA.bottom - extent)
            .max(AREA.top)
    };
    for &place in places {
        let mut block = vec![place];
        while let Some(before) = blocks.pop() {
            if top(&before) + before.len() as f64 * APART <= top(&block) {
                blocks.push(before);
                break;
            }
            block = [before, block].concat();
        }
        blocks.push(block);
    }
    let lines = |block: &Vec<f64>| {
        let top = top(block);
        (0..block.len()).map(move |line| top + line as f64 * APART)
    };
    blocks.iter().flat_map(lines).collect()
}

fn legend(best: &[&TrialRecord]) -> String {
    let entry = |(series, trial): (usize, &&TrialRecord)| {
        format!(
            "<li><i class=\"swatch {}\"></i><b>{}</b> trial {} <span>{}</span></li>\n",
            series_class(series),
            series + 1,
            trial.trial,
            Text(&cut(&params_text(&trial.params), 160))
        )
    };
    let entries: String = best.iter().enumerate().map(entry).collect();
    format!("<ol class=\"legend tall\">\n{entries}</ol>\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::bare;

    #[test]
    fn an_epoch_counts_where_all_members_have_it() {
        let mut trial = bare(0);
        let curves = vec![vec![Some(1.0), None, Some(3.0)], vec![Some(2.0), Some(2.0)]];
        trial.curves.insert("val_loss".into(), curves);
        let curve = Curve::of(&trial, "val_loss", 1.0).expect("one epoch is whole");
        let means: Vec<f64> = curve.spreads().map(|s| s.mean).collect();
        assert_eq!(means, [1.5]);
        assert!(Curve::of(&trial, "val_accuracy", 1.0).is_none());
    }

    #[test]
    fn long_curves_are_thinned_and_keep_their_end() {
        let mut trial = bare(0);
        let curve = (1..=5000).map(|epoch| Some(f64::from(epoch))).collect();
        trial.curves.insert("val_loss".into(), vec![curve]);
        let curve = Curve::of(&trial, "val_loss", 1.0).expect("all epochs are whole");
        assert!(curve.points.len() <= POINTS + 1);
        assert_eq!(curve.spreads().last().map(|s| s.epoch), Some(5000.0));
    }

    #[test]
    fn labels_are_apart_and_inside() {
        let cases = [
            (vec![100.0, 101.0, 102.0], vec![89.0, 101.0, 113.0]),
            (vec![280.0, 281.0, 282.0], vec![262.0, 274.0, 286.0]),
            (vec![12.0, 12.0], vec![12.0, 24.0]),
            (vec![50.0, 55.0, 200.0], vec![46.5, 58.5, 200.0]),
        ];
        for (places, moved) in cases {
            assert_eq!(spread_out(&places), moved);
        }
    }
}
