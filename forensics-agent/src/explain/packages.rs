//! apt and dpkg: packages that were changed, whose scripts restart services.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{Finding, Kind, Told, finding, tail};

const APT: &str = "/var/log/apt/history.log";
const DPKG: &str = "/var/log/dpkg.log";
/// What is read of the end of each, bytes.
const CAP: u64 = 2 << 20;

/// The runs of apt.
pub(super) fn apt() -> Told {
    Ok(of_history(&tail(APT, CAP)?, &TimeZone::system()))
}

/// The packages that dpkg installed, upgraded or removed.
pub(super) fn dpkg() -> Told {
    Ok(of_log(&tail(DPKG, CAP)?, &TimeZone::system()))
}

/// Paragraphs with `Start-Date`, `Commandline`, `Requested-By` and what was done.
fn of_history(text: &str, zone: &TimeZone) -> Vec<Finding> {
    let paragraph = |paragraph: &str| {
        let of = |key: &str| paragraph.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        let ts = unix(of("Start-Date")?, zone)?;
        let command = of("Commandline").unwrap_or("a run of apt");
        let by = of("Requested-By").map_or_else(String::new, |user| format!(", requested by {user}"));
        Some(finding(ts, Kind::Packages, APT, &format!("{command}{by}")))
    };
    text.split("\n\n").filter_map(paragraph).collect()
}

/// Lines as `2026-11-25 20:59:36 upgrade nginx:amd64 1.0 1.1`.
fn of_log(text: &str, zone: &TimeZone) -> Vec<Finding> {
    let line = |line: &str| {
        let (date, what) = (line.get(..19)?, line.get(20..)?);
        let is_change =
            ["install ", "upgrade ", "remove ", "purge "].iter().any(|verb| what.starts_with(verb));
        is_change.then(|| Some(finding(unix(date, zone)?, Kind::Packages, DPKG, what)))?
    };
    text.lines().filter_map(line).collect()
}

/// Both write the host's local time.
fn unix(text: &str, zone: &TimeZone) -> Option<f64> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let local: DateTime = words.join(" ").parse().ok()?;
    let timestamp = zone.to_ambiguous_timestamp(local).compatible().ok()?;
    Some(timestamp.as_millisecond() as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed() {
        let history = "\nStart-Date: 1970-01-02  00:00:10\nCommandline: apt-get upgrade\nRequested-By: ann (1000)\nUpgrade: x (1, 2)\nEnd-Date: 1970-01-02  00:00:20\n\nStart-Date: junk\n";
        let [run] = &of_history(history, &TimeZone::UTC)[..] else { panic!("not one") };
        assert_eq!((run.ts, run.text.as_str()), (86_410.0, "apt-get upgrade, requested by ann (1000)"));
        let log =
            "1970-01-02 00:00:10 upgrade nginx:amd64 1 2\n1970-01-02 00:00:11 status installed x 1\nü\n";
        let [change] = &of_log(log, &TimeZone::UTC)[..] else { panic!("not one") };
        assert_eq!((change.ts, change.text.as_str()), (86_410.0, "upgrade nginx:amd64 1 2"));
    }
}
