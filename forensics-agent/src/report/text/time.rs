/// In which zone times are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// The host's, as journalctl does.
    Local,
    /// UTC.
    Utc,
}

impl Zone {
    /// Unix seconds as `2026-11-24 03:17:05.123 +01:00`.
    pub(in crate::report) fn date(self, ts: f64) -> String {
        let offset = self.offset(ts);
        let (days, _) = split(ts, offset);
        let (year, month, day) = civil(days);
        let zone = match offset {
            0 => "UTC".to_owned(),
            _ => {
                let minutes = offset.abs() / 60;
                format!("{}{:02}:{:02}", if offset < 0 { '-' } else { '+' }, minutes / 60, minutes % 60)
            }
        };
        format!("{year:04}-{month:02}-{day:02} {} {zone}", self.clock(ts))
    }

    /// Unix seconds as `2026-11-24 03:17`.
    pub(in crate::report) fn minute(self, ts: f64) -> String {
        let date = self.date(ts);
        date.get(..16).unwrap_or(&date).to_owned()
    }

    /// Unix seconds as `03:17:05.123`.
    pub(in crate::report) fn clock(self, ts: f64) -> String {
        let (_, millis) = split(ts, self.offset(ts));
        let seconds = millis / 1000;
        format!("{:02}:{:02}:{:02}.{:03}", seconds / 3600, seconds / 60 % 60, seconds % 60, millis % 1000)
    }

    /// Seconds east of UTC at this time.
    fn offset(self, ts: f64) -> i64 {
        match self {
            Self::Utc => 0,
            Self::Local => local_offset(ts.floor() as i64),
        }
    }
}

/// Whole days since 1970 and milliseconds of the day. Floats beyond the range saturate.
fn split(ts: f64, offset: i64) -> (i64, i64) {
    let millis = ((ts * 1000.0).floor() as i64).saturating_add(offset * 1000);
    (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000))
}

/// Year, month and day of a day number (<https://howardhinnant.github.io/date_algorithms.html#civil_from_days>).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Seconds east of UTC at a Unix time; 0 when the C library does not know.
fn local_offset(ts: i64) -> i64 {
    let mut broken_down = std::mem::MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are valid for the call; `tm` is plain data for which zeroes are a value, so it is
    // initialised whether the call succeeds or not.
    unsafe {
        if libc::localtime_r(&ts, broken_down.as_mut_ptr()).is_null() {
            return 0;
        }
        broken_down.assume_init().tm_gmtoff
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_in_utc() {
        for (ts, date) in [
            (0.0, "1970-01-01 00:00:00.000 UTC"),
            (951_782_400.5, "2000-02-29 00:00:00.500 UTC"),
            (1_795_490_225.123_4, "2026-11-24 03:17:05.123 UTC"),
            (-1.0, "1969-12-31 23:59:59.000 UTC"),
        ] {
            assert_eq!(Zone::Utc.date(ts), date);
        }
    }

    #[test]
    fn no_time_is_too_strange() {
        for ts in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
            assert!(!Zone::Local.date(ts).is_empty());
        }
    }
}
