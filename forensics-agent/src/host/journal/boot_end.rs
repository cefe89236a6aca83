//! How the journal of an earlier boot ends: with a shutdown, and who asked for it, or in the middle.

use std::time::Duration;

use forensics_incident::model::{JournalEnd, LogLine};
use forensics_incident::text;

use super::entry::SENT;
use super::{Entry, JournalError, Query, read_within};
use crate::host::redact::redact_text;

/// Messages of logind and of pid 1 (`systemd/sd-messages.h`): logind begins a shutdown.
const SHUTDOWN: &str = "98268866d1d54a499c4e98921d93bc40";
/// journald stops (`src/journal/journald-server.h`, `SD_MESSAGE_JOURNAL_STOP`).
const JOURNAL_STOP: &str = "d93fb3c9c24d451a97cea615ce59c00b";
/// logind takes a key or button for the order to shut down.
const KEYS: [&str; 4] = [
    "b72ea4a2881545a0b50e200e55b9b071",
    "3e0117101eb243c1b9a50db3494ab10b",
    "9fa9d2c012134ec385451ffe316f97d0",
    "f1c59a58c9d943668965c337caec5975",
];
/// The targets of a shutdown, the one that says most first.
const TARGETS: [&str; 6] = [
    "reboot.target",
    "kexec.target",
    "poweroff.target",
    "halt.target",
    "soft-reboot.target",
    "shutdown.target",
];
/// How long before it a shutdown may have been asked for, seconds.
const BEFORE_S: f64 = 120.0;
/// Lines about who asked.
const MAX_BEFORE: usize = 8;
/// Characters of a line.
const MAX_TEXT: usize = 300;
/// How long each reading may take: a host that has just booted is busy, and nobody waits for what ended before.
const PATIENCE: Duration = Duration::from_secs(60);
/// Entries that are read at most, the latest.
const MAX_READ: usize = 500;
const FIELDS: &[&str] = &[SENT, "MESSAGE", "MESSAGE_ID", "UNIT", "SYSLOG_IDENTIFIER", "_PID", "_COMM"];

/// Reads how the journal of a boot ends. Only what was logged at or after `since`, Unix seconds, is taken for its shutdown. None
/// when it has nothing of that boot.
///
/// # Errors
/// The journal does not tell.
pub async fn boot_end(boot_id: &str, since: f64) -> Result<Option<JournalEnd>, JournalError> {
    let boot = || vec![format!("_BOOT_ID={boot_id}")];
    let last = Query { any_of: vec![boot()], since: None, until: None, lines: 1, fields: FIELDS };
    let Some(last) = read_within(&last, PATIENCE).await?.first().and_then(Entry::unix_s) else {
        return Ok(None);
    };
    let of_logind = || "_SYSTEMD_UNIT=systemd-logind.service".to_owned();
    let ids = |ids: &[&str]| ids.iter().map(|id| format!("MESSAGE_ID={id}")).collect::<Vec<_>>();
    let targets = TARGETS.map(|target| format!("UNIT={target}"));
    let query = Query {
        any_of: vec![
            [boot(), vec![of_logind()], ids(&[SHUTDOWN])].concat(),
            [boot(), vec![of_logind()], ids(&KEYS)].concat(),
            [boot(), vec!["_TRANSPORT=driver".to_owned()], ids(&[JOURNAL_STOP])].concat(),
            [boot(), vec!["_PID=1".to_owned()], targets.to_vec()].concat(),
            [boot(), vec!["_COMM=sudo".to_owned(), "_COMM=doas".to_owned(), "_COMM=pkexec".to_owned()]]
                .concat(),
        ],
        since: Some(since - BEFORE_S),
        until: None,
        lines: MAX_READ,
        fields: FIELDS,
    };
    Ok(Some(end(&read_within(&query, PATIENCE).await?, since, last)))
}

/// The shutdown among entries, oldest first, and what led to it.
fn end(entries: &[Entry], since: f64, last: f64) -> JournalEnd {
    let has_id =
        |entry: &Entry, ids: &[&str]| entry.text("MESSAGE_ID").is_some_and(|id| ids.contains(&id.as_str()));
    let target = |entry: &Entry| {
        let unit = entry.text("UNIT")?;
        TARGETS.iter().position(|target| *target == unit)
    };
    // logind says who and what; the targets say what; that journald stopped says that it was in order.
    let weight = |entry: &Entry| match target(entry) {
        _ if has_id(entry, &[SHUTDOWN]) => Some(0),
        Some(index) => Some(1 + index),
        None if has_id(entry, &[JOURNAL_STOP]) => Some(100),
        None => None,
    };
    let late = entries.iter().filter(|entry| entry.unix_s().is_some_and(|ts| ts >= since));
    let shutdown = late.filter_map(|entry| Some((weight(entry)?, entry))).min_by_key(|(weight, _)| *weight);
    let shutdown = shutdown.and_then(|(_, entry)| line(entry));
    let Some(at) = shutdown.as_ref().map(|line| line.ts) else {
        return JournalEnd { last, ..JournalEnd::default() };
    };
    let asks = |entry: &&Entry| {
        let near = entry.unix_s().is_some_and(|ts| (at - BEFORE_S..=at).contains(&ts));
        let by_command = !has_id(entry, &[SHUTDOWN, JOURNAL_STOP]) && target(entry).is_none();
        // sudo also tells when its sessions open and close.
        let says =
            entry.text("MESSAGE").is_some_and(|text| text.contains("COMMAND=")) || has_id(entry, &KEYS);
        near && by_command && says
    };
    let mut before: Vec<LogLine> = entries.iter().filter(asks).filter_map(line).collect();
    before.drain(..before.len().saturating_sub(MAX_BEFORE));
    JournalEnd { last, shutdown, before }
}

fn line(entry: &Entry) -> Option<LogLine> {
    let text = text::clip(&redact_text(entry.text("MESSAGE")?.trim_end()), MAX_TEXT);
    Some(LogLine {
        ts: entry.unix_s()?,
        text,
        identifier: entry
            .text("SYSLOG_IDENTIFIER")
            .or_else(|| entry.text("_COMM"))
            .map(|name| text::clip(&name, MAX_TEXT)),
        pid: entry.number("_PID"),
        priority: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(lines: &[&str]) -> Vec<Entry> {
        lines.iter().map(|line| Entry::parse(line.as_bytes()).expect("an entry")).collect()
    }

    #[test]
    fn a_shutdown_and_who_asked() {
        let found = entries(&[
            r#"{"MESSAGE":"ann : COMMAND=/usr/bin/vi","_COMM":"sudo","__REALTIME_TIMESTAMP":"500000000"}"#,
            r#"{"MESSAGE":"ann : COMMAND=/usr/sbin/reboot","_COMM":"sudo","_PID":"77","__REALTIME_TIMESTAMP":"999000000"}"#,
            r#"{"MESSAGE":"pam_unix: session opened","_COMM":"sudo","__REALTIME_TIMESTAMP":"999100000"}"#,
            r#"{"MESSAGE":"System is rebooting.","MESSAGE_ID":"98268866d1d54a499c4e98921d93bc40","SYSLOG_IDENTIFIER":"systemd-logind","__REALTIME_TIMESTAMP":"1000000000"}"#,
            r#"{"MESSAGE":"Reached target reboot.target - System Reboot.","UNIT":"reboot.target","_PID":"1","__REALTIME_TIMESTAMP":"1003000000"}"#,
            r#"{"MESSAGE":"Journal stopped","MESSAGE_ID":"d93fb3c9c24d451a97cea615ce59c00b","__REALTIME_TIMESTAMP":"1004000000"}"#,
        ]);
        let found_end = end(&found, 990.0, 1004.0);
        assert_eq!(found_end.shutdown.expect("a shutdown").text, "System is rebooting.");
        let [asked] = &found_end.before[..] else { panic!("{:?}", found_end.before) };
        assert_eq!((asked.text.as_str(), asked.pid), ("ann : COMMAND=/usr/sbin/reboot", Some(77)));
        // Without logind, as when systemd itself was told.
        let found_end = end(&found[4..], 990.0, 1004.0);
        assert!(found_end.shutdown.expect("a shutdown").text.contains("reboot.target"));
        assert!(end(&found[5..], 990.0, 1004.0).shutdown.is_some());
    }

    #[test]
    fn one_that_breaks_off() {
        let found = entries(&[
            r#"{"MESSAGE":"System is rebooting.","MESSAGE_ID":"98268866d1d54a499c4e98921d93bc40","__REALTIME_TIMESTAMP":"1000000000"}"#,
        ]);
        assert_eq!(end(&found, 1001.0, 1010.0), JournalEnd { last: 1010.0, ..JournalEnd::default() });
        assert_eq!(end(&[], 1001.0, 1010.0).shutdown, None);
    }
}
