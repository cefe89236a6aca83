use std::collections::BTreeMap;
use std::io::{Read as _, Seek as _};
use std::os::unix::net::UnixDatagram;

use forensics_incident::model::{Aftermath, Cause, Gap, Intent, Process};
use forensics_incident::text::escape;

use super::fields::{Priority, priority};
use super::*;
use crate::report::samples;

/// Reads an entry as journald does (`server_process_entry` in its `journald-native.c`).
fn read(bytes: &[u8]) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    for line in String::from_utf8(bytes.to_vec()).unwrap().lines() {
        let (name, value) = line.split_once('=').expect("a value with its length before it");
        let is_good = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        assert!(name.chars().all(is_good) && name.starts_with(|c: char| c.is_ascii_uppercase()), "{name}");
        assert!(name.len() <= 64, "{name}");
        assert!(fields.insert(name.to_owned(), value.to_owned()).is_none(), "{name} twice");
    }
    fields
}

#[test]
fn fields_of_an_incident() {
    let mut incident = samples::pkill();
    incident.facts.target.cgroup =
        Some("/user.slice/user-7.slice/user@7.service/app.slice/gw.service".to_owned());
    let fields = read(&fields::incident(&incident, true));
    let culprit = incident.verdict.culprit.clone().unwrap();
    for (name, value) in [
        ("MESSAGE", incident.verdict.summary.as_str()),
        ("MESSAGE_ID", fields::INCIDENT_ID),
        ("SYSLOG_IDENTIFIER", "forensics-agent"),
        ("PRIORITY", "4"),
        ("FORENSICS_CAUSE", "pattern-kill"),
        ("FORENSICS_INTENT", "deliberate"),
        ("FORENSICS_INCIDENT_ID", &incident.facts.id),
        ("FORENSICS_TARGET_PID", "4242"),
        ("FORENSICS_CULPRIT_PID", &culprit.pid.to_string()),
        ("FORENSICS_CULPRIT_CMDLINE", &culprit.cmdline.unwrap()),
        ("OBJECT_PID", "4242"),
        ("OBJECT_SYSTEMD_UNIT", "user@7.service"),
        ("OBJECT_SYSTEMD_USER_UNIT", "gw.service"),
        ("OBJECT_SYSTEMD_OWNER_UID", "7"),
    ] {
        assert_eq!(fields.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert_eq!(serde_json::from_str::<Incident>(&fields["FORENSICS_INCIDENT"]).unwrap(), incident);
    incident.facts.target.cgroup = Some("/system.slice/gw.service".to_owned());
    assert_eq!(read(&fields::incident(&incident, true))["OBJECT_SYSTEMD_UNIT"], "gw.service");
}

/// journald takes `OBJECT_PID` for the process that has the number now, and shows the entry among those of its unit.
#[test]
fn a_pid_of_another_process_is_no_object() {
    let mut incident = samples::pkill();
    incident.facts.target.cgroup = Some("/system.slice/gw.service".to_owned());
    let pid = std::process::id();
    let key = proc::read_key(pid).unwrap();
    (incident.facts.target.pid, incident.facts.target.start_boot_ns) = (pid, key.start_boot_ns);
    assert!(names_target(&incident.facts), "it is this very process");
    let found = Aftermath {
        gap: Gap::Boot,
        last_seen: 1.0,
        found: 2.0,
        agent_pid: 1,
        agent_stopped: false,
        journal: None,
        panic: None,
    };
    incident.facts.aftermath = Some(found);
    assert!(!names_target(&incident.facts), "its start is counted from another boot");
    incident.facts.aftermath = None;
    incident.facts.target.start_boot_ns += 5_000_000_000;
    assert!(!names_target(&incident.facts), "another process has its pid");

    let (journal, path) = listener("object");
    assert!(JournalReporter::to(&path, true).unwrap().incident(&incident));
    std::fs::remove_file(path).unwrap();
    let mut bytes = vec![0; 1 << 20];
    let length = journal.recv(&mut bytes).unwrap();
    let fields = read(&bytes[..length]);
    assert_eq!(fields.get("OBJECT_PID"), None);
    assert_eq!(fields["OBJECT_SYSTEMD_UNIT"], "gw.service");
    assert_eq!(fields["FORENSICS_TARGET_PID"], pid.to_string());
}

#[test]
fn foreign_bytes_make_no_fields_and_reach_no_terminal() {
    let mut incident = samples::hostile();
    let foreign = "a\nPRIORITY=0\n\x1b[2J\0\u{202e}";
    let argv = Some(vec![foreign.to_owned()]);
    incident.verdict.summary = foreign.to_owned();
    incident.verdict.culprit = Some(Process { name: foreign.to_owned(), argv, ..Process::default() });
    let fields = read(&fields::incident(&incident, true));
    assert_eq!(fields["MESSAGE"], escape(foreign));
    assert_ne!(fields["PRIORITY"], "0");
    for (name, value) in &fields {
        assert_eq!(*value, escape(value), "{name}");
    }
    assert_eq!(serde_json::from_str::<Incident>(&fields["FORENSICS_INCIDENT"]).unwrap(), incident);
}

#[test]
fn priorities() {
    let mut incident = samples::pkill();
    for (cause, intent, expected) in [
        (Cause::Crash, Intent::Fault, Priority::Error),
        (Cause::Oom, Intent::Automatic, Priority::Error),
        (Cause::ExternalKill, Intent::Deliberate, Priority::Warning),
        (Cause::SilentKill, Intent::Unknown, Priority::Warning),
        (Cause::SystemdStop, Intent::Deliberate, Priority::Notice),
        (Cause::SystemdStop, Intent::Automatic, Priority::Warning),
        (Cause::Exit, Intent::Unknown, Priority::Warning),
    ] {
        (incident.verdict.cause, incident.verdict.intent) = (cause, intent);
        assert_eq!(priority(&incident.facts, &incident.verdict), expected, "{cause:?}");
    }
    incident.facts.outcome.exit_code = Some(0);
    assert_eq!(priority(&incident.facts, &incident.verdict), Priority::Info);
}

/// A journal in a directory of its own.
fn listener(name: &str) -> (UnixDatagram, std::path::PathBuf) {
    let path = std::env::temp_dir().join(format!("forensics-journal-{name}-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    (UnixDatagram::bind(&path).unwrap(), path)
}

#[test]
fn what_is_too_large_comes_as_a_sealed_file() {
    let (journal, path) = listener("large");
    let mut reporter = JournalReporter::to(&path, true).unwrap();
    let mut entry = entry::Entry::default();
    entry.field("LARGE", &"x".repeat(8 << 20));
    assert!(reporter.write(entry.into_bytes()));
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = rustix::net::RecvAncillaryBuffer::new(&mut space);
    let received = rustix::net::recvmsg(&journal, &mut [], &mut control, rustix::net::RecvFlags::empty());
    assert_eq!(received.unwrap().bytes, 0);
    let file = control.drain().find_map(|message| match message {
        rustix::net::RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    let file = file.unwrap();
    let seals = rustix::fs::fcntl_get_seals(&file).unwrap();
    assert!(seals.contains(
        rustix::fs::SealFlags::WRITE | rustix::fs::SealFlags::SHRINK | rustix::fs::SealFlags::GROW
    ));
    let mut bytes = Vec::new();
    let mut file = std::fs::File::from(file);
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    assert_eq!(read(&bytes)["LARGE"].len(), 8 << 20);
    std::fs::remove_file(path).unwrap();
}

/// It takes nothing until its queue is full, and all of it once it reads again.
#[test]
fn a_slow_journal_gets_everything_and_holds_nobody_up() {
    let (journal, path) = listener("slow");
    let mut reporter = JournalReporter::to(&path, true).unwrap();
    let mut sent = 0;
    // Once the kernel's queue is full, so many more wait.
    while reporter.write(format!("N={sent}\n").into_bytes()) {
        sent += 1;
    }
    assert!(sent >= 64, "{sent}");
    journal.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    let mut buffer = [0; 64];
    for number in 0..sent {
        let length = journal.recv(&mut buffer).unwrap();
        assert_eq!(buffer[..length], *format!("N={number}\n").as_bytes());
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn without_a_journal_incidents_are_printed() {
    let (journal, path) = listener("absent");
    let mut reporter = JournalReporter::to(&path, true).unwrap();
    drop(journal);
    std::fs::remove_file(&path).unwrap();
    assert!(!reporter.incident(&samples::pkill()));
    // It is back.
    let (_journal, path) = listener("absent");
    assert!(reporter.incident(&samples::pkill()));
    let mut beside = JournalReporter::to(&path, false).unwrap();
    assert!(!beside.incident(&samples::pkill()), "what is printed goes elsewhere");
    std::fs::remove_file(path).unwrap();
}
