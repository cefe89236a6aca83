//! What managers say of an end: their properties and their journal, and what the unit itself logged.

use anyhow::{Result, ensure};
use harness::{Agent, Machine, Record};
use serde_json::Value;

/// A service, and the agent that watches its main process.
struct Scene {
    machine: &'static Machine,
    pid: u32,
    agent: Agent,
}

impl Scene {
    fn new(name: &str, lines: &[&str]) -> Result<Self> {
        let machine = Machine::get()?;
        let pid = machine.host_pid(machine.service(name, lines)?)?;
        let agent = Agent::start(machine.agent_beside(), &["--pid", &pid.to_string()])?;
        Ok(Self { machine, pid, agent })
    }

    /// The next record of the end.
    fn record(&mut self) -> Result<Record> {
        self.agent.incident_of(self.pid)
    }

    /// The record with what the manager made of the end: the first one where that was known in time, else an update of it.
    fn settled(&mut self, first: Record) -> Result<Record> {
        if !first.at("unit_result").is_null() {
            return Ok(first);
        }
        // One that told what a busy journal owed may have come before.
        let updates = first.at("update").as_u64().unwrap_or(0);
        let update = self.record()?;
        update.expect("update", updates + 1)?;
        update.expect("id", first.text("id")?)?;
        update.expect("verdict.cause", first.text("verdict.cause")?)?;
        Ok(update)
    }
}

/// Waits for a file and then runs a script.
fn when_told(name: &str, script: &str) -> String {
    format!("ExecStart=/bin/sh -c 'until test -e /run/{name}-go; do sleep 0.05; done; {script}'")
}

fn tell(machine: &Machine, name: &str) -> Result<()> {
    machine.sh(&format!("touch /run/{name}-go")).map(drop)
}

fn texts(record: &Record) -> Result<Vec<&str>> {
    Ok(record.list("unit_log")?.iter().filter_map(|line| line["text"].as_str()).collect())
}

pub(crate) fn exit_with_its_last_words() -> Result<()> {
    let script = "echo opening the store; echo password=hunter2-is-long >&2; echo cannot open it; exit 3";
    let mut scene = Scene::new("s-exit", &[&when_told("s-exit", script)])?;
    tell(scene.machine, "s-exit")?;
    let first = scene.record()?;
    first.expect_exited(3)?;
    first.expect("verdict.cause", "exit")?;
    // A busy journal does not tell it in time, and then it comes in an update.
    let is_owed = first.list("missing")?.iter().any(|missing| missing["field"] == "unit_log");
    let first = if is_owed { scene.record()? } else { first };
    ensure!(
        texts(&first)? == ["opening the store", "password=[redacted]", "cannot open it"],
        first.fault("the log is another one")
    );
    first.expect("unit_log.2.identifier", "sh")?;
    let told = first.list("verdict.evidence")?.iter().filter_map(Value::as_str);
    let mut told = told.filter(|said| said.starts_with("The last that its unit logged"));
    ensure!(told.any(|said| said.contains("cannot open it")), first.fault("it is no evidence"));
    first.expect("manager.unit", "s-exit.service")?;
    ensure!(first.text("manager.invocation_id")?.len() == 32, first.fault("no run"));
    let last = scene.settled(first)?;
    last.expect("unit_result.result", "exit-code")?;
    last.expect("unit_result.restarted", false)?;
    last.expect_part("unit_result.why_not", "Restart=no")?;
    scene.agent.stop().map(drop)
}

/// The next run has a log of its own.
pub(crate) fn unit_that_is_started_again() -> Result<()> {
    let script = "echo run of $INVOCATION_ID; rm /run/s-again-go; exit 4";
    let lines = [&when_told("s-again", script), "Restart=always", "RestartSec=400ms"];
    let mut scene = Scene::new("s-again", &lines)?;
    tell(scene.machine, "s-again")?;
    let first = scene.record()?;
    first.expect_exited(4)?;
    let update = scene.settled(first)?;
    // A busy manager or journal does not answer in time for the first.
    let run = format!("run of {}", update.text("manager.invocation_id")?);
    ensure!(texts(&update)? == [run], update.fault("the log is another one"));
    update.expect("unit_result.result", "exit-code")?;
    update.expect("unit_result.restarted", true)?;
    update.expect("unit_result.n_restarts", 1)?;
    scene.agent.stop().map(drop)
}

pub(crate) fn unit_that_was_started_too_often() -> Result<()> {
    // The manager forgets the count when it reads its files anew, as other tests make it do at any time, and one that is too
    // busy does not tell.
    for attempt in 0.. {
        let name = format!("s-often-{attempt}");
        let script = when_told(&name, "exit 5");
        // The limit stands in [Unit].
        let limit = "StartLimitIntervalSec=1h";
        let lines = [script.as_str(), "Restart=always", "RestartSec=0", "[Unit]", "StartLimitBurst=1", limit];
        let mut scene = Scene::new(&name, &lines)?;
        tell(scene.machine, &name)?;
        let first = scene.record()?;
        let last = scene.settled(first)?;
        scene.agent.stop()?;
        if attempt < 5 && *last.at("unit_result.restarted") != Value::Bool(false) {
            continue;
        }
        last.expect("unit_result.restarted", false)?;
        return last.expect_part("unit_result.why_not", "started too often");
    }
    Ok(())
}

/// The kernel's records suffice, so nobody waits for the manager.
pub(crate) fn kill_that_the_manager_learns_of() -> Result<()> {
    let lines = ["ExecStart=/bin/sh -c 'sleep 1000 & exec sleep 1000'", "KillMode=process"];
    let mut scene = Scene::new("s-kill", &lines)?;
    scene.machine.sh("systemctl show --value -p MainPID s-kill | xargs kill -9")?;
    let first = scene.record()?;
    first.expect_killed(9)?;
    first.expect("manager", Value::Null)?;
    let update = scene.settled(first)?;
    update.expect("update", 1)?;
    update.expect("unit_result.result", "signal")?;
    update.expect("unit_result.restarted", false)?;
    update.expect("unit_result.residual.0.name", "sleep")?;
    scene.machine.sh("systemctl kill --kill-whom=all -s KILL s-kill; true")?;
    scene.agent.stop().map(drop)
}
