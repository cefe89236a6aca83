//! What a unit logged last.

use forensics_incident::model::LogLine;
use forensics_incident::text;

use super::entry::SENT;
use super::{Entry, JournalError, Query, read};
use crate::host::redact::redact_text;
use crate::host::systemd::unit::{Scope, UnitPath};

/// Lines that a record holds.
const MAX_LINES: usize = 10;
/// Characters of a line.
const MAX_TEXT: usize = 300;
/// What of an entry is asked for.
const FIELDS: &[&str] = &[
    SENT,
    "MESSAGE",
    "PRIORITY",
    "SYSLOG_IDENTIFIER",
    "_PID",
    "_SYSTEMD_INVOCATION_ID",
    "_SYSTEMD_USER_UNIT",
];

/// The end of a process whose unit's last words are looked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// When it started, Unix seconds.
    pub start_ts: f64,
    /// When it ended, Unix seconds.
    pub end_ts: f64,
    /// The run of the unit in which it was, when that is known.
    pub invocation_id: Option<String>,
    /// Pids by which the journal may know it.
    pub pids: Vec<u32>,
}

/// What journald may still have to read of a pipe when its writer has ended, seconds.
const LATE: f64 = 1.0;

/// Reads the last lines of a unit, redacted, oldest first. Of a unit that is no service, which holds a whole session, only
/// those of the process itself.
///
/// # Errors
/// The journal does not tell.
pub async fn last_lines(place: &UnitPath, ended: &Ended) -> Result<Vec<LogLine>, JournalError> {
    let query = Query {
        any_of: vec![group(place, ended)],
        since: Some(ended.start_ts - LATE),
        until: Some(ended.end_ts + LATE),
        lines: 2 * MAX_LINES,
        fields: FIELDS,
    };
    let mut lines: Vec<LogLine> =
        read(&query).await?.iter().filter(|entry| is_of_run(entry, ended)).filter_map(line).collect();
    lines.drain(..lines.len().saturating_sub(MAX_LINES));
    Ok(lines)
}

fn group(place: &UnitPath, ended: &Ended) -> Vec<String> {
    let UnitPath { unit, scope, user_manager_unit, .. } = place;
    let mut group = match scope {
        Scope::System => vec![format!("_SYSTEMD_UNIT={unit}")],
        Scope::User { .. } => {
            let outer = user_manager_unit.as_deref().unwrap_or_default();
            vec![format!("_SYSTEMD_UNIT={outer}"), format!("_SYSTEMD_USER_UNIT={unit}")]
        }
    };
    if !place.is_service() {
        group.extend(ended.pids.iter().map(|pid| format!("_PID={pid}")));
    }
    group
}

/// False for the next run of the unit, which may have begun meanwhile.
fn is_of_run(entry: &Entry, ended: &Ended) -> bool {
    // Below a user manager journald knows the invocation of that one only.
    if entry.text("_SYSTEMD_USER_UNIT").is_some() {
        return true;
    }
    match (entry.text("_SYSTEMD_INVOCATION_ID"), &ended.invocation_id) {
        (Some(one), Some(other)) => one == *other,
        _ => true,
    }
}

fn line(entry: &Entry) -> Option<LogLine> {
    let text = match entry.text("MESSAGE") {
        Some(text) => text::clip(&redact_text(text.trim_end()), MAX_TEXT),
        None if entry.is_too_long("MESSAGE") => "(a line of more than 4 KiB)".to_owned(),
        None => return None,
    };
    (!text.is_empty()).then_some(LogLine {
        ts: entry.unix_s()?,
        text,
        identifier: entry.text("SYSLOG_IDENTIFIER").map(|name| text::clip(&name, MAX_TEXT)),
        pid: entry.number("_PID"),
        priority: entry.number("PRIORITY").filter(|&priority| priority < 8),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_line(message: &str) -> Option<LogLine> {
        let json =
            format!(r#"{{"__REALTIME_TIMESTAMP":"1000000","_PID":"7","PRIORITY":"3","MESSAGE":{message}}}"#);
        Entry::parse(json.as_bytes()).and_then(|entry| line(&entry))
    }

    #[test]
    fn lines_are_redacted_and_bounded() {
        let said = read_line(r#""login with password=hunter2-long-secret failed\n""#).expect("a line");
        assert!(!said.text.contains("hunter2"), "{}", said.text);
        assert_eq!((said.pid, said.priority, said.ts), (Some(7), Some(3), 1.0));
        let long = read_line(&format!("\"{}\"", "word ".repeat(200))).expect("a line");
        assert_eq!(long.text.chars().count(), MAX_TEXT, "the blank before the ellipsis is dropped");
        assert_eq!(read_line("null").map(|line| line.text).as_deref(), Some("(a line of more than 4 KiB)"));
        assert_eq!(read_line("\"\""), None);
        assert_eq!(read_line("[255,10]").map(|line| line.text).as_deref(), Some("\u{fffd}"));
    }

    #[test]
    fn the_next_run_is_another_one() {
        let ended = Ended { start_ts: 0.0, end_ts: 1.0, invocation_id: Some("a".into()), pids: vec![7] };
        let of_run = |json: &str| is_of_run(&Entry::parse(json.as_bytes()).expect("an entry"), &ended);
        assert!(of_run(r#"{"_SYSTEMD_INVOCATION_ID":"a"}"#) && of_run("{}"));
        assert!(!of_run(r#"{"_SYSTEMD_INVOCATION_ID":"b"}"#));
        assert!(of_run(r#"{"_SYSTEMD_INVOCATION_ID":"b","_SYSTEMD_USER_UNIT":"gw.service"}"#));
    }

    #[test]
    fn of_a_session_only_the_process() {
        let ended = Ended { start_ts: 0.0, end_ts: 1.0, invocation_id: None, pids: vec![7, 70] };
        let scope = UnitPath::named("session-3.scope", Scope::System).expect("a unit");
        assert_eq!(group(&scope, &ended), ["_SYSTEMD_UNIT=session-3.scope", "_PID=7", "_PID=70"]);
    }
}
