//! Moments as people write them on the command line: `-2h`, `yesterday`, `2026-11-24 03:17`.

use std::str::FromStr;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _, ZonedDateTime};

use crate::host::systemd::duration::parse_us;

/// A moment, Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Moment(pub f64);

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text.trim(), &ZonedDateTime::now()).map(Self).ok_or_else(|| {
            "it is no time such as '2026-11-24 03:17', 'yesterday', '-2h', '2h ago' or '@1795490225'"
                .to_owned()
        })
    }
}

/// As journalctl(1) reads `--since`, in the zone of `now`.
fn parse(text: &str, now: &ZonedDateTime) -> Option<f64> {
    let midnight = |date: Date| at(date.to_datetime(Time::midnight()), now.time_zone());
    let ago = |span: &str| Some(unix(now.timestamp()) - parse_us(span).ok()?.as_secs()?);
    match text {
        "now" => return Some(unix(now.timestamp())),
        "today" => return midnight(now.date()),
        "yesterday" => return midnight(now.date().checked_sub(1.day()).ok()?),
        _ => {}
    }
    if let Some(seconds) = text.strip_prefix('@') {
        return seconds.parse().ok().filter(|seconds: &f64| seconds.is_finite());
    }
    if let Some(span) = text.strip_prefix('-') {
        return ago(span);
    }
    if let Some(span) = text.strip_suffix("ago") {
        return ago(span);
    }
    if let Ok(timestamp) = Timestamp::from_str(text) {
        return Some(unix(timestamp));
    }
    if let Ok(moment) = DateTime::from_str(text) {
        return at(moment, now.time_zone());
    }
    at(now.date().to_datetime(Time::from_str(text).ok()?), now.time_zone())
}

/// A time of the wall clock; of two with the same name, when clocks are put back, the first.
fn at(moment: DateTime, zone: &TimeZone) -> Option<f64> {
    Some(unix(zone.to_timestamp(moment).ok()?))
}

fn unix(timestamp: Timestamp) -> f64 {
    timestamp.as_nanosecond() as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_journalctl_reads_them() {
        let now: ZonedDateTime = "2026-11-24T12:00:00+01:00[Europe/Berlin]".parse().expect("a moment");
        let noon = 1_795_518_000.0;
        for (text, wanted) in [
            ("now", Some(noon)),
            ("-2h", Some(noon - 7200.0)),
            ("90 s ago", Some(noon - 90.0)),
            ("today", Some(noon - 43_200.0)),
            ("yesterday", Some(noon - 43_200.0 - 86_400.0)),
            ("@1795490225.5", Some(1_795_490_225.5)),
            ("2026-11-24 11:00", Some(noon - 3600.0)),
            ("2026-11-24", Some(noon - 43_200.0)),
            ("2026-11-24T11:00:00Z", Some(noon)),
            ("11:30", Some(noon - 1800.0)),
            ("infinity ago", None),
            ("@inf", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(parse(text, &now), wanted, "{text}");
        }
    }
}
