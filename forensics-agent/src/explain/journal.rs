//! The journal: what the manager logged of the unit, what the kernel logged of its processes, and who ran commands as root.

use std::ops::Range;
use std::time::Duration;

use crate::host::journal::{Entry, Query, read_within};
use crate::host::systemd::unit::Scope;

use super::{Finding, Kind, MAX_FINDINGS, Subject, Told, finding, kernel_log};

/// Messages of pid 1 about units (`systemd/sd-messages.h`): a process exited, a unit stops, the kernel's out-of-memory killer
/// took a process of it.
const PROCESS_EXIT: &str = "98e322203f7a4ed290d09fe03c09fe15";
const STOPPING: &str = "de5b426a63be47a7b6ac3eaac82e2f6f";
const OUT_OF_MEMORY: &str = "fe6faa94e7774663a0da52717891d8ef";
/// systemd-coredump(8) has taken a dump.
const COREDUMP: &str = "fc2e22bc6ee647b6b90729ab34a250b1";
/// logind begins a shutdown.
const SHUTDOWN: &str = "98268866d1d54a499c4e98921d93bc40";

/// Somebody waits for the answer, who would ask a large journal by hand next.
const PATIENCE: Duration = Duration::from_secs(30);

const FIELDS: &[&str] = &[
    "_SOURCE_REALTIME_TIMESTAMP",
    "MESSAGE",
    "MESSAGE_ID",
    "EXIT_CODE",
    "_PID",
    "_COMM",
    "_TRANSPORT",
    "SYSLOG_IDENTIFIER",
];

/// What the journal tells.
pub(super) async fn findings(subject: &Subject, span: &Range<f64>) -> Told {
    let field = |name: &str, value: &str| format!("{name}={value}");
    let of_subject = match subject {
        Subject::Unit(place) => match place.scope {
            Scope::System => vec![
                vec![field("_PID", "1"), field("UNIT", &place.unit)],
                vec![field("_SYSTEMD_UNIT", &place.unit)],
                vec![field("MESSAGE_ID", COREDUMP), field("COREDUMP_UNIT", &place.unit)],
            ],
            Scope::User { uid } => vec![
                vec![field("_SYSTEMD_UNIT", &format!("user@{uid}.service")), field("USER_UNIT", &place.unit)],
                vec![field("_SYSTEMD_USER_UNIT", &place.unit), field("_UID", &uid.to_string())],
                vec![field("MESSAGE_ID", COREDUMP), field("COREDUMP_USER_UNIT", &place.unit)],
            ],
        },
        Subject::Process(pid) => vec![
            vec![field("_PID", &pid.to_string())],
            vec![field("MESSAGE_ID", COREDUMP), field("COREDUMP_PID", &pid.to_string())],
        ],
    };
    let around = vec![
        vec![field("_TRANSPORT", "kernel")],
        ["sudo", "doas", "pkexec"].map(|name| field("_COMM", name)).to_vec(),
        vec![field("_SYSTEMD_UNIT", "systemd-logind.service"), field("MESSAGE_ID", SHUTDOWN)],
        ["systemd-oomd", "earlyoom"].map(|name| field("_COMM", name)).to_vec(),
    ];
    let mut all = Vec::new();
    for any_of in [of_subject, around] {
        let query = Query {
            any_of,
            since: Some(span.start),
            until: Some(span.end),
            lines: MAX_FINDINGS,
            fields: FIELDS,
        };
        let entries = read_within(&query, PATIENCE).await.map_err(|why| why.to_string())?;
        all.extend(entries.iter().filter_map(|entry| of_entry(entry, subject)));
    }
    Ok(all)
}

fn of_entry(entry: &Entry, subject: &Subject) -> Option<Finding> {
    let (ts, text) = (entry.unix_s()?, entry.text("MESSAGE")?);
    let name = entry.text("SYSLOG_IDENTIFIER").or_else(|| entry.text("_COMM")).unwrap_or_default();
    if entry.text("_TRANSPORT").as_deref() == Some("kernel") {
        return Some(finding(
            ts,
            kernel_log::kind(&text, subject)?,
            "the kernel's log in the journal",
            &text,
        ));
    }
    let source = format!("the journal, {name}");
    let id = entry.text("MESSAGE_ID").unwrap_or_default();
    let kind = match (id.as_str(), entry.text("EXIT_CODE").as_deref()) {
        (PROCESS_EXIT, Some("exited")) => Kind::Exited,
        (PROCESS_EXIT, _) => Kind::Killed,
        (STOPPING, _) => Kind::Stop,
        (OUT_OF_MEMORY, _) => Kind::Oom,
        (COREDUMP, _) => Kind::Crash,
        (SHUTDOWN, _) => Kind::Shutdown,
        _ if matches!(name.as_str(), "sudo" | "doas" | "pkexec") => {
            if !text.contains("COMMAND=") && !text.contains(" ran command ") {
                return None;
            }
            Kind::Command
        }
        _ if matches!(name.as_str(), "systemd-oomd" | "earlyoom") => Kind::Oom,
        _ if name == "systemd" => of_text(&text),
        _ => Kind::Line,
    };
    Some(finding(ts, kind, &source, &text))
}

/// Messages of a manager that have no id of their own (`src/core/service.c`).
fn of_text(text: &str) -> Kind {
    if text.contains("Watchdog timeout") {
        Kind::Watchdog
    } else if text.contains("timed out. ") && text.contains("stop") {
        Kind::StopTimeout
    } else if text.contains("reached runtime time limit") {
        Kind::RuntimeLimit
    } else if text.contains("Sent signal ") && text.contains(" on client request") {
        Kind::Signal
    } else {
        Kind::Line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::systemd::unit::UnitPath;

    #[test]
    fn what_entries_are_about() {
        let subject = Subject::Unit(UnitPath::named("gw", Scope::System).expect("a unit"));
        for (json, kind) in [
            (
                r#"{"MESSAGE":"gw.service: Main process exited, code=killed, status=9/KILL","MESSAGE_ID":"98e322203f7a4ed290d09fe03c09fe15","EXIT_CODE":"killed","SYSLOG_IDENTIFIER":"systemd""#,
                Some(Kind::Killed),
            ),
            (
                r#"{"MESSAGE":"x","MESSAGE_ID":"98e322203f7a4ed290d09fe03c09fe15","EXIT_CODE":"exited""#,
                Some(Kind::Exited),
            ),
            (
                r#"{"MESSAGE":"gw.service: State 'stop-sigterm' timed out. Killing.","SYSLOG_IDENTIFIER":"systemd""#,
                Some(Kind::StopTimeout),
            ),
            (
                r#"{"MESSAGE":"gw.service: Watchdog timeout (limit 3s)!","SYSLOG_IDENTIFIER":"systemd""#,
                Some(Kind::Watchdog),
            ),
            (r#"{"MESSAGE":"ann : USER=root ; COMMAND=/bin/kill","_COMM":"sudo""#, Some(Kind::Command)),
            (r#"{"MESSAGE":"session opened","_COMM":"sudo""#, None),
            (r#"{"MESSAGE":"eth0: link up","_TRANSPORT":"kernel""#, None),
            (r#"{"MESSAGE":"bye","SYSLOG_IDENTIFIER":"gw""#, Some(Kind::Line)),
        ] {
            let entry = Entry::parse(format!(r#"{json},"__REALTIME_TIMESTAMP":"1000000"}}"#).as_bytes());
            let found = of_entry(&entry.expect("an entry"), &subject);
            assert_eq!(found.map(|found| found.kind), kind, "{json}");
        }
    }
}
