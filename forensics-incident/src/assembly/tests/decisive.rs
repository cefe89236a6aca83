//! Which signal explains an end.

use super::*;

#[test]
fn a_kill_and_its_death() {
    let mut drive = Drive::watching(&nginx());
    let asked = drive.signal(&nginx(), kill(100.0, SIGKILL, killer()));
    let wanted = Output::TerminationRequested { target: nginx().key(), signal: SIGKILL, boot_ns: ns(100.0) };
    assert_eq!(asked, [wanted]);
    let closed = closed(drive.exit(&nginx(), 100.5, 9));
    assert_eq!(closed.outcome.kind, OutcomeKind::Killed);
    assert_eq!(closed.outcome.signal.as_deref(), Some("SIGKILL"));
    assert!(near(closed.outcome.after_s, 0.5));
    assert!((closed.outcome.ts - BOOT - 100.5).abs() < 1e-5);
    assert_eq!((closed.decisive, closed.signals.len()), (Some(0), 1));
    assert_eq!(closed.outcome.exit_code, None);
    assert_eq!(drive.assembler.next_deadline(), None, "the deadline went with the target");
    assert!(drive.assembler.targets.is_empty());
}

#[test]
fn wait_statuses() {
    for (status, kind, signal_num, exit_code, core) in [
        (0, OutcomeKind::Exited, None, Some(0), false),
        (137 << 8, OutcomeKind::Exited, None, Some(137), false),
        (9, OutcomeKind::Killed, Some(9), None, false),
        (0x8b, OutcomeKind::Killed, Some(11), None, true),
    ] {
        let closed = closed(Drive::watching(&nginx()).exit(&nginx(), 60.0, status));
        let outcome = closed.outcome;
        assert_eq!(
            (outcome.kind, outcome.signal_num, outcome.exit_code, outcome.core_dumped),
            (kind, signal_num, exit_code, core),
            "{status:#x}"
        );
    }
}

#[test]
fn of_several_kills_the_first_delivered_one_is_decisive() {
    let mut drive = Drive::watching(&nginx());
    drive.signal(&nginx(), ignored(kill(99.0, SIGKILL, process(1111, "kill"))));
    drive.signal(&nginx(), kill(100.0, SIGKILL, process(2222, "kill")));
    drive.signal(&nginx(), kill(101.0, SIGKILL, process(3333, "kill")));
    assert_eq!(closed(drive.exit(&nginx(), 102.0, 9)).decisive, Some(1));
}

#[test]
fn of_other_deadly_signals_the_last_delivered_one_is_decisive() {
    let mut drive = Drive::watching(&nginx());
    for (at, result) in [
        (100.0, SendResult::Delivered),
        (101.0, SendResult::Delivered),
        (102.0, SendResult::AlreadyPending),
        (103.0, SendResult::Ignored),
    ] {
        drive.signal(&nginx(), Signal { result, ..kill(at, SIGTERM, killer()) });
    }
    drive.signal(&nginx(), kill(105.0, SIGTERM, killer()));
    let closed = closed(drive.exit(&nginx(), 104.0, 15));
    assert_eq!(closed.decisive, Some(1), "neither a pending, an ignored nor a later one");
    assert!(near(closed.outcome.after_s, 3.0));
}

#[test]
fn a_signal_raised_again_by_its_handler_is_the_one_from_elsewhere() {
    let mut drive = Drive::watching(&nginx());
    drive.signal(&nginx(), kill(100.0, SIGTERM, killer()));
    let again = signal(101.0, SIGTERM, Mechanism::Tgkill, Some(nginx()));
    assert!(drive.signal(&nginx(), again).is_empty(), "no request by someone else");
    assert_eq!(closed(drive.exit(&nginx(), 101.0, 15)).decisive, Some(0));
}

#[test]
fn what_explains_an_exit() {
    // (signal, mechanism, result, seconds before the exit, blamed)
    use Mechanism::{Kill, Timer, TtyInterrupt};
    use SendResult::{AlreadyPending, Delivered, Ignored, Overflow};
    for (number, mechanism, result, before, blamed) in [
        (SIGTERM, Kill, Delivered, 250.0, true),
        (SIGTERM, Kill, Ignored, 1.0, false),
        (SIGTERM, Kill, Overflow, 1.0, false),
        (SIGTERM, Kill, AlreadyPending, 1.0, false),
        (SIGINT, Kill, Delivered, 100.0, true),
        (SIGINT, TtyInterrupt, Delivered, 1.0, true),
        (SIGINT, TtyInterrupt, Delivered, 100.0, false),
        (SIGHUP, Kill, Delivered, 5.0, true),
        (SIGHUP, Kill, Delivered, 60.0, false),
        (SIGUSR1, Kill, Delivered, 0.5, true),
        (SIGUSR1, Kill, Delivered, 5.0, false),
        (SIGALRM, Timer, Delivered, 0.1, true),
        (SIGCHLD, Kill, Delivered, 0.0, false),
        (SIGSEGV, Mechanism::Fault, Delivered, 0.0, false),
        (37, Kill, Delivered, 0.1, true),
        (37, Timer, Delivered, 0.1, false),
    ] {
        let mut drive = Drive::watching(&nginx());
        let sent = signal(1000.0 - before, number, mechanism, Some(killer()));
        drive.signal(&nginx(), Signal { result, ..sent });
        let closed = closed(drive.exit(&nginx(), 1000.0, 0));
        assert_eq!(closed.decisive.is_some(), blamed, "{number} {mechanism:?} {result:?} {before}");
        assert_eq!(closed.outcome.after_s.is_some(), blamed);
    }
}

#[test]
fn a_plain_request_explains_an_exit_before_a_later_hangup() {
    let mut drive = Drive::watching(&nginx());
    drive.signal(&nginx(), kill(100.0, SIGTERM, killer()));
    drive.signal(&nginx(), kill(100.0, SIGHUP, killer()));
    drive.signal(&nginx(), kill(100.1, SIGUSR1, killer()));
    assert_eq!(closed(drive.exit(&nginx(), 100.2, 0)).decisive, Some(0));
}

#[test]
fn an_ignored_request_then_a_kill() {
    let mut drive = Drive::watching(&nginx());
    let asked = drive.signal(&nginx(), ignored(kill(100.0, SIGTERM, killer())));
    assert_eq!(asked.len(), 1, "asked for, be it ignored");
    drive.signal(&nginx(), kill(110.0, SIGKILL, killer()));
    let closed = closed(drive.exit(&nginx(), 110.0, 9));
    assert_eq!((closed.decisive, closed.signals.len()), (Some(1), 2));
}

#[test]
fn its_own_and_the_kernels_signals_are_no_requests() {
    for (number, mechanism, sender) in [
        (SIGTERM, Mechanism::Kill, Some(nginx())),
        (SIGTERM, Mechanism::Timer, None),
        (SIGKILL, Mechanism::CpuLimit, None),
        (SIGUSR1, Mechanism::Kill, Some(killer())),
    ] {
        let mut drive = Drive::watching(&nginx());
        assert!(drive.signal(&nginx(), signal(100.0, number, mechanism, sender)).is_empty());
        assert_eq!(drive.assembler.next_deadline(), None);
    }
    let mut drive = Drive::watching(&nginx());
    assert_eq!(drive.signal(&nginx(), signal(100.0, SIGHUP, Mechanism::TtyHangup, None)).len(), 1);
}

#[test]
fn the_verdict_finds_the_decisive_signal_again() {
    let mut drive = Drive::watching(&nginx());
    drive.signal(&nginx(), kill(99.0, SIGHUP, killer()));
    drive.record(&nginx(), 50, 0, kill(100.0, SIGTERM, killer()));
    drive.record(&nginx(), 50, 4, kill(130.0, SIGTERM, killer()));
    drive.signal(&nginx(), kill(140.0, SIGUSR1, killer()));
    let closed = closed(drive.exit(&nginx(), 142.0, 0));
    let decisive = closed.decisive;
    let host = HostFacts {
        boot_id: "b".to_owned(),
        hostname: "h".to_owned(),
        kernel: "k".to_owned(),
        agent_version: "v".to_owned(),
    };
    let facts = crate::model::Facts::new(&host, "id".to_owned(), closed);
    let found = crate::attribution::decisive_of(&facts).unwrap();
    assert_eq!(Some(found), decisive.and_then(|index| facts.signals.get(index)));
    assert_eq!((found.signal_num, facts.ts), (SIGTERM, facts.outcome.ts));
}
