//! Every race between records.

use std::collections::BTreeSet;

use crate::model::{Context, Lost, MarkerKind, Missing, SendResult};
use crate::sample::{BOOT, ignored, kill, nginx, ns, process, signal, systemd};
use crate::signals::*;

use super::*;

const SURVIVE_S: f64 = 300.0;

/// Drives an assembly by seconds since boot, as the agent would.
struct Drive {
    assembler: Assembler,
    folds: u64,
}

impl Drive {
    fn new() -> Self {
        Self::with(AssemblyConfig {
            survive_after_ns: ns(SURVIVE_S),
            unix_minus_boot_s: BOOT,
            report_signals: u64::MAX,
            report_unasked: true,
        })
    }

    fn with(config: AssemblyConfig) -> Self {
        let mut next = 0;
        let ids = move || {
            next += 1;
            format!("g{next}")
        };
        Self { assembler: Assembler::new(config, ids), folds: 0 }
    }

    fn watching(target: &Process) -> Self {
        let mut drive = Self::new();
        drive.watch(target);
        drive
    }

    fn watch(&mut self, target: &Process) -> Vec<Output> {
        self.assembler.push(ns(50.0), Input::Watch { target: target.clone() })
    }

    fn signal(&mut self, target: &Process, signal: Signal) -> Vec<Output> {
        self.folds += 1;
        self.record(target, self.folds, 0, signal)
    }

    fn record(&mut self, target: &Process, fold_id: u64, folded_before: u64, signal: Signal) -> Vec<Output> {
        let (now, target) = (signal.boot_ns, target.clone());
        let missing = Vec::new();
        let record = SignalRecord { target, fold_id, folded_before, signal, missing };
        self.assembler.push(now, Input::Signal(record))
    }

    fn exit(&mut self, target: &Process, at: f64, wait_status: u32) -> Vec<Output> {
        self.exit_with(target, at, wait_status, None, Vec::new())
    }

    fn exit_with(
        &mut self,
        target: &Process,
        at: f64,
        wait_status: u32,
        signals_seen: Option<u64>,
        folds: Vec<Fold>,
    ) -> Vec<Output> {
        let exit = ExitRecord {
            target: target.key(),
            boot_ns: ns(at),
            wait_status,
            tid: target.pid,
            tracer: None,
            thread: "nginx".to_owned(),
            caller: (wait_status & 0x7f == 0).then(|| (target.pid + 1, "worker".to_owned())),
            kernel_stack: vec!["do_exit".to_owned()],
            signals_seen,
            folds,
        };
        self.assembler.push(ns(at), Input::Exit(exit))
    }
}

/// The incident of outputs that hold just one.
fn closed(outputs: Vec<Output>) -> Closed {
    let mut closed = outputs.into_iter().filter_map(|output| match output {
        Output::Closed(closed) => Some(*closed),
        Output::TerminationRequested { .. } => None,
    });
    let one = closed.next().expect("an incident");
    assert!(closed.next().is_none(), "only one incident");
    one
}

fn killer() -> Process {
    process(4431, "kill -9 812")
}

fn near(seconds: Option<f64>, wanted: f64) -> bool {
    seconds.is_some_and(|seconds| (seconds - wanted).abs() < 1e-5)
}

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
fn a_survivor_closes_once_and_can_die_later() {
    let mut drive = Drive::watching(&nginx());
    drive.signal(&nginx(), kill(100.0, SIGTERM, killer()));
    drive.signal(&nginx(), kill(200.0, SIGTERM, process(5, "kill")));
    assert_eq!(drive.assembler.next_deadline(), Some(ns(400.0)), "counted from the first request");
    assert!(drive.assembler.tick(ns(399.9)).is_empty());
    let survived = closed(drive.assembler.tick(ns(400.0)));
    assert_eq!((survived.outcome.kind, survived.decisive), (OutcomeKind::Survived, Some(0)));
    assert!(near(survived.outcome.after_s, 300.0));
    assert!(drive.assembler.tick(ns(9999.0)).is_empty());
    // What it survived does not explain a later exit.
    let exited = closed(drive.exit(&nginx(), 500.0, 0));
    assert_eq!((exited.outcome.kind, exited.decisive), (OutcomeKind::Exited, None));
}

#[test]
fn a_survivor_that_is_asked_again_opens_again() {
    let mut drive = Drive::watching(&nginx());
    drive.record(&nginx(), 7, 0, kill(100.0, SIGTERM, killer()));
    drive.assembler.tick(ns(400.0));
    let asked = drive.record(&nginx(), 7, 3, kill(450.0, SIGTERM, killer()));
    assert_eq!(asked.len(), 1, "a new window for an identical signal");
    assert_eq!(drive.assembler.next_deadline(), Some(ns(750.0)));
    let closed = closed(drive.exit(&nginx(), 451.0, 0));
    assert_eq!((closed.decisive, closed.signals[0].repeated), (Some(0), 4));
    assert!(near(closed.outcome.after_s, 1.0), "counted from the last of them");
}

#[test]
fn a_signal_that_stayed_pending_kills_a_survivor() {
    let mut drive = Drive::watching(&nginx());
    drive.signal(&nginx(), kill(100.0, SIGTERM, killer()));
    drive.assembler.tick(ns(400.0));
    assert_eq!(closed(drive.exit(&nginx(), 500.0, 15)).decisive, Some(0));
}

#[test]
fn an_exit_in_the_ring_beats_the_deadline() {
    let mut drive = Drive::watching(&nginx());
    drive.signal(&nginx(), kill(100.0, SIGTERM, killer()));
    // The record waited in the ring past the deadline; it is pushed before the tick.
    assert_eq!(closed(drive.exit(&nginx(), 399.0, 0)).outcome.kind, OutcomeKind::Exited);
    assert!(drive.assembler.tick(ns(500.0)).is_empty());
}

#[test]
fn a_backlog_gets_its_whole_window() {
    let mut drive = Drive::watching(&nginx());
    let record = SignalRecord {
        target: nginx(),
        fold_id: 1,
        folded_before: 0,
        signal: kill(100.0, SIGTERM, killer()),
        missing: Vec::new(),
    };
    drive.assembler.push(ns(900.0), Input::Signal(record));
    assert_eq!(drive.assembler.next_deadline(), Some(ns(1200.0)));
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
fn one_request_per_signal_number() {
    let mut drive = Drive::watching(&nginx());
    assert_eq!(drive.signal(&nginx(), kill(100.0, SIGTERM, killer())).len(), 1);
    assert_eq!(drive.signal(&nginx(), kill(101.0, SIGTERM, systemd())).len(), 0);
    assert_eq!(drive.signal(&nginx(), kill(102.0, SIGKILL, systemd())).len(), 1);
}

#[test]
fn identical_signals_fold_and_every_one_is_accounted_for() {
    let mut drive = Drive::watching(&nginx());
    drive.record(&nginx(), 7, 0, kill(100.0, SIGUSR1, killer()));
    drive.record(&nginx(), 7, 9999, kill(101.0, SIGUSR1, killer()));
    drive.record(&nginx(), 8, 0, kill(102.0, SIGKILL, killer()));
    let fold = Fold { fold_id: 7, count: 40_000, last_boot_ns: ns(101.9) };
    let unknown = Fold { fold_id: 99, count: 5, last_boot_ns: ns(101.9) };
    let closed = closed(drive.exit_with(&nginx(), 102.0, 9, Some(50_008), vec![fold, unknown]));
    let storm = &closed.signals[0];
    assert_eq!((storm.repeated, storm.last_boot_ns), (50_000, Some(ns(101.9))));
    assert_eq!(
        closed.lost,
        Lost { records: 50_008 - 50_002, requests: 0 },
        "the unknown fold and its record"
    );
}

#[test]
fn nothing_is_lost_when_the_counts_agree() {
    for (seen, lost) in [(Some(2), 0), (Some(3), 1), (Some(1), 0), (None, 0)] {
        let mut drive = Drive::watching(&nginx());
        drive.signal(&nginx(), kill(100.0, SIGUSR1, killer()));
        drive.signal(&nginx(), kill(101.0, SIGKILL, killer()));
        let closed = closed(drive.exit_with(&nginx(), 101.0, 9, seen, Vec::new()));
        assert_eq!(closed.lost.records, lost, "{seen:?}");
    }
}

#[test]
fn a_record_whose_first_one_was_lost_carries_its_count() {
    let mut drive = Drive::watching(&nginx());
    drive.record(&nginx(), 7, 12, kill(100.0, SIGUSR1, killer()));
    let closed = closed(drive.exit_with(&nginx(), 101.0, 0, Some(13), Vec::new()));
    assert_eq!((closed.signals[0].repeated, closed.lost.records), (12, 0));
}

#[test]
fn a_flood_of_distinct_signals_is_bounded_and_counted() {
    let mut drive = Drive::watching(&nginx());
    let total = 1000u32;
    for index in 0..total {
        // A request in the middle of the flood must not be washed out by it.
        let number = if index == 500 { SIGTERM } else { SIGUSR1 };
        drive.signal(&nginx(), kill(100.0 + f64::from(index), number, process(10_000 + index, "kill")));
    }
    let closed = closed(drive.exit_with(&nginx(), 1100.0, 0, Some(u64::from(total)), Vec::new()));
    assert_eq!(closed.signals.len(), ledger::MAX_SIGNALS);
    assert_eq!(closed.lost.records, u64::from(total) - ledger::MAX_SIGNALS as u64);
    let pids = closed.signals.iter().map(|s| s.sender.as_ref().unwrap().pid).collect::<BTreeSet<_>>();
    assert!(pids.contains(&10_000) && pids.contains(&10_999) && pids.contains(&10_500));
    assert!(closed.signals.is_sorted_by_key(|s| s.boot_ns));
}

#[test]
fn an_exit_is_reported_once() {
    let mut drive = Drive::watching(&nginx());
    closed(drive.exit(&nginx(), 100.0, 9));
    assert!(drive.exit(&nginx(), 100.0, 9).is_empty());
    assert!(drive.watch(&nginx()).is_empty());
    let gone = Input::Gone { target: nginx().key(), boot_ns: ns(101.0) };
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
    // Records that were under way when the kernel's entry was removed.
    assert!(drive.signal(&nginx(), kill(100.1, SIGKILL, killer())).is_empty());
    assert!(drive.exit(&nginx(), 100.2, 9).is_empty());
}

#[test]
fn a_dismissed_process_can_become_a_target_after_all() {
    let mut drive = Drive::watching(&nginx());
    drive.assembler.push(ns(60.0), Input::Unwatch { target: nginx().key() });
    drive.watch(&nginx());
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
    let gone = Input::Gone { target: nginx().key(), boot_ns: ns(101.0) };
    let closed = closed(drive.assembler.push(ns(101.0), gone));
    assert_eq!((closed.outcome.kind, closed.decisive), (OutcomeKind::Unknown, Some(0)));
    assert_eq!(closed.outcome.exit_tid, None);
}

#[test]
fn a_context_in_time_is_kept_and_a_late_one_is_dropped() {
    let context = |pid| Input::Context {
        target: nginx().key(),
        context: Box::new(Context { pid, ..Context::default() }),
        missing: Vec::new(),
    };
    let mut drive = Drive::watching(&nginx());
    drive.signal(&nginx(), kill(100.0, SIGTERM, killer()));
    drive.assembler.push(ns(100.0), context(1));
    drive.assembler.push(ns(100.0), context(2));
    let in_time = closed(drive.exit(&nginx(), 101.0, 15));
    assert_eq!(in_time.context.map(|context| context.pid), Some(1), "that of the first request");
    assert!(in_time.missing.is_empty());

    let mut drive = Drive::watching(&nginx());
    drive.signal(&nginx(), kill(100.0, SIGTERM, killer()));
    let late = closed(drive.exit(&nginx(), 101.0, 15));
    assert!(drive.assembler.push(ns(101.0), context(1)).is_empty());
    assert!(late.context.is_none());
    assert_eq!(late.missing[0].field, "context");
}

#[test]
fn a_later_marker_of_the_same_path_replaces_the_earlier() {
    let marker = |path: &str, raw: &str| Input::Marker {
        target: nginx().key(),
        marker: crate::model::Marker {
            kind: MarkerKind::Takeover,
            path: path.to_owned(),
            names_target: true,
            fresh: true,
            age_s: None,
            content: None,
            raw: raw.to_owned(),
            writer: None,
        },
    };
    let mut drive = Drive::watching(&nginx());
    for (path, raw) in [("a", "1"), ("b", "1"), ("a", "2")] {
        drive.assembler.push(ns(100.0), marker(path, raw));
    }
    for index in 0..100 {
        drive.assembler.push(ns(100.0), marker(&format!("m{index}"), ""));
    }
    let closed = closed(drive.exit(&nginx(), 101.0, 0));
    assert_eq!((closed.markers[0].raw.as_str(), closed.markers.len()), ("2", 16));
}

#[test]
fn what_could_not_be_read_is_named_by_its_path() {
    let mut drive = Drive::watching(&nginx());
    drive.signal(&nginx(), kill(99.0, SIGUSR1, killer()));
    let record = SignalRecord {
        target: nginx(),
        fold_id: 77,
        folded_before: 0,
        signal: kill(100.0, SIGUSR2, killer()),
        missing: vec![Missing { field: "sender.exe".to_owned(), why: "gone".to_owned() }],
    };
    drive.assembler.push(ns(100.0), Input::Signal(record));
    let closed = closed(drive.exit(&nginx(), 101.0, 0));
    assert_eq!(
        closed.missing,
        [Missing { field: "signals[1].sender.exe".to_owned(), why: "gone".to_owned() }]
    );
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

#[test]
fn without_names_a_bounded_number_of_targets_is_kept() {
    let mut drive = Drive::new();
    let asked = process(1_000_000, "asked");
    drive.signal(&asked, kill(99.0, SIGTERM, killer()));
    for pid in 0..u32::try_from(MAX_UNASKED).unwrap() + 10 {
        drive.signal(&process(2000 + pid, "x"), kill(100.0, SIGUSR1, killer()));
    }
    assert_eq!(drive.assembler.targets.len(), MAX_UNASKED);
    assert!(drive.assembler.targets.contains_key(&asked.key()), "an open request stays longest");
    assert!(!drive.assembler.targets.contains_key(&process(2000, "x").key()));
}

/// Two targets hit by `make`, 0.1 s apart; then both die. The groups of both incidents.
fn groups(make: impl Fn(f64) -> Signal, died_between: bool) -> (Option<String>, Option<String>) {
    let (one, two) = (nginx(), process(813, "nginx"));
    let mut drive = Drive::watching(&one);
    drive.watch(&two);
    drive.signal(&one, make(100.0));
    let first = died_between.then(|| closed(drive.exit(&one, 100.05, 9)).group_id);
    drive.signal(&two, make(100.1));
    let first = first.unwrap_or_else(|| closed(drive.exit(&one, 100.2, 9)).group_id);
    (first, closed(drive.exit(&two, 100.3, 9)).group_id)
}

#[test]
fn a_group_act_groups_from_the_first_target_on() {
    let group = |at| Signal { syscall_args: Some(vec![-812, 9]), ..kill(at, SIGKILL, killer()) };
    let cgroup = |at| signal(at, SIGKILL, Mechanism::CgroupKill, Some(killer()));
    let oom = |at| Signal {
        current: Some(process(77, "allocator")),
        kernel_stack: vec!["oom_kill_memcg_member".to_owned()],
        ..signal(at, SIGKILL, Mechanism::Oom, None)
    };
    let acts: [&dyn Fn(f64) -> Signal; 3] = [&group, &cgroup, &oom];
    for make in acts {
        let (first, second) = groups(make, true);
        assert!(first.is_some());
        assert_eq!(first, second);
    }
}

#[test]
fn one_sender_of_several_groups_from_the_second_target_on() {
    let (first, second) = groups(|at| kill(at, SIGKILL, killer()), false);
    assert!(first.is_some());
    assert_eq!(first, second);
    let (first, second) = groups(|at| kill(at, SIGKILL, killer()), true);
    assert_eq!(first, None, "it was over before the second was hit");
    assert!(second.is_some());
}

#[test]
fn what_is_not_one_act() {
    let apart = |at: f64| kill(100.0 + (at - 100.0) * 20.0, SIGKILL, killer());
    assert_eq!(groups(apart, false), (None, None), "2 s apart");
    let by_two = |at: f64| kill(at, SIGKILL, process((at * 1000.0) as u32, "kill"));
    assert_eq!(groups(by_two, false), (None, None), "two senders");
    let single_oom = |at| signal(at, SIGKILL, Mechanism::Oom, Some(process(77, "allocator")));
    assert_eq!(groups(single_oom, false), (None, None), "two kills of the same allocator");
    let mut drive = Drive::watching(&nginx());
    drive.signal(&nginx(), kill(100.0, SIGTERM, killer()));
    drive.signal(&nginx(), kill(100.1, SIGTERM, killer()));
    assert_eq!(closed(drive.exit(&nginx(), 100.2, 15)).group_id, None, "twice at one target");
}

#[test]
fn a_manager_stops_units_not_one_crowd() {
    let unit = |pid, unit: &str| Process { unit: Some(unit.to_owned()), ..process(pid, "svc") };
    let targets = [unit(901, "a.service"), unit(902, "a.service"), unit(903, "b.service")];
    let mut drive = Drive::new();
    for target in &targets {
        drive.watch(target);
    }
    for target in &targets {
        drive.signal(target, kill(100.0, SIGTERM, systemd()));
    }
    let groups = targets.each_ref().map(|target| closed(drive.exit(target, 100.1, 15)).group_id);
    assert!(groups[0].is_some());
    assert_eq!(groups[0], groups[1]);
    assert_eq!(groups[2], None);
}

#[test]
fn two_hundred_at_once() {
    let targets = (0..200).map(|index| process(5000 + index, "victim")).collect::<Vec<_>>();
    let mut drive = Drive::new();
    for target in &targets {
        drive.watch(target);
    }
    for target in &targets {
        drive.signal(target, kill(100.0, SIGKILL, killer()));
    }
    let groups = targets.iter().map(|target| closed(drive.exit(target, 100.1, 9)).group_id);
    let groups = groups.collect::<BTreeSet<_>>();
    assert_eq!(groups.len(), 1);
    assert!(groups.first().unwrap().is_some());
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

/// A planned-stop marker of nginx that is `age_s` old and names it.
fn planned_stop(age_s: f64) -> crate::model::Marker {
    crate::model::Marker {
        kind: MarkerKind::PlannedStop,
        path: "/home/h/.hermes/.gateway-planned-stop.json".to_owned(),
        names_target: true,
        fresh: true,
        age_s: Some(age_s),
        content: None,
        raw: "{}".to_owned(),
        writer: None,
    }
}

/// The end of nginx in the 116th second, by a signal of the 115th, with these markers of the hundredth.
fn stopped_with(markers: Vec<crate::model::Marker>) -> Closed {
    let mut drive = Drive::watching(&nginx());
    for marker in markers {
        drive.assembler.push(ns(100.0), Input::Marker { target: nginx().key(), marker });
    }
    drive.signal(&nginx(), kill(115.0, SIGTERM, process(5, "kill 812")));
    let context = Box::new(Context { pid: 812, ..Context::default() });
    drive.assembler.push(ns(115.0), Input::Context { target: nginx().key(), context, missing: Vec::new() });
    closed(drive.exit(&nginx(), 116.0, 0))
}

#[test]
fn the_age_of_a_marker_is_that_at_the_signal() {
    for (seen, told, fresh) in
        [(1.0, 16.0, true), (44.9, 59.9, true), (46.0, 61.0, false), (-17.0, -2.0, false)]
    {
        let closed = stopped_with(vec![planned_stop(seen)]);
        let marker = &closed.markers[0];
        assert!((marker.age_s.unwrap() - told).abs() < 1e-6, "{seen}: {marker:?}");
        assert_eq!(marker.fresh, fresh, "{seen}");
        // A stale one was removed by somebody, and did not stand there when the signal came.
        assert_eq!(closed.context.unwrap().planned_stop_marker.is_some(), fresh, "{seen}");
    }
}

#[test]
fn a_second_look_keeps_the_writer() {
    let writer = Some(process(5, "stop"));
    let seen = crate::model::Marker { writer: writer.clone(), ..planned_stop(0.0) };
    let closed = stopped_with(vec![seen.clone(), planned_stop(0.1)]);
    assert_eq!((closed.markers.len(), &closed.markers[0].writer), (1, &writer));
    let another = crate::model::Marker { raw: "[]".to_owned(), ..planned_stop(0.1) };
    assert_eq!(stopped_with(vec![seen, another]).markers[0].writer, None);
}

#[test]
fn a_marker_for_the_next_one_does_not_hide_the_one_for_this() {
    let next = crate::model::Marker { names_target: false, raw: "next".to_owned(), ..planned_stop(0.0) };
    let closed = stopped_with(vec![planned_stop(0.0), next]);
    assert_eq!(closed.markers.len(), 2);
    assert_eq!(closed.context.unwrap().planned_stop_marker.as_deref(), Some("{}"));
}

#[test]
fn the_context_has_room_for_the_markers_of_its_keys_only() {
    let path = "/run/other/stop.json".to_owned();
    let closed = stopped_with(vec![crate::model::Marker { path, ..planned_stop(0.0) }]);
    let context = closed.context.unwrap();
    assert_eq!((context.planned_stop_marker, context.takeover_marker_for_self), (None, None));
}
