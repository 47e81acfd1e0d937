//! Durations in Go's notation.

use std::time::Duration;

/// Text that is not a Go duration.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum GoDurationError {
    /// It does not fit the notation.
    #[error("\"{0}\" is not a duration: expected numbers with units, such as \"5m\" or \"1h30m\"")]
    Malformed(String),
    /// It is negative.
    #[error("\"{0}\" is negative: expected a duration such as \"5m\"")]
    Negative(String),
    /// Longer than Go's range, about 292 years.
    #[error("\"{0}\" is too long: expected a duration such as \"5m\"")]
    TooLong(String),
}

/// Parses what Go's `time.ParseDuration` parses: `300ms`, `1.5h`, `2h45m`, `0`; negative durations are
/// errors.
///
/// ```
/// use pgops_api::admission::parse_go_duration;
/// assert_eq!(parse_go_duration("1h30m").unwrap().as_secs(), 5400);
/// ```
pub fn parse_go_duration(text: &str) -> Result<Duration, GoDurationError> {
    let malformed = || GoDurationError::Malformed(text.to_owned());
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut rest = unsigned;
    let mut nanoseconds: u128 = 0;
    while !rest.is_empty() && unsigned != "0" {
        let (term, after) = take_term(rest).ok_or_else(malformed)?;
        nanoseconds = nanoseconds.saturating_add(term);
        rest = after;
    }
    if unsigned.is_empty() {
        return Err(malformed());
    }
    if text.starts_with('-') && nanoseconds > 0 {
        return Err(GoDurationError::Negative(text.to_owned()));
    }
    match i64::try_from(nanoseconds) {
        Ok(fits) => Ok(Duration::from_nanos(fits.unsigned_abs())),
        Err(_) => Err(GoDurationError::TooLong(text.to_owned())),
    }
}

/// Nanoseconds of each unit; "ms" before "m", which is its prefix.
const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// One number with its unit, in nanoseconds, and the text after it.
fn take_term(text: &str) -> Option<(u128, &str)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = text.split_at(digits(text));
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(digits(rest)),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (unit, rest) = UNITS.iter().find_map(|(name, unit)| Some((*unit, rest.strip_prefix(name)?)))?;
    // A number that overflows is too long in any unit.
    let whole = if whole.is_empty() { 0 } else { whole.parse().unwrap_or(u128::MAX) };
    // An hour has 3.6e12 nanoseconds: later digits have no effect.
    let fraction = &fraction[..fraction.len().min(15)];
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let part = if fraction.is_empty() { 0 } else { fraction.parse::<u128>().ok()? * unit / scale };
    Some((whole.saturating_mul(unit).saturating_add(part), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("0", 0)]
    #[case("5m", 300_000)]
    #[case("1h30m", 5_400_000)]
    #[case("1.5h", 5_400_000)]
    #[case(".5s", 500)]
    #[case("5.s", 5_000)]
    #[case("+300ms", 300)]
    #[case("1m1ms1s", 61_001)]
    #[case("1500µs", 1)]
    #[case("1500μs", 1)]
    #[case("-0s", 0)]
    #[case("0.3333333333333333333h", 1_199_999)]
    fn go_durations_are_parsed(#[case] text: &str, #[case] milliseconds: u128) {
        assert_eq!(parse_go_duration(text).unwrap().as_millis(), milliseconds);
    }

    #[rstest]
    #[case("")]
    #[case("+")]
    #[case("5")]
    #[case("m")]
    #[case(".s")]
    #[case("5 m")]
    #[case("5m ")]
    #[case("5min")]
    #[case("1d")]
    #[case("5m3")]
    #[case("00")]
    #[case("--5m")]
    fn malformed_duration_is_rejected_and_quoted(#[case] text: &str) {
        assert_eq!(parse_go_duration(text), Err(GoDurationError::Malformed(text.to_owned())));
    }

    #[test]
    fn negative_or_overlong_duration_is_rejected() {
        assert_eq!(parse_go_duration("-5m"), Err(GoDurationError::Negative("-5m".into())));
        assert_eq!(parse_go_duration("2562048h"), Err(GoDurationError::TooLong("2562048h".into())));
        let endless = format!("{}s", "9".repeat(60));
        assert_eq!(parse_go_duration(&endless), Err(GoDurationError::TooLong(endless)));
        assert_eq!(parse_go_duration("2562047h").unwrap().as_secs(), 2_562_047 * 3600);
    }
}
