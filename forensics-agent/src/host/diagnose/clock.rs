//! Moments as people read them, in UTC.

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Unix seconds now.
pub(super) fn unix_now() -> f64 {
    seconds(clock_gettime(ClockId::Realtime))
}

/// Unix seconds of a moment of the kernel log, which counts as `CLOCK_MONOTONIC` does, nearly.
pub(super) fn unix_of_monotonic(monotonic: f64) -> f64 {
    unix_now() - seconds(clock_gettime(ClockId::Monotonic)) + monotonic
}

/// Seconds since boot, suspended ones included.
pub(super) fn uptime() -> f64 {
    seconds(clock_gettime(ClockId::Boottime))
}

fn seconds(time: Timespec) -> f64 {
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// As `2026-05-01T12:34:56Z`.
pub(super) fn utc(unix: f64) -> String {
    let seconds = unix.floor() as i64;
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of a day since 1970-01-01 in the Gregorian calendar (Howard Hinnant, `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (unix, text) in [
            (0.0, "1970-01-01T00:00:00Z"),
            (951_782_400.0, "2000-02-29T00:00:00Z"),
            (1_777_638_896.9, "2026-05-01T12:34:56Z"),
            (4_102_444_799.0, "2099-12-31T23:59:59Z"),
        ] {
            assert_eq!(utc(unix), text);
        }
    }
}
