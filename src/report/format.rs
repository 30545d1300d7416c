//! Numbers as a person reads them.

/// What stands where a number is missing.
pub(crate) const MISSING: &str = "–";

/// A metric to four decimals, or in scientific notation where four decimals would say nothing.
pub(crate) fn metric_text(value: Option<f64>) -> String {
    match value {
        Some(v) if v.is_finite() => {
            let size = v.abs();
            if v != 0.0 && !(5e-5..1e6).contains(&size) {
                trim_exponent(&format!("{v:.3e}"))
            } else {
                format!("{v:.4}")
            }
        }
        _ => MISSING.to_owned(),
    }
}

/// `mean ± std`; the spread is left out where there is none.
pub(crate) fn spread_text(mean: Option<f64>, std: Option<f64>) -> String {
    match (mean, std) {
        // Of a mean to four decimals, a smaller spread says no more than 0.0000.
        (Some(m), Some(s)) if s < 5e-5 && m.abs() >= 5e-5 => {
            format!("{} ± 0.0000", metric_text(mean))
        }
        (Some(_), Some(_)) => format!("{} ± {}", metric_text(mean), metric_text(std)),
        _ => metric_text(mean),
    }
}

/// A number to `digits` significant digits, without trailing zeros; scientific where that is shorter.
///
/// ```text
/// 0.0031622776601683794 -> 0.003162     128 -> 128     0.00001 -> 1e-5
/// ```
pub fn number_text(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return MISSING.to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let size = value.abs();
    if value.fract() == 0.0 && size < 1e7 {
        return format!("{value:.0}");
    }
    let digits = digits.max(1);
    if !(9.9995e-5..1e6).contains(&size) {
        return scientific_text(value, digits);
    }
    // Between 1e-4 and 1e6 the exponent is a small integer.
    let exponent = size.log10().floor() as i32;
    let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// As [`number_text`], always in scientific notation.
pub(crate) fn scientific_text(value: f64, digits: usize) -> String {
    trim_exponent(&format!("{value:.*e}", digits.max(1) - 1))
}

/// `1.500e-5` -> `1.5e-5`.
fn trim_exponent(text: &str) -> String {
    match text.split_once('e') {
        Some((mantissa, exponent)) if mantissa.contains('.') => {
            let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
            format!("{mantissa}e{exponent}")
        }
        _ => text.to_owned(),
    }
}

/// A whole number with its thousands apart: `57480` -> `57,480`.
pub fn count_text(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `trial`, `trials`: a count and its word.
pub(crate) fn counted(count: u64, word: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {word}{plural}", count_text(count))
}

/// A rate to three significant digits with its prefix: `12_400_000.0` -> `12.4 M`.
///
/// `None` and numbers that are not finite are a dash.
pub fn rate_text(rate: Option<f64>) -> String {
    let Some(rate) = rate.filter(|r| r.is_finite()) else {
        return MISSING.to_owned();
    };
    const PREFIXES: [&str; 6] = ["", "k", "M", "G", "T", "P"];
    let mut value = rate;
    let mut prefix = 0;
    // 999.5 would be shown as 1000.
    while value.abs() >= 999.5 && prefix + 1 < PREFIXES.len() {
        value /= 1000.0;
        prefix += 1;
    }
    let decimals = match value.abs() {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$} {}", PREFIXES[prefix]);
    text.trim_end().to_owned()
}

/// A time in the units that suit it: `12 ms`, `3.21 s`, `4 min 05 s`, `2 h 03 min`.
pub fn duration_text(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return MISSING.to_owned();
    }
    if seconds == 0.0 {
        return "0 s".to_owned();
    }
    if seconds < 0.9995 {
        return format!("{} ms", number_text(seconds * 1e3, 3));
    }
    if seconds < 59.95 {
        let decimals = if seconds < 9.995 { 2 } else { 1 };
        return format!("{seconds:.decimals$} s");
    }
    let whole = seconds.round();
    if whole < 3600.0 {
        let minutes = (whole / 60.0).floor();
        return format!("{minutes:.0} min {:02.0} s", whole - minutes * 60.0);
    }
    let minutes = (seconds / 60.0).round();
    let hours = (minutes / 60.0).floor();
    format!("{hours:.0} h {:02.0} min", minutes - hours * 60.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_four_decimals() {
        let cases = [
            (Some(0.97431), "0.9743"),
            (Some(0.0), "0.0000"),
            (Some(-1.5), "-1.5000"),
            (Some(1.5e-5), "1.5e-5"),
            (Some(1.25e9), "1.25e9"),
            (Some(f64::NAN), MISSING),
            (None, MISSING),
        ];
        for (value, text) in cases {
            assert_eq!(metric_text(value), text);
        }
        assert_eq!(spread_text(Some(0.5), Some(0.25)), "0.5000 ± 0.2500");
        assert_eq!(spread_text(Some(0.5), Some(1e-6)), "0.5000 ± 0.0000");
        assert_eq!(spread_text(Some(1e-6), Some(1e-7)), "1e-6 ± 1e-7");
        assert_eq!(spread_text(Some(0.5), None), "0.5000");
        assert_eq!(spread_text(None, Some(0.1)), MISSING);
    }

    #[test]
    fn numbers_keep_their_significant_digits() {
        let cases = [
            (0.0031622776601683794, "0.003162"),
            (0.0001, "0.0001"),
            (1e-5, "1e-5"),
            (3.1622776e-5, "3.162e-5"),
            (128.0, "128"),
            (0.1, "0.1"),
            (0.30000000000000004, "0.3"),
            (12345.678, "12346"),
            (-0.5, "-0.5"),
            (1e12, "1e12"),
            (0.0, "0"),
        ];
        for (value, text) in cases {
            assert_eq!(number_text(value, 4), text);
        }
        assert_eq!(number_text(f64::NAN, 4), MISSING);
    }

    #[test]
    fn counts_have_their_thousands_apart() {
        for (count, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1234567, "1,234,567"),
        ] {
            assert_eq!(count_text(count), text);
        }
        assert_eq!(counted(1, "trial"), "1 trial");
        assert_eq!(counted(0, "trial"), "0 trials");
    }

    #[test]
    fn rates_have_three_digits_and_a_prefix() {
        let cases = [
            (12_400_000.0, "12.4 M"),
            (830_000.0, "830 k"),
            (999.6, "1.00 k"),
            (950.0, "950"),
            (0.5, "0.50"),
        ];
        for (rate, text) in cases {
            assert_eq!(rate_text(Some(rate)), text);
        }
        assert_eq!(rate_text(Some(f64::INFINITY)), MISSING);
        assert_eq!(rate_text(None), MISSING);
    }

    #[test]
    fn durations_have_units_that_suit_them() {
        let cases = [
            (0.0, "0 s"),
            (0.0124, "12.4 ms"),
            (3.214, "3.21 s"),
            (59.96, "1 min 00 s"),
            (245.2, "4 min 05 s"),
            (7380.0, "2 h 03 min"),
            (3599.9, "1 h 00 min"),
            (f64::NAN, MISSING),
        ];
        for (seconds, text) in cases {
            assert_eq!(duration_text(seconds), text, "{seconds}");
        }
    }
}
