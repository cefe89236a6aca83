//! Floods: signals that are counted in the kernel, and what is lost.

use super::*;

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

/// The same sender, hours later: what is told of the second act must not be that of the first.
#[test]
fn identical_signals_of_different_acts_stand_apart() {
    let mut drive = Drive::watching(&nginx());
    let asked = |at: f64, by: u32| {
        let relayed = Some(Box::new(kill(at - 0.001, SIGTERM, process(by, "kill 1"))));
        Signal { relayed, ..kill(at, SIGTERM, systemd()) }
    };
    drive.record(&nginx(), 7, 0, asked(100.0, 501));
    drive.record(&nginx(), 7, 2, asked(101.0, 502));
    drive.record(&nginx(), 7, 1, asked(9000.0, 503));
    drive.record(&nginx(), 7, 0, asked(20_000.0, 504));
    let closed = closed(drive.exit_with(
        &nginx(),
        20_000.5,
        0,
        Some(7),
        vec![Fold { fold_id: 7, count: 0, last_boot_ns: 0 }],
    ));
    let stands: Vec<(u64, u32)> = closed
        .signals
        .iter()
        .map(|one| {
            (one.repeated, one.relayed.as_ref().and_then(|by| by.sender.as_ref()).map_or(0, |by| by.pid))
        })
        .collect();
    assert_eq!(stands, [(5, 501), (0, 504)], "the first counts all in between");
    assert_eq!((closed.decisive, closed.lost.records), (Some(1), 0));
    assert!(near(closed.outcome.after_s, 0.5), "{:?}", closed.outcome.after_s);
}
