//! Drawings as inline SVG. Colours come from classes in style.css, so that one drawing serves light
//! and dark; nothing refers to anything by address, so gradients and hatching are drawn out.

use super::escape::Text;

/// A point in the drawing's own units; y grows downwards.
pub(super) type Point = (f64, f64);

/// A drawing of fixed size in its own units, which the page scales to the room it has.
pub(super) struct Svg {
    width: f64,
    height: f64,
    body: String,
}

impl Svg {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self {
            width,
            height,
            body: String::new(),
        }
    }

    /// Opens a group with a class and, where `title` is not empty, the text that hovering shows.
    pub(super) fn open(&mut self, class: &str, title: &str) {
        self.push(&format!("<g class=\"{class}\">"));
        if !title.is_empty() {
            self.push(&format!("<title>{}</title>", Text(title)));
        }
    }

    pub(super) fn close(&mut self) {
        self.push("</g>\n");
    }

    pub(super) fn line(&mut self, class: &str, (x1, y1): Point, (x2, y2): Point) {
        let [x1, y1, x2, y2] = [x1, y1, x2, y2].map(num);
        self.push(&format!(
            "<line class=\"{class}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>\n"
        ));
    }

    /// Text at a point; the class says which end of it is there.
    pub(super) fn text(&mut self, class: &str, (x, y): Point, text: &str) {
        let (x, y) = (num(x), num(y));
        self.push(&format!(
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>\n",
            Text(text)
        ));
    }

    /// Text that reads upwards, for the label of a y axis.
    pub(super) fn text_upwards(&mut self, class: &str, (x, y): Point, text: &str) {
        let (x, y) = (num(x), num(y));
        self.push(&format!(
            "<text class=\"{class}\" transform=\"translate({x} {y}) rotate(-90)\">{}</text>\n",
            Text(text)
        ));
    }

    pub(super) fn circle(&mut self, class: &str, (x, y): Point, radius: f64) {
        let [x, y, r] = [x, y, radius].map(num);
        self.push(&format!(
            "<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"{r}\"/>\n"
        ));
    }

    /// A rectangle; `fill` is a colour that belongs to the data, or empty to take the class's.
    pub(super) fn rect(&mut self, class: &str, (x, y): Point, (width, height): Point, fill: &str) {
        let [x, y, w, h] = [x, y, width.max(0.0), height.max(0.0)].map(num);
        let fill = if fill.is_empty() {
            String::new()
        } else {
            format!(" fill=\"{fill}\"")
        };
        self.push(&format!(
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\"{fill}/>\n"
        ));
    }

    pub(super) fn path(&mut self, class: &str, path: &Path) {
        if !path.0.is_empty() {
            self.push(&format!("<path class=\"{class}\" d=\"{}\"/>\n", path.0));
        }
    }

    /// The finished drawing; `title` is its name for those who do not see it.
    pub(super) fn finish(self, title: &str) -> String {
        let (w, h) = (num(self.width), num(self.height));
        format!(
            "<svg role=\"img\" viewBox=\"0 0 {w} {h}\"><title>{}</title>\n{}</svg>\n",
            Text(title),
            self.body
        )
    }

    fn push(&mut self, markup: &str) {
        self.body.push_str(markup);
    }
}

/// The outline of a path element.
#[derive(Default)]
pub(super) struct Path(String);

impl Path {
    pub(super) fn move_to(&mut self, (x, y): Point) {
        self.0.push_str(&format!("M{} {}", num(x), num(y)));
    }

    pub(super) fn line_to(&mut self, (x, y): Point) {
        self.0.push_str(&format!("L{} {}", num(x), num(y)));
    }

    pub(super) fn close(&mut self) {
        self.0.push('Z');
    }

    /// A dot: a line of no length, which round line ends make visible.
    pub(super) fn dot(&mut self, point: Point) {
        self.move_to(point);
        self.0.push_str("h0");
    }

    /// A line through the points; a dot for a single one.
    pub(super) fn polyline(&mut self, points: &[Point]) {
        match points {
            [] => {}
            [only] => self.dot(*only),
            [first, rest @ ..] => {
                self.move_to(*first);
                rest.iter().for_each(|&point| self.line_to(point));
            }
        }
    }

    /// A cross of the given arm length.
    pub(super) fn cross(&mut self, (x, y): Point, arm: f64) {
        self.move_to((x - arm, y - arm));
        self.line_to((x + arm, y + arm));
        self.move_to((x - arm, y + arm));
        self.line_to((x + arm, y - arm));
    }

    /// Diagonal lines that fill a rectangle, `step` apart.
    pub(super) fn hatch(&mut self, (x, y): Point, (width, height): Point, step: f64) {
        let mut offset = step;
        while offset < width + height {
            let from = (x + offset.min(width), y + (offset - width).max(0.0));
            let to = (x + (offset - height).max(0.0), y + offset.min(height));
            self.move_to(from);
            self.line_to(to);
            offset += step;
        }
    }
}

/// A coordinate to a tenth of a unit.
fn num(value: f64) -> String {
    let tenths = (value * 10.0).round() / 10.0;
    // `+ 0.0` makes a negative zero a plain one.
    format!("{}", tenths + 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_short() {
        assert_eq!(
            [1.0, 0.04999, -0.01, 12.345].map(num),
            ["1", "0", "0", "12.3"]
        );
    }

    #[test]
    fn titles_and_labels_are_escaped() {
        let mut svg = Svg::new(10.0, 10.0);
        svg.open("c0", "<b>");
        svg.text("t", (0.0, 0.0), "a & b");
        svg.close();
        let svg = svg.finish("\"quoted\"");
        assert!(svg.contains("<title>&lt;b&gt;</title>"));
        assert!(svg.contains(">a &amp; b</text>"));
        assert!(svg.contains("<title>&quot;quoted&quot;</title>"));
    }

    #[test]
    fn one_point_is_a_dot() {
        let mut path = Path::default();
        path.polyline(&[(1.0, 2.0)]);
        assert_eq!(path.0, "M1 2h0");
    }

    #[test]
    fn hatching_stays_inside() {
        let mut path = Path::default();
        path.hatch((0.0, 0.0), (10.0, 4.0), 5.0);
        assert_eq!(path.0, "M5 0L1 4M10 0L6 4");
    }
}
