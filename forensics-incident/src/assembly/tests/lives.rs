//! Who a target is over its life: exec, pids used again, records in another order than they happened.

use super::*;
use crate::model::Outcome;

#[test]
fn an_exit_is_reported_once() {
    let mut drive = Drive::watching(&nginx());
    closed(drive.exit(&nginx(), 100.0, 9));
    assert!(drive.exit(&nginx(), 100.0, 9).is_empty());
    assert!(drive.watch(&nginx()).is_empty());
    let gone = Input::Gone { target: nginx().key(), boot_ns: ns(101.0), wait_status: None };
    assert!(drive.assembler.push(ns(101.0), gone).is_empty());
    assert!(drive.assembler.targets.is_empty());
}

#[test]
fn a_signal_after_the_exit_opens_nothing() {
    let mut drive = Drive::watching(&nginx());
    drive.exit(&nginx(), 100.0, 0);
    assert!(drive.signal(&nginx(), kill(100.1, SIGKILL, killer())).is_empty());
    assert!(drive.assembler.targets.is_empty());
}

#[test]
fn an_exit_before_its_watch_still_makes_an_incident() {
    let mut drive = Drive::new();
    assert!(drive.exit(&nginx(), 100.0, 9).is_empty(), "not known to be a target yet");
    let closed = closed(drive.watch(&nginx()));
    assert_eq!((closed.outcome.kind, closed.decisive), (OutcomeKind::Killed, None));
    assert!(drive.watch(&nginx()).is_empty());
    assert!(drive.assembler.targets.is_empty());
}

#[test]
fn a_signal_before_its_watch_is_kept() {
    let mut drive = Drive::new();
    let bare = Process { argv: None, cmdline: None, ..nginx() };
    assert_eq!(drive.signal(&bare, kill(100.0, SIGKILL, killer())).len(), 1);
    assert!(drive.watch(&nginx()).is_empty());
    let closed = closed(drive.exit(&nginx(), 100.0, 9));
    assert_eq!((closed.target, closed.signals.len()), (nginx(), 1));
}

#[test]
fn a_dismissed_process_makes_no_incident() {
    let mut drive = Drive::watching(&nginx());
    drive.signal(&nginx(), kill(100.0, SIGTERM, killer()));
    drive.assembler.push(ns(100.0), Input::Unwatch { target: nginx().key() });
    assert_eq!(drive.assembler.next_deadline(), None);
    assert!(drive.assembler.is_dismissed(nginx().key()));
    // Records that were under way when the kernel's entry was removed.
    assert!(drive.signal(&nginx(), kill(100.1, SIGKILL, killer())).is_empty());
    assert!(drive.exit(&nginx(), 100.2, 9).is_empty());
}

#[test]
fn a_dismissed_process_can_become_a_target_after_all() {
    let mut drive = Drive::watching(&nginx());
    drive.assembler.push(ns(60.0), Input::Unwatch { target: nginx().key() });
    drive.watch(&nginx());
    assert!(!drive.assembler.is_dismissed(nginx().key()));
    drive.signal(&nginx(), kill(100.0, SIGKILL, killer()));
    assert_eq!(closed(drive.exit(&nginx(), 100.2, 9)).decisive, Some(0));
}

#[test]
fn an_exec_renames_the_target_and_keeps_its_signals() {
    let mut drive = Drive::watching(&process(812, "sh -c 'exec nginx'"));
    drive.signal(&nginx(), kill(100.0, SIGTERM, killer()));
    drive.assembler.push(ns(100.1), Input::Exec { target: nginx() });
    let closed = closed(drive.exit(&nginx(), 101.0, 15));
    assert_eq!((closed.target, closed.decisive), (nginx(), Some(0)));
    // An exec of nobody is no target.
    drive.assembler.push(ns(102.0), Input::Exec { target: process(5, "x") });
    assert!(drive.assembler.targets.is_empty());
}

#[test]
fn a_start_time_in_clock_ticks_is_the_same_process() {
    let rounded = Process { start_boot_ns: ns(10.0), ..nginx() };
    let mut drive = Drive::watching(&rounded);
    drive.signal(&nginx(), kill(100.0, SIGKILL, killer()));
    let closed = closed(drive.exit(&nginx(), 100.0, 9));
    assert_eq!((closed.decisive, drive.assembler.targets.len()), (Some(0), 0));
}

#[test]
fn a_reused_pid_is_another_process() {
    let mut drive = Drive::watching(&nginx());
    drive.signal(&nginx(), kill(100.0, SIGUSR1, killer()));
    let next = Process { start_boot_ns: ns(200.0), ..process(812, "redis") };
    let old = closed(drive.watch(&next));
    assert_eq!((old.target, old.outcome.kind), (nginx(), OutcomeKind::Unknown));
    // A late record of the old one is not held against the new one.
    assert!(drive.signal(&nginx(), kill(100.1, SIGKILL, killer())).is_empty());
    let new = closed(drive.exit(&next, 300.0, 0));
    assert_eq!((new.target, new.signals.len()), (next, 0));
}

#[test]
fn a_target_that_is_gone_has_an_unknown_end() {
    let mut drive = Drive::watching(&nginx());
    drive.signal(&nginx(), kill(100.0, SIGKILL, killer()));
    let gone = Input::Gone { target: nginx().key(), boot_ns: ns(101.0), wait_status: None };
    let closed = closed(drive.assembler.push(ns(101.0), gone));
    assert_eq!((closed.outcome.kind, closed.decisive), (OutcomeKind::Unknown, Some(0)));
    assert_eq!((closed.outcome.exit_tid, closed.outcome.after_s, closed.outcome.lived_s), (None, None, None));
}

#[test]
fn a_target_that_is_gone_may_have_left_its_status() {
    for (wait_status, kind, signal_num, exit_code) in [
        (9, OutcomeKind::Killed, Some(9), None),
        (0x8b, OutcomeKind::Killed, Some(11), None),
        (0x300, OutcomeKind::Exited, None, Some(3)),
    ] {
        let mut drive = Drive::watching(&nginx());
        drive.signal(&nginx(), kill(100.0, SIGKILL, killer()));
        let wait_status = Some(wait_status);
        let gone = Input::Gone { target: nginx().key(), boot_ns: ns(101.0), wait_status };
        let Outcome { kind: was, signal_num: signal, exit_code: code, core_dumped, after_s, .. } =
            closed(drive.assembler.push(ns(101.0), gone)).outcome;
        assert_eq!((was, signal, code), (kind, signal_num, exit_code));
        assert_eq!((core_dumped, after_s), (wait_status == Some(0x8b), None), "when it was, nobody saw");
    }
}

#[test]
fn what_is_reported_is_chosen() {
    let config = |report_signals, report_unasked| AssemblyConfig {
        survive_after_ns: ns(SURVIVE_S),
        unix_minus_boot_s: BOOT,
        report_signals,
        report_unasked,
    };
    let ends = |config, sent: Option<u32>, status| {
        let mut drive = Drive::with(config);
        drive.watch(&nginx());
        if let Some(number) = sent {
            drive.signal(&nginx(), kill(100.0, number, killer()));
        }
        drive.exit(&nginx(), 100.1, status).len()
    };
    assert_eq!(ends(config(u64::MAX, true), None, 0), 1);
    assert_eq!(ends(config(u64::MAX, false), None, 0), 0);
    assert_eq!(ends(config(u64::MAX, false), None, 1 << 8), 0);
    assert_eq!(ends(config(u64::MAX, false), Some(SIGTERM), 0), 1);
    assert_eq!(ends(config(bit(SIGKILL), false), Some(SIGTERM), 15), 0);
    assert_eq!(ends(config(bit(SIGKILL), false), Some(SIGTERM), 0), 0);
    assert_eq!(ends(config(bit(SIGKILL), false), None, 9), 1);
}
