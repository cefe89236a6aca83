//! Targets that are asked to end and do not, and windows that close.

use super::*;

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
    assert_eq!((closed.decisive, closed.signals[0].repeated), (Some(1), 3));
    assert!(near(closed.outcome.after_s, 1.0), "counted from the second request");
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
fn one_request_per_signal_number() {
    let mut drive = Drive::watching(&nginx());
    assert_eq!(drive.signal(&nginx(), kill(100.0, SIGTERM, killer())).len(), 1);
    assert_eq!(drive.signal(&nginx(), kill(101.0, SIGTERM, systemd())).len(), 0);
    assert_eq!(drive.signal(&nginx(), kill(102.0, SIGKILL, systemd())).len(), 1);
}
