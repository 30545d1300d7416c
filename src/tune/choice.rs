//! Which forms are measured, and which one is taken.

use super::measurement::{Measure, Measurement};
use crate::engine::EngineError;
use crate::engine::gpu::{Form, engine_of};

/// A form must be this much faster than what is taken unmeasured: less may be the noise of the machine.
const CLEARLY_FASTER: f64 = 1.03;

/// A form whose epoch takes so many times as long as another's is not worth its time; and what is always
/// given to one, for the device to find its pace.
const HOPELESS: f64 = 5.0;
const LEAST_EPOCH_S: f64 = 0.1;
/// What the first form is given.
const FIRST_EPOCH_S: f64 = 20.0;

/// Measures the forms that are not known yet, in their order, and gives all that is known then with the
/// seconds that it took. With a budget in seconds, those that would go beyond it are left out; the first
/// form's compiling is not counted, since without a measurement it would be compiled too.
///
/// # Errors
/// As [`Measure::measure`].
pub fn measure_all(
    measure: &mut dyn Measure,
    forms: &[Form],
    known: Vec<Measurement>,
    budget_s: Option<f64>,
    mut tell: impl FnMut(&Measurement),
) -> Result<(Vec<Measurement>, f64), EngineError> {
    let mut found = known;
    let mut spent_s = 0.0;
    for (number, &form) in forms.iter().enumerate() {
        let over = |budget_s: f64| spent_s + expected_s(&found, form) > budget_s;
        if of(&found, form).is_some() || budget_s.is_some_and(over) {
            continue;
        }
        let epoch_s = longest_epoch_s(&found);
        let allowed_s = budget_s.map_or(epoch_s, |budget_s| epoch_s.min(budget_s / 4.0));
        let mut measurement = measure.measure(form, allowed_s)?;
        // With more time it might have been measured.
        measurement.passing |= measurement.error.is_some() && allowed_s < epoch_s;
        tell(&measurement);
        spent_s += match number {
            0 => measurement.run_s(),
            _ => measurement.took_s,
        };
        found.push(measurement);
    }
    Ok((found, spent_s))
}

/// Seconds that measuring a form will take: as the longest of its engine, or where none is known, as the
/// longest of the other without its compiling.
fn expected_s(found: &[Measurement], form: Form) -> f64 {
    let alike = found
        .iter()
        .filter(|measured| engine_of(&measured.form) == form.engine());
    let longest = alike.map(|measured| measured.took_s).reduce(f64::max);
    let runs = found.iter().map(Measurement::run_s);
    longest.unwrap_or_else(|| runs.fold(0.0, f64::max))
}

/// Seconds after which an epoch is given up: many times what the fastest form takes.
fn longest_epoch_s(found: &[Measurement]) -> f64 {
    let right = found.iter().filter(|measured| measured.error.is_none());
    let epochs = right.flat_map(|measured| measured.epochs_s.iter().copied());
    let fastest_s = epochs.reduce(f64::min);
    fastest_s.map_or(FIRST_EPOCH_S, |s| (HOPELESS * s).max(LEAST_EPOCH_S))
}

/// What is known of a form.
pub fn of(known: &[Measurement], form: Form) -> Option<&Measurement> {
    let name = form.name();
    known.iter().find(|measurement| measurement.form == name)
}

/// The fastest of these that is right. The first one with a rate, which is what is taken unmeasured, stays
/// unless another is clearly faster; `None` where there is none.
pub fn fastest<'m>(measured: impl IntoIterator<Item = &'m Measurement>) -> Option<&'m Measurement> {
    let rate = |measured: &'m Measurement| Some((measured, measured.rate()?));
    let mut rated = measured.into_iter().filter_map(rate);
    let first = rated.next()?;
    let best = rated.fold(
        first,
        |best, next| if next.1 > best.1 { next } else { best },
    );
    let clearly = best.1 >= CLEARLY_FASTER * first.1;
    Some(if clearly { best.0 } else { first.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::gpu::{AdapterKind, EngineKind};

    fn forms() -> Vec<Form> {
        Form::candidates(AdapterKind::Software, EngineKind::Auto)
    }

    fn measured(form: Form, epoch_s: f64, compile_s: f64) -> Measurement {
        Measurement {
            form: form.name(),
            trial_samples: 1000,
            epochs_s: vec![2.0 * epoch_s, epoch_s],
            compile_s,
            took_s: compile_s + 3.0 * epoch_s,
            error: None,
            passing: false,
        }
    }

    fn wrong(form: Form) -> Measurement {
        Measurement {
            error: Some("wrong".to_owned()),
            ..measured(form, 1e-3, 0.0)
        }
    }

    /// Says that each form takes so long to compile and an epoch a tenth of a second.
    struct Script {
        resident_s: f64,
        layered_s: f64,
        asked: Vec<Form>,
    }

    impl Measure for Script {
        fn measure(&mut self, form: Form, epoch_s: f64) -> Result<Measurement, EngineError> {
            assert!(epoch_s > 0.1, "{epoch_s}");
            self.asked.push(form);
            let compile_s = match form {
                Form::Resident(_) => self.resident_s,
                Form::Layered(_) => self.layered_s,
            };
            Ok(measured(form, 0.1, compile_s))
        }
    }

    fn asked(resident_s: f64, layered_s: f64, budget_s: Option<f64>) -> Vec<Form> {
        let mut script = Script {
            resident_s,
            layered_s,
            asked: Vec::new(),
        };
        measure_all(&mut script, &forms(), Vec::new(), budget_s, |_| ()).unwrap();
        script.asked
    }

    #[test]
    fn a_budget_leaves_out_what_would_go_beyond_it() {
        let all = forms();
        let layered = |form: &&Form| matches!(form, Form::Layered(_));
        assert_eq!(asked(5.0, 0.2, None), all);
        let few = asked(5.0, 0.2, Some(2.0));
        assert_eq!(few[0], all[0], "what the sweep would compile too");
        let others: Vec<&Form> = all.iter().filter(layered).collect();
        assert_eq!(
            few[1..].iter().collect::<Vec<_>>(),
            others,
            "fast to compile"
        );
        // 0.3 s for the first, 1.8 s for the second: nothing more.
        assert_eq!(asked(5.0, 1.5, Some(2.0)), all[..2]);
    }

    #[test]
    fn what_is_known_is_not_measured_again() {
        let mut script = Script {
            resident_s: 0.0,
            layered_s: 0.0,
            asked: Vec::new(),
        };
        let all = forms();
        let known = vec![measured(all[0], 0.5, 1.0), wrong(all[1])];
        let (found, _) = measure_all(&mut script, &all, known.clone(), None, |_| ()).unwrap();
        assert_eq!(script.asked, all[2..]);
        assert_eq!(found[..2], known);
        assert_eq!(found.len(), all.len());
        // The first form took 2.5 s: another of its kind is beyond the budget.
        script.asked.clear();
        measure_all(&mut script, &all, known, Some(2.0), |_| ()).unwrap();
        let is_layered = |form: &Form| matches!(form, Form::Layered(_));
        assert!(script.asked.iter().all(is_layered), "{:?}", script.asked);
        assert!(!script.asked.is_empty());
        // What takes the other engine long takes this one long, too.
        script.asked.clear();
        let slow = vec![measured(all[0], 0.9, 1.0)];
        measure_all(&mut script, &all, slow, Some(2.0), |_| ()).unwrap();
        assert_eq!(script.asked, []);
    }

    #[test]
    fn what_a_budget_had_no_time_for_may_be_measured_another_time() {
        struct Slow;
        impl Measure for Slow {
            fn measure(&mut self, form: Form, _: f64) -> Result<Measurement, EngineError> {
                Ok(wrong(form))
            }
        }
        let all = forms();
        let passing = |known, budget_s| {
            let (found, _) = measure_all(&mut Slow, &all[..2], known, budget_s, |_| ()).unwrap();
            found[found.len() - 1].passing
        };
        assert!(passing(Vec::new(), Some(2.0)), "the budget was short");
        assert!(!passing(Vec::new(), None));
        let fast = vec![measured(all[0], 0.01, 0.0)];
        assert!(!passing(fast, Some(2.0)), "many times another form");
    }

    #[test]
    fn the_fastest_right_form_is_taken() {
        let all = forms();
        let of_seconds = |seconds: &[f64]| -> Vec<Measurement> {
            let pairs = all.iter().zip(seconds);
            pairs.map(|(&form, &s)| measured(form, s, 0.0)).collect()
        };
        let taken = |measured: &[Measurement]| fastest(measured).map(|m| m.form.clone());
        let name = |i: usize| Some(all[i].name());
        assert_eq!(taken(&[]), None);
        assert_eq!(taken(&of_seconds(&[0.2, 0.1, 0.3])), name(1));
        assert_eq!(taken(&of_seconds(&[0.2, 0.199])), name(0), "noise");
        let mut known = of_seconds(&[0.2, 0.1]);
        known[1] = wrong(all[1]);
        assert_eq!(taken(&known), name(0), "struck out");
        known[0] = wrong(all[0]);
        assert_eq!(taken(&known), None);
    }
}
