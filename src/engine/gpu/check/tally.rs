//! Comparing what a kernel wrote with what it should have written, and counting.

use super::bounded::Bounded;

/// Failures that a report spells out; further ones are counted.
const SPELLED_OUT: usize = 5;

/// What a word of an output should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expected {
    /// These bits: a count, a value that must stay as it was, or the poison of one that must not be
    /// written.
    Bits(u32),
    /// A number within its limit.
    Near(Bounded),
    /// A number from this one on, infinity included.
    AtLeast(f32),
    /// NaN, of any bits.
    NotANumber,
    /// It does not matter.
    Anything,
}

impl Expected {
    /// Exactly 0, of either sign.
    pub const ZERO: Self = Self::Near(Bounded {
        value: 0.0,
        limit: 0.0,
    });
}

/// An output of a kernel, word by word.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its name.
    pub what: &'static str,
    /// Its words after the dispatch.
    pub words: Vec<u32>,
}

/// How a kernel did on its table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KernelReport {
    /// The kernel, or what else was checked.
    pub kernel: String,
    /// Cases that ran.
    pub cases: u64,
    /// The largest error, as a share of its limit.
    pub largest_error: f64,
    /// Where it was.
    pub at: String,
    /// The first failures, each in a sentence.
    pub failures: Vec<String>,
    /// All failures.
    pub failed: u64,
}

impl KernelReport {
    /// A report without cases.
    pub fn new(kernel: &str) -> Self {
        Self {
            kernel: kernel.to_owned(),
            ..Self::default()
        }
    }

    /// Nothing failed, and something was checked.
    pub fn passed(&self) -> bool {
        self.failed == 0 && self.cases > 0
    }

    /// Notes a failure.
    pub fn fail(&mut self, failure: String) {
        self.failed += 1;
        if self.failures.len() < SPELLED_OUT {
            self.failures.push(failure);
        }
    }

    /// Compares an output with what it should be.
    pub fn compare(&mut self, case: &str, output: &Output, expected: &[Expected]) {
        let what = output.what;
        if output.words.len() != expected.len() {
            let (is, should) = (output.words.len(), expected.len());
            return self.fail(format!("{case}: `{what}` has {is} words, not {should}"));
        }
        for (i, (&word, &expected)) in output.words.iter().zip(expected).enumerate() {
            self.compare_word(|| format!("{case}, {what}[{i}]"), word, expected);
        }
    }

    /// Compares one word; `place` names it.
    fn compare_word(&mut self, place: impl Fn() -> String, word: u32, expected: Expected) {
        let value = f32::from_bits(word);
        match expected {
            Expected::Anything => {}
            Expected::NotANumber if value.is_nan() => {}
            Expected::NotANumber => self.fail(format!("{}: {value:e}, not NaN", place())),
            Expected::Bits(bits) if word == bits => {}
            Expected::Bits(bits) => self.fail(format!(
                "{}: {word:#010x} ({value:e}), not {bits:#010x} ({:e})",
                place(),
                f32::from_bits(bits)
            )),
            Expected::AtLeast(least) if value >= least => {}
            Expected::AtLeast(least) => {
                self.fail(format!("{}: {value:e}, not at least {least:e}", place()));
            }
            Expected::Near(bounded) => self.near(place, value.into(), bounded),
        }
    }

    /// Compares a number with its limit; NaN is far from everything.
    pub fn near(&mut self, place: impl Fn() -> String, value: f64, expected: Bounded) {
        let share = share(value, expected);
        if share > self.largest_error {
            self.largest_error = share;
            self.at = place();
        }
        if share > 1.0 {
            let Bounded { value: right, .. } = expected;
            let limit = expected.limit;
            self.fail(format!(
                "{}: {value:e}, not {right:e} (within {limit:.1e})",
                place()
            ));
        }
    }

    /// Compares what the cpu engine gives with what it should give.
    pub fn native(&mut self, case: &str, what: &str, actual: &[f32], expected: &[Bounded]) {
        if actual.len() != expected.len() {
            let (is, should) = (actual.len(), expected.len());
            return self.fail(format!("{case}: `{what}` has {is} values, not {should}"));
        }
        for (i, (&actual, &expected)) in actual.iter().zip(expected).enumerate() {
            self.near(|| format!("{case}, {what}[{i}]"), actual.into(), expected);
        }
    }

    /// Compares two outputs bit by bit, but for the words that `skip` names.
    pub fn identical(&mut self, case: &str, a: &Output, b: &Output, skip: impl Fn(usize) -> bool) {
        let what = a.what;
        if a.words.len() != b.words.len() {
            return self.fail(format!("{case}: `{what}` has another length"));
        }
        let differs = |i: &usize| a.words[*i] != b.words[*i] && !skip(*i);
        if let Some(i) = (0..a.words.len()).find(differs) {
            let (a, b) = (a.words[i], b.words[i]);
            self.fail(format!(
                "{case}: {what}[{i}] is {a:#010x}, and was {b:#010x}"
            ));
        }
    }
}

/// The error as a share of its limit; infinite where there is no number, or no limit to be one of.
fn share(value: f64, expected: Bounded) -> f64 {
    let error = (value - expected.value).abs();
    if error == 0.0 {
        return 0.0;
    }
    let share = error / expected.limit;
    // Infinity divided by infinity, and NaN: no number that could be right.
    if share.is_nan() || !value.is_finite() {
        f64::INFINITY
    } else {
        share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(value: f32, expected: Expected) -> u64 {
        let mut report = KernelReport::new("x");
        let output = Output {
            what: "x",
            words: vec![value.to_bits()],
        };
        report.compare("case", &output, &[expected]);
        report.failed
    }

    fn near(value: f64, limit: f64) -> Expected {
        Expected::Near(Bounded { value, limit })
    }

    #[test]
    fn values_within_the_limit_pass_and_others_fail() {
        assert_eq!(failed(1.5, near(1.0, 0.5)), 0);
        assert_eq!(failed(1.75, near(1.0, 0.5)), 1);
        assert_eq!(failed(1.0, near(1.0, 0.0)), 0);
        assert_eq!(failed(-0.0, near(0.0, 0.0)), 0);
        assert_eq!(failed(1e-38, near(0.0, 0.0)), 1);
    }

    #[test]
    fn nan_and_infinity_fail_whatever_the_limit() {
        for limit in [0.0, 1.0, f64::INFINITY] {
            for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                assert_eq!(failed(value, near(1.0, limit)), 1, "{value} {limit}");
            }
        }
        assert_eq!(failed(f32::NAN, Expected::AtLeast(0.0)), 1);
        assert_eq!(failed(1.0, near(f64::NAN, 1.0)), 1);
        assert_eq!(failed(1.0, near(0.0, f64::NAN)), 1);
    }

    #[test]
    fn bits_and_least_values() {
        assert_eq!(failed(1.0, Expected::Bits(1.0_f32.to_bits())), 0);
        assert_eq!(failed(-0.0, Expected::Bits(0)), 1);
        assert_eq!(failed(f32::INFINITY, Expected::AtLeast(1e38)), 0);
        assert_eq!(failed(1e37, Expected::AtLeast(1e38)), 1);
        assert_eq!(failed(f32::NAN, Expected::Anything), 0);
        assert_eq!(failed(f32::NAN, Expected::NotANumber), 0);
        assert_eq!(failed(f32::INFINITY, Expected::NotANumber), 1);
    }

    #[test]
    fn another_length_fails() {
        let mut report = KernelReport::new("x");
        let output = Output {
            what: "x",
            words: vec![0, 0],
        };
        report.compare("case", &output, &[Expected::Anything]);
        assert_eq!(report.failed, 1);
        let shorter = Output {
            what: "x",
            words: vec![0],
        };
        report.identical("case", &output, &shorter, |_| true);
        assert_eq!(report.failed, 2);
        report.native("case", "x", &[], &[Bounded::exact(0.0)]);
        assert_eq!(report.failed, 3);
    }

    #[test]
    fn identical_looks_at_all_words_but_those_to_skip() {
        let output = |words: &[u32]| Output {
            what: "x",
            words: words.to_vec(),
        };
        let (a, b) = (output(&[1, 2, 3]), output(&[1, 5, 3]));
        let mut report = KernelReport::new("x");
        report.identical("case", &a, &b, |i| i == 1);
        assert_eq!(report.failed, 0);
        report.identical("case", &a, &b, |i| i == 0);
        assert_eq!(report.failed, 1);
    }

    #[test]
    fn a_report_without_cases_has_not_passed() {
        let mut report = KernelReport::new("x");
        assert!(!report.passed());
        report.cases = 1;
        assert!(report.passed());
        report.near(
            || "here".to_owned(),
            1.0,
            Bounded {
                value: 2.0,
                limit: 2.0,
            },
        );
        assert!(report.passed());
        assert_eq!((report.largest_error, report.at.as_str()), (0.5, "here"));
        report.near(|| "there".to_owned(), f64::NAN, Bounded::exact(2.0));
        assert_eq!(
            (report.largest_error, report.at.as_str()),
            (f64::INFINITY, "there")
        );
        assert!(!report.passed());
    }
}
