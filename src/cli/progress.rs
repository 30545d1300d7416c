//! Progress on stderr.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output;
use crate::report::{Goal, Score, rate_text};
use crate::study::{Event, Observer};

/// A bar over the training rows of all members, with the best trial so far. Without a terminal, or
/// when quiet, only warnings are printed.
pub struct Progress {
    bar: ProgressBar,
    objective: String,
    goal: Goal,
    best: Option<f64>,
    /// Rows of finished trials, in units of the bar.
    done: u64,
    /// Rows of the wave that is being trained.
    wave: u64,
    /// Rows that this process did not train itself.
    before: u64,
    rows_per_trial: u64,
    finished: u64,
    trials: u64,
    /// The best trial is being refitted: its rows are not the bar's.
    refitting: bool,
}

/// What a study will do, for the bar.
pub struct Expected {
    /// Trials of the study.
    pub trials: u64,
    /// Training rows a trial will see.
    pub rows_per_trial: u64,
    /// Metric that ranks the trials.
    pub objective: String,
}

impl Progress {
    /// A bar for a study.
    pub fn new(expected: Expected, quiet: bool) -> Self {
        let total = expected.trials.saturating_mul(expected.rows_per_trial);
        let target = if quiet || !io::stderr().is_terminal() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(10)
        };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        let template = "{bar:30} {percent:>3} %  {msg}  {elapsed} elapsed, {eta} left";
        bar.set_style(ProgressStyle::with_template(template).expect("the template is fixed"));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self {
            bar,
            goal: Goal::of_metric(&expected.objective),
            objective: expected.objective,
            best: None,
            done: 0,
            wave: 0,
            before: 0,
            rows_per_trial: expected.rows_per_trial,
            finished: 0,
            trials: expected.trials,
            refitting: false,
        }
    }

    /// Takes note of trials that are on record already.
    pub fn skip(&mut self, trials: u64) {
        self.finished = trials;
        self.done = trials * self.rows_per_trial;
        self.before = self.done;
        self.bar.set_position(self.done);
        self.bar.reset_eta();
    }

    /// Clears the bar.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// Prints a line above the bar.
    pub fn line(&self, text: &str) {
        self.bar.suspend(|| output::tell(text));
    }

    fn show(&self) {
        let position = self.done + self.wave;
        self.bar.set_position(position);
        let seconds = self.bar.elapsed().as_secs_f64();
        let rate = (position - self.before.min(position)) as f64 / seconds.max(1e-3);
        let best = self
            .best
            .map(|best| format!("  best {} {best:.4}", self.objective));
        self.bar.set_message(format!(
            "{}/{} trials  {} rows/s{}",
            self.finished,
            self.trials,
            rate_text(Some(rate)),
            best.unwrap_or_default()
        ));
    }
}

impl Observer for Progress {
    fn on(&mut self, event: Event<'_>) {
        match event {
            Event::WaveStarted { .. } | Event::Trained { .. } if self.refitting => return,
            Event::WaveStarted {
                samples, resumed, ..
            } => {
                self.wave = samples;
                if resumed {
                    self.before += samples;
                    self.bar.reset_eta();
                }
            }
            Event::Trained { samples, .. } => self.wave = samples,
            Event::TrialFinished(trial) => {
                self.finished += 1;
                self.done += self.rows_per_trial;
                self.wave = self.wave.saturating_sub(self.rows_per_trial);
                let value = Score::of(trial, &self.objective).value;
                self.best = match (self.best, value) {
                    (Some(best), Some(value)) => Some(self.goal.better(best, value)),
                    (best, value) => best.or(value),
                };
            }
            Event::RefitStarted { trial, epochs } => {
                self.refitting = true;
                let style = ProgressStyle::with_template("{spinner} {msg}  {elapsed} elapsed");
                self.bar.set_style(style.expect("the template is fixed"));
                self.bar
                    .set_message(format!("refit of trial {trial}, {epochs} epochs"));
                return;
            }
            Event::Warning(text) => {
                self.line(&format!("warning: {text}"));
                return;
            }
        }
        self.show();
    }
}
