//! Which forms are measured, and which one is taken.

use super::measurement::{Measure, Measurement, SHARES};
use crate::engine::EngineError;
use crate::engine::gpu::Form;

/// A form must be this much faster than what is taken unmeasured: less may be the noise of the machine.
const CLEARLY_FASTER: f64 = 1.03;

/// A form whose epoch takes so many times as long as another's is not worth its time; and what is always
/// given to an epoch, for the device to find its pace.
const HOPELESS: f64 = 5.0;
const LEAST_EPOCH_S: f64 = 0.1;
/// What the first form is given.
const FIRST_EPOCH_S: f64 = 20.0;
/// What is yet to be compiled or run may take so many times as long as any before it.
const MARGIN: f64 = 1.5;
/// What compiling is taken to need at least: what was compiled before may have been kept by the driver.
const LEAST_COMPILE_S: f64 = 0.5;

/// What measuring may cost.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Seconds.
    pub left_s: f64,
    /// Forms that are compiled side by side; at least 1.
    pub at_once: usize,
}

/// What is known of the forms of a class, as it grows.
pub struct Found<'t> {
    /// In the order in which they were measured.
    pub measured: Vec<Measurement>,
    /// Hears of each new measurement.
    pub tell: &'t mut dyn FnMut(&Measurement),
}

impl Found<'_> {
    /// Measures the forms that are not known yet, in their order.
    ///
    /// # Errors
    /// As [`Measure::measure`].
    pub fn measure_all(
        &mut self,
        measure: &mut dyn Measure,
        forms: &[Form],
    ) -> Result<(), EngineError> {
        for form in self.unknown(forms) {
            self.measure(measure, form, f64::INFINITY)?;
        }
        Ok(())
    }

    /// Measures what would be taken unmeasured, if it is not known yet, and gives the seconds that this took but for
    /// compiling: that would be done without a measurement, too.
    ///
    /// # Errors
    /// As [`Measure::measure`].
    pub fn measure_first(
        &mut self,
        measure: &mut dyn Measure,
        first: Form,
        budget: Budget,
    ) -> Result<f64, EngineError> {
        match self.unknown(&[first]).is_empty() {
            true => Ok(0.0),
            false => Ok(self.measure(measure, first, budget.left_s)?.run_s()),
        }
    }

    /// Measures as many of the forms that are not known yet as there is time for, by what is known of others, and gives
    /// the seconds that this took.
    ///
    /// # Errors
    /// As [`Measure::measure`].
    pub fn measure_within(
        &mut self,
        measure: &mut dyn Measure,
        forms: &[Form],
        budget: Budget,
    ) -> Result<f64, EngineError> {
        if self.measured.is_empty() {
            return Ok(0.0);
        }
        let mut compile_s = self.longest_s(|measured| measured.compile_s);
        compile_s = compile_s.max(LEAST_COMPILE_S);
        let mut spent_s = 0.0;
        for forms in self.unknown(forms).chunks(budget.at_once) {
            let next_s = MARGIN * (compile_s + self.longest_s(Measurement::run_s));
            if spent_s + next_s > budget.left_s {
                break;
            }
            let took_s = measure.compile(forms)?;
            compile_s = took_s.max(compile_s);
            spent_s += took_s;
            for (place, &form) in forms.iter().enumerate() {
                let (left_s, run_s) = (budget.left_s - spent_s, self.longest_s(Measurement::run_s));
                if place > 0 && MARGIN * run_s > left_s {
                    return Ok(spent_s);
                }
                // One is measured however long compiling took, or it would be compiled again before the next sweep.
                let measured = self.measure(measure, form, left_s.max(2.0 * MARGIN * run_s))?;
                spent_s += measured.took_s;
            }
        }
        Ok(spent_s)
    }

    fn unknown(&self, forms: &[Form]) -> Vec<Form> {
        let unknown = |form: &Form| of(&self.measured, *form).is_none();
        forms.iter().copied().filter(unknown).collect()
    }

    fn longest_s(&self, seconds: impl Fn(&Measurement) -> f64) -> f64 {
        self.measured.iter().map(seconds).fold(0.0, f64::max)
    }

    /// Measures a form; an epoch that takes more than its share of so many seconds is given up.
    fn measure(
        &mut self,
        measure: &mut dyn Measure,
        form: Form,
        left_s: f64,
    ) -> Result<&Measurement, EngineError> {
        let epoch_s = longest_epoch_s(&self.measured);
        let share_s = (left_s / f64::from(SHARES)).max(LEAST_EPOCH_S);
        let allowed_s = epoch_s.min(share_s);
        let mut measurement = measure.measure(form, allowed_s)?;
        // With more time it might have been measured.
        measurement.passing |= measurement.gave_up && allowed_s < epoch_s;
        (self.tell)(&measurement);
        self.measured.push(measurement);
        Ok(&self.measured[self.measured.len() - 1])
    }
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
            gave_up: false,
            passing: false,
        }
    }

    fn wrong(form: Form) -> Measurement {
        Measurement {
            error: Some("wrong".to_owned()),
            ..measured(form, 1e-3, 0.0)
        }
    }

    /// Says that each form takes so long to compile, and an epoch a tenth of a second.
    struct Script {
        compile_s: f64,
        /// Every form has wrong results, or is too slow.
        fails: Option<fn(Form) -> Measurement>,
        compiled: Vec<usize>,
        asked: Vec<Form>,
        /// The least seconds that an epoch was given.
        least_s: f64,
    }

    impl Script {
        fn new(compile_s: f64) -> Self {
            Self {
                compile_s,
                fails: None,
                compiled: Vec::new(),
                asked: Vec::new(),
                least_s: f64::INFINITY,
            }
        }
    }

    impl Measure for Script {
        fn compile(&mut self, forms: &[Form]) -> Result<f64, EngineError> {
            self.compiled.push(forms.len());
            Ok(self.compile_s)
        }

        fn measure(&mut self, form: Form, epoch_s: f64) -> Result<Measurement, EngineError> {
            self.asked.push(form);
            self.least_s = self.least_s.min(epoch_s);
            if let Some(fails) = self.fails {
                return Ok(fails(form));
            }
            let there = self.compiled.iter().sum::<usize>() >= self.asked.len();
            let compile_s = if there { 0.0 } else { self.compile_s };
            Ok(measured(form, 0.1, compile_s))
        }
    }

    const TWO_AT_ONCE: Budget = Budget {
        left_s: 2.0,
        at_once: 2,
    };

    fn found(measured: Vec<Measurement>) -> Found<'static> {
        Found {
            measured,
            tell: Box::leak(Box::new(|_: &Measurement| ())),
        }
    }

    /// Of forms that take so long to compile: those that were compiled at once, and how many were measured.
    fn within(compile_s: f64, known: Vec<Measurement>, budget: Budget) -> (Vec<usize>, usize) {
        let mut script = Script::new(compile_s);
        let spent_s = found(known)
            .measure_within(&mut script, &forms(), budget)
            .unwrap();
        let by_script = compile_s * script.compiled.len() as f64 + 0.3 * script.asked.len() as f64;
        assert!((spent_s - by_script).abs() < 1e-9, "{spent_s}");
        // An epoch of the script's forms takes 0.1 s, and 0.2 s the first time.
        assert!(script.least_s >= 0.1, "{}", script.least_s);
        (script.compiled, script.asked.len())
    }

    #[test]
    fn without_a_budget_all_are_measured_each_by_itself() {
        let mut script = Script::new(9.0);
        found(Vec::new())
            .measure_all(&mut script, &forms())
            .unwrap();
        assert_eq!(script.asked, forms());
        assert_eq!(script.compiled, [0; 0]);
    }

    #[test]
    fn what_the_sweep_would_compile_too_is_not_counted() {
        let mut script = Script::new(9.0);
        let mut found = found(Vec::new());
        let mut first = || found.measure_first(&mut script, forms()[0], TWO_AT_ONCE);
        assert!((first().unwrap() - 0.3).abs() < 1e-9);
        assert_eq!(first().unwrap(), 0.0, "it is known");
        assert_eq!(script.asked, forms()[..1]);
    }

    #[test]
    fn a_budget_leaves_out_what_would_go_beyond_it() {
        let all = forms();
        assert_eq!(all.len(), 5);
        let first = |compile_s| vec![measured(all[0], 0.1, compile_s)];
        let plenty = Budget {
            left_s: 100.0,
            ..TWO_AT_ONCE
        };
        assert_eq!(within(1.0, first(1.0), plenty), (vec![2, 2], 4));
        // 0.5 s and twice 0.3 s: what is left is less than 1.5 times 0.8 s.
        assert_eq!(within(0.5, first(0.5), TWO_AT_ONCE), (vec![2], 2));
        assert_eq!(within(1.4, first(1.4), TWO_AT_ONCE), (vec![], 0));
        // What the driver had kept of the first says little of the others; what was compiled is of some use.
        assert_eq!(within(1.8, first(0.1), TWO_AT_ONCE), (vec![2], 1));
        assert_eq!(within(1.2, first(0.1), TWO_AT_ONCE), (vec![2], 2));
        let little = Budget {
            left_s: 1.1,
            ..TWO_AT_ONCE
        };
        assert_eq!(within(0.0, first(0.0), little), (vec![], 0));
        assert_eq!(within(0.0, Vec::new(), TWO_AT_ONCE), (vec![], 0));
        let one = Budget {
            at_once: 1,
            ..TWO_AT_ONCE
        };
        assert_eq!(within(0.2, first(0.2), one), (vec![1, 1], 2));
    }

    #[test]
    fn what_is_known_is_not_measured_again() {
        let all = forms();
        let known = vec![measured(all[0], 0.5, 1.0), wrong(all[1])];
        let mut script = Script::new(0.0);
        let mut found = found(known.clone());
        found.measure_all(&mut script, &all).unwrap();
        assert_eq!(script.asked, all[2..]);
        assert_eq!(found.measured[..2], known);
        assert_eq!(found.measured.len(), all.len());
        let all_known = found.measured;
        assert_eq!(within(0.0, all_known, TWO_AT_ONCE), (vec![], 0));
    }

    #[test]
    fn what_a_budget_had_no_time_for_may_be_measured_another_time() {
        let all = forms();
        let slow = |form| Measurement {
            gave_up: true,
            ..wrong(form)
        };
        // Of the last form, by a budget or without.
        let passing = |fails, known: Vec<Measurement>, budget: Option<Budget>| {
            let mut script = Script {
                fails: Some(fails),
                ..Script::new(0.0)
            };
            let mut found = found(known);
            match budget {
                Some(budget) => {
                    let within = found.measure_within(&mut script, &all[..2], budget);
                    assert!(within.is_ok());
                }
                None => found.measure_all(&mut script, &all[..2]).unwrap(),
            }
            found.measured[found.measured.len() - 1].passing
        };
        let short = Some(TWO_AT_ONCE);
        let first = |epoch_s| vec![measured(all[0], epoch_s, 0.0)];
        assert!(passing(slow, first(0.2), short), "the budget was short");
        assert!(!passing(slow, first(0.2), None));
        assert!(
            !passing(slow, first(0.01), short),
            "many times another form"
        );
        assert!(
            !passing(wrong, first(0.2), short),
            "time makes it no better"
        );
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
