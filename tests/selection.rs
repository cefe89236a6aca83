//! Which processes are watched: those that are there, those that start later, and their children.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use harness::{Agent, Skip, Victim, WorkDir, killer, needs_root, test, unique, victim_program};
use libc::SIGTERM;

fn main() -> ExitCode {
    harness::main(vec![
        test("comm_of_a_process_that_starts_later", comm_of_a_process_that_starts_later),
        test("exe_of_a_process_that_starts_later", exe_of_a_process_that_starts_later),
        test("match_of_a_process_that_starts_later", match_of_a_process_that_starts_later),
        test("match_of_a_process_that_is_there", match_of_a_process_that_is_there),
        test("pidfile", pidfile),
        test("configuration_and_command_line_add_up", configuration_and_command_line_add_up),
        test("follow_children", follow_children),
        test("others_are_not_reported", others_are_not_reported),
        test("all_with_their_cgroups", all_with_their_cgroups),
        test("once_ends_after_the_first_incident", once_ends_after_the_first_incident),
    ])
}

/// Starts a victim when the agent is already there, kills it, and expects its incident.
fn later(selector: &[&str], start: impl FnOnce() -> Result<Victim>) -> Result<()> {
    let mut agent = Agent::watch(selector)?;
    let targets = agent.ready().list("targets")?;
    ensure!(targets.is_empty(), agent.ready().fault("something is watched before it is there"));
    let victim = start()?;
    let killer = killer(&["kill", &victim.pid().to_string(), "15"])?;
    let incident = agent.incident_of(victim.pid())?;
    incident.expect_killed(SIGTERM)?;
    let signal = incident.expect_last_signal(SIGTERM, "kill")?;
    killer.expect_blamed(&incident, &signal)?;
    agent.stop()?;
    Ok(())
}

fn comm_of_a_process_that_starts_later() -> Result<()> {
    let directory = WorkDir::new()?;
    // `comm` has 15 bytes.
    let name = format!("gw{}", unique());
    ensure!(name.len() <= 15, "{name} is too long");
    let program = directory.copy(&victim_program()?, &name)?;
    later(&["--comm", &name], || Victim::spawn(Command::new(&program).arg("sleep")))
}

fn exe_of_a_process_that_starts_later() -> Result<()> {
    let directory = WorkDir::new()?;
    let program = directory.copy(&victim_program()?, "gateway")?;
    later(&["--exe", &program.to_string_lossy()], || Victim::spawn(Command::new(&program).arg("sleep")))
}

fn match_of_a_process_that_starts_later() -> Result<()> {
    let tag = unique();
    later(&["--match", &format!("victim sleep {tag}$")], || Victim::start(&["sleep", &tag]))
}

fn match_of_a_process_that_is_there() -> Result<()> {
    let tag = unique();
    let victim = Victim::start(&["sleep", &tag])?;
    let mut agent = Agent::watch(&["--match", &format!("victim sleep {tag}$")])?;
    agent.ready().expect("targets.0.pid", victim.pid())?;
    ensure!(agent.ready().list("targets")?.len() == 1, agent.ready().fault("more than one target"));
    killer(&["kill", &victim.pid().to_string(), "15"])?;
    agent.incident_of(victim.pid())?.expect_killed(SIGTERM)?;
    agent.stop()?;
    Ok(())
}

fn pidfile() -> Result<()> {
    needs_root()?;
    let directory = WorkDir::new()?;
    let file = directory.join("gateway.pid");
    let victim = Victim::start(&["sleep"])?;
    std::fs::write(&file, format!("{}\n", victim.pid()))?;
    let mut agent = Agent::watch(&["--pidfile", &file.to_string_lossy()])?;
    agent.ready().expect("targets.0.pid", victim.pid())?;
    killer(&["kill", &victim.pid().to_string(), "15"])?;
    agent.incident_of(victim.pid())?.expect_killed(SIGTERM)?;
    agent.stop()?;
    Ok(())
}

fn configuration_and_command_line_add_up() -> Result<()> {
    needs_root()?;
    let directory = WorkDir::new()?;
    let (tag, config) = (unique(), directory.join("config.toml"));
    std::fs::write(&config, format!("signals = \"TERM\"\n[targets]\nmatch = [\"victim sleep {tag}$\"]\n"))?;
    let [by_config, by_option] = [Victim::start(&["sleep", &tag])?, Victim::start(&["sleep"])?];
    let option = by_option.pid().to_string();
    let mut agent = Agent::watch(&["--config", &config.to_string_lossy(), "--pid", &option])?;
    for victim in [by_config, by_option] {
        killer(&["kill", &victim.pid().to_string(), "15"])?;
        agent.incident_of(victim.pid())?.expect_killed(SIGTERM)?;
    }
    agent.stop()?;
    Ok(())
}

fn follow_children() -> Result<()> {
    let mut victim = Victim::start(&["spawn"])?;
    let mut agent = Agent::watch(&["--follow-children", "--pid", &victim.pid().to_string()])?;
    victim.go()?;
    let line = victim.line()?;
    let child: u32 = line.strip_prefix("ready ").context("the child is not ready")?.parse()?;
    let killer = killer(&["kill", &child.to_string(), "15"])?;
    let incident = agent.incident_of(child)?;
    incident.expect_killed(SIGTERM)?;
    incident.expect("target.ppid", victim.pid())?;
    incident.expect("target.argv.1", "sleep")?;
    let signal = incident.expect_last_signal(SIGTERM, "kill")?;
    killer.expect_blamed(&incident, &signal)?;
    agent.stop()?;
    Ok(())
}

/// One of two is watched; both are killed, the other one first.
fn others_are_not_reported() -> Result<()> {
    let other = Victim::start(&["sleep"])?;
    let watched = Victim::start(&["sleep"])?;
    let mut agent = Agent::watch_pid(watched.pid())?;
    killer(&["kill", &other.pid().to_string(), "9"])?;
    killer(&["kill", &watched.pid().to_string(), "9"])?;
    agent.incident_of(watched.pid())?;
    let rest = agent.stop()?;
    ensure!(rest.is_empty(), "more was reported: {rest:?}");
    Ok(())
}

/// Of whom nobody named, the first record says where it is.
fn all_with_their_cgroups() -> Result<()> {
    needs_root()?;
    let unified = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
    let root = unified.into_iter().find(|root| root.join("cgroup.controllers").exists());
    let root = root.ok_or_else(|| Skip("needs the unified hierarchy of cgroups".to_owned()))?;
    let name = format!("forensics-tests-{}", unique());
    std::fs::create_dir(root.join(&name))?;
    let told = (|| {
        let mut victim = Victim::start(&["sleep"])?;
        std::fs::write(root.join(&name).join("cgroup.procs"), victim.pid().to_string())?;
        let mut agent = Agent::watch(&["--all"])?;
        killer(&["kill", &victim.pid().to_string(), "15"])?;
        let incident = agent.incident_of(victim.pid())?;
        victim.wait()?;
        incident.expect("target.cgroup", format!("/{name}"))?;
        agent.stop().map(drop)
    })();
    std::fs::remove_dir(root.join(&name))?;
    told
}

fn once_ends_after_the_first_incident() -> Result<()> {
    let first = Victim::start(&["sleep"])?;
    let second = Victim::start(&["sleep"])?;
    let pids = [first.pid().to_string(), second.pid().to_string()];
    let mut agent = Agent::watch(&["--once", "--pid", &pids[0], "--pid", &pids[1]])?;
    killer(&["kill", &pids[0], "9"])?;
    agent.incident_of(first.pid())?.expect_killed(libc::SIGKILL)?;
    agent.ended()?;
    Ok(())
}
