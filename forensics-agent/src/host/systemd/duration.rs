//! systemd's time spans (systemd.time(7)), read and written as systemd itself does.

use std::fmt;

use thiserror::Error;

/// A span of time, microseconds; [`Span::INFINITY`] is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u64);

/// Why a text is no time span.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DurationError {
    /// It follows no rule of the grammar.
    #[error("{0:?} is no time span as systemd writes it, such as 90s, 1min 30s or infinity")]
    Invalid(String),
    /// It is negative, or more microseconds than 64 bits hold.
    #[error("the time span {0:?} is out of range")]
    OutOfRange(String),
}

const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;
/// 30.4375 days, as systemd counts.
const MONTH: u64 = 2_629_800 * SECOND;
/// 365.25 days, as systemd counts.
const YEAR: u64 = 31_557_600 * SECOND;

/// Suffixes in the order in which systemd tries them: the first that the text begins with wins
/// (`extract_multiplier` in systemd's `src/basic/time-util.c`).
const SUFFIXES: [(&str, u64); 30] = [
    ("seconds", SECOND),
    ("second", SECOND),
    ("sec", SECOND),
    ("s", SECOND),
    ("minutes", MINUTE),
    ("minute", MINUTE),
    ("min", MINUTE),
    ("months", MONTH),
    ("month", MONTH),
    ("M", MONTH),
    ("msec", 1000),
    ("ms", 1000),
    ("m", MINUTE),
    ("hours", HOUR),
    ("hour", HOUR),
    ("hr", HOUR),
    ("h", HOUR),
    ("days", DAY),
    ("day", DAY),
    ("d", DAY),
    ("weeks", WEEK),
    ("week", WEEK),
    ("w", WEEK),
    ("years", YEAR),
    ("year", YEAR),
    ("y", YEAR),
    ("usec", 1),
    ("us", 1),
    ("\u{3bc}s", 1),
    ("\u{b5}s", 1),
];

/// What systemd counts as blank.
const BLANK: [char; 4] = [' ', '\t', '\n', '\r'];

/// Reads a time span as systemd's `parse_sec` does: a number without a unit is seconds.
pub fn parse_us(text: &str) -> Result<Span, DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
    let out_of_range = || DurationError::OutOfRange(text.to_owned());

    let mut rest = text.trim_start_matches(BLANK);
    if let Some(tail) = rest.strip_prefix("infinity") {
        return if tail.trim_start_matches(BLANK).is_empty() { Ok(Span::INFINITY) } else { Err(invalid()) };
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let part =
            Part::read(rest).ok_or_else(|| if rest.starts_with('-') { out_of_range() } else { invalid() })?;
        let add = |total: u64, amount: Option<u64>| total.checked_add(amount?).filter(|&sum| sum != u64::MAX);
        let whole = part.digits.bytes().try_fold(0_u64, |number, digit| {
            // strtoll(3), which systemd uses, ends at the largest signed number.
            let next = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
            i64::try_from(next).ok().map(|_| next)
        });
        total = add(total, whole.and_then(|n| n.checked_mul(part.unit))).ok_or_else(out_of_range)?;
        let mut place = part.unit / 10;
        for digit in part.fraction.bytes() {
            total = add(total, Some(u64::from(digit - b'0') * place)).ok_or_else(out_of_range)?;
            place /= 10;
        }
        rest = part.rest.trim_start_matches(BLANK);
    }
    Ok(Span(total))
}

/// One number with its unit.
struct Part<'a> {
    digits: &'a str,
    fraction: &'a str,
    unit: u64,
    rest: &'a str,
}

impl<'a> Part<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (digits, rest) = split_digits(text.strip_prefix('+').unwrap_or(text));
        let (fraction, rest) = match rest.strip_prefix('.') {
            // systemd takes `.5s` and not `+.5s`.
            Some(tail) if !(digits.is_empty() && text.starts_with('+')) => {
                Some(split_digits(tail)).filter(|(fraction, _)| !fraction.is_empty())?
            }
            _ if digits.is_empty() => return None,
            _ => ("", rest),
        };
        let suffix = rest.trim_start_matches(BLANK);
        let known = SUFFIXES.iter().find_map(|&(name, unit)| Some((unit, suffix.strip_prefix(name)?)));
        // Without a unit something must divide it from what follows: not `12.34.56`, but `12.34 .56`.
        let divided = suffix.len() < rest.len() || rest.is_empty();
        let (unit, rest) = known.or_else(|| divided.then_some((SECOND, suffix)))?;
        Some(Self { digits, fraction, unit, rest })
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

impl Span {
    /// No limit: systemd's `USEC_INFINITY`.
    pub const INFINITY: Self = Self(u64::MAX);

    /// A span of so many microseconds, the largest number being infinity.
    pub const fn from_us(microseconds: u64) -> Self {
        Self(microseconds)
    }

    /// A span of so many seconds, to the nearest microsecond; infinity when that is too many.
    pub fn from_secs_round(seconds: f64) -> Self {
        // A cast from a float saturates: at infinity, as it should, and at zero.
        Self((seconds * 1e6).round() as u64)
    }

    /// Microseconds; `u64::MAX` for infinity.
    pub const fn as_us(self) -> u64 {
        self.0
    }

    /// Seconds; None for infinity.
    pub fn as_secs(self) -> Option<f64> {
        (self != Self::INFINITY).then_some(self.0 as f64 / 1e6)
    }
}

/// As systemd's `format_timespan` with an accuracy of one microsecond: `1min 30s`, `1.500ms`, `infinity`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u64, usize); 9] = [
            ("y", YEAR, 0),
            ("month", MONTH, 0),
            ("w", WEEK, 0),
            ("d", DAY, 0),
            ("h", HOUR, 0),
            ("min", MINUTE, 0),
            ("s", SECOND, 6),
            ("ms", 1000, 3),
            ("us", 1, 0),
        ];
        if *self == Self::INFINITY {
            return f.write_str("infinity");
        }
        if self.0 == 0 {
            return f.write_str("0");
        }
        let mut left = self.0;
        let mut blank = "";
        for (suffix, unit, decimals) in UNITS {
            let (whole, rest) = (left / unit, left % unit);
            if whole == 0 {
                continue;
            }
            // Below a minute systemd writes what is left as a decimal fraction.
            if left < MINUTE && rest > 0 && decimals > 0 {
                return write!(f, "{blank}{whole}.{rest:0decimals$}{suffix}");
            }
            write!(f, "{blank}{whole}{suffix}")?;
            (left, blank) = (rest, " ");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(serde::Deserialize)]
    struct Case {
        input: String,
        microseconds: Option<u64>,
    }

    #[test]
    fn reads_what_systemd_reads() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/vectors/durations.json")).unwrap();
        let cases: Vec<Case> = serde_json::from_value(vectors["cases"].clone()).unwrap();
        assert!(cases.len() > 40);
        for Case { input, microseconds } in cases {
            assert_eq!(parse_us(&input).ok().map(Span::as_us), microseconds, "{input:?}");
        }
    }

    /// Checked against `systemd-analyze timespan` of systemd 252.
    #[test]
    fn odd_corners() {
        for (text, us) in [
            (".5s", Some(500_000)),
            ("+.5s", None),
            ("1.s", None),
            ("12.34.56", None),
            ("12.34 .56", Some(12_900_000)),
            ("12.34s.56", Some(12_900_000)),
            ("1.9us", Some(1)),
            ("0.3333333333s", Some(333_333)),
            ("1sec2", Some(3 * SECOND)),
            ("-0", None),
        ] {
            assert_eq!(parse_us(text).ok().map(Span::as_us), us, "{text}");
        }
        assert!(matches!(parse_us("-5s"), Err(DurationError::OutOfRange(_))));
    }

    #[test]
    fn writes_as_systemd_writes() {
        for (us, text) in [
            (90 * SECOND, "1min 30s"),
            (90_500_000, "1min 30.500000s"),
            (1500, "1.500ms"),
            (500_000, "500ms"),
            (2, "2us"),
            (0, "0"),
            (u64::MAX, "infinity"),
            (YEAR + MONTH + 1, "1y 1month 1us"),
        ] {
            assert_eq!(Span(us).to_string(), text);
        }
    }

    #[test]
    fn seconds_become_spans() {
        assert_eq!(Span::from_secs_round(90.000_000_6).as_us(), 90_000_001);
        assert_eq!(Span::from_secs_round(0.1 + 0.2).as_us(), 300_000);
        assert_eq!(Span::from_secs_round(1e30), Span::INFINITY);
        assert_eq!(Span::from_secs_round(-1.0).as_us(), 0);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(us in prop_oneof![any::<u64>(), 0..200_000_000_u64]) {
            prop_assert_eq!(parse_us(&Span(us).to_string()), Ok(Span(us)));
        }

        #[test]
        fn any_text_is_read_or_refused(text in prop_oneof![any::<String>(), "[-+0-9. smhdMwyunifµ\t]{0,24}"]) {
            if let Err(error) = parse_us(&text) {
                prop_assert!(!error.to_string().contains('\n'));
            }
        }
    }
}
