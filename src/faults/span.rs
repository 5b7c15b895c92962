//! Lengths of time as they are written on the command line: `3s`, `500ms`, `2m`.

use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no length of time: write 500ms, 3s, 1.5s, 2m or 1h")]
pub struct SpanError(String);

/// Longer ones are mistakes.
const LONGEST: f64 = 7.0 * 24.0 * 3600.0;

/// # Errors
/// Not a positive number with a unit, or more than a week.
pub fn parse_span(text: &str) -> Result<Duration, SpanError> {
    let wrong = || SpanError(text.to_owned());
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let seconds = number.parse::<f64>().map_err(|_| wrong())? * unit;
    if (0.001..=LONGEST).contains(&seconds) { Ok(Duration::from_secs_f64(seconds)) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_need_a_unit_and_sense() {
        let ms = |text| parse_span(text).map(|span| span.as_millis());
        assert_eq!(
            [ms("500ms"), ms("3s"), ms("1.5s"), ms("2m"), ms("1h")].map(Result::unwrap),
            [500, 3000, 1500, 120_000, 3_600_000]
        );
        for wrong in ["", "3", "s", "0s", "-1s", "1e9s", "1.2.3s", "99999h", "3 s", "3sec"] {
            assert!(parse_span(wrong).is_err(), "{wrong}");
        }
    }
}
