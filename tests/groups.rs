//! Signals at whole process groups: why the victim was in the group.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use harness::{Agent, Killer, Record, Victim, needs_program, needs_root, test};

fn main() -> ExitCode {
    harness::main(vec![
        test("leader_of_its_own_group", leader_of_its_own_group),
        test("child_of_the_leader", child_of_the_leader),
        test("part_of_a_pipe", part_of_a_pipe),
        test("leader_that_has_ended", leader_that_has_ended),
        test("sender_in_the_group", sender_in_the_group),
        test("single_process", single_process),
    ])
}

/// The incident of a process whose group is killed.
fn killed(pid: u32, group: u32) -> Result<Record> {
    let mut agent = Agent::watch_pid(pid)?;
    let killer =
        Killer::run(Command::new(harness::killer_program()?).args(["pgrp", &group.to_string(), "9"]))?;
    let incident = agent.incident_of(pid)?;
    incident.expect_killed(libc::SIGKILL)?;
    incident.expect("kill.group.id", group)?;
    incident.expect("verdict.cause", "external-kill")?;
    killer.expect(&incident, "verdict.culprit")?;
    incident.expect_evidence(&format!("It went to the whole process group {group}."))?;
    agent.stop()?;
    Ok(incident)
}

fn leader_of_its_own_group() -> Result<()> {
    needs_root()?;
    needs_program("setsid")?;
    let victim = Victim::spawn(Command::new("setsid").args(["sh", "-c", "echo ready; exec sleep 1000"]))?;
    let incident = killed(victim.pid(), victim.pid())?;
    incident.expect_evidence("itself and leads it")
}

fn child_of_the_leader() -> Result<()> {
    needs_root()?;
    needs_program("setsid")?;
    let leader =
        Victim::spawn(Command::new("setsid").args(["sh", "-c", "sleep 1000 & echo ready $!; wait"]))?;
    let child = *leader.told()?.first().context("no child")?;
    let incident = killed(child, leader.pid())?;
    incident.expect_evidence(&format!("(pid {}), from which the target descends", leader.pid()))
}

/// A shell with job control puts the parts of a pipe into one group.
fn part_of_a_pipe() -> Result<()> {
    needs_root()?;
    let script = "set -m; (echo $BASHPID >&3; exec sleep 1000) 3>&1 1>&2 | sleep 1000 & \
                  echo ready $(jobs -p) $!; read end";
    let shell = Victim::spawn(Command::new("bash").args(["-c", script]))?;
    let [leader, last] = shell.told()?[..] else { bail!("the shell told no pids") };
    let incident = killed(last, leader)?;
    incident.expect_evidence("is a job of `bash -c")?;
    incident.expect_evidence(&format!("(pid {leader}), which runs beside the target"))
}

/// The group outlives its leader, whose number stays taken.
fn leader_that_has_ended() -> Result<()> {
    needs_root()?;
    needs_program("setsid")?;
    let script = "sleep 1000 & echo ready $! $$; exit 0";
    let mut leader = Victim::spawn(Command::new("setsid").args(["sh", "-c", script]))?;
    let [child, group] = leader.told()?[..] else { bail!("the shell told no pids") };
    leader.wait()?;
    let incident = killed(child, group)?;
    // Who it was is known when the agent was there; here it came later.
    incident.expect_evidence(&format!("process group {group}"))
}

fn sender_in_the_group() -> Result<()> {
    needs_root()?;
    needs_program("setsid")?;
    let script = "sleep 1000 & echo ready $!; read go; kill -9 0";
    let mut leader = Victim::spawn(Command::new("setsid").args(["sh", "-c", script]))?;
    let child = *leader.told()?.first().context("no child")?;
    let mut agent = Agent::watch_pid(child)?;
    leader.go()?;
    let incident = agent.incident_of(child)?;
    agent.stop()?;
    incident.expect("verdict.culprit.pid", leader.pid())?;
    incident.expect("kill.group.id", leader.pid())?;
    incident.expect_evidence("the whole process group of its sender")?;
    incident.expect_evidence("Sender and target share")
}

fn single_process() -> Result<()> {
    let victim = Victim::start(&["sleep"])?;
    let mut agent = Agent::watch_pid(victim.pid())?;
    harness::killer(&["kill", &victim.pid().to_string(), "9"])?;
    let incident = agent.incident_of(victim.pid())?;
    agent.stop()?;
    incident.expect("kill.group", serde_json::Value::Null)
}
