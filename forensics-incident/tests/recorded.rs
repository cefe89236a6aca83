//! Incidents of a real kernel, as the agent wrote them, judged anew.
//!
//! Each file of `recorded/` is one incident, named after how it came about. What the rules of its day made of it stands
//! in it; what they must make of it stands here.

use std::error::Error;
use std::fs;
use std::path::Path;

use forensics_incident::model::{Cause, Confidence, Incident};
use forensics_incident::verdict::{Show, judge};

/// Who is to blame.
enum Blamed {
    Nobody,
    /// The target.
    Itself,
    /// Another process, with this in its command line.
    Other(&'static str),
}

use Blamed::{Itself, Nobody, Other};

const EXPECTED: &[(&str, Cause, Confidence, Blamed, &str)] = &[
    ("agent-gap", Cause::AgentGap, Confidence::Possible, Nobody, "while no agent was running"),
    ("host-crash", Cause::HostCrash, Confidence::Possible, Nobody, "was alive when the host went down"),
    ("exit-78", Cause::Exit, Confidence::Certain, Itself, "with status 78 by itself (EX_CONFIG)"),
    ("fault-with-file", Cause::Crash, Confidence::Certain, Itself, "in `victim`: it wrote to a null pointer"),
    (
        "oom-cgroup",
        Cause::Oom,
        Confidence::Certain,
        Nobody,
        "its memory cgroup `/web-ends` reached its limit",
    ),
    (
        "seccomp-strict",
        Cause::Seccomp,
        Confidence::Certain,
        Itself,
        "strict mode ended it for the system call `getppid`",
    ),
    ("abort", Cause::Crash, Confidence::Certain, Itself, "it called abort()"),
    ("async-io", Cause::AsyncIo, Confidence::Certain, Itself, "asked for signals about a file or socket"),
    (
        "bpf-program",
        Cause::Unknown,
        Confidence::Possible,
        Other("bpftrace --unsafe"),
        "the only loaded one that can",
    ),
    ("broken-pipe", Cause::BrokenPipe, Confidence::Certain, Itself, "nobody reads any more"),
    ("bus", Cause::Crash, Confidence::Certain, Itself, "in a mapped file that has no data there"),
    ("cpu-soft", Cause::ResourceLimit, Confidence::Certain, Nobody, "CPU time limit of 1 s"),
    ("exit-137", Cause::Exit, Confidence::Certain, Itself, "it was not killed by SIGKILL"),
    ("exit-after-request", Cause::ExternalKill, Confidence::Likely, Other("kill"), "exited with status 3"),
    (
        "external-kill",
        Cause::ExternalKill,
        Confidence::Certain,
        Other("sh -c"),
        "SIGKILL was sent to `sleep`",
    ),
    ("file-size", Cause::ResourceLimit, Confidence::Certain, Nobody, "RLIMIT_FSIZE"),
    (
        "namespace-init",
        Cause::PidNamespaceExit,
        Confidence::Certain,
        Other("namespace_init"),
        "the init of its",
    ),
    ("oom", Cause::Oom, Confidence::Certain, Nobody, "reached its limit of 32 MiB"),
    (
        "oom-daemon",
        Cause::OomDaemon,
        Confidence::Likely,
        Other("earlyoom"),
        "frees memory before the kernel must",
    ),
    ("parent-process", Cause::ParentDeath, Confidence::Certain, Other("parent_process"), "its parent"),
    ("parent-thread", Cause::ParentDeath, Confidence::Certain, Other("parent_thread"), "the thread of"),
    ("pattern-kill", Cause::PatternKill, Confidence::Certain, Other("pkill"), "the pattern `sleep web9` met"),
    ("planned-stop", Cause::PlannedStop, Confidence::Certain, Other("marked.py planned"), "as planned"),
    ("posix-timer", Cause::Timer, Confidence::Certain, Itself, "a timer that it had set for itself"),
    ("real-time", Cause::ResourceLimit, Confidence::Certain, Nobody, "limit of 200 ms (RLIMIT_RTTIME)"),
    ("relayed", Cause::ExternalKill, Confidence::Likely, Other("/bin/kill -TERM"), "which passed it on"),
    ("seccomp-filter", Cause::Seccomp, Confidence::Certain, Itself, "forbids the system call `getppid`"),
    ("segmentation", Cause::Crash, Confidence::Certain, Itself, "it used a null pointer (address 0x8)"),
    ("self-kill", Cause::SelfKill, Confidence::Certain, Itself, "sent SIGKILL to itself"),
    ("silent-kill", Cause::SilentKill, Confidence::Likely, Nobody, "nobody was seen sending it"),
    (
        "stale-pid-kill",
        Cause::StalePidKill,
        Confidence::Likely,
        Other("stop-shop.sh"),
        "came from `/run/shop/server.pid`",
    ),
    ("supervisor-stop", Cause::SupervisorStop, Confidence::Likely, Nobody, "by its own supervisor `runsv"),
    ("survived", Cause::Survived, Confidence::Certain, Other("kill"), "which it ignores"),
    ("takeover", Cause::Takeover, Confidence::Certain, Other("marked.py takeover"), "takes its place"),
    (
        "terminal-closed",
        Cause::TerminalHangup,
        Confidence::Certain,
        Other("terminals.py"),
        "its terminal pts/0 went away",
    ),
    ("timeout-command", Cause::TimeoutCommand, Confidence::Certain, Other("timeout 2.5"), "after 2.5 s"),
    ("tracer-that-ends", Cause::Debugger, Confidence::Certain, Other("tracer_that_ends"), "its tracer"),
    ("tracer-that-injects", Cause::Debugger, Confidence::Likely, Other("tracer_that_injects"), "its tracer"),
    ("host-shutdown", Cause::HostShutdown, Confidence::Certain, Nobody, "because the host powers off"),
    (
        "session-end",
        Cause::SessionEnd,
        Confidence::Likely,
        Nobody,
        "the manager of its user (`user@1072.service`)",
    ),
    (
        "systemd-bound",
        Cause::SystemdDependency,
        Confidence::Likely,
        Nobody,
        "`database.service` ended by itself",
    ),
    (
        "systemd-part-of",
        Cause::SystemdDependency,
        Confidence::Likely,
        Nobody,
        "`database.service` was stopped",
    ),
    (
        "container-stop",
        Cause::ContainerStop,
        Confidence::Likely,
        Other("docker stop"),
        "asked Docker to stop web t=3",
    ),
    (
        "systemd-oom-policy",
        Cause::SystemdOomPolicy,
        Confidence::Certain,
        Nobody,
        "OOMPolicy=stop ends the rest",
    ),
    (
        "systemd-stop",
        Cause::SystemdStop,
        Confidence::Certain,
        Other("systemctl restart"),
        "asked it to (RestartUnit gateway.service replace)",
    ),
    ("systemd-runtime-limit", Cause::SystemdRuntimeLimit, Confidence::Certain, Nobody, "RuntimeMaxSec=1 s"),
    (
        "systemd-stop-timeout",
        Cause::SystemdStopTimeout,
        Confidence::Certain,
        Nobody,
        "TimeoutStopSec=2 s allows",
    ),
    ("systemd-watchdog", Cause::SystemdWatchdog, Confidence::Certain, Nobody, "within WatchdogSec=1 s"),
    ("unit-exit", Cause::Exit, Confidence::Certain, Itself, "exited with status 3"),
];

fn recorded(name: &str) -> Result<Incident, Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded").join(format!("{name}.json"));
    Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
}

#[test]
fn each_is_judged_as_it_was() -> Result<(), Box<dyn Error>> {
    for &(name, cause, confidence, ref blamed, words) in EXPECTED {
        let facts = recorded(name)?.facts;
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (cause, confidence), "{name}: {}", verdict.summary);
        assert!(verdict.summary.contains(words), "{name}: {}", verdict.summary);
        let culprit = verdict.culprit.as_ref();
        let fits = match blamed {
            Nobody => culprit.is_none(),
            Itself => culprit.is_some_and(|culprit| culprit.is(&facts.target)),
            Other(command) => culprit.is_some_and(|culprit| {
                let cmdline = culprit.cmdline.as_deref().unwrap_or_default();
                !culprit.is(&facts.target) && cmdline.contains(command)
            }),
        };
        assert!(fits, "{name}: {culprit:?} is blamed");
    }
    Ok(())
}

#[test]
fn none_is_forgotten() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded");
    for entry in fs::read_dir(directory).expect("the directory is there").flatten() {
        let name =
            entry.path().file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        assert!(EXPECTED.iter().any(|(expected, ..)| *expected == name), "nothing is expected of {name}");
    }
}

/// Without the signals a verdict has nothing to stand on, and says so.
#[test]
fn without_its_signals_nobody_is_blamed_for_a_kill() -> Result<(), Box<dyn Error>> {
    for &(name, cause, ..) in EXPECTED {
        let mut facts = recorded(name)?.facts;
        facts.signals.clear();
        let verdict = judge(&facts, Show::Cmdline);
        let by_somebody = verdict.culprit.as_ref().is_some_and(|culprit| !culprit.is(&facts.target));
        assert!(!by_somebody, "{name}, {cause:?}: {}", verdict.summary);
    }
    Ok(())
}
