//! Incidents that are kept: by one agent, for whoever asks later.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use harness::{Agent, Finished, Record, Victim, WorkDir, agent_program, killer, needs_root, output, test};

fn main() -> ExitCode {
    harness::main(vec![
        test("kept_for_later", kept_for_later),
        test("again_and_again", again_and_again),
        test("disk_that_takes_nothing", disk_that_takes_nothing),
    ])
}

/// Asks the store by a command of its own.
fn ask(arguments: &[&str], store: &str) -> Result<Finished> {
    output(Command::new(agent_program()?).args(arguments).args(["--store", store]))
}

fn kept_for_later() -> Result<()> {
    needs_root()?;
    let directory = WorkDir::new()?;
    let store = directory.join("kept.db").display().to_string();
    let mut victim = Victim::start(&["sleep"])?;
    let pid = victim.pid().to_string();
    let mut agent = Agent::watch(&["--pid", &pid, "--store", &store])?;
    killer(&["kill", &pid, "9"])?;
    let printed = agent.incident_of(victim.pid())?;
    victim.wait()?;
    agent.stop()?;

    let shown = ask(&["show", "last", "-o", "json"], &store)?;
    ensure!(shown.status.success(), "{shown:?}");
    let shown = Record::parse(shown.stdout.trim())?;
    shown.expect("id", printed.at("id").clone())?;
    shown.expect("verdict.summary", printed.at("verdict.summary").clone())?;
    let id = printed.text("id")?;
    let end = id.get(id.len() - 8..).context("a short id")?;
    let text = ask(&["show", end], &store)?;
    ensure!(text.stdout.contains(printed.text("verdict.summary")?), "{text:?}");
    let list = ask(&["list", "--since", "-1h", "--target", &pid], &store)?;
    ensure!(list.stdout.contains("external-kill") && list.stdout.contains(end), "{list:?}");
    let none = ask(&["list", "--until", "-1h", "-o", "json"], &store)?;
    ensure!(none.status.success() && none.stdout.is_empty(), "{none:?}");
    let stats = ask(&["stats", "-o", "json"], &store)?;
    Record::parse(stats.stdout.trim())?.expect("incidents", 1)?;
    let nobody = ask(&["show", "ffffffff"], &store)?;
    ensure!(nobody.status.code() == Some(2) && nobody.stderr.contains("ffffffff"), "{nobody:?}");
    Ok(())
}

/// The fourth end of a program tells of the three before, two of which another agent saw.
fn again_and_again() -> Result<()> {
    needs_root()?;
    let directory = WorkDir::new()?;
    let store = directory.join("kept.db").display().to_string();
    let name = format!("v{}", std::process::id());
    let program = directory.copy(&harness::victim_program()?, &name)?;
    let mut last = None;
    for _ in 0..2 {
        let mut agent = Agent::watch(&["--comm", &name, "--store", &store])?;
        for _ in 0..2 {
            let mut victim = Victim::spawn(Command::new(&program).arg("sleep"))?;
            killer(&["kill", &victim.pid().to_string(), "15"])?;
            last = Some(agent.incident_of(victim.pid())?);
            victim.wait()?;
        }
        agent.stop()?;
    }
    let last = last.context("no incident")?;
    last.expect("history.count", 4)?;
    let told = last.list("verdict.evidence")?.iter().any(|said| {
        said.as_str().is_some_and(|said| said.contains("It is the 4th end of ") && said.contains(&name))
    });
    ensure!(told, last.fault("its history is not told"));
    Ok(())
}

/// What could not be stored is told, and the watching goes on.
fn disk_that_takes_nothing() -> Result<()> {
    needs_root()?;
    let mut agent = Agent::watch(&["--comm", "nobody-has-this", "--store", "/dev/full/incidents.db"])?;
    agent.ready();
    let directory = WorkDir::new()?;
    agent.stop()?;
    let file = directory.join("incidents.db");
    std::fs::create_dir(&file)?;
    let mut victim = Victim::start(&["sleep"])?;
    let pid = victim.pid().to_string();
    agent = Agent::watch(&["--pid", &pid, "--store", &file.display().to_string()])?;
    killer(&["kill", &pid, "9"])?;
    let incident = agent.incident_of(victim.pid())?;
    incident.expect_killed(9)?;
    victim.wait()?;
    let rest = agent.stop()?;
    let told = rest.iter().any(|line| line.is("loss") && line.at("not_stored.id") == incident.at("id"));
    ensure!(told, "nothing says that it was not stored: {rest:?}");
    Ok(())
}
