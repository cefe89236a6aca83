//! Ends that no system call for signals brings about: the kernel raises the signal, or there is none.
//!
//! Each row names a mode of `programs/ending.py`, what the kernel must have been seen to do, and the cause. Who is to
//! blame is told by the program itself: it, another process, or nobody.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail, ensure};
use harness::{Agent, Record, Skip, Victim, needs_program, needs_root, test};
use serde_json::Value;

/// One way to end.
#[derive(Clone, Copy)]
struct Row {
    /// A mode of `programs/ending.py`.
    mode: &'static str,
    /// The signal that it dies of.
    signal: i32,
    /// The mechanism of that signal; none when no event announces it.
    mechanism: Option<&'static str>,
    cause: &'static str,
    /// A part of the summary or of a sentence of evidence.
    told: &'static str,
}

const fn row(
    mode: &'static str,
    signal: i32,
    mechanism: &'static str,
    cause: &'static str,
    told: &'static str,
) -> Row {
    Row { mode, signal, mechanism: Some(mechanism), cause, told }
}

const ROWS: [Row; 26] = [
    row("cpu_soft", libc::SIGXCPU, "cpu-limit", "resource-limit", "RLIMIT_CPU"),
    row("cpu_hard", libc::SIGKILL, "cpu-limit", "resource-limit", "RLIMIT_CPU"),
    // Compilers merge the checks of both limits on time; the limits themselves tell.
    row("real_time", libc::SIGXCPU, "cpu-limit", "resource-limit", "RLIMIT_RTTIME"),
    row("file_size", libc::SIGXFSZ, "file-size-limit", "resource-limit", "RLIMIT_FSIZE"),
    row("interval_timer", libc::SIGALRM, "timer", "timer", "timer"),
    row("virtual_timer", libc::SIGVTALRM, "timer", "timer", "timer"),
    row("posix_timer", libc::SIGTERM, "timer", "timer", "timer"),
    row("broken_pipe", libc::SIGPIPE, "broken-pipe", "broken-pipe", "pipe"),
    row("broken_socket", libc::SIGPIPE, "broken-pipe", "broken-pipe", "socket"),
    row("async_io", libc::SIGIO, "async-io", "async-io", "SIGIO"),
    row("segmentation", libc::SIGSEGV, "fault", "crash", "0x8"),
    row("bus", libc::SIGBUS, "fault", "crash", "0x"),
    row("illegal", libc::SIGILL, "fault", "crash", "instruction"),
    row("division", libc::SIGFPE, "fault", "crash", "divi"),
    row("terminal_closed", libc::SIGHUP, "tty-hangup", "terminal-hangup", "closed by"),
    row("leader_that_ends", libc::SIGHUP, "session-leader-exit", "terminal-hangup", "leader"),
    row("orphaned_group", libc::SIGHUP, "orphaned-pgrp", "terminal-hangup", "was stopped"),
    row("cgroup_kill", libc::SIGKILL, "cgroup-kill", "cgroup-kill", "cgroup.kill"),
    row("abort", libc::SIGABRT, "tgkill", "crash", "abort"),
    row("exec_too_large", libc::SIGSEGV, "exec-failure", "crash", "exec"),
    row("seccomp_filter", libc::SIGSYS, "seccomp", "seccomp", "getppid"),
    row("parent_process", libc::SIGKILL, "parent-death", "parent-death", "parent"),
    row("parent_thread", libc::SIGTERM, "parent-death", "parent-death", "thread"),
    row("tracer_that_ends", libc::SIGKILL, "ptrace", "debugger", "EXITKILL"),
    Row {
        mode: "tracer_that_injects",
        signal: libc::SIGTERM,
        mechanism: None,
        cause: "debugger",
        told: "trace",
    },
    row("namespace_init", libc::SIGKILL, "pid-namespace-exit", "pid-namespace-exit", "namespace"),
];

fn main() -> ExitCode {
    harness::main(ROWS.into_iter().map(|row| test(row.mode, move || ends(row))).collect())
}

fn ends(row: Row) -> Result<()> {
    needs_root()?;
    needs_program("python3")?;
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs/ending.py");
    let mut starter = Victim::spawn(Command::new("python3").arg(program).arg(row.mode))?;
    let told = starter.told()?;
    let (victim, culprit) = (*told.first().context("no victim")?, *told.get(1).context("no culprit")?);
    if victim == 0 {
        bail!(Skip("this kernel cannot do it".to_owned()));
    }
    let mut agent = Agent::watch_pid(victim)?;
    starter.go()?;
    let incident = agent.incident_of(victim)?;
    harness::killer(&["kill", &starter.pid().to_string(), "9"])?;
    if row.mode == "real_time" && incident.at("outcome.kind") == "exited" {
        bail!(Skip("this machine gives out no real-time priority".to_owned()));
    }
    incident.expect_killed(row.signal)?;
    let was_seen =
        || incident.list("signals").is_ok_and(|signals| signals.iter().any(|s| is_of(s, row.signal)));
    match row.mechanism {
        // Before 5.16 a filter ended the last thread without a signal.
        Some("seccomp") if !was_seen() => incident.expect_part("verdict.summary", "without any signal")?,
        Some(mechanism) => expect_mechanism(&incident, row.signal, mechanism)?,
        None => {
            ensure!(!was_seen(), incident.fault("an event announced what none should"));
        }
    }
    incident.expect("verdict.cause", row.cause)?;
    match culprit {
        0 => incident.expect("verdict.culprit", Value::Null)?,
        culprit => incident.expect("verdict.culprit.pid", culprit)?,
    }
    let mut said: Vec<String> = incident.list("verdict.evidence")?.iter().map(Value::to_string).collect();
    said.push(incident.text("verdict.summary")?.to_owned());
    ensure!(
        said.iter().any(|sentence| sentence.contains(row.told)),
        incident.fault(format!("{} is not told", row.told))
    );
    // Whether the limits could be read before the victim was gone is a race; what was read must be right.
    let summary = incident.text("verdict.summary")?;
    if summary.contains("limit of ") {
        let value = ["limit of 1 s (", "limit of 200 ms (", "limit of 4096 bytes ("];
        ensure!(
            value.iter().any(|value| summary.contains(value)),
            incident.fault("another limit than was set")
        );
    }
    agent.stop()?;
    Ok(())
}

fn is_of(signal: &Value, number: i32) -> bool {
    signal["signal_num"] == number
}

/// The kernel raised it, unless it is the victim's own abort(3) or a write to a file: nobody else is its sender.
fn expect_mechanism(incident: &Record, number: i32, mechanism: &str) -> Result<()> {
    let signals = incident.list("signals")?;
    let signal = signals.iter().find(|signal| is_of(signal, number));
    let signal = signal.context("the signal was not seen").map_err(|error| incident.fault(error))?;
    ensure!(signal["mechanism"] == mechanism, incident.fault(format!("not {mechanism}")));
    let sender = signal.pointer("/sender/pid").unwrap_or(&Value::Null);
    ensure!(
        sender.is_null()
            || (mechanism == "tgkill" && *sender == *incident.at("target.pid"))
            || (mechanism == "cgroup-kill" && *sender == *incident.at("verdict.culprit.pid")),
        incident.fault("somebody is called its sender")
    );
    Ok(())
}
