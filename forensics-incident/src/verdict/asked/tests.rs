//! Requests that led to nothing, or to something else than the signal.

use crate::model::{
    Cause, Concern, Confidence, Facts, Intent, ManagerMessage, Process, Recipient, Request, Signal, Verdict,
};
use crate::sample::{BOOT, kill, killed, logind, nginx, process, request, systemd};
use crate::signals::{SIGKILL, SIGTERM};
use crate::unit_result::message_ids::STOPPING;

use super::super::logind::tests::logged;
use super::super::logind::{KEYS, SHUTDOWN};
use super::super::word::tests::{said, with_word};
use super::super::{Show, judge};

fn root(pid: u32, cmdline: &str) -> Process {
    Process { uid: Some(0), ..process(pid, cmdline) }
}

fn by_root(at: f64, pid: u32, verb: &str) -> Request {
    let object = if verb == "EnqueueMarkedJobs" { "" } else { "nginx.service" };
    request(at, root(pid, "systemctl x"), verb, object, "replace")
}

fn of_job(at: f64, kind: &str, text: &str) -> ManagerMessage {
    ManagerMessage { job_id: Some(7), job_type: Some(kind.to_owned()), ..said(at, text) }
}

fn stopping(at: f64) -> ManagerMessage {
    ManagerMessage { message_id: Some(STOPPING.to_owned()), ..of_job(at, "stop", "Stopping nginx...") }
}

fn started() -> ManagerMessage {
    of_job(50.0, "start", "Started nginx.")
}

fn crashed() -> ManagerMessage {
    said(99.99, "Main process exited, code=dumped, status=11/SEGV")
}

fn facts(requests: Vec<Request>, messages: Vec<ManagerMessage>, signals: Vec<Signal>) -> Facts {
    let last = signals.last().map_or(SIGTERM, |signal| signal.signal_num);
    with_word(Facts { requests, ..killed(nginx(), 100.1, last, signals) }, messages)
}

fn judged(requests: Vec<Request>, messages: Vec<ManagerMessage>) -> Verdict {
    judge(&facts(requests, messages, vec![kill(100.0, SIGTERM, systemd())]), Show::Cmdline)
}

/// How sure it is that the request did it; none when it did not.
fn sure(verb: &str, messages: Vec<ManagerMessage>) -> Option<Confidence> {
    let verdict = judged(vec![by_root(98.0, 77, verb)], messages);
    verdict.instigator.map(|_| verdict.confidence)
}

#[test]
fn a_request_without_a_job_stopped_nothing() {
    use Confidence::{Certain, Likely};
    let reload = || of_job(98.01, "reload", "Reloading nginx...");
    let gone = || said(100.05, "Deactivated successfully.");
    for (verb, messages, expected) in [
        ("StopUnit", vec![stopping(99.99)], Some(Certain)),
        ("StopUnit", vec![started(), stopping(100.02), gone()], Some(Certain)),
        // It had not started yet.
        ("StopUnit", vec![of_job(100.3, "stop", "Stopped nginx.")], Some(Certain)),
        ("StopUnit", vec![started(), crashed()], None),
        ("RestartUnit", vec![started(), crashed()], None),
        // The level of the messages about jobs may not be logged.
        ("StopUnit", vec![crashed()], Some(Likely)),
        ("StopUnit", vec![started()], Some(Certain)),
        ("StopUnit", Vec::new(), Some(Certain)),
        ("ReloadOrRestartUnit", vec![stopping(99.99)], Some(Certain)),
        ("ReloadOrRestartUnit", Vec::new(), None),
        ("ReloadOrRestartUnit", vec![reload(), crashed()], None),
        ("ReloadOrRestartUnit", vec![reload(), crashed(), of_job(101.0, "restart", "Stopped nginx.")], None),
        ("EnqueueMarkedJobs", vec![stopping(99.99)], Some(Likely)),
        ("EnqueueMarkedJobs", Vec::new(), None),
        ("EnqueueMarkedJobs", vec![crashed()], None),
    ] {
        assert_eq!(sure(verb, messages.clone()), expected, "{verb} {messages:?}");
    }
}

#[test]
fn what_was_not_read_denies_nothing() {
    let told = |change: fn(&mut Facts)| {
        let mut facts = facts(
            vec![by_root(98.0, 77, "StopUnit")],
            vec![started(), crashed()],
            vec![kill(100.0, SIGTERM, systemd())],
        );
        change(&mut facts);
        judge(&facts, Show::Cmdline).instigator.is_some()
    };
    assert!(!told(|_| ()));
    assert!(told(|facts| {
        let field = "manager.messages".to_owned();
        facts.missing.push(crate::model::Missing { field, why: "late".to_owned() });
    }));
    assert!(told(|facts| {
        let manager = facts.manager.as_mut().unwrap();
        manager.messages.extend((0..16).map(|_| said(100.0, "Killing process 7 (x) with signal SIGKILL.")));
    }));
}

#[test]
fn a_unit_that_refuses_to_be_stopped_by_hand() {
    let mut facts =
        facts(vec![by_root(98.0, 77, "StopUnit")], Vec::new(), vec![kill(100.0, SIGTERM, systemd())]);
    facts.manager.as_mut().unwrap().before.as_mut().unwrap().refuse_manual_stop = Some(true);
    assert!(judge(&facts, Show::Cmdline).instigator.is_none());
    facts.requests[0].concerns = Concern::Above;
    assert!(judge(&facts, Show::Cmdline).instigator.is_some(), "what holds it does not refuse");
}

#[test]
fn the_first_of_two_stops_counts_once_it_has_begun() {
    let signals = || vec![kill(100.0, SIGTERM, systemd()), kill(100.05, SIGKILL, systemd())];
    let both = || vec![by_root(90.0, 76, "StopUnit"), by_root(95.0, 77, "StopUnit")];
    let culprit = |messages| {
        let verdict = judge(&facts(both(), messages, signals()), Show::Cmdline);
        verdict.culprit.map(|culprit| culprit.pid)
    };
    assert_eq!(culprit(vec![stopping(90.1)]), Some(76));
    assert_eq!(culprit(vec![stopping(99.9)]), Some(77));
    assert_eq!(culprit(Vec::new()), Some(77));
    let verdict = judge(&facts(both(), vec![stopping(90.1)], signals()), Show::Cmdline);
    assert_eq!(verdict.confidence, Confidence::Likely, "as far as the clocks agree");
}

fn to_logind(at: f64, asker: Process, verb: &str) -> Request {
    let concerns = Concern::Everything;
    Request { recipient: Recipient::Logind, concerns, ..request(at, asker, verb, "", "") }
}

/// Logind has the manager shut down.
fn at_last(at: f64) -> Request {
    let concerns = Concern::Everything;
    let start = request(at, logind(), "StartUnit", "reboot.target", "replace-irreversibly");
    Request { concerns, ..start }
}

fn began(at: f64) -> ManagerMessage {
    logged(at, SHUTDOWN, "System is rebooting.")
}

#[test]
fn a_restart_that_a_shutdown_refuses() {
    let requests =
        vec![to_logind(95.0, root(76, "reboot"), "Reboot"), at_last(95.01), by_root(98.0, 77, "RestartUnit")];
    let mut facts = facts(requests, vec![began(95.005)], vec![kill(100.0, SIGTERM, systemd())]);
    facts.manager.as_mut().unwrap().shutdown = Some("reboot.target".to_owned());
    let verdict = judge(&facts, Show::Cmdline);
    assert_eq!((verdict.cause, verdict.confidence), (Cause::HostShutdown, Confidence::Certain));
    assert_eq!(verdict.culprit, Some(root(76, "reboot")));
    // It was asked for before, and waits for its turn.
    facts.requests[2] = by_root(94.0, 77, "RestartUnit");
    facts.manager.as_mut().unwrap().messages.push(stopping(94.01));
    let verdict = judge(&facts, Show::Cmdline);
    assert_eq!((verdict.cause, verdict.culprit.map(|one| one.pid)), (Cause::SystemdStop, Some(77)));
}

#[test]
fn a_shutdown_that_did_not_come() {
    let asked = |recipient, messages| {
        let verb = if recipient == Recipient::Logind { "Reboot" } else { "StopUnit" };
        let request = Request { recipient, ..to_logind(98.0, root(76, "reboot"), verb) };
        judged(vec![request], messages)
    };
    assert!(asked(Recipient::Logind, vec![started(), crashed()]).instigator.is_none());
    // The unit was stopped, for whatever reason.
    let verdict = asked(Recipient::Logind, vec![stopping(99.99)]);
    assert_eq!((verdict.instigator.is_some(), verdict.confidence), (true, Confidence::Likely));
    // By somebody who asked for that.
    let requests = vec![by_root(97.0, 77, "StopUnit"), to_logind(98.0, root(76, "reboot"), "Reboot")];
    let verdict = judged(requests, vec![stopping(99.99)]);
    assert_eq!((verdict.cause, verdict.culprit.map(|one| one.pid)), (Cause::SystemdStop, Some(77)));
}

#[test]
fn who_was_refused_by_logind_hides_no_key() {
    let user = || Process { uid: Some(1000), ..process(78, "reboot") };
    let refused = || to_logind(97.0, user(), "Reboot");
    let key = logged(98.9, KEYS[0], "Power key pressed short.");
    let verdict = judged(vec![refused(), at_last(99.01)], vec![key.clone(), began(99.0)]);
    assert_eq!((verdict.cause, verdict.culprit), (Cause::HostShutdown, None));
    assert!(verdict.summary.contains("`Power key pressed short.`"), "{}", verdict.summary);
    assert!(!verdict.evidence.iter().any(|said| said.starts_with("Nobody was seen")));
    // Without a key it was likely they.
    let verdict = judged(vec![refused(), at_last(99.01)], vec![began(99.0)]);
    assert_eq!((verdict.confidence, verdict.culprit), (Confidence::Likely, Some(user())));
    assert!(verdict.summary.contains("; likely `reboot`"), "{}", verdict.summary);
    assert!(verdict.evidence.iter().any(|said| said.contains("systemd-logind does so only when polkit")));
    // What root asks for is done, and the key is not.
    let by_root = to_logind(98.8, root(76, "reboot"), "Reboot");
    let verdict = judged(vec![by_root, at_last(99.01)], vec![key, began(99.0)]);
    assert_eq!(verdict.culprit.map(|culprit| culprit.pid), Some(76));
    assert!(!verdict.summary.contains("key"), "{}", verdict.summary);
}

#[test]
fn who_was_refused_ended_no_session() {
    let user = Process { uid: Some(1000), ..process(78, "loginctl terminate-session 3") };
    let refused = Request { object: Some("3".to_owned()), ..to_logind(97.0, user, "TerminateSession") };
    let of_itself = request(99.9, logind(), "StopUnit", "session-3.scope", "fail");
    let verdict = judged(vec![refused, of_itself.clone()], Vec::new());
    assert_eq!((verdict.cause, verdict.confidence), (Cause::SessionEnd, Confidence::Likely));
    assert!(verdict.summary.contains("likely because"), "{}", verdict.summary);
    // One who wants to reboot ends no session either.
    let verdict = judged(vec![to_logind(97.0, root(76, "reboot"), "Reboot"), of_itself], Vec::new());
    assert_eq!(verdict.culprit, None);
}

#[test]
fn a_shutdown_that_somebody_delays() {
    let asked = |mut requests: Vec<Request>| {
        requests.push(at_last(99.01));
        judged(requests, vec![began(99.0)])
    };
    let verdict = asked(vec![to_logind(69.0, root(76, "reboot"), "Reboot")]);
    assert_eq!((verdict.cause, verdict.confidence), (Cause::HostShutdown, Confidence::Likely));
    assert_eq!(verdict.culprit, Some(root(76, "reboot")));
    assert!(!verdict.evidence.iter().any(|said| said.starts_with("Nobody was seen")));
    // Logind refuses whoever comes later.
    let both = vec![
        to_logind(97.0, root(76, "reboot"), "Reboot"),
        to_logind(98.0, root(79, "poweroff"), "PowerOff"),
    ];
    let verdict = asked(both);
    assert_eq!(verdict.culprit, Some(root(76, "reboot")));
    assert_eq!(verdict.confidence, Confidence::Likely, "unless it had refused the first");
    let session = Request {
        object: Some("3".to_owned()),
        ..to_logind(98.0, root(76, "loginctl terminate-session 3"), "TerminateSession")
    };
    assert_eq!(asked(vec![session]).culprit, None);
    let long_ago = Request { ts: BOOT - 300.0, ..to_logind(10.0, root(76, "reboot"), "Reboot") };
    assert_eq!(asked(vec![long_ago]).culprit, None);
}

#[test]
fn a_shutdown_is_of_whom_logind_let_schedule_it() {
    let scheduled = |at: f64, process: Process, due: f64| Request {
        recipient: Recipient::Logind,
        due: Some(BOOT + due),
        concerns: Concern::Origin,
        ..request(at, process, "ScheduleShutdown", "", "poweroff")
    };
    let root = |pid: u32| Process { euid: Some(0), ..process(pid, "shutdown +1") };
    let user = Process { euid: Some(1000), ..process(78, "shutdown +1") };
    let at_last = Request {
        concerns: Concern::Everything,
        ..request(99.9, logind(), "StartUnit", "poweroff.target", "replace-irreversibly")
    };
    let asked = |mut requests: Vec<Request>| {
        requests.push(at_last.clone());
        judged(requests, Vec::new())
    };
    let verdict = asked(vec![scheduled(39.8, root(77), 99.8)]);
    assert_eq!((verdict.cause, verdict.confidence), (Cause::HostShutdown, Confidence::Certain));
    assert_eq!(verdict.culprit, Some(root(77)));
    assert!(verdict.summary.contains("had asked it 1 min ahead to"), "{}", verdict.summary);
    // Only one of them can have chosen the time.
    let verdict = asked(vec![scheduled(39.8, root(77), 99.8), scheduled(40.8, user.clone(), 99.9)]);
    assert_eq!(verdict.culprit, Some(root(77)));
    let verdict = asked(vec![scheduled(39.8, root(77), 99.8), scheduled(40.8, root(79), 99.9)]);
    assert_eq!(verdict.culprit, Some(root(79)));
    let verdict = asked(vec![scheduled(39.8, user.clone(), 99.8)]);
    assert_eq!((verdict.confidence, verdict.culprit), (Confidence::Likely, Some(user)));
    let delayed = asked(vec![scheduled(9.8, root(77), 60.0)]);
    assert_eq!((delayed.confidence, delayed.culprit), (Confidence::Likely, Some(root(77))));
    for near_miss in [scheduled(39.8, root(77), 160.0), scheduled(9.8, root(77), -210.0)] {
        let verdict = asked(vec![near_miss]);
        assert_eq!((verdict.cause, verdict.culprit), (Cause::HostShutdown, None));
        assert_eq!(verdict.intent, Intent::Unknown);
    }
    let nobody = asked(Vec::new());
    assert!(nobody.evidence.iter().any(|said| said.starts_with("Nobody was seen to ask")));
}

#[test]
fn logind_is_passed_through() {
    let loginctl = process(77, "loginctl terminate-session 3");
    let logind = logind();
    let to_logind = Request {
        recipient: Recipient::Logind,
        ..request(99.8, loginctl.clone(), "TerminateSession", "3", "")
    };
    let to_manager = request(99.85, logind.clone(), "StopUnit", "session-3.scope", "fail");
    let verdict = judged(vec![to_logind, to_manager.clone()], Vec::new());
    assert_eq!((verdict.cause, verdict.culprit), (Cause::SessionEnd, Some(loginctl)));
    // Of its own accord.
    let verdict = judged(vec![to_manager], Vec::new());
    assert_eq!((verdict.cause, verdict.intent), (Cause::SessionEnd, Intent::Automatic));
    assert_eq!(verdict.culprit, None);
    assert_eq!(verdict.instigator.map(|instigator| instigator.process), Some(logind));
}
