//! Signals that the kernel raises on its own: whoever happens to be running is never the killer.

use std::process::{Command, ExitCode};

use anyhow::{Result, ensure};
use harness::{Agent, MemoryCgroup, Record, Terminal, Victim, needs_root, test, victim_program};
use libc::{SIGALRM, SIGINT, SIGKILL, SIGPIPE};
use serde_json::Value;

fn main() -> ExitCode {
    harness::main(vec![
        test("timer", timer),
        test("terminal_interrupt", terminal_interrupt),
        test("memory_cgroup_out_of_memory", memory_cgroup_out_of_memory),
        test("broken_pipe", broken_pipe),
        test("seccomp_strict_mode_without_a_signal", seccomp_strict_mode_without_a_signal),
    ])
}

/// Nobody but perhaps the victim itself is blamed, in no place of the verdict.
fn blames_nobody_else(incident: &Record, pid: u32) -> Result<()> {
    for path in ["verdict.culprit", "verdict.instigator.process"] {
        let blamed = incident.at(path);
        ensure!(
            blamed.is_null() || blamed["pid"] == pid,
            incident.fault(format!("{path} is {}", blamed["pid"]))
        );
    }
    ensure!(incident.at("verdict.cause") != "external-kill", incident.fault("nobody killed it"));
    Ok(())
}

/// The last signal came from no process.
fn from_nobody(incident: &Record, signal: i32, mechanism: &str) -> Result<()> {
    let signal = incident.expect_last_signal(signal, mechanism)?;
    incident.expect(&format!("{signal}.sender"), Value::Null)
}

/// The incident of a victim that brings its end about in a mode of its own.
fn ends(mode: &str) -> Result<(u32, Record)> {
    let mut victim = Victim::start(&[mode])?;
    let mut agent = Agent::watch_pid(victim.pid())?;
    victim.go()?;
    let incident = agent.incident_of(victim.pid())?;
    agent.stop()?;
    Ok((victim.pid(), incident))
}

/// It fires in an interrupt, on top of whoever runs then.
fn timer() -> Result<()> {
    let (pid, incident) = ends("alarm")?;
    incident.expect_killed(SIGALRM)?;
    from_nobody(&incident, SIGALRM, "timer")?;
    blames_nobody_else(&incident, pid)
}

/// The signal is raised by a kernel thread that moves what was typed.
fn terminal_interrupt() -> Result<()> {
    needs_root()?;
    let mut terminal = Terminal::open()?;
    let mut command = Command::new(victim_program()?);
    terminal.control(command.arg("sleep"))?;
    let victim = Victim::spawn(&mut command)?;
    let mut agent = Agent::watch_pid(victim.pid())?;
    terminal.type_in(b"\x03")?;
    let incident = agent.incident_of(victim.pid())?;
    incident.expect_killed(SIGINT)?;
    from_nobody(&incident, SIGINT, "tty-interrupt")?;
    blames_nobody_else(&incident, victim.pid())?;
    agent.stop()?;
    Ok(())
}

fn memory_cgroup_out_of_memory() -> Result<()> {
    let cgroup = MemoryCgroup::new(32 << 20)?;
    let mut victim = Victim::start(&["allocate"])?;
    let mut agent = Agent::watch_pid(victim.pid())?;
    cgroup.enter(victim.pid())?;
    victim.go()?;
    let incident = agent.incident_of(victim.pid())?;
    victim.wait()?;
    incident.expect_killed(SIGKILL)?;
    from_nobody(&incident, SIGKILL, "oom")?;
    let culprit = incident.at("verdict.culprit");
    ensure!(culprit.is_null(), incident.fault("the allocating process is no killer"));
    blames_nobody_else(&incident, victim.pid())?;
    agent.stop()?;
    Ok(())
}

fn broken_pipe() -> Result<()> {
    let (pid, incident) = ends("pipe")?;
    incident.expect_killed(SIGPIPE)?;
    from_nobody(&incident, SIGPIPE, "broken-pipe")?;
    blames_nobody_else(&incident, pid)
}

/// `make_task_dead` without any event: the exit alone tells.
fn seccomp_strict_mode_without_a_signal() -> Result<()> {
    let (pid, incident) = ends("strict")?;
    incident.expect_killed(SIGKILL)?;
    incident.expect_one_of("verdict.cause", &["silent-kill", "seccomp"])?;
    blames_nobody_else(&incident, pid)
}
