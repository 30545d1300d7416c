//! The frame of a plot: axes, ticks, grid and labels around an area to draw in.

use super::axis::Scale;
use super::svg::{Point, Svg};

/// A drawing with an x and a y axis.
pub(super) struct Plot {
    pub(super) svg: Svg,
    pub(super) x: Scale,
    pub(super) y: Scale,
    area: Area,
}

/// The room between the axes, in the drawing's units.
#[derive(Clone, Copy)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Area {
    pub(super) fn across(&self) -> (f64, f64) {
        (self.left, self.right)
    }

    /// From the bottom up, as values grow.
    pub(super) fn upwards(&self) -> (f64, f64) {
        (self.bottom, self.top)
    }
}

impl Plot {
    /// Draws grid, ticks and labels. `size` is that of the whole drawing.
    pub(super) fn new(size: Point, area: Area, x: Scale, y: Scale, labels: (&str, &str)) -> Self {
        let mut plot = Self {
            svg: Svg::new(size.0, size.1),
            x,
            y,
            area,
        };
        plot.draw_y(labels.1);
        plot.draw_x(labels.0, size.1);
        plot
    }

    /// Where a pair of values lies.
    pub(super) fn at(&self, x: f64, y: f64) -> Point {
        (self.x.at(x), self.y.at(y))
    }

    fn draw_y(&mut self, label: &str) {
        let Area {
            left,
            right,
            top,
            bottom,
        } = self.area;
        for (value, text) in self.y.ticks(5) {
            let y = self.y.at(value);
            self.svg.line("grid", (left, y), (right, y));
            self.svg.text("tick end", (left - 7.0, y + 4.0), &text);
        }
        self.svg
            .text_upwards("label mid", (13.0, (top + bottom) / 2.0), label);
    }

    fn draw_x(&mut self, label: &str, height: f64) {
        let Area {
            left,
            right,
            bottom,
            ..
        } = self.area;
        for (value, text) in self.x.ticks(6) {
            let x = self.x.at(value);
            self.svg.line("axis", (x, bottom), (x, bottom + 4.0));
            self.svg.text("tick mid", (x, bottom + 17.0), &text);
        }
        self.svg.line("axis", (left, bottom), (right, bottom));
        self.svg
            .text("label mid", ((left + right) / 2.0, height - 5.0), label);
    }
}
