//! What outlives the agent: it is killed, replaced, stopped, and nothing is forgotten.

mod many;
mod members;
mod noted;
mod places;
mod replaced;
mod scene;

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail, ensure};
use harness::{Agent, Victim, WorkDir, agent_program, needs_root, output, test};
use libc::{SIGKILL, SIGTERM};

use many::a_hundred_deaths_around_a_hundred_of_the_agent;
use members::members_that_came_and_went_meanwhile;
use noted::{an_end_after_what_is_not_known_any_more, what_came_after_a_request_that_was_survived};
use places::{a_directory_of_somebody_else, one_name_in_two_places, what_cannot_be_pinned};
use replaced::{
    another_build_takes_over, records_of_another_version_are_not_read, the_remains_of_a_start_are_cleared,
};
use scene::{Scene, crash, kill};

fn main() -> ExitCode {
    harness::main(vec![
        test("a_death_between_two_agents", a_death_between_two_agents),
        test("what_was_open_goes_on", what_was_open_goes_on),
        test("an_orderly_stop_keeps_the_programs", an_orderly_stop_keeps_the_programs),
        test(
            "a_hundred_deaths_around_a_hundred_of_the_agent",
            a_hundred_deaths_around_a_hundred_of_the_agent,
        ),
        test("members_that_came_and_went_meanwhile", members_that_came_and_went_meanwhile),
        test("another_build_takes_over", another_build_takes_over),
        test("records_of_another_version_are_not_read", records_of_another_version_are_not_read),
        test("the_remains_of_a_start_are_cleared", the_remains_of_a_start_are_cleared),
        test("what_came_after_a_request_that_was_survived", what_came_after_a_request_that_was_survived),
        test("an_end_after_what_is_not_known_any_more", an_end_after_what_is_not_known_any_more),
        test("what_cannot_be_pinned", what_cannot_be_pinned),
        test("a_directory_of_somebody_else", a_directory_of_somebody_else),
        test("one_name_in_two_places", one_name_in_two_places),
        test("the_second_agent", the_second_agent),
        test("detach_removes_everything", detach_removes_everything),
        test("without_a_bpf_file_system", without_a_bpf_file_system),
        test("what_does_not_go_together", what_does_not_go_together),
    ])
}

fn a_death_between_two_agents() -> Result<()> {
    let scene = Scene::new()?;
    let mut victim = Victim::start(&["sleep"])?;
    let agent = scene.agent_of(&victim)?;
    agent.ready().expect("persist", "new")?;
    let (first, by) = crash(agent)?;
    let killer = kill(victim.pid(), SIGKILL)?;
    victim.wait()?;
    let mut agent = scene.agent_of(&victim)?;
    agent.ready().expect("persist", "adopted")?;
    let incident = agent.incident_of(victim.pid())?;
    killer.expect_blamed(&incident, "signals.0")?;
    incident.expect("verdict.cause", "external-kill")?;
    incident.expect("verdict.confidence", "certain")?;
    incident.expect("target.name", "victim")?;
    incident.expect("lost.records", 0)?;
    // The agent is a process like any other.
    by.expect_blamed(&agent.incident_of(first)?, "signals.0")?;
    let second = agent.pid();
    let rest = agent.stop()?;
    ensure!(!rest.iter().any(|record| record.is("incident") || record.is("loss")), "{rest:?}");
    let [stored] = &scene.stored(victim.pid())?[..] else { bail!("not stored once") };
    stored.expect("id", incident.text("id")?)?;

    // What was told is not told again, neither by records nor as a gap; the stop of the agent is.
    let mut agent = scene.agent(&["--comm", "nobody-has-this"])?;
    let stopped = agent.incident_of(second)?;
    stopped.expect("outcome.exit_code", 0)?;
    let rest = agent.stop()?;
    ensure!(!rest.iter().any(|record| record.is("incident")), "{rest:?}");
    Ok(())
}

/// A request to end that one agent recorded, the end in nobody's time: one incident with both signals.
fn what_was_open_goes_on() -> Result<()> {
    let scene = Scene::new()?;
    let mut victim = Victim::that_tells_of_sigterm()?;
    let agent = scene.agent_of(&victim)?;
    let asked = kill(victim.pid(), SIGTERM)?;
    ensure!(victim.line()? == "asked");
    let open = scene.open(1)?;
    crash(agent)?;
    // The next one goes on with it, and is killed as well.
    let agent = scene.agent_of(&victim)?;
    kill(victim.pid(), SIGTERM)?;
    ensure!(victim.line()? == "asked");
    let grown = scene.open(2)?;
    ensure!(grown.facts.id == open.facts.id, "it goes on under another id");
    ensure!(grown.facts.context == open.facts.context, "the context is another one");
    crash(agent)?;
    let killer = kill(victim.pid(), SIGKILL)?;
    victim.wait()?;
    let mut agent = scene.agent_of(&victim)?;
    let incident = agent.incident_of(victim.pid())?;
    incident.expect("id", open.facts.id)?;
    killer.expect_blamed(&incident, "signals.2")?;
    let signals = incident.list("signals")?;
    ensure!(signals.len() == 3, incident.fault("not all signals"));
    incident.expect("signals.0.signal", "SIGTERM")?;
    incident.expect("signals.0.sender.pid", asked.pid)?;
    incident.expect("lost.records", 0)?;
    ensure!(incident.at("context.pid") == victim.pid(), incident.fault("the context is gone"));
    agent.stop()?;
    ensure!(scene.stored(victim.pid())?.len() == 1, "stored more than once");
    Ok(())
}

fn an_orderly_stop_keeps_the_programs() -> Result<()> {
    let scene = Scene::new()?;
    let mut victim = Victim::start(&["sleep"])?;
    scene.agent_of(&victim)?.stop()?;
    let killer = kill(victim.pid(), SIGKILL)?;
    victim.wait()?;
    let mut agent = scene.agent_of(&victim)?;
    killer.expect_blamed(&agent.incident_of(victim.pid())?, "signals.0")?;
    agent.stop().map(drop)
}

fn the_second_agent() -> Result<()> {
    let scene = Scene::new()?;
    let mut victim = Victim::start(&["sleep"])?;
    let mut first = scene.agent_of(&victim)?;
    let holder = format!("belongs to the agent with pid {}", first.pid());
    let mut second = scene.agent_of(&victim)?;
    let said = second.stderr();
    ensure!(said.contains(&holder), "{said:?}");
    ensure!(second.ready().at("persist").is_null(), "it says that it outlives itself");
    let refused = scene.detach()?;
    ensure!(refused.status.code() == Some(1) && refused.stderr.contains(&holder), "{refused:?}");
    let killer = kill(victim.pid(), SIGKILL)?;
    victim.wait()?;
    for agent in [&mut first, &mut second] {
        killer.expect_blamed(&agent.incident_of(victim.pid())?, "signals.0")?;
    }
    second.stop()?;
    first.stop().map(drop)
}

fn detach_removes_everything() -> Result<()> {
    let scene = Scene::new()?;
    let victim = Victim::start(&["sleep"])?;
    scene.agent_of(&victim)?.stop()?;
    let name = scene.directory.file_name().and_then(|name| name.to_str()).context("no name")?.to_owned();
    let beside = || -> Result<usize> {
        let entries = std::fs::read_dir("/run/forensics-agent")?;
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        Ok(names.filter(|found| found.starts_with(&name)).count())
    };
    ensure!(scene.directory.is_dir() && beside()? > 0, "nothing is pinned");
    let removed = scene.detach()?;
    ensure!(removed.status.success() && removed.stdout.starts_with("removed "), "{removed:?}");
    ensure!(!scene.directory.exists() && beside()? == 0, "something stays");
    let again = scene.detach()?;
    ensure!(again.status.success() && again.stdout.starts_with("nothing is pinned in "), "{again:?}");
    let nowhere = output(Command::new(agent_program()?).args(["detach", "/nowhere/at/all"]))?;
    ensure!(nowhere.status.success() && nowhere.stdout.starts_with("nothing is pinned"), "{nowhere:?}");
    Ok(())
}

fn without_a_bpf_file_system() -> Result<()> {
    needs_root()?;
    let directory = WorkDir::new()?;
    let mut victim = Victim::start(&["sleep"])?;
    let persist = format!("--persist={}", directory.join("pins").display());
    let mut agent = Agent::watch(&["--pid", &victim.pid().to_string(), &persist])?;
    let said = agent.stderr();
    ensure!(said.contains("mount -t bpf -o mode=0700 bpf /sys/fs/bpf"), "{said:?}");
    let killer = kill(victim.pid(), SIGKILL)?;
    victim.wait()?;
    killer.expect_blamed(&agent.incident_of(victim.pid())?, "signals.0")?;
    agent.stop().map(drop)
}

fn what_does_not_go_together() -> Result<()> {
    needs_root()?;
    for (options, word) in [
        (["--store", "none"], "needs a store"),
        (["--instigator", "syscalls"], "system calls"),
        (["--ebpf-log", "debug"], "--ebpf-log"),
        (["--once", "--quiet"], "--once"),
    ] {
        let mut command = Command::new(agent_program()?);
        command.args(["watch", "--comm", "nobody-has-this", "--persist"]).args(options);
        let said = output(&mut command)?;
        ensure!(said.status.code() == Some(2) && said.stderr.contains(word), "{said:?}");
        ensure!(said.stderr.lines().count() == 1, "{said:?}");
    }
    Ok(())
}
