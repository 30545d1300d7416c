//! The head of the page, the best trial, and the foot.

use crate::report::format::{
    MISSING, count_text, counted, duration_text, metric_text, rate_text, spread_text,
};
use crate::report::params::{short_value, value_text};
use crate::store::{BestRecord, MetricSummary, TrialRecord};

use super::escape::{Text, cut};
use super::{Study, section};

/// Title, what was done, and the figures that matter most.
pub(super) fn header(study: &Study) -> String {
    let run = study.input.run;
    let goal = study.input.goal.hint();
    format!(
        "<header>\n<p class=\"brand\">Regatta</p>\n<h1>{name}</h1>\n\
         <p class=\"sub\">{trials}, ranked by <code>{objective}</code> ({goal}), started {created}</p>\n\
         {notice}<dl class=\"tiles\">\n{tiles}</dl>\n</header>\n",
        name = Text(&cut(&run.data.name, 80)),
        trials = counted(study.total, "trial"),
        objective = Text(study.input.objective),
        created = created_text(&run.created),
        notice = notice(study),
        tiles = tiles(study),
    )
}

fn created_text(created: &str) -> String {
    let readable = created.replacen('T', " ", 1).replacen('Z', " UTC", 1);
    format!("<time>{}</time>", Text(&cut(&readable, 40)))
}

/// What a reader must know before the figures.
fn notice(study: &Study) -> String {
    let recorded = study.input.trials.len() as u64;
    if study.input.summary.is_none() {
        let of = counted(study.total, "trial");
        return format!(
            "<p class=\"notice\"><strong>This run is not finished.</strong> {recorded} of {of} are recorded. \
             <code>regatta sweep --out RUN --resume</code> goes on with it.</p>\n"
        );
    }
    if study.ranked.is_empty() {
        return "<p class=\"notice\"><strong>No trial is ranked.</strong> None is complete with a finite \
                objective; smaller learning rates or gradient clipping may help.</p>\n"
            .to_owned();
    }
    String::new()
}

fn tiles(study: &Study) -> String {
    let objective = study.input.objective;
    let mut tiles = vec![best_tile(study, objective)];
    if let Some(best) =
        best_record(study).filter(|b| b.test_accuracy.is_some() || b.test_loss.is_some())
    {
        tiles.push(test_tile(best));
    }
    if let Some(summary) = study.input.summary {
        let timing = &summary.timing;
        let rate = rate_text(timing.trial_samples_per_s);
        tiles.push(tile("Throughput", &rate, "trial-samples a second"));
        let train = format!("{} of it training", duration_text(timing.train_s));
        tiles.push(tile("Wall time", &duration_text(timing.wall_s), &train));
    }
    tiles.push(members_tile(study));
    let adapter = &study.input.run.adapter;
    let note = format!("{}, {} engine", adapter.backend, adapter.engine);
    tiles.push(tile("Adapter", &cut(&adapter.name, 60), &cut(&note, 60)));
    tiles.concat()
}

/// A figure with its name above and a remark below; all of it is text.
fn tile(name: &str, value: &str, note: &str) -> String {
    let wordy = if value.chars().count() > 12 {
        " class=\"wordy\""
    } else {
        ""
    };
    format!(
        "<div><dt>{}</dt><dd{wordy}><b>{}</b><span>{}</span></dd></div>\n",
        Text(name),
        Text(value),
        Text(note)
    )
}

fn best_tile(study: &Study, objective: &str) -> String {
    let metric = study
        .ranked
        .first()
        .and_then(|trial| trial.metrics.get(objective));
    let note = match metric.and_then(|m| m.std) {
        Some(std) => format!("± {} over {}", metric_text(Some(std)), folds_text(study)),
        None => String::new(),
    };
    let value = metric_text(metric.and_then(|m| m.mean));
    tile(&format!("Best {}", cut(objective, 40)), &value, &note)
}

fn folds_text(study: &Study) -> String {
    counted(study.input.run.plan.members_per_trial, "member")
}

fn test_tile(best: &BestRecord) -> String {
    let note = match best.refit_epochs {
        Some(epochs) => format!("refitted for {}", counted(epochs.into(), "epoch")),
        None => String::new(),
    };
    match best.test_accuracy {
        Some(_) => tile("Test accuracy", &metric_text(best.test_accuracy), &note),
        None => tile("Test loss", &metric_text(best.test_loss), &note),
    }
}

fn members_tile(study: &Study) -> String {
    let members = match study.input.summary {
        Some(summary) => summary.members,
        None => study.input.waves.iter().map(|wave| wave.members).sum(),
    };
    let states: Vec<String> = study
        .states()
        .iter()
        .map(|(state, count)| format!("{count} {}", state.name()))
        .collect();
    tile(
        "Networks trained",
        &count_text(members),
        &format!("trials: {}", states.join(", ")),
    )
}

/// The refitted best trial, where the summary means the trial that is first here.
fn best_record<'a>(study: &Study<'a>) -> Option<&'a BestRecord> {
    let best = study.input.summary?.best.as_ref()?;
    let first = study.ranked.first()?;
    (best.trial == first.trial).then_some(best)
}

/// The best trial: its parameters, its scores, and how to use it.
pub(super) fn best(study: &Study) -> String {
    let Some(trial) = study.ranked.first() else {
        return section(
            "best",
            "Best trial",
            "",
            "<p class=\"none\">No trial is ranked.</p>\n",
        );
    };
    let body = format!(
        "<div class=\"best\">\n<div>\n<dl class=\"params\">\n{}</dl>\n{}</div>\n\
         <div class=\"scroll\"><table class=\"facts\">\n{}</table></div>\n</div>\n",
        params(trial),
        flags(trial),
        scores(study, trial)
    );
    section("best", &format!("Best trial: {}", trial.trial), "", &body)
}

fn params(trial: &TrialRecord) -> String {
    if trial.params.is_empty() {
        return "<div><dt>parameters</dt><dd>none swept</dd></div>\n".to_owned();
    }
    let pair = |(name, value): (&String, &serde_json::Value)| {
        let exact = cut(&value_text(value), 200);
        format!(
            "<div><dt>{}</dt><dd title=\"{}\">{}</dd></div>\n",
            Text(&cut(name, 40)),
            Text(&exact),
            Text(&cut(&short_value(value), 40))
        )
    };
    trial.params.iter().take(40).map(pair).collect()
}

/// Rows of the scores over the folds, and of the refitted network on the test rows.
fn scores(study: &Study, trial: &TrialRecord) -> String {
    let mut rows = Vec::new();
    let shown = ["val_accuracy", "train_accuracy", "val_loss", "train_loss"];
    let objective = study.input.objective;
    let first = (!shown.contains(&objective)).then_some(objective);
    for name in first.into_iter().chain(shown) {
        if let Some(metric) = trial.metrics.get(name) {
            rows.push((name, spread_text(metric.mean, metric.std)));
        }
    }
    if let Some(best) = best_record(study) {
        rows.extend(test_rows(best));
    }
    let row = |(name, value): (&str, String)| {
        format!(
            "<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n",
            Text(name),
            Text(&value)
        )
    };
    let rows: String = rows.into_iter().map(row).collect();
    let epochs = counted(trial.epochs.into(), "epoch");
    let parameters = counted(trial.parameters, "parameter");
    format!(
        "<tbody>\n{rows}<tr><th scope=\"row\">trained for</th><td>{epochs}</td></tr>\n\
         <tr><th scope=\"row\">size</th><td>{parameters}</td></tr>\n</tbody>\n"
    )
}

fn test_rows(best: &BestRecord) -> Vec<(&'static str, String)> {
    let of_metric = |name: &str| best.metrics.get(name).and_then(|m: &MetricSummary| m.mean);
    [
        (
            "test accuracy",
            best.test_accuracy.or_else(|| of_metric("test_accuracy")),
        ),
        (
            "test loss",
            best.test_loss.or_else(|| of_metric("test_loss")),
        ),
    ]
    .into_iter()
    .filter(|(_, value)| value.is_some())
    .map(|(name, value)| (name, metric_text(value)))
    .collect()
}

/// Its parameters as flags, with exact values; nothing where they are too long to be copied.
fn flags(trial: &TrialRecord) -> String {
    let flag = |(name, value): (&String, &serde_json::Value)| {
        let pair = format!("{name}={}", value_text(value));
        format!(" --set {}", shell_word(&pair))
    };
    let flags: String = trial.params.iter().map(flag).collect();
    if flags.is_empty() || flags.len() > 2000 {
        return String::new();
    }
    format!(
        "<p class=\"lead\">To train these parameters alone (FILE is the sweep file, where there is one):</p>\n\
         <pre class=\"commands\"><code>regatta sweep FILE{}</code></pre>\n",
        Text(&flags)
    )
}

/// A word that a POSIX shell takes as it is.
fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-+.=,:/".contains(c);
    if word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Which program and which seed made the run.
pub(super) fn footer(study: &Study) -> String {
    let run = study.input.run;
    let engine = if run.adapter.engine.is_empty() {
        MISSING
    } else {
        &run.adapter.engine
    };
    format!(
        "<footer><p>Made from stored records by Regatta {} · seed {} · engine {} · schema {} · \
         remake this page with <code>regatta report RUN</code></p></footer>\n",
        Text(&run.version),
        run.seed,
        Text(engine),
        run.schema_version
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell_where_they_must_be() {
        let cases = [
            ("learning_rate=1e-5", "learning_rate=1e-5"),
            ("hidden=64x64", "hidden=64x64"),
            ("hidden=[]", "'hidden=[]'"),
            ("a=$(b) 'c'", r"'a=$(b) '\''c'\'''"),
        ];
        for (word, quoted) in cases {
            assert_eq!(shell_word(word), quoted);
        }
    }
}
