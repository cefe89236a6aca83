//! Which fields an entry has. They are public: `docs/JOURNAL.md` lists them, for `journalctl` and for whoever reads the journal.

use forensics_incident::model::{Cause, Facts, Incident, Intent, Outcome, OutcomeKind, Process, Verdict};
use forensics_incident::text::shell_join;

use super::Loss;
use super::entry::Entry;
use crate::host::systemd::unit::{Scope, UnitPath, unit_of_path};
use crate::report::text::slug;

/// `MESSAGE_ID` of incidents.
pub(super) const INCIDENT_ID: &str = "0e8295d7567d47f2917f8348fd3ffbd0";
/// `MESSAGE_ID` of records that were lost.
pub(super) const LOSS_ID: &str = "4dd45bb50cb84989bb0026e5be63e162";

/// Importance of an entry, syslog(3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Priority {
    Error = 3,
    Warning = 4,
    Notice = 5,
    Info = 6,
}

/// The entry of an incident. From `OBJECT_PID`, journald adds what the process of that number is and in which unit, so that it
/// is left out unless `names_target` says that this can be no other one.
pub(super) fn incident(incident: &Incident, names_target: bool) -> Vec<u8> {
    let Incident { facts, verdict } = incident;
    let Verdict { cause, intent, confidence, summary, culprit, instigator, advice, .. } = verdict;
    let mut entry = Entry::default();
    begin(&mut entry, INCIDENT_ID, priority(facts, verdict), summary);
    entry.field("FORENSICS_INCIDENT_ID", &facts.id);
    entry.optional("FORENSICS_GROUP_ID", facts.group_id.as_deref());
    entry.field("FORENSICS_CAUSE", &slug(cause));
    entry.field("FORENSICS_INTENT", &slug(intent));
    entry.field("FORENSICS_CONFIDENCE", &slug(confidence));
    outcome(&mut entry, &facts.outcome);
    process(&mut entry, "TARGET", &facts.target);
    if let Some(culprit) = culprit {
        process(&mut entry, "CULPRIT", culprit);
    }
    if let Some(instigator) = instigator {
        process(&mut entry, "INSTIGATOR", &instigator.process);
        entry.field("FORENSICS_REQUEST", &instigator.request);
    }
    entry.optional("FORENSICS_ADVICE", advice.as_deref());
    if names_target {
        entry.field("OBJECT_PID", &facts.target.pid.to_string());
    }
    object(&mut entry, &facts.target);
    match serde_json::to_string(incident) {
        Ok(json) => entry.field("FORENSICS_INCIDENT", &ascii(&json)),
        Err(error) => log::warn!("an incident has no JSON: {error}"),
    }
    entry.into_bytes()
}

/// JSON of ASCII alone, so that nothing in it moves a cursor or hides text: where it has other characters, they stand in
/// strings, which may name them by their numbers.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() && c != '\x7f' {
            text.push(c);
        } else {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}")));
        }
    }
    text
}

/// The entry of records that were lost.
pub(super) fn loss(loss: &Loss) -> Vec<u8> {
    let Loss { ts: _, records, total, skipped: _ } = *loss;
    let mut entry = Entry::default();
    let message = format!("{records} kernel records were lost ({total} so far); verdicts may be incomplete");
    begin(&mut entry, LOSS_ID, Priority::Warning, &message);
    entry.field("FORENSICS_LOST_RECORDS", &records.to_string());
    entry.field("FORENSICS_LOST_TOTAL", &total.to_string());
    entry.into_bytes()
}

fn begin(entry: &mut Entry, id: &str, priority: Priority, message: &str) {
    entry.field("MESSAGE", message);
    entry.field("MESSAGE_ID", id);
    entry.field("PRIORITY", &(priority as u8).to_string());
    entry.field("SYSLOG_IDENTIFIER", env!("CARGO_PKG_NAME"));
}

/// How much it matters: what broke comes first, then what nobody announced, then what somebody wanted.
pub(super) fn priority(facts: &Facts, verdict: &Verdict) -> Priority {
    let ended_well = verdict.cause == Cause::Exit && facts.outcome.exit_code == Some(0);
    match verdict.intent {
        _ if ended_well => Priority::Info,
        Intent::Fault => Priority::Error,
        _ if is_out_of_memory(verdict.cause) => Priority::Error,
        Intent::Deliberate if is_orderly(verdict.cause) => Priority::Notice,
        Intent::Deliberate | Intent::Automatic | Intent::Unknown => Priority::Warning,
    }
}

fn is_out_of_memory(cause: Cause) -> bool {
    matches!(cause, Cause::Oom | Cause::OomDaemon | Cause::SystemdOomPolicy)
}

/// Ends that a manager carried out, or that were announced.
fn is_orderly(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::SystemdStop
            | Cause::SystemdDependency
            | Cause::SessionEnd
            | Cause::HostShutdown
            | Cause::ContainerStop
            | Cause::SupervisorStop
            | Cause::Takeover
            | Cause::PlannedStop
    )
}

fn outcome(entry: &mut Entry, outcome: &Outcome) {
    entry.field("FORENSICS_OUTCOME", &slug(&outcome.kind));
    if outcome.kind == OutcomeKind::Killed {
        entry.optional("FORENSICS_SIGNAL", outcome.signal.as_deref());
    }
    if let Some(code) = outcome.exit_code {
        entry.field("FORENSICS_EXIT_CODE", &code.to_string());
    }
}

/// The fields of a process in its role.
fn process(entry: &mut Entry, role: &str, process: &Process) {
    let mut field = |name: &str, value: Option<&str>| {
        entry.optional(&format!("FORENSICS_{role}_{name}"), value.filter(|value| !value.is_empty()));
    };
    let number = |number: u32| number.to_string();
    field("PID", Some(&number(process.pid)));
    field("NAME", Some(&process.name));
    field("CMDLINE", process.argv.as_deref().map(shell_join).as_deref());
    field("EXE", process.exe.as_deref());
    field("UID", process.uid.map(number).as_deref());
    field("LOGINUID", process.loginuid.map(number).as_deref());
    field("UNIT", process.unit.as_deref());
    field("CONTAINER_ID", process.container_id.as_deref());
}

/// What makes `journalctl -u UNIT` show the entry, see systemd.journal-fields(7). journald adds the unit by itself only for a
/// process that is still there; this one is gone, mostly.
fn object(entry: &mut Entry, target: &Process) {
    let Some(place) = target.cgroup.as_deref().and_then(unit_of_path) else { return };
    let UnitPath { unit, scope, user_manager_unit, .. } = place;
    match scope {
        Scope::System => entry.field("OBJECT_SYSTEMD_UNIT", &unit),
        Scope::User { uid } => {
            entry.optional("OBJECT_SYSTEMD_UNIT", user_manager_unit.as_deref());
            entry.field("OBJECT_SYSTEMD_USER_UNIT", &unit);
            entry.field("OBJECT_SYSTEMD_OWNER_UID", &uid.to_string());
        }
    }
}
