//! From the first signal to the end: what is ignored, what is handled, and what ends by itself.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use harness::{Agent, Record, Run, Victim, killer, test};
use libc::{SIGABRT, SIGKILL, SIGSEGV, SIGTERM};

fn main() -> ExitCode {
    harness::main(vec![
        test("ignored_sigterm_then_sigkill", ignored_sigterm_then_sigkill),
        test("graceful_exit_after_sigterm", graceful_exit_after_sigterm),
        test("exit_0", exit_0),
        test("exit_137_is_no_kill", exit_137_is_no_kill),
        test("self_kill", self_kill),
        test("abort", abort),
        test("segmentation_fault", segmentation_fault),
        test("run_of_a_shell_that_kills_itself", run_of_a_shell_that_kills_itself),
        test("run_of_timeout", run_of_timeout),
        test("run_exits_as_its_command", run_exits_as_its_command),
    ])
}

fn ignored_sigterm_then_sigkill() -> Result<()> {
    let victim = Victim::start(&["ignore", "15"])?;
    let mut agent = Agent::watch_pid(victim.pid())?;
    let pid = victim.pid().to_string();
    let first = killer(&["kill", &pid, "15", "politely"])?;
    let second = killer(&["kill", &pid, "9", "for good"])?;
    let incident = agent.incident_of(victim.pid())?;
    incident.expect_killed(SIGKILL)?;
    incident.expect("signals.0.signal", "SIGTERM")?;
    incident.expect("signals.0.result", "ignored")?;
    first.expect(&incident, "signals.0.sender")?;
    let signal = incident.expect_last_signal(SIGKILL, "kill")?;
    incident.expect(&format!("{signal}.result"), "delivered")?;
    second.expect_blamed(&incident, &signal)?;
    agent.stop()?;
    Ok(())
}

/// It exited, and not by itself: somebody had asked it to. That the one follows from the other is likely, no more.
fn graceful_exit_after_sigterm() -> Result<()> {
    let mut victim = Victim::start(&["drain", "0"])?;
    let mut agent = Agent::watch_pid(victim.pid())?;
    let killer = killer(&["kill", &victim.pid().to_string(), "15"])?;
    ensure!(victim.wait()?.code() == Some(0), "the victim did not drain");
    let incident = agent.incident_of(victim.pid())?;
    incident.expect_exited(0)?;
    let signal = incident.expect_last_signal(SIGTERM, "kill")?;
    killer.expect_blamed(&incident, &signal)?;
    incident.expect("verdict.confidence", "likely")?;
    agent.stop()?;
    Ok(())
}

/// The incident of a victim that ends in a mode of its own.
fn ends(mode: &[&str]) -> Result<(u32, Record)> {
    let mut victim = Victim::start(mode)?;
    let mut agent = Agent::watch_pid(victim.pid())?;
    victim.go()?;
    let incident = agent.incident_of(victim.pid())?;
    agent.stop()?;
    Ok((victim.pid(), incident))
}

fn exit_0() -> Result<()> {
    let (_, incident) = ends(&["exit", "0"])?;
    incident.expect_exited(0)?;
    incident.expect("verdict.cause", "exit")?;
    ensure!(incident.list("signals")?.is_empty(), incident.fault("nobody sent a signal"));
    Ok(())
}

/// 137 is what a shell says of a SIGKILL; here it is only a number.
fn exit_137_is_no_kill() -> Result<()> {
    let (pid, incident) = ends(&["exit", "137"])?;
    incident.expect_exited(137)?;
    incident.expect("verdict.cause", "exit")?;
    incident.expect_part("verdict.summary", "137")?;
    blames_nobody_else(&incident, pid)?;
    let evidence = incident.at("verdict").to_string();
    ensure!(
        evidence.contains("SIGKILL"),
        incident.fault("the verdict does not say that it only looks like SIGKILL")
    );
    Ok(())
}

fn self_kill() -> Result<()> {
    let (pid, incident) = ends(&["raise", "9"])?;
    incident.expect_killed(SIGKILL)?;
    let signal = incident.expect_last_signal(SIGKILL, "tgkill")?;
    incident.expect(&format!("{signal}.sender.pid"), pid)?;
    incident.expect("verdict.cause", "self-kill")?;
    incident.expect("verdict.culprit.pid", pid)
}

fn abort() -> Result<()> {
    let (pid, incident) = ends(&["abort"])?;
    incident.expect_killed(SIGABRT)?;
    incident.expect("verdict.cause", "crash")?;
    blames_nobody_else(&incident, pid)
}

fn segmentation_fault() -> Result<()> {
    let (pid, incident) = ends(&["segv"])?;
    incident.expect_killed(SIGSEGV)?;
    let signal = incident.expect_last_signal(SIGSEGV, "fault")?;
    incident.expect(&format!("{signal}.sender"), serde_json::Value::Null)?;
    incident.expect(&format!("{signal}.fault_address"), 8)?;
    incident.expect("verdict.cause", "crash")?;
    blames_nobody_else(&incident, pid)
}

/// The culprit is nobody, or the victim itself.
fn blames_nobody_else(incident: &Record, pid: u32) -> Result<()> {
    let culprit = incident.at("verdict.culprit");
    ensure!(
        culprit.is_null() || incident.at("verdict.culprit.pid") == pid,
        incident.fault("somebody is blamed")
    );
    Ok(())
}

fn run_of_a_shell_that_kills_itself() -> Result<()> {
    let ran = Run::command(&["sh", "-c", "sleep 60 & kill -9 $$"])?;
    ensure!(ran.status.code() == Some(137), "run ended with {}: {}", ran.status, ran.stderr);
    let incident = ran.incident()?;
    incident.expect_killed(SIGKILL)?;
    incident.expect("verdict.cause", "self-kill")?;
    let pid = incident.number("target.pid")?;
    incident.expect("verdict.culprit.pid", pid)?;
    let summary = incident.text("verdict.summary")?;
    ensure!(
        ran.stderr.contains("SIGKILL"),
        "no verdict on stderr: {:?}; it should say {summary:?}",
        ran.stderr
    );
    Ok(())
}

fn run_of_timeout() -> Result<()> {
    let ran = Run::command(&["timeout", "1", "sleep", "9"])?;
    ensure!(ran.status.code() == Some(124), "run ended with {}: {}", ran.status, ran.stderr);
    let incident = ran.incident()?;
    incident.expect_exited(124)?;
    incident.expect("verdict.cause", "timeout-command")?;
    Ok(())
}

fn run_exits_as_its_command() -> Result<()> {
    let ran = Run::command(&["sh", "-c", "exit 42"])?;
    ensure!(ran.status.code() == Some(42), "run ended with {}: {}", ran.status, ran.stderr);
    ran.incident()?.expect_exited(42)?;

    let gone = harness::output(std::process::Command::new(harness::agent_program()?).args([
        "run",
        "--",
        "/no/such/program",
    ]))?;
    ensure!(gone.status.code() == Some(127), "{gone:?}");
    ensure!(gone.stderr.contains("/no/such/program"), "{gone:?}");
    Ok(())
}
