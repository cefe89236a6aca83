//! What the next agent makes of targets that an earlier one left: within one boot, and over the boundary of two.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use forensics_agent::store::{Filter, State, Store, Summary};
use harness::{
    Agent, Finished, PATIENCE, Record, Victim, WorkDir, killer, needs_python, needs_root, output, test,
};
use libc::{SIGKILL, SIGTERM};
use serde_json::Value;

fn main() -> ExitCode {
    harness::main(vec![
        test("an_end_that_no_agent_saw", an_end_that_no_agent_saw),
        test("an_orderly_stop_is_no_gap", an_orderly_stop_is_no_gap),
        test("what_was_told_is_not_told_again", what_was_told_is_not_told_again),
        test("what_was_recorded_before_the_gap", what_was_recorded_before_the_gap),
        test("another_boot", another_boot),
        test("two_agents_at_once", two_agents_at_once),
    ])
}

struct Scene {
    directory: WorkDir,
    store: PathBuf,
}

impl Scene {
    fn new() -> Result<Self> {
        needs_root()?;
        let directory = WorkDir::new()?;
        let store = directory.join("kept.db");
        Ok(Self { directory, store })
    }

    fn agent(&self, targets: &[&str]) -> Result<Agent> {
        let store = self.store.display().to_string();
        Agent::watch(&[targets, &["--store", &store]].concat())
    }

    /// What is in the store.
    fn stored(&self) -> Result<Vec<Summary>> {
        Ok(Store::read(&self.store)?.list(&Filter::default(), 10)?)
    }

    /// An agent that has noted exactly these targets.
    fn noting(&self, targets: &[u32]) -> Result<Agent> {
        let pids: Vec<String> = targets.iter().map(ToString::to_string).collect();
        let options: Vec<&str> = pids.iter().flat_map(|pid| ["--pid", pid.as_str()]).collect();
        let agent = self.agent(&options)?;
        self.wait_until(&agent, targets)?;
        Ok(agent)
    }

    fn wait_until(&self, agent: &Agent, targets: &[u32]) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let runs = Store::read(&self.store).and_then(|store| store.runs()).unwrap_or_default();
            let noted = runs.into_iter().find(|(run, _)| run.agent.pid == agent.pid());
            let noted: Option<Vec<u32>> =
                noted.map(|(_, targets)| targets.iter().map(|target| target.pid).collect());
            if noted.as_deref() == Some(targets) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{noted:?} is noted, not {targets:?}: {}", agent.stderr());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Another agent, which has nothing to watch, until it has dealt with what the earlier ones left.
    fn next(&self, earlier: &[u32]) -> Result<Agent> {
        let agent = self.agent(&["--comm", "nobody-has-this"])?;
        let deadline = Instant::now() + PATIENCE;
        while Store::read(&self.store)?.runs()?.iter().any(|(run, _)| earlier.contains(&run.agent.pid)) {
            ensure!(Instant::now() < deadline, "the earlier run stays: {}", agent.stderr());
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(agent)
    }

    /// The incidents that the next agent tells of what earlier ones left.
    fn left(&self, earlier: &[u32]) -> Result<Vec<Record>> {
        let rest = self.next(earlier)?.stop()?;
        Ok(rest.into_iter().filter(|record| record.is("incident")).collect())
    }

    /// As if the earlier runs had been of another boot, or under another pid 1.
    fn change_runs(&self, change: &str) -> Result<()> {
        let script = "import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as database:
    database.execute('UPDATE runs SET ' + sys.argv[2])";
        let mut command = Command::new(needs_python()?);
        let said: Finished = output(command.args(["-c", script]).arg(&self.store).arg(change))?;
        ensure!(said.status.success(), "{said:?}");
        Ok(())
    }
}

/// Ends an agent as a crash would.
fn crash(agent: Agent) -> Result<u32> {
    let pid = agent.pid();
    killer(&["kill", &pid.to_string(), &SIGKILL.to_string()])?;
    drop(agent);
    Ok(pid)
}

fn kill(victim: &mut Victim) -> Result<()> {
    killer(&["kill", &victim.pid().to_string(), &SIGKILL.to_string()])?;
    victim.wait().map(drop)
}

fn an_end_that_no_agent_saw() -> Result<()> {
    let scene = Scene::new()?;
    let (mut victim, mut survivor) = (Victim::start(&["sleep"])?, Victim::start(&["sleep"])?);
    let mut both = [victim.pid(), survivor.pid()];
    both.sort_unstable();
    let earlier = crash(scene.noting(&both)?)?;
    kill(&mut victim)?;
    let told = scene.left(&[earlier])?;
    let [incident] = &told[..] else { anyhow::bail!("{told:?}") };
    incident.expect("target.pid", victim.pid())?;
    incident.expect("target.name", "victim")?;
    incident.expect("outcome.kind", "unknown")?;
    incident.expect("verdict.cause", "agent-gap")?;
    incident.expect("verdict.confidence", "possible")?;
    incident.expect("verdict.culprit", Value::Null)?;
    incident.expect("aftermath.agent_pid", earlier)?;
    let stored = scene.stored()?;
    ensure!(stored.len() == 1 && stored.iter().all(|row| row.cause == "agent-gap"), "{stored:?}");
    ensure!(scene.left(&[])?.is_empty(), "it is told twice");
    kill(&mut survivor)
}

fn an_orderly_stop_is_no_gap() -> Result<()> {
    let scene = Scene::new()?;
    let mut victim = Victim::start(&["sleep"])?;
    let agent = scene.noting(&[victim.pid()])?;
    let earlier = agent.pid();
    agent.stop()?;
    kill(&mut victim)?;
    let told = scene.left(&[earlier])?;
    ensure!(told.is_empty(), "a false alarm: {told:?}");
    Ok(())
}

/// The agent dies in the second in which it has told of the end, and not noted yet that the target is gone.
fn what_was_told_is_not_told_again() -> Result<()> {
    let scene = Scene::new()?;
    let mut victim = Victim::start(&["sleep"])?;
    let mut agent = scene.noting(&[victim.pid()])?;
    kill(&mut victim)?;
    agent.incident_of(victim.pid())?;
    let deadline = Instant::now() + PATIENCE;
    // Since the signal it is stored as open.
    while !scene.stored()?.iter().any(|row| row.state == State::Closed) {
        ensure!(Instant::now() < deadline, "it is not stored");
    }
    let earlier = crash(agent)?;
    let told = scene.left(&[earlier])?;
    ensure!(told.is_empty(), "told twice: {told:?}");
    Ok(())
}

/// A request to end that the earlier agent recorded, and an end that nobody saw: one incident, with its sender.
fn what_was_recorded_before_the_gap() -> Result<()> {
    let scene = Scene::new()?;
    let mut victim = Victim::that_tells_of_sigterm()?;
    let agent = scene.noting(&[victim.pid()])?;
    let asked = killer(&["kill", &victim.pid().to_string(), &SIGTERM.to_string()])?;
    ensure!(victim.line()? == "asked");
    let deadline = Instant::now() + PATIENCE;
    let open = loop {
        let open = Store::read(&scene.store)?.open_incidents()?;
        if let Some(open) = open.into_iter().next() {
            break open;
        }
        ensure!(Instant::now() < deadline, "no open incident is stored");
    };
    let earlier = crash(agent)?;
    kill(&mut victim)?;
    let told = scene.left(&[earlier])?;
    let [incident] = &told[..] else { anyhow::bail!("{told:?}") };
    incident.expect("id", open.facts.id)?;
    incident.expect("verdict.cause", "external-kill")?;
    incident.expect("verdict.confidence", "likely")?;
    incident.expect("verdict.culprit.pid", asked.pid)?;
    incident.expect_part("verdict.summary", "its end was not seen")
}

fn another_boot() -> Result<()> {
    let scene = Scene::new()?;
    let mut victim = Victim::start(&["sleep"])?;
    let crashed = crash(scene.noting(&[victim.pid()])?)?;
    let boot_id = "00112233445566778899aabbccddeeff";
    scene.change_runs(&format!("boot_id = '{boot_id}'"))?;
    // That its pid is another's by now, or its own, says nothing of that boot.
    let told = scene.left(&[crashed])?;
    let [incident] = &told[..] else { anyhow::bail!("{told:?}") };
    incident.expect("boot_id", boot_id)?;
    incident.expect("target.pid", victim.pid())?;
    incident.expect("verdict.cause", "host-crash")?;
    incident.expect("verdict.culprit", Value::Null)?;
    ensure!(incident.at("verdict.confidence") != "certain", incident.fault("nobody can be certain"));

    let crashed = crash(scene.noting(&[victim.pid()])?)?;
    scene.change_runs("init_start = init_start + 5000000000")?;
    let told = scene.left(&[crashed])?;
    let incident = told.first().context("nothing is told of another pid 1")?;
    incident.expect("aftermath.gap", "init")?;
    incident.expect("verdict.cause", "host-crash")?;

    let agent = scene.noting(&[victim.pid()])?;
    let stopped = agent.pid();
    agent.stop()?;
    scene.change_runs(&format!("boot_id = '{boot_id}'"))?;
    let told = scene.left(&[stopped])?;
    ensure!(told.is_empty(), "a false alarm after an orderly stop: {told:?}");
    kill(&mut victim)
}

/// One that is at work beside another takes nothing from it.
fn two_agents_at_once() -> Result<()> {
    let scene = Scene::new()?;
    let mut victim = Victim::start(&["sleep"])?;
    let mut first = scene.noting(&[victim.pid()])?;
    let told = scene.left(&[])?;
    ensure!(told.is_empty(), "the other's target: {told:?}");
    scene.wait_until(&first, &[victim.pid()])?;
    kill(&mut victim)?;
    first.incident_of(victim.pid())?.expect_killed(SIGKILL)?;
    first.stop()?;
    ensure!(Path::new(&scene.directory.join("kept.db")).exists());
    Ok(())
}
