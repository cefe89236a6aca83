//! ISO 8601 moments as Python's `datetime.isoformat()` writes them.

/// Reads `YYYY-MM-DD`, then `T` or a space, `HH:MM`, optionally `:SS`, a fraction, and `Z` or an offset as `+02:00`;
/// without an offset it is UTC. The result is Unix time in seconds.
pub(super) fn parse_iso(text: &str) -> Option<f64> {
    let mut rest = Cursor(text.trim().as_bytes());
    let year = rest.digits(4)?;
    rest.byte(b"-")?;
    let month = rest.digits(2)?;
    rest.byte(b"-")?;
    let day = rest.digits(2)?;
    rest.byte(b"Tt ")?;
    let (hour, minute) = (rest.digits(2)?, rest.byte(b":").and_then(|()| rest.digits(2))?);
    let second = if rest.byte(b":").is_some() { rest.digits(2)? } else { 0 };
    let fraction = if rest.byte(b".,").is_some() { rest.fraction()? } else { 0.0 };
    let offset = rest.offset()?;
    let is_date = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
    // A leap second is 60.
    let is_time = hour < 24 && minute < 60 && second <= 60;
    (rest.0.is_empty() && is_date && is_time).then(|| {
        let seconds =
            days_from_epoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
        seconds as f64 + fraction
    })
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(is_leap),
        _ => 31,
    }
}

/// Days since 1970-01-01 in the Gregorian calendar, for years from 0 on (Howard Hinnant, `days_from_civil`).
fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// What is left of the text.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    /// Takes one byte when it is among `allowed`.
    fn byte(&mut self, allowed: &[u8]) -> Option<()> {
        let (first, rest) = self.0.split_first()?;
        allowed.contains(first).then(|| self.0 = rest)
    }

    /// Takes exactly `count` digits.
    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        digits.iter().try_fold(0, |sum, b| b.is_ascii_digit().then(|| sum * 10 + i64::from(b - b'0')))
    }

    /// Takes all digits that follow, as a fraction of one.
    fn fraction(&mut self) -> Option<f64> {
        let count = self.0.iter().take_while(|b| b.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        format!("0.{}", std::str::from_utf8(digits).ok().filter(|d| !d.is_empty())?).parse().ok()
    }

    /// Takes `Z`, `+HH:MM`, `+HHMM`, `+HH` or nothing; seconds east of Greenwich.
    fn offset(&mut self) -> Option<i64> {
        if self.0.is_empty() || self.byte(b"Zz").is_some() {
            return Some(0);
        }
        let sign = if self.byte(b"-").is_some() { -1 } else { self.byte(b"+").map(|()| 1)? };
        let hours = self.digits(2)?;
        let _ = self.byte(b":");
        let minutes = if self.0.is_empty() { 0 } else { self.digits(2)? };
        (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn moments() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0.0),
            ("2026-05-01T12:34:56.789012+00:00", 1_777_638_896.789_012),
            ("2026-05-01T14:34:56+02:00", 1_777_638_896.0),
            ("2026-05-01 12:34:56", 1_777_638_896.0),
            ("2026-05-01T07:04:56-0530", 1_777_638_896.0),
            ("2024-02-29T00:00Z", 1_709_164_800.0),
            ("2000-03-01T00:00:00+00", 951_868_800.0),
        ] {
            let parsed = parse_iso(text).unwrap();
            assert!((parsed - seconds).abs() < 1e-6, "{text}: {parsed}");
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "2026",
            "2026-13-01T00:00Z",
            "2026-02-29T00:00Z",
            "2026-01-01T24:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00 +1",
            "2026-01-01T00:00:00Zx",
            "20260101T000000Z",
            "NaN",
        ] {
            assert_eq!(parse_iso(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_read(text in "\\PC*") {
            let _ = parse_iso(&text);
        }

        #[test]
        fn dates_are_consecutive(days in 0..3000_i64) {
            // 2000-01-01 plus a number of days, by the calendar's own rules.
            let (mut year, mut month, mut day) = (2000, 1, 1);
            for _ in 0..days {
                day += 1;
                if day > days_in_month(year, month) {
                    (day, month) = (1, month + 1);
                }
                if month > 12 {
                    (month, year) = (1, year + 1);
                }
            }
            prop_assert_eq!(days_from_epoch(year, month, day), 10_957 + days);
        }
    }
}
