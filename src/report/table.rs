//! The leaderboard and the summary of a run, for a terminal.

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, LineStyle, Table};

use super::format::{counted, duration_text, metric_text, rate_text, spread_text};
use super::params::{param_names, param_text, params_text};
use super::rank::Pair;
use crate::store::{BestRecord, SummaryRecord, TrialRecord, TrialState};

/// How a table is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableStyle {
    /// Bold and coloured text by ANSI codes. The caller knows of `NO_COLOR` and pipes.
    pub color: bool,
    /// Columns of the terminal; `None` where there is none, for a table as wide as it needs.
    pub width: Option<u16>,
}

/// A table of trials that are already in order, best first, and a line that says of how many.
///
/// `total` is the number of trials of the study. The columns are the rank, the trial, each swept
/// parameter, the objective's mean ± standard deviation, the same metric on the training rows, the
/// gap (training - validation), epochs and state. Where `width` is too narrow, the header is broken
/// over lines; then epochs and state are left out where they are the same for all trials, then the
/// metric on the training rows, which the gap implies; then cells are broken over lines.
pub fn leaderboard(
    trials: &[TrialRecord],
    total: u64,
    objective: &str,
    style: TableStyle,
) -> String {
    if trials.is_empty() {
        return format!("no ranked trial among {}\n", counted(total, "trial"));
    }
    let caption = format!(
        "{} of {}, by {objective}\n",
        trials.len(),
        counted(total, "trial")
    );
    let mut columns = columns(trials, objective);
    let limit = style.width.map_or(usize::MAX, usize::from);
    if total_width(&columns) > limit {
        columns.iter_mut().for_each(Column::break_title);
    }
    if total_width(&columns) > limit {
        columns.retain(|column| column.keep != Keep::IfItVaries || column.varies());
    }
    if total_width(&columns) > limit {
        columns.retain(|column| column.keep != Keep::IfItFits);
    }
    format!("{}\n{caption}", draw(&columns, trials, style).trim_fmt())
}

/// A column, laid out by hand: the width decides what is in it before comfy-table draws it.
struct Column {
    title: String,
    cells: Vec<String>,
    right: bool,
    keep: Keep,
}

/// What becomes of a column in a table that is too wide.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Always,
    IfItVaries,
    IfItFits,
}

impl Column {
    fn new(title: &str, right: bool, cells: impl Iterator<Item = String>) -> Self {
        Self {
            title: title.to_owned(),
            cells: cells.collect(),
            right,
            keep: Keep::Always,
        }
    }

    fn keep(mut self, keep: Keep) -> Self {
        self.keep = keep;
        self
    }

    /// Breaks the title at its underscores: `learning_rate` takes two lines.
    fn break_title(&mut self) {
        self.title = self.title.replace('_', "\n");
    }

    fn varies(&self) -> bool {
        self.cells.iter().any(|cell| *cell != self.cells[0])
    }

    fn width(&self) -> usize {
        let lines = self
            .title
            .lines()
            .chain(self.cells.iter().map(String::as_str));
        lines.map(|line| line.chars().count()).max().unwrap_or(0)
    }
}

/// Width of the table: the columns, and two spaces between them.
fn total_width(columns: &[Column]) -> usize {
    let widths: usize = columns.iter().map(|column| column.width() + 2).sum();
    widths.saturating_sub(2)
}

fn columns(trials: &[TrialRecord], objective: &str) -> Vec<Column> {
    let mut columns = vec![
        Column::new(
            "rank",
            true,
            (1..=trials.len()).map(|rank| rank.to_string()),
        ),
        Column::new("trial", true, trials.iter().map(|t| t.trial.to_string())),
    ];
    for name in param_names(trials) {
        let is_number =
            |t: &TrialRecord| t.params.get(&name).is_none_or(serde_json::Value::is_number);
        let right = trials.iter().all(is_number);
        columns.push(Column::new(
            &name,
            right,
            trials.iter().map(|t| param_text(t, &name)),
        ));
    }
    let metric = |t: &TrialRecord| {
        let metric = t.metrics.get(objective);
        spread_text(metric.and_then(|m| m.mean), metric.and_then(|m| m.std))
    };
    columns.push(Column::new(objective, true, trials.iter().map(metric)));
    if let Some(pair) = Pair::find(trials, objective) {
        let train = |t: &TrialRecord| metric_text(pair.of(t).map(|(train, _)| train));
        columns.push(Column::new(&pair.train, true, trials.iter().map(train)).keep(Keep::IfItFits));
        columns.push(Column::new(
            "gap",
            true,
            trials.iter().map(|t| metric_text(pair.gap(t))),
        ));
    }
    columns.push(
        Column::new("epochs", true, trials.iter().map(|t| t.epochs.to_string()))
            .keep(Keep::IfItVaries),
    );
    columns.push(
        Column::new(
            "state",
            false,
            trials.iter().map(|t| t.state.name().to_owned()),
        )
        .keep(Keep::IfItVaries),
    );
    columns
}

/// No lines but one under the header.
const LINES: comfy_table::TableStyle =
    comfy_table::TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

fn draw(columns: &[Column], trials: &[TrialRecord], style: TableStyle) -> Table {
    let mut table = Table::new();
    table.load_style(LINES);
    table.style_text_only();
    if let Some(width) = style
        .width
        .filter(|&width| total_width(columns) > width.into())
    {
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width);
    }
    if style.color {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table.set_header(
        columns
            .iter()
            .map(|column| header_cell(column, style.color)),
    );
    for (at, trial) in trials.iter().enumerate() {
        let row = columns
            .iter()
            .map(|column| body_cell(column, at, trial.state, style.color));
        table.add_row(row);
    }
    for (column, drawn) in columns.iter().zip(table.column_iter_mut()) {
        drawn.set_cell_alignment(alignment(column));
        // comfy-table puts one more space between columns, where a line would be.
        drawn.set_padding((0, 1));
    }
    table
}

fn alignment(column: &Column) -> CellAlignment {
    if column.right {
        CellAlignment::Right
    } else {
        CellAlignment::Left
    }
}

fn header_cell(column: &Column, color: bool) -> Cell {
    let cell = Cell::new(&column.title);
    if color {
        cell.add_attribute(Attribute::Bold)
    } else {
        cell
    }
}

fn body_cell(column: &Column, at: usize, state: TrialState, color: bool) -> Cell {
    let cell = Cell::new(&column.cells[at]);
    match state {
        _ if !color => cell,
        TrialState::Complete if at == 0 => cell.fg(Color::Green),
        TrialState::Complete => cell,
        TrialState::Diverged | TrialState::Failed => cell.fg(Color::Red),
        TrialState::Pruned => cell.fg(Color::DarkGrey),
    }
}

/// A run in a few lines: what was trained, the best trial and its scores, on what, how fast.
///
/// Trial-samples per second are training rows seen a second, summed over members.
pub fn summary_text(summary: &SummaryRecord) -> String {
    let states: Vec<String> = summary
        .states
        .iter()
        .map(|(state, count)| format!("{count} {}", state.name()))
        .collect();
    let mut lines = vec![format!(
        "{}, {}: {}",
        counted(summary.trials, "trial"),
        counted(summary.members, "member"),
        states.join(", ")
    )];
    match &summary.best {
        Some(best) => lines.extend(best_lines(best, &summary.objective)),
        None => lines.push("best     none: no trial is complete".to_owned()),
    }
    let adapter = &summary.adapter;
    lines.push(format!(
        "adapter  {} ({}, {}), engine {}",
        adapter.name, adapter.backend, adapter.driver, adapter.engine
    ));
    let timing = &summary.timing;
    lines.push(format!(
        "speed    {} trial-samples/s",
        rate_text(timing.trial_samples_per_s)
    ));
    lines.push(format!(
        "time     {}: compile {}, train {}, evaluate {}, refit {}",
        duration_text(timing.wall_s),
        duration_text(timing.compile_s),
        duration_text(timing.train_s),
        duration_text(timing.evaluate_s),
        duration_text(timing.refit_s)
    ));
    lines.join("\n") + "\n"
}

fn best_lines(best: &BestRecord, objective: &str) -> Vec<String> {
    let metric = best.metrics.get(objective);
    let score = spread_text(metric.and_then(|m| m.mean), metric.and_then(|m| m.std));
    let mut lines = vec![
        format!(
            "best     trial {}: {}",
            best.trial,
            params_text(&best.params)
        ),
        format!("         {objective} {score}"),
    ];
    if let Some(test) = test_text(best) {
        lines.push(format!("test     {test}"));
    }
    lines
}

/// `accuracy 0.9722, loss 0.1049, after a refit of 20 epochs`; `None` where nothing was tested.
fn test_text(best: &BestRecord) -> Option<String> {
    let mut parts = Vec::new();
    for (name, value) in [("accuracy", best.test_accuracy), ("loss", best.test_loss)] {
        if value.is_some() {
            parts.push(format!("{name} {}", metric_text(value)));
        }
    }
    if parts.is_empty() {
        return None;
    }
    if let Some(epochs) = best.refit_epochs {
        parts.push(format!(
            "after a refit of {}",
            counted(epochs.into(), "epoch")
        ));
    }
    Some(parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::{default_sweep, scored, summary_record, with_params, with_state};
    use crate::report::rank::{Goal, rank};
    use serde_json::json;

    fn best(n: usize) -> Vec<TrialRecord> {
        let trials = default_sweep();
        rank(&trials, "val_accuracy", Goal::Maximize)
            .into_iter()
            .take(n)
            .cloned()
            .collect()
    }

    fn table(trials: &[TrialRecord], width: Option<u16>) -> String {
        leaderboard(
            trials,
            84,
            "val_accuracy",
            TableStyle {
                color: false,
                width,
            },
        )
    }

    fn widest(text: &str) -> usize {
        text.lines()
            .map(|line| line.chars().count())
            .max()
            .unwrap_or(0)
    }

    #[test]
    fn a_wide_table() {
        insta::assert_snapshot!(table(&best(4), None), @r"
        rank  trial  batch_size  learning_rate  optimizer     val_accuracy  train_accuracy     gap  epochs  state
        ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
           1     55          64           0.01  adam       0.9752 ± 0.0073          0.9997  0.0245      20  complete
           2     53          32           0.01  rmsprop    0.9747 ± 0.0056          0.9992  0.0245      20  complete
           3     50          16           0.01  rmsprop    0.9740 ± 0.0056          0.9985  0.0245      20  complete
           4     43          64       0.003162  adam       0.9736 ± 0.0028          0.9980  0.0245      20  complete
        4 of 84 trials, by val_accuracy
        ");
    }

    #[test]
    fn a_table_for_eighty_columns() {
        let table = table(&best(4), Some(80));
        assert!(widest(&table) <= 80);
        insta::assert_snapshot!(table, @r"
        rank  trial  batch  learning  optimizer              val     train     gap
                      size      rate                    accuracy  accuracy
        ───────────────────────────────────────────────────────────────────────────
           1     55     64      0.01  adam       0.9752 ± 0.0073    0.9997  0.0245
           2     53     32      0.01  rmsprop    0.9747 ± 0.0056    0.9992  0.0245
           3     50     16      0.01  rmsprop    0.9740 ± 0.0056    0.9985  0.0245
           4     43     64  0.003162  adam       0.9736 ± 0.0028    0.9980  0.0245
        4 of 84 trials, by val_accuracy
        ");
    }

    #[test]
    fn states_and_conditional_parameters() {
        let trials = [
            with_params(
                scored(3, Some(0.9)),
                json!({"hidden": [64, 64], "momentum": 0.9}),
            ),
            with_state(
                with_params(scored(11, None), json!({"hidden": []})),
                TrialState::Diverged,
            ),
        ];
        insta::assert_snapshot!(table(&trials, Some(120)), @r"
        rank  trial  hidden  momentum     val_accuracy  train_accuracy     gap  epochs  state
        ─────────────────────────────────────────────────────────────────────────────────────────
           1      3  64x64        0.9  0.9000 ± 0.0050          0.9200  0.0200      20  complete
           2     11  []             –                –               –       –      20  diverged
        2 of 84 trials, by val_accuracy
        ");
    }

    #[test]
    fn no_ranked_trial() {
        assert_eq!(table(&[], None), "no ranked trial among 84 trials\n");
    }

    #[test]
    fn colour_codes_only_where_they_are_asked_for() {
        let colored = |color| {
            leaderboard(
                &best(2),
                84,
                "val_accuracy",
                TableStyle { color, width: None },
            )
        };
        assert!(!colored(false).contains('\u{1b}'));
        assert!(colored(true).contains('\u{1b}'));
    }

    #[test]
    fn a_summary_in_a_few_lines() {
        let summary = summary_record(&default_sweep(), "val_accuracy", Goal::Maximize);
        insta::assert_snapshot!(summary_text(&summary), @r"
        84 trials, 252 members: 80 complete, 4 diverged
        best     trial 55: batch_size=64 learning_rate=0.01 optimizer=adam
                 val_accuracy 0.9752 ± 0.0073
        test     accuracy 0.9722, loss 0.1049, after a refit of 20 epochs
        adapter  NVIDIA H200 (vulkan, NVIDIA 570.86), engine resident
        speed    12.4 M trial-samples/s
        time     934 ms: compile 412 ms, train 388 ms, evaluate 61 ms, refit 43 ms
        ");
    }

    #[test]
    fn a_summary_without_a_best_trial() {
        let trials = [with_state(scored(0, None), TrialState::Diverged)];
        let mut summary = summary_record(&trials, "val_accuracy", Goal::Maximize);
        summary.timing.trial_samples_per_s = None;
        insta::assert_snapshot!(summary_text(&summary), @r"
        1 trial, 3 members: 1 diverged
        best     none: no trial is complete
        adapter  NVIDIA H200 (vulkan, NVIDIA 570.86), engine resident
        speed    – trial-samples/s
        time     934 ms: compile 412 ms, train 388 ms, evaluate 61 ms, refit 43 ms
        ");
    }
}
