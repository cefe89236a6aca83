//! Several targets that die by one act.

use super::*;

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

/// The groups of the first process of a unit, which is sent SIGTERM in the 100th second, and of the second one, which started at
/// one moment and is sent a signal at another.
fn stopped(started: f64, at: f64, number: u32) -> [Option<String>; 2] {
    let unit = |process: Process| Process { unit: Some("fpm.service".to_owned()), ..process };
    let one = unit(process(901, "fpm"));
    let two = unit(Process { start_boot_ns: ns(started), ..process(902, "fpm") });
    let mut drive = Drive::watching(&one);
    drive.watch(&unit(process(903, "fpm")));
    drive.signal(&one, kill(100.0, SIGTERM, systemd()));
    let first = closed(drive.exit(&one, 100.1, 15)).group_id;
    drive.watch(&two);
    drive.signal(&two, kill(at, number, systemd()));
    [first, closed(drive.exit(&two, at + 0.1, number)).group_id]
}

#[test]
fn a_stop_that_takes_its_time_is_one_act() {
    for (started, at, number, is_one) in [
        // `KillMode=mixed`, and what is left at the end of `TimeoutStopSec=`.
        (20.0, 100.2, SIGKILL, true),
        (20.0, 140.0, SIGKILL, true),
        (20.0, 190.1, SIGKILL, true),
        (20.0, 260.0, SIGKILL, false),
        // Asked again, it is stopped again.
        (20.0, 130.0, SIGTERM, false),
        // Another life of the unit.
        (100.3, 100.6, SIGTERM, false),
        (110.0, 140.0, SIGKILL, false),
    ] {
        let [one, two] = stopped(started, at, number);
        assert!(one.is_some());
        assert_eq!(one == two, is_one, "{started} {at} {number}: {one:?} {two:?}");
    }
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
