//! What each swept parameter does to the objective, over all other parameters.

use crate::report::format::counted;
use crate::report::rank::Goal;
use crate::store::TrialState;

use super::axis::Scale;
use super::escape::{Text, cut};
use super::levels::Levels;
use super::range::{Range, quantile};
use super::svg::{Point, Svg};
use super::{Study, section as page_section};

/// Parameters that get a panel.
const PANELS: usize = 12;
const ROW: f64 = 24.0;
const TOP: f64 = 8.0;
const RIGHT: f64 = 346.0;

pub(super) fn section(study: &Study) -> String {
    let values = study.scored().map(|(_, value)| value);
    let Some(range) = Range::of(values, study.input.goal) else {
        return String::new();
    };
    let panels: String = study
        .params
        .iter()
        .filter_map(|name| Effect::of(study, name))
        .take(PANELS)
        .map(|effect| effect.draw(range, study))
        .collect();
    if panels.is_empty() {
        return String::new();
    }
    let beyond = if range.clipped {
        " What is far off is drawn at the edge."
    } else {
        ""
    };
    let lead = format!(
        "<code>{}</code> of the trials at each value, whatever their other parameters: the best (dot), the \
         middle half (bar) and the median (stroke).{beyond}",
        Text(study.input.objective)
    );
    let body = format!("<div class=\"panels three\">\n{panels}</div>\n");
    page_section("effects", "Each parameter on its own", &lead, &body)
}

/// The values of the objective at each level of a parameter.
struct Effect {
    name: String,
    levels: Levels,
    values: Vec<Vec<f64>>,
    diverged: Vec<u64>,
}

impl Effect {
    /// `None` where the parameter takes a single value.
    fn of(study: &Study, name: &str) -> Option<Self> {
        let trials = study.input.trials;
        let levels = Levels::of(trials.iter().filter_map(|trial| trial.params.get(name)));
        if levels.len() < 2 {
            return None;
        }
        let mut effect = Self {
            name: name.to_owned(),
            values: vec![Vec::new(); levels.len()],
            diverged: vec![0; levels.len()],
            levels,
        };
        for trial in trials {
            let Some(level) = trial
                .params
                .get(name)
                .and_then(|value| effect.levels.index(value))
            else {
                continue;
            };
            effect.values[level].extend(study.value(trial));
            effect.diverged[level] += u64::from(trial.state == TrialState::Diverged);
        }
        for values in &mut effect.values {
            values.sort_by(f64::total_cmp);
        }
        Some(effect)
    }

    fn draw(&self, range: Range, study: &Study) -> String {
        let left = (18.0 + self.levels.label_width()).clamp(60.0, 130.0);
        let bottom = TOP + self.levels.len() as f64 * ROW;
        let mut svg = Svg::new(360.0, bottom + 24.0);
        let x = Scale::linear(range.ordered(), (left, RIGHT)).padded(0.03);
        for (value, text) in x.ticks(4) {
            svg.line("grid", (x.at(value), TOP), (x.at(value), bottom));
            svg.text("tick mid", (x.at(value), bottom + 17.0), &text);
        }
        for level in 0..self.levels.len() {
            let y = TOP + (level as f64 + 0.5) * ROW;
            let label = cut(&self.levels.labels()[level], 17);
            svg.text("tick end", (left - 9.0, y + 4.0), &label);
            self.draw_level(&mut svg, level, y, x, study.input.goal);
        }
        let title = format!("{} by {}", study.input.objective, self.name);
        format!(
            "<figure><figcaption><b>{}</b></figcaption>{}</figure>\n",
            Text(&cut(&self.name, 40)),
            svg.finish(&title)
        )
    }

    fn draw_level(&self, svg: &mut Svg, level: usize, y: f64, x: Scale, goal: Goal) {
        let values = &self.values[level];
        let best = match goal {
            Goal::Minimize => values.first(),
            Goal::Maximize => values.last(),
        };
        let Some(&best) = best else {
            let text = if self.diverged[level] > 0 {
                "all diverged"
            } else {
                "none ranked"
            };
            svg.text("tick bad", (x.start() + 6.0, y + 4.0), text);
            return;
        };
        svg.open("c0", &self.title(level, best));
        let at = |share: f64| -> Point { (x.at(quantile(values, share)), y) };
        svg.line("half", at(0.25), at(0.75));
        let (median, _) = at(0.5);
        svg.line("median", (median, y - 6.0), (median, y + 6.0));
        svg.circle("dot", (x.at(best), y), 4.0);
        svg.close();
    }

    fn title(&self, level: usize, best: f64) -> String {
        let values = &self.values[level];
        let mut title = format!(
            "{} {}: best {best:.4}, median {:.4}, {} ranked",
            self.name,
            self.levels.labels()[level],
            quantile(values, 0.5),
            counted(values.len() as u64, "trial")
        );
        if self.diverged[level] > 0 {
            title.push_str(&format!(", {} diverged", self.diverged[level]));
        }
        title
    }
}
