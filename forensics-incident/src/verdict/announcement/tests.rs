use serde_json::json;

use super::*;
use crate::model::Facts;
use crate::sample::{exited, kill, killed, nginx, process, systemd, under};
use crate::signals::SIGTERM;
use crate::verdict::{Show, judge};

const STOPPER: u32 = 4431;

fn shell() -> Process {
    let cgroup = Some("/user.slice/user-1000.slice/session-3.scope".to_owned());
    Process { cgroup, ..process(4402, "-bash") }
}

fn stopper() -> Process {
    under(process(STOPPER, "python3 stop.py"), &[shell(), systemd()])
}

/// A fresh marker for nginx, written two seconds before by `writer`, that names `announcer`.
fn marker(kind: MarkerKind, announcer: Option<u32>, writer: Option<Process>) -> Marker {
    let field = if kind == MarkerKind::Takeover { "replacer_pid" } else { "stopper_pid" };
    Marker {
        kind,
        path: format!("/home/h/.hermes/{}", kind.hermes_file()),
        names_target: true,
        fresh: true,
        age_s: Some(2.0),
        content: Some(json!({ "target_pid": 812, field: announcer })),
        raw: String::new(),
        writer,
    }
}

fn planned(announcer: Option<u32>, writer: Option<Process>) -> Marker {
    marker(MarkerKind::PlannedStop, announcer, writer)
}

/// nginx, killed by SIGTERM from `sender`, with this marker.
fn died(sender: Process, marker: Marker) -> Verdict {
    of(killed(nginx(), 100.0, SIGTERM, vec![kill(99.9, SIGTERM, sender)]), marker)
}

fn of(facts: Facts, marker: Marker) -> Verdict {
    judge(&Facts { markers: vec![marker], ..facts }, Show::Cmdline)
}

#[test]
fn the_stopper_announced_it() {
    let verdict = died(stopper(), planned(Some(STOPPER), Some(stopper())));
    assert_eq!((verdict.cause, verdict.intent), (Cause::PlannedStop, Intent::Deliberate));
    assert_eq!((verdict.confidence, verdict.culprit), (Confidence::Certain, Some(stopper())));
    assert!(verdict.instigator.is_none(), "it sent the signal itself");
    assert_eq!(
        verdict.summary,
        "`nginx` (pid 812) died of SIGTERM, as planned: `python3 stop.py` (pid 4431, user id 1000) announced it in a planned-stop marker, and sent the signal."
    );
    assert_eq!(verdict.chain[0].action, "announced itself as the stopper in");
    let said = verdict.evidence.join("\n");
    assert!(
        said.contains(
            "2 s old, names this process and agrees with the sender. It names pid 4431 as the stopper."
        ),
        "{said}"
    );
}

#[test]
fn the_replacer_announced_it() {
    let verdict = died(stopper(), marker(MarkerKind::Takeover, Some(STOPPER), Some(stopper())));
    assert_eq!((verdict.cause, verdict.culprit), (Cause::Takeover, Some(stopper())));
    assert!(verdict.summary.contains("because another instance takes its place"), "{}", verdict.summary);
}

#[test]
fn each_kind_has_its_own_field() {
    let mut marker = marker(MarkerKind::Takeover, None, None);
    marker.content = Some(json!({ "target_pid": 812, "stopper_pid": STOPPER }));
    assert_eq!(died(stopper(), marker).cause, Cause::ExternalKill);
}

#[test]
fn an_exit_is_likely_at_most() {
    let facts = exited(nginx(), 100.0, 0, Some(0.1), vec![kill(99.9, SIGTERM, stopper())]);
    let verdict = of(facts, planned(Some(STOPPER), Some(stopper())));
    assert_eq!((verdict.cause, verdict.confidence), (Cause::PlannedStop, Confidence::Likely));
    assert!(
        verdict.summary.contains("exited with status 0, 100 ms after SIGTERM, as planned"),
        "{}",
        verdict.summary
    );
}

#[test]
fn who_fits() {
    use Confidence::{Certain, Likely};
    let kill_below = || under(process(4440, "kill 812"), &[stopper(), shell(), systemd()]);
    let deep = || {
        let sudo = process(4439, "sudo kill 812");
        let sh = process(4438, "sh -c x");
        under(process(4440, "kill 812"), &[sudo, sh, stopper(), systemd()])
    };
    let helper = || under(process(4450, "python3 mark.py"), &[stopper(), shell(), systemd()]);
    let inner = || Process { ns_pid: Some(7), ..stopper() };
    for (what, sender, marker, confidence, culprit) in [
        ("writer unseen", stopper(), planned(Some(STOPPER), None), Likely, STOPPER),
        ("nobody named", stopper(), planned(None, Some(stopper())), Certain, STOPPER),
        ("another one named", stopper(), planned(Some(5), Some(stopper())), Likely, STOPPER),
        ("written by another one", stopper(), planned(Some(STOPPER), Some(process(5, "x"))), Likely, STOPPER),
        ("a child sent it", kill_below(), planned(Some(STOPPER), Some(stopper())), Certain, STOPPER),
        ("a great-grandchild sent it", deep(), planned(Some(STOPPER), Some(stopper())), Certain, STOPPER),
        ("a child wrote it", stopper(), planned(Some(4450), Some(helper())), Likely, STOPPER),
        ("a child wrote it for it", stopper(), planned(Some(STOPPER), Some(helper())), Likely, STOPPER),
        ("the pid of a namespace", inner(), planned(Some(7), Some(inner())), Certain, STOPPER),
        ("the manager was asked", systemd(), planned(Some(STOPPER), Some(stopper())), Likely, STOPPER),
    ] {
        let verdict = died(sender.clone(), marker);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::PlannedStop, confidence), "{what}");
        assert_eq!(verdict.culprit.map(|culprit| culprit.pid), Some(culprit), "{what}");
        assert_eq!(verdict.instigator.is_some(), sender.pid != STOPPER, "{what}");
    }
}

#[test]
fn the_instigator_of_a_manager() {
    let verdict = died(systemd(), planned(Some(STOPPER), Some(stopper())));
    let instigator = verdict.instigator.unwrap();
    assert_eq!(instigator.request, "planned-stop marker /home/h/.hermes/.gateway-planned-stop.json");
    assert!((instigator.at - (crate::sample::BOOT + 97.9)).abs() < 1e-3, "{}", instigator.at);
    assert!(!instigator.inside_target);
    assert!(
        verdict.summary.ends_with("and the service manager, pid 1, sent the signal."),
        "{}",
        verdict.summary
    );
}

/// Whatever does not fit is told, and blames whoever sent the signal.
#[test]
fn near_misses() {
    let other = || under(process(5000, "kill 812"), &[shell(), systemd()]);
    let fitting = || planned(Some(STOPPER), Some(stopper()));
    let elsewhere = json!({ "target_pid": 99, "stopper_pid": STOPPER });
    let reused = json!({ "target_pid": 812, "target_start_time": 1, "stopper_pid": STOPPER });
    for (sender, marker, said) in [
        (other(), fitting(), "but the signal came from somebody else"),
        (
            stopper(),
            Marker { names_target: false, content: Some(elsewhere), ..fitting() },
            "A fresh planned-stop marker, `/home/h/.hermes/.gateway-planned-stop.json`, 2 s old, is for pid 99, not for this process.",
        ),
        (
            stopper(),
            Marker { names_target: false, content: Some(reused), ..fitting() },
            "with a start time or home that is not that of this process",
        ),
        (
            stopper(),
            Marker { fresh: false, age_s: Some(120.0), ..fitting() },
            "A stale planned-stop marker, `/home/h/.hermes/.gateway-planned-stop.json`, 2 min old, names this process.",
        ),
        (
            stopper(),
            Marker { content: None, ..planned(None, None) },
            "but the signal came from somebody else",
        ),
        // Its shell runs much else.
        (other(), planned(Some(STOPPER), Some(stopper())), "It names pid 4431 as the stopper."),
        (stopper(), planned(None, Some(nginx())), "but the signal came from somebody else"),
    ] {
        let verdict = died(sender.clone(), marker);
        assert_eq!((verdict.cause, verdict.culprit), (Cause::ExternalKill, Some(sender)), "{said}");
        let evidence = verdict.evidence.join("\n");
        assert!(evidence.contains(said), "{said}\n{evidence}");
    }
}

#[test]
fn what_exec_stop_wrote_is_evidence_only() {
    let of_unit = |process: Process, cgroup: &str, unit: Option<&str>| Process {
        cgroup: Some(cgroup.to_owned()),
        unit: unit.map(str::to_owned),
        ..process
    };
    let own = "/system.slice/gw.service";
    let writer = || under(process(STOPPER, "gw stop"), &[systemd()]);
    let below = |shell: Process| under(process(STOPPER, "gw stop"), &[shell, systemd()]);
    for (writer, cause) in [
        (Some(of_unit(writer(), own, Some("gw.service"))), Cause::ExternalKill),
        (Some(of_unit(writer(), "/system.slice/gw.service/.control", None)), Cause::ExternalKill),
        (Some(of_unit(writer(), "/system.slice/gw.service2", Some("gw.service2"))), Cause::PlannedStop),
        (Some(of_unit(writer(), "/user.slice", None)), Cause::PlannedStop),
        // It may have been ExecStop=.
        (None, Cause::ExternalKill),
        // Gone before anybody could see where it ran: what made it tells, unless that is the manager.
        (Some(below(shell())), Cause::PlannedStop),
        (Some(below(of_unit(shell(), own, Some("gw.service")))), Cause::ExternalKill),
        (Some(writer()), Cause::ExternalKill),
    ] {
        let target = of_unit(nginx(), own, Some("gw.service"));
        let facts = killed(target, 100.0, SIGTERM, vec![kill(99.9, SIGTERM, systemd())]);
        let verdict = of(facts, planned(Some(STOPPER), writer.clone()));
        assert_eq!(verdict.cause, cause, "{writer:?}");
        let own_doing = "comes from its own unit and says nothing of who asked";
        let said = verdict.evidence.join("\n");
        let is_known = writer.is_some_and(|writer| writer.cgroup.is_some());
        assert_eq!(said.contains(own_doing), cause == Cause::ExternalKill && is_known, "{said}");
    }
}

#[test]
fn a_supervisor_runs_everything() {
    let supervisor = process(4300, "/usr/bin/supervisord");
    let writer = under(process(STOPPER, "stop"), &[supervisor.clone(), systemd()]);
    let its_own = under(nginx(), std::slice::from_ref(&supervisor));
    let died = killed(its_own, 100.0, SIGTERM, vec![kill(99.9, SIGTERM, supervisor)]);
    let verdict = of(died, planned(None, Some(writer)));
    assert_eq!((verdict.cause, verdict.culprit), (Cause::SupervisorStop, None));
}

#[test]
fn an_end_by_itself_needs_no_excuse() {
    let verdict = of(exited(nginx(), 100.0, 0, None, Vec::new()), planned(Some(STOPPER), Some(stopper())));
    assert_eq!(verdict.cause, Cause::Exit);
    assert!(!verdict.evidence.join("\n").contains("but the signal"));
}
