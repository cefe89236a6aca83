//! Sessions of logind.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use anyhow::{Context as _, Result, ensure};
use harness::{Agent, Machine, PATIENCE, wait};
use serde_json::Value;

/// A process in the background of a session, as the machine counts, and what holds the session.
fn session(machine: &Machine) -> Result<(u32, Child)> {
    machine.user("carol", 1072)?;
    machine.write("/etc/systemd/logind.conf.d/kill.conf", "[Login]\nKillUserProcesses=yes\n")?;
    machine.sh("systemctl restart systemd-logind")?;
    // The shell of the session lasts as long as its standard input.
    let mut login = machine.inside("su");
    login.args(["--login", "carol", "--command", "sleep 1000 & echo $!; read -r gate"]);
    let mut login = login.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(login.stdout.take().context("no output")?).read_line(&mut line)?;
    let inner: u32 = line.trim().parse().with_context(|| format!("{line:?} is no pid"))?;
    let scope = machine.sh(&format!("cat /proc/{inner}/cgroup"))?;
    ensure!(scope.contains("/session-"), "it is in no session: {scope}");
    Ok((inner, login))
}

/// With `KillUserProcesses=yes`, what a user left in the background ends with the session.
pub(crate) fn processes_of_a_session_that_ends() -> Result<()> {
    let machine = Machine::get()?;
    let (inner, mut login) = session(machine)?;
    let pid = machine.host_pid(inner)?;
    let mut agent = Agent::start(machine.agent_beside(), &["--pid", &pid.to_string()])?;
    drop(login.stdin.take());
    wait(&mut login, PATIENCE)?;
    let incident = agent.explained_incident_of(pid)?;
    incident.expect("signals.0.sender.name", "systemd")?;
    ensure!(
        incident.text("target.unit")?.starts_with("session-"),
        incident.fault("the target is in no session's scope")
    );
    incident.expect("verdict.cause", "session-end")?;
    // Neither the manager nor whoever logged out is a killer.
    incident.expect("verdict.culprit", Value::Null)?;
    agent.stop().map(drop)
}

/// Somebody ends the session of somebody else.
pub(crate) fn session_that_is_terminated() -> Result<()> {
    let machine = Machine::get()?;
    let (inner, mut login) = session(machine)?;
    let pid = machine.host_pid(inner)?;
    let mut agent = Agent::start(machine.agent_beside(), &["--pid", &pid.to_string()])?;
    let scope = machine.sh(&format!("grep -o 'session-[^.]*' /proc/{inner}/cgroup | head -n 1"))?;
    let id = scope.strip_prefix("session-").context("it is in no session")?;
    machine.sh(&format!("loginctl terminate-session {id}"))?;
    let incident = agent.incident_of(pid)?;
    incident.expect("verdict.cause", "session-end")?;
    let asker = incident.text("verdict.instigator.process.cmdline")?;
    ensure!(
        asker.ends_with(&format!("loginctl terminate-session {id}")),
        incident.fault("somebody else asked")
    );
    let request = incident.text("verdict.instigator.request")?;
    ensure!(request.starts_with("TerminateSession"), incident.fault("it asked for something else"));
    agent.stop()?;
    drop(login.stdin.take());
    // It was in the session.
    wait(&mut login, PATIENCE).map(drop)
}
