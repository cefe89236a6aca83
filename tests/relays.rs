//! Signals that a wrapper passes on: whoever signalled the wrapper did it.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use harness::{Agent, Killer, Record, Run, Victim, killer, needs_program, needs_root, test};

const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;

fn main() -> ExitCode {
    harness::main(vec![
        test("shell_with_a_trap", shell_with_a_trap),
        test("shell_with_a_trap_that_kills_harder", shell_with_a_trap_that_kills_harder),
        test("two_shells_in_a_row", two_shells_in_a_row),
        test("timeout_that_is_told_to_end", timeout_that_is_told_to_end),
        test("run_passes_on", run_passes_on),
        test("shell_that_kills_of_its_own", shell_that_kills_of_its_own),
        test("relay_that_ends_is_no_incident", relay_that_ends_is_no_incident),
        test("children_of_a_relay_are_no_targets", children_of_a_relay_are_no_targets),
    ])
}

/// A shell that starts `sleep`, says which pid that has, and does `on_term` when it gets SIGTERM.
fn wrapper(on_term: &str) -> Result<(Victim, u32)> {
    needs_root()?;
    let script =
        format!("trap '{on_term}' TERM; sleep 1000 & child=$!; echo ready $child; while :; do wait; done");
    let shell = Victim::spawn(Command::new("bash").args(["-c", &script]))?;
    let child = *shell.told()?.first().context("the shell told no pid")?;
    Ok((shell, child))
}

/// The sender is the wrapper, the culprit is not.
fn expect_relayed(incident: &Record, signal: i32, relay: u32, killer: &Killer) -> Result<()> {
    incident.expect_killed(signal)?;
    // timeout(1) sends SIGCONT after it.
    let is_it = |sent: &serde_json::Value| {
        sent["signal_num"] == signal
            && *sent.pointer("/sender/pid").unwrap_or(&serde_json::Value::Null) == relay
    };
    ensure!(incident.list("signals")?.iter().any(is_it), incident.fault("the wrapper did not send it"));
    killer.expect(incident, "verdict.culprit")?;
    incident.expect("verdict.cause", "external-kill")?;
    incident.expect_part("verdict.summary", "passed it on")?;
    let links = incident.list("verdict.chain")?;
    let last = links.last().context("no chain")?;
    ensure!(last.to_string().contains("passed "), incident.fault("the chain does not end at the wrapper"));
    Ok(())
}

fn shell_with_a_trap() -> Result<()> {
    let (shell, child) = wrapper("kill $child")?;
    let mut agent = Agent::watch_pid(child)?;
    let killer = killer(&["kill", &shell.pid().to_string(), "15"])?;
    let incident = agent.incident_of(child)?;
    expect_relayed(&incident, SIGTERM, shell.pid(), &killer)?;
    // A shell may do what it likes with what it receives.
    incident.expect("verdict.confidence", "likely")?;
    agent.stop()?;
    Ok(())
}

fn shell_with_a_trap_that_kills_harder() -> Result<()> {
    let (shell, child) = wrapper("kill -9 $child")?;
    let mut agent = Agent::watch_pid(child)?;
    let killer = killer(&["kill", &shell.pid().to_string(), "15"])?;
    expect_relayed(&agent.incident_of(child)?, SIGKILL, shell.pid(), &killer)?;
    agent.stop()?;
    Ok(())
}

fn two_shells_in_a_row() -> Result<()> {
    needs_root()?;
    let inner =
        "trap 'kill $child' TERM; sleep 1000 & child=$!; echo ready $$ $child; while :; do wait; done";
    let outer = "trap 'kill $inner' TERM; bash -c \"$0\" & inner=$!; while :; do wait; done";
    let shell = Victim::spawn(Command::new("bash").args(["-c", outer, inner]))?;
    let told = shell.told()?;
    let (relay, child) = (*told.first().context("no shell")?, *told.get(1).context("no child")?);
    let mut agent = Agent::watch_pid(child)?;
    let killer = killer(&["kill", &shell.pid().to_string(), "15"])?;
    let incident = agent.incident_of(child)?;
    expect_relayed(&incident, SIGTERM, relay, &killer)?;
    incident.expect_part("verdict.summary", &format!("(pid {})", shell.pid()))?;
    harness::killer(&["kill", &shell.pid().to_string(), "9"])?;
    harness::killer(&["kill", &relay.to_string(), "9"])?;
    agent.stop()?;
    Ok(())
}

/// `timeout` passes on what it is sent; its time was not over.
fn timeout_that_is_told_to_end() -> Result<()> {
    needs_root()?;
    needs_program("timeout")?;
    let mut timeout = Command::new("timeout");
    timeout.args(["1000", "sh", "-c", "echo ready $$; exec sleep 1000"]);
    let timeout = Victim::spawn(&mut timeout)?;
    let child = *timeout.told()?.first().context("no pid")?;
    let mut agent = Agent::watch_pid(child)?;
    let killer = killer(&["kill", &timeout.pid().to_string(), "15"])?;
    let incident = agent.incident_of(child)?;
    expect_relayed(&incident, SIGTERM, timeout.pid(), &killer)?;
    incident.expect("verdict.confidence", "certain")?;
    agent.stop()?;
    Ok(())
}

/// The agent itself is the relay when it runs a command.
fn run_passes_on() -> Result<()> {
    let run = Run::start(&["sh", "-c", "echo ready; exec sleep 1000"])?;
    ensure!(run.line()?.trim() == "ready", "the command does not run");
    let agent = run.pid();
    let killer = killer(&["kill", &agent.to_string(), "15"])?;
    let ran = run.finish()?;
    let incident = ran.report.last().context("no incident")?;
    expect_relayed(incident, SIGTERM, agent, &killer)?;
    ensure!(ran.status.code() == Some(128 + SIGTERM), "it ended with {}", ran.status);
    Ok(())
}

fn shell_that_kills_of_its_own() -> Result<()> {
    needs_root()?;
    let script = "sleep 1000 & child=$!; echo ready $child; read go; kill $child; read end";
    let mut shell = Victim::spawn(Command::new("bash").args(["-c", script]))?;
    let child = *shell.told()?.first().context("no pid")?;
    let mut agent = Agent::watch_pid(child)?;
    shell.go()?;
    let incident = agent.incident_of(child)?;
    incident.expect_killed(SIGTERM)?;
    incident.expect("verdict.culprit.pid", shell.pid())?;
    agent.stop()?;
    Ok(())
}

/// What is watched only for what it receives has no incident of its own, and its child is still explained.
fn relay_that_ends_is_no_incident() -> Result<()> {
    let (shell, child) = wrapper("true")?;
    let mut agent = Agent::watch_pid(child)?;
    killer(&["kill", &shell.pid().to_string(), "9"])?;
    let killer = killer(&["kill", &child.to_string(), "9"])?;
    let incident = agent.incident_of(child)?;
    killer.expect(&incident, "verdict.culprit")?;
    let other = agent.stop()?;
    ensure!(other.iter().all(|record| !record.is("incident")), "more incidents: {other:?}");
    Ok(())
}

fn children_of_a_relay_are_no_targets() -> Result<()> {
    needs_root()?;
    let script = "sleep 1000 & child=$!; echo ready $child; read go; sh -c 'exit 7'; sh -c 'kill -9 $$'; kill -9 $child";
    let mut shell = Victim::spawn(Command::new("bash").args(["-c", script]))?;
    let child = *shell.told()?.first().context("no pid")?;
    let mut agent = Agent::watch(&["--pid", &child.to_string(), "--follow-children"])?;
    shell.go()?;
    agent.incident_of(child)?.expect_killed(SIGKILL)?;
    let other = agent.stop()?;
    ensure!(other.iter().all(|record| !record.is("incident")), "more incidents: {other:?}");
    Ok(())
}
