//! Services that go into the background: the main process is one that a member has forked, and the manager says which.

use anyhow::Result;
use harness::{Agent, Machine, killer};

use crate::members::{host, no_more, pids};

/// Whoever starts it is gone by the time that it serves.
pub(crate) fn a_daemon_by_its_main_process() -> Result<()> {
    let machine = Machine::get()?;
    let mut agent = Agent::start(machine.agent_beside(), &["-u", "u-daemon", "--main"])?;
    let start = "ExecStart=/bin/sh -c '(sleep 1011 & echo $! > /run/u-daemon.pid; wait) & sleep 0.3'";
    machine.unit("u-daemon", "", &["Type=forking", "PIDFile=/run/u-daemon.pid", start])?;
    machine.sh("systemctl start u-daemon; sleep 5")?;
    let members = pids(machine, "u-daemon", 2)?;
    let main: u32 = machine.sh("systemctl show --value -p MainPID u-daemon")?.parse()?;
    machine.sh("systemctl stop u-daemon")?;
    let incident = agent.find_incident(|_| true)?;
    incident.expect("target.pid", host(&members, main)?)?;
    no_more(agent, &[incident])
}

/// Its starter, a member, has forked it; its workers were forked in the same way, and may end as they like.
pub(crate) fn a_daemon_that_fails() -> Result<()> {
    let machine = Machine::get()?;
    let agent = Agent::start(machine.agent_beside(), &["-u", "u-fails"])?;
    let main = start_daemon(machine, "u-fails")?;
    fail_daemon(machine, "u-fails")?;
    daemon_has_failed(agent, "u-fails", main)
}

/// When the agent learns that it was there, it has failed already: only then its manager is asked which process it was.
pub(crate) fn a_daemon_that_failed_before() -> Result<()> {
    let machine = Machine::get()?;
    let agent = Agent::start(machine.agent_beside(), &["-u", "u-failed"])?;
    let suspended = Suspended::new(agent.pid())?;
    let main = start_daemon(machine, "u-failed")?;
    fail_daemon(machine, "u-failed")?;
    machine.until("systemctl is-failed u-failed")?;
    drop(suspended);
    daemon_has_failed(agent, "u-failed", main)
}

/// A process that does not run while this lives.
struct Suspended(u32);

impl Suspended {
    fn new(pid: u32) -> Result<Self> {
        killer(&["kill", &pid.to_string(), "19"]).map(|_| Self(pid))
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        // The test fails then.
        let _ = killer(&["kill", &self.0.to_string(), "18"]);
    }
}

/// Starts a service that goes into the background; returns its main process, by the pid that the host has for it.
fn start_daemon(machine: &Machine, name: &str) -> Result<u32> {
    machine.sh(&format!("rm -f /run/{name}.*; mkfifo /run/{name}.fifo"))?;
    let daemon = format!("echo $$ > /run/{name}.pid; (exit 4) & wait; read how < /run/{name}.fifo; exit 3");
    machine.write(&format!("/run/{name}.sh"), &format!("{daemon}\n"))?;
    let start = format!("ExecStart=/bin/sh -c 'sh /run/{name}.sh & sleep 0.3'");
    machine.unit(name, "", &["Type=forking", &format!("PIDFile=/run/{name}.pid"), &start])?;
    machine.sh(&format!("systemctl start {name}"))?;
    let main: u32 = machine.sh(&format!("systemctl show --value -p MainPID {name}"))?.parse()?;
    machine.host_pid(main)
}

fn fail_daemon(machine: &Machine, name: &str) -> Result<()> {
    machine.sh(&format!("echo now > /run/{name}.fifo")).map(drop)
}

/// Asserts that the end of the daemon and that of its starter are told, and nothing else.
fn daemon_has_failed(mut agent: Agent, name: &str, pid: u32) -> Result<()> {
    // The manager started that as well.
    let starter = agent.find_incident(|record| record.at("target.pid") != pid)?;
    starter.expect_exited(0)?;
    let incident = agent.incident_of(pid)?;
    incident.expect_exited(3)?;
    incident.expect("manager.unit", format!("{name}.service"))?;
    no_more(agent, &[starter, incident])
}
