//! Learning rate by batch size, a panel an optimizer.

use crate::report::format::{counted, metric_text, number_text};
use crate::report::rank::Goal;
use crate::store::{TrialRecord, TrialState};

use super::escape::Text;
use super::levels::Levels;
use super::palette::{ink_on_viridis, viridis};
use super::range::Range;
use super::series::Series;
use super::svg::{Path, Point, Svg};
use super::{Study, section as page_section};

const X: &str = "batch_size";
const Y: &str = "learning_rate";
const TOP: f64 = 6.0;
const CELL_HEIGHT: f64 = 30.0;

pub(super) fn section(study: &Study) -> String {
    if !study.is_swept(X) || !study.is_swept(Y) {
        return String::new();
    }
    let grid = Grid::of(study);
    let Some(range) = grid.range(study.input.goal) else {
        return String::new();
    };
    let panels: String = (0..grid.series.len())
        .map(|panel| grid.draw(panel, range, study))
        .collect();
    let lead = format!(
        "In each cell the best <code>{}</code> over all other parameters.",
        Text(study.input.objective)
    );
    let wide = if grid.x.len() > 6 { " wide" } else { "" };
    let body = format!(
        "<div class=\"panels three{wide}\">\n{panels}</div>\n{}",
        legend(range, study)
    );
    page_section("heatmap", "Learning rate by batch size", &lead, &body)
}

/// What became of the trials of one cell.
#[derive(Clone, Default)]
struct Cell {
    best: Option<f64>,
    trials: u64,
    diverged: u64,
}

impl Cell {
    fn add(&mut self, trial: &TrialRecord, value: Option<f64>, goal: Goal) {
        self.trials += 1;
        self.diverged += u64::from(trial.state == TrialState::Diverged);
        if let Some(value) = value {
            self.best = Some(self.best.map_or(value, |best| goal.better(best, value)));
        }
    }

    fn title(&self) -> String {
        let mut title = counted(self.trials, "trial");
        if self.best.is_some() {
            title = format!("best {} of {title}", metric_text(self.best));
        }
        if self.diverged > 0 {
            title.push_str(&format!(", {} diverged", self.diverged));
        }
        title
    }
}

/// The cells of all panels.
struct Grid {
    x: Levels,
    y: Levels,
    series: Series,
    cells: Vec<Cell>,
}

impl Grid {
    fn of(study: &Study) -> Self {
        let levels = |name: &'static str| {
            let values = study
                .input
                .trials
                .iter()
                .filter_map(move |t| t.params.get(name));
            Levels::of(values)
        };
        let (x, y, series) = (levels(X), levels(Y), Series::of(study));
        let cells = vec![Cell::default(); x.len() * y.len() * series.len()];
        let mut grid = Self {
            x,
            y,
            series,
            cells,
        };
        for trial in study.input.trials {
            if let Some(place) = grid.place(trial) {
                grid.cells[place].add(trial, study.value(trial), study.input.goal);
            }
        }
        grid
    }

    fn place(&self, trial: &TrialRecord) -> Option<usize> {
        let x = self.x.index(trial.params.get(X)?)?;
        let y = self.y.index(trial.params.get(Y)?)?;
        Some(self.index(self.series.index(trial), x, y))
    }

    fn index(&self, panel: usize, x: usize, y: usize) -> usize {
        (panel * self.y.len() + y) * self.x.len() + x
    }

    fn range(&self, goal: Goal) -> Option<Range> {
        Range::of(self.cells.iter().filter_map(|cell| cell.best), goal)
    }

    fn draw(&self, panel: usize, range: Range, study: &Study) -> String {
        let (columns, rows) = (self.x.len(), self.y.len());
        let left = 32.0 + self.y.label_width();
        let cell_width = (272.0 / columns as f64)
            .max(46.0)
            .max(self.x.label_width() + 4.0);
        let size = (cell_width, CELL_HEIGHT);
        let bottom = TOP + rows as f64 * CELL_HEIGHT;
        let right = left + columns as f64 * cell_width;
        let mut svg = Svg::new(right + 6.0, bottom + 42.0);
        for y in 0..rows {
            // The smallest value is at the bottom, as on any y axis.
            let top = TOP + (rows - 1 - y) as f64 * CELL_HEIGHT;
            svg.text(
                "tick end",
                (left - 7.0, top + CELL_HEIGHT / 2.0 + 4.0),
                &self.y.labels()[y],
            );
            for x in 0..columns {
                let corner = (left + x as f64 * cell_width, top);
                self.draw_cell(&mut svg, (panel, x, y), corner, size, range);
            }
        }
        for (x, label) in self.x.labels().iter().enumerate() {
            let middle = left + (x as f64 + 0.5) * cell_width;
            svg.text("tick mid", (middle, bottom + 17.0), label);
        }
        svg.text(
            "label mid",
            ((left + right) / 2.0, bottom + 36.0),
            "batch size",
        );
        svg.text_upwards("label mid", (13.0, (TOP + bottom) / 2.0), "learning rate");
        self.figure(panel, svg, study)
    }

    fn figure(&self, panel: usize, svg: Svg, study: &Study) -> String {
        let label = self.series.label(panel);
        let of = if label.is_empty() {
            String::new()
        } else {
            format!(" for {label}")
        };
        let title = format!(
            "Best {} by learning rate and batch size{of}",
            study.input.objective
        );
        let caption = if label.is_empty() {
            String::new()
        } else {
            format!("<figcaption><b>{}</b></figcaption>", Text(label))
        };
        format!("<figure>{caption}{}</figure>\n", svg.finish(&title))
    }

    fn draw_cell(
        &self,
        svg: &mut Svg,
        (panel, x, y): (usize, usize, usize),
        corner: Point,
        size: Point,
        range: Range,
    ) {
        let cell = &self.cells[self.index(panel, x, y)];
        let (corner, size) = (
            (corner.0 + 1.0, corner.1 + 1.0),
            (size.0 - 2.0, size.1 - 2.0),
        );
        let middle = (corner.0 + size.0 / 2.0, corner.1 + size.1 / 2.0 + 4.0);
        if cell.trials == 0 {
            svg.rect("untried", corner, size, "");
            return;
        }
        let place = format!("{Y} {}, {X} {}", self.y.labels()[y], self.x.labels()[x]);
        svg.open("cell", &format!("{place}: {}", cell.title()));
        match cell.best {
            Some(best) => {
                let share = range.share(best);
                svg.rect("value", corner, size, &viridis(share));
                svg.text(
                    &format!("mid {}", ink_on_viridis(share)),
                    middle,
                    &cell_text(best),
                );
                if cell.diverged > 0 {
                    svg.circle(
                        &format!("mark {}", ink_on_viridis(share)),
                        (corner.0 + size.0 - 6.0, corner.1 + 6.0),
                        2.5,
                    );
                }
            }
            None => draw_unranked(svg, cell, corner, size, middle),
        }
        svg.close();
    }
}

fn draw_unranked(svg: &mut Svg, cell: &Cell, corner: Point, size: Point, middle: Point) {
    svg.rect("failed", corner, size, "");
    let mut hatch = Path::default();
    hatch.hatch(corner, size, 7.0);
    svg.path("hatch", &hatch);
    let text = match cell.diverged {
        0 => "none",
        _ if size.0 > 60.0 => "diverged",
        _ => "div.",
    };
    svg.text("mid bad", middle, text);
}

/// The value as a cell has room for it.
fn cell_text(value: f64) -> String {
    if value.abs() < 10.0 && (value == 0.0 || value.abs() >= 5e-4) {
        format!("{value:.3}")
    } else {
        number_text(value, 3)
    }
}

/// The scale of colours, and what the other cells mean.
fn legend(range: Range, study: &Study) -> String {
    const STEPS: u32 = 48;
    let mut bar = Svg::new(240.0, 12.0);
    let width = 240.0 / f64::from(STEPS);
    for step in 0..STEPS {
        let share = f64::from(step) / f64::from(STEPS - 1);
        bar.rect(
            "value",
            (f64::from(step) * width, 0.0),
            (width + 0.3, 12.0),
            &viridis(share),
        );
    }
    let mut hatched = Svg::new(24.0, 14.0);
    hatched.rect("failed", (0.0, 0.0), (24.0, 14.0), "");
    let mut hatch = Path::default();
    hatch.hatch((0.0, 0.0), (24.0, 14.0), 7.0);
    hatched.path("hatch", &hatch);
    let beyond = match (range.clipped, study.input.goal) {
        (false, _) => "",
        (true, Goal::Maximize) => "≤ ",
        (true, Goal::Minimize) => "≥ ",
    };
    format!(
        "<ul class=\"legend\">\n<li class=\"scale\"><span>{beyond}{}</span>{}<span>{}</span></li>\n\
         <li class=\"key\">{}<span>all trials diverged</span></li>\n\
         <li><i class=\"corner\"></i>dot: some trials diverged</li>\n</ul>\n",
        cell_text(range.worst),
        bar.finish("Colours from the worst to the best objective"),
        cell_text(range.best),
        hatched.finish("Hatched cell"),
    )
}
