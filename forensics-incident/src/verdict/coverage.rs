//! Every rule is held to an incident of a real kernel that it explains, and to one that only looks like it.
//!
//! A rule that is new needs both: an incident in `tests/recorded/` (`forensics-agent -o json watch --once`), and a line in
//! [`NEAR_MISSES`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::model::{Cause, Concern, Facts, Gap, Incident, Mechanism, OutcomeKind, Process, Signal};
use crate::signals::{SIGKILL, SIGTERM};

use super::Show;
use super::case::Case;
use super::rules::RULES;

/// A recorded incident that a rule explains, and a change after which it must not.
struct NearMiss {
    rule: &'static str,
    recorded: &'static str,
    /// What the change makes of it.
    why: &'static str,
    change: fn(&mut Facts),
}

const fn near_miss(
    rule: &'static str,
    recorded: &'static str,
    why: &'static str,
    change: fn(&mut Facts),
) -> NearMiss {
    NearMiss { rule, recorded, why, change }
}

const NEAR_MISSES: &[NearMiss] = &[
    near_miss("earlier_boot", "host-crash", "the host had not been started anew", |facts| {
        facts.aftermath.iter_mut().for_each(|aftermath| aftermath.gap = Gap::Agent);
    }),
    near_miss("agent_gap", "agent-gap", "SIGKILL had been recorded just before", |facts| {
        let sender = Process { pid: 4242, start_boot_ns: 1, ..Process::default() };
        let mut kill = crate::sample::kill(0.0, SIGKILL, sender);
        kill.ts = facts.outcome.ts - 0.5;
        facts.signals.push(kill);
    }),
    near_miss("survived", "survived", "it ended after all", |facts| facts.outcome.kind = OutcomeKind::Exited),
    near_miss("seccomp", "seccomp-filter", "a process sent SIGSYS", sent_by_a_stranger),
    near_miss("debugger", "tracer-that-ends", "a process sent SIGKILL", sent_by_a_stranger),
    near_miss("silent_kill", "silent-kill", "its own exit status looks like a signal", |facts| {
        facts.outcome.kind = OutcomeKind::Exited;
        (facts.outcome.signal, facts.outcome.signal_num, facts.outcome.exit_code) = (None, None, Some(137));
    }),
    near_miss("timeout_command", "timeout-command", "its time was not over", |facts| {
        for sender in senders(facts) {
            for argument in sender.argv.iter_mut().flatten().filter(|argument| argument.as_str() == "2.5") {
                *argument = "1000".to_owned();
            }
        }
    }),
    near_miss("crash", "segmentation", "a process sent SIGSEGV", sent_by_a_stranger),
    near_miss("self_kill", "self-kill", "an earlier process had its pid", |facts| {
        senders(facts).for_each(|sender| sender.start_boot_ns -= 1_000_000_000);
    }),
    near_miss("systemd_watchdog", "systemd-watchdog", "somebody else sent it", sent_by_a_stranger),
    near_miss("systemd_stop_timeout", "systemd-stop-timeout", "somebody else sent it", sent_by_a_stranger),
    near_miss("systemd_runtime_limit", "systemd-runtime-limit", "somebody else sent it", sent_by_a_stranger),
    near_miss("host_shutdown", "host-shutdown", "somebody else sent it", sent_by_a_stranger),
    near_miss("session_end", "session-end", "somebody else sent it", sent_by_a_stranger),
    near_miss("systemd_dependency", "systemd-part-of", "somebody else sent it", sent_by_a_stranger),
    near_miss("systemd_oom_policy", "systemd-oom-policy", "somebody else sent it", sent_by_a_stranger),
    near_miss("systemd_stop", "systemd-stop", "another unit was to be restarted", |facts| {
        facts.requests.iter_mut().for_each(|request| request.concerns = Concern::Elsewhere);
    }),
    near_miss("container_stop", "container-stop", "another container was to be stopped", |facts| {
        facts.requests.iter_mut().for_each(|request| request.concerns = Concern::Elsewhere);
    }),
    near_miss("takeover", "takeover", "the marker is for another process", |facts| {
        facts.markers.iter_mut().for_each(|marker| marker.names_target = false);
    }),
    near_miss("planned_stop", "planned-stop", "the marker is of another day", |facts| {
        facts.markers.iter_mut().for_each(|marker| marker.fresh = false);
    }),
    near_miss("relayed", "relayed", "what the sender had received came long before", |facts| {
        for received in facts.signals.iter_mut().filter_map(|signal| signal.relayed.as_mut()) {
            received.boot_ns -= 10_000_000_000;
        }
    }),
    near_miss("oom_daemon", "oom-daemon", "the name is only an argument", |facts| {
        for sender in senders(facts) {
            sender.exe = Some("/usr/bin/pkill".to_owned());
            "pkill".clone_into(&mut sender.name);
        }
    }),
    near_miss(
        "stale_pid_kill",
        "stale-pid-kill",
        "the file was written when the process had started",
        |facts| {
            let now = facts.ts;
            facts.kill.pidfiles.iter_mut().for_each(|file| file.modified = now);
        },
    ),
    near_miss("pattern_kill", "pattern-kill", "the pattern meets nothing of it", |facts| {
        for sender in senders(facts) {
            if let Some(pattern) = sender.argv.as_mut().and_then(|argv| argv.last_mut()) {
                *pattern = "nobody-is-called-so".to_owned();
            }
        }
    }),
    near_miss("supervisor_stop", "supervisor-stop", "it is the supervisor of somebody else", |facts| {
        facts.target.ppid = Some(1);
        facts.target.ancestors.clear();
    }),
    near_miss("external_kill", "external-kill", "the kernel raised it", raised_by_the_kernel),
    near_miss("oom", "oom", "a process sent SIGKILL", sent_by_a_stranger),
    near_miss("parent_death", "parent-process", "a process sent SIGKILL", sent_by_a_stranger),
    near_miss("pid_namespace", "namespace-init", "a process sent SIGKILL", sent_by_a_stranger),
    near_miss("terminal", "terminal-closed", "a process sent SIGHUP", sent_by_a_stranger),
    near_miss("limits", "cpu-soft", "a process sent SIGXCPU", sent_by_a_stranger),
    near_miss("own_doing", "broken-pipe", "a process sent SIGPIPE", sent_by_a_stranger),
    near_miss("kernel_act", "bpf-program", "a process sent SIGKILL", sent_by_a_stranger),
    near_miss("exit", "exit-137", "it was asked to end just before", |facts| {
        let sender = Process { pid: 4242, start_boot_ns: 1, ..Process::default() };
        let mut request = crate::sample::kill(0.0, SIGTERM, sender);
        request.ts = facts.outcome.ts - 0.5;
        facts.outcome.after_s = Some(0.5);
        facts.signals.push(request);
    }),
];

fn senders(facts: &mut Facts) -> impl Iterator<Item = &mut Process> {
    facts.signals.iter_mut().filter_map(|signal| signal.sender.as_mut())
}

/// The same signals, but sent with `kill(2)` by somebody who has nothing to do with the target.
fn sent_by_a_stranger(facts: &mut Facts) {
    facts.kernel_log = None;
    for signal in &mut facts.signals {
        signal.mechanism = Mechanism::Kill;
        signal.kernel_stack = vec!["kill_pid_info".to_owned(), "__x64_sys_kill".to_owned()];
        signal.syscall = Some("kill".to_owned());
        signal.sender =
            Some(Process { pid: 4242, start_boot_ns: 1, name: "stranger".to_owned(), ..Process::default() });
        signal.current = None;
    }
}

/// The same signals, without a sender.
fn raised_by_the_kernel(facts: &mut Facts) {
    for signal in &mut facts.signals {
        let Signal { mechanism, sender, current, .. } = signal;
        *mechanism = Mechanism::ParentDeath;
        *current = sender.take();
    }
}

fn recorded(name: &str) -> Facts {
    let path = directory().join(format!("{name}.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str::<Incident>(&text).unwrap_or_else(|error| panic!("{name}: {error}")).facts
}

fn directory() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded")
}

/// The rule that explains these facts.
fn explains(facts: &Facts) -> (&'static str, Option<Cause>) {
    let case = Case::new(facts, Show::Cmdline);
    let found = RULES.iter().find_map(|rule| Some((rule.name, (rule.judge)(&case)?.cause)));
    found.map_or(("unseen", None), |(name, cause)| (name, Some(cause)))
}

#[test]
fn every_rule_explains_a_recorded_incident() {
    let mut by_rule: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for entry in fs::read_dir(directory()).expect("the directory is there").flatten() {
        let name = entry.path().file_stem().expect("a name").to_string_lossy().into_owned();
        by_rule.entry(explains(&recorded(&name)).0).or_default().push(name);
    }
    let without: Vec<&str> =
        RULES.iter().map(|rule| rule.name).filter(|name| !by_rule.contains_key(name)).collect();
    assert!(
        without.is_empty(),
        "no recorded incident is explained by {without:?}; by the others: {by_rule:?}"
    );
}

#[test]
fn every_rule_has_a_near_miss() {
    let have: BTreeSet<&str> = NEAR_MISSES.iter().map(|near_miss| near_miss.rule).collect();
    let names: BTreeSet<&str> = RULES.iter().map(|rule| rule.name).collect();
    let without: Vec<&&str> = names.difference(&have).collect();
    assert!(without.is_empty(), "no near miss for {without:?}");
    assert!(have.is_subset(&names), "{:?} are no rules", have.difference(&names));
}

#[test]
fn near_misses_are_missed() {
    for NearMiss { rule, recorded: name, why, change } in NEAR_MISSES {
        let mut facts = recorded(name);
        assert_eq!(explains(&facts).0, *rule, "{name} as it was");
        change(&mut facts);
        assert_ne!(explains(&facts).0, *rule, "{name}, but {why}");
    }
}
