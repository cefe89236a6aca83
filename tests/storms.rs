//! Many signals, and many victims: each is accounted for.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use harness::{Agent, Record, Victim, killer, needs_python, needs_root, test, unique, victim_program};
use libc::{SIGKILL, SIGTERM, SIGUSR1};

fn main() -> ExitCode {
    harness::main(vec![
        test("fifty_thousand_signals_before_the_kill", fifty_thousand_signals_before_the_kill),
        test("fifty_thousand_ignored_signals", fifty_thousand_ignored_signals),
        test("two_hundred_victims_at_once", two_hundred_victims_at_once),
        test("crowd_whose_parent_does_not_care", crowd_whose_parent_does_not_care),
        test("signals_at_those_who_are_ending", signals_at_those_who_are_ending),
    ])
}

const STORM: u64 = 50_000;

fn fifty_thousand_signals_before_the_kill() -> Result<()> {
    storm("handle")
}

fn fifty_thousand_ignored_signals() -> Result<()> {
    storm("ignore")
}

fn storm(mode: &str) -> Result<()> {
    let victim = Victim::start(&[mode, &SIGUSR1.to_string()])?;
    let mut agent = Agent::watch_pid(victim.pid())?;
    let pid = victim.pid().to_string();
    let killer = killer(&["storm", &pid, &SIGUSR1.to_string(), &STORM.to_string(), "9"])?;
    let incident = agent.incident_of(victim.pid())?;
    incident.expect_killed(SIGKILL)?;
    let signal = incident.expect_last_signal(SIGKILL, "kill")?;
    killer.expect_blamed(&incident, &signal)?;
    let (usr1, kill) = (count(&incident, SIGUSR1)?, count(&incident, SIGKILL)?);
    ensure!(usr1 == STORM, incident.fault(format!("{usr1} of {STORM} signals are accounted for")));
    ensure!(kill == 1, incident.fault(format!("{kill} SIGKILLs instead of one")));
    agent.stop()?;
    Ok(())
}

/// How often a signal came: folded ones count.
fn count(incident: &Record, number: i32) -> Result<u64> {
    let mut count = 0;
    for index in 0..incident.list("signals")?.len() {
        if incident.at(&format!("signals.{index}.signal_num")) == number {
            count += 1 + incident.number(&format!("signals.{index}.repeated"))?;
        }
    }
    Ok(count)
}

fn two_hundred_victims_at_once() -> Result<()> {
    const VICTIMS: usize = 200;
    let tag = unique();
    let mut victims = Vec::new();
    let mut group = 0;
    for _ in 0..VICTIMS {
        let mut command = Command::new(victim_program()?);
        let victim = Victim::spawn(command.args(["sleep", &tag]).process_group(group))?;
        if group == 0 {
            group = i32::try_from(victim.pid()).context("a pid beyond the range")?;
        }
        victims.push(victim);
    }
    let mut agent = Agent::watch(&["--match", &format!("victim sleep {tag}$")])?;
    let targets = agent.ready().list("targets")?.len();
    ensure!(targets == VICTIMS, agent.ready().fault(format!("{targets} targets")));
    let killer = killer(&["pgrp", &group.to_string(), "9"])?;
    for victim in &victims {
        let incident = agent.incident_of(victim.pid())?;
        incident.expect_killed(SIGKILL)?;
        let signal = incident.expect_last_signal(SIGKILL, "kill")?;
        killer.expect_blamed(&incident, &signal)?;
    }
    let rest = agent.stop()?;
    let more: BTreeSet<u64> = rest
        .iter()
        .filter(|record| record.is("incident"))
        .map(|record| record.number("target.pid"))
        .collect::<Result<_>>()?;
    ensure!(more.is_empty(), "more than one incident for {more:?}");
    // From Linux 7.0 on the kernel skips programs in a crowd; all were told of all the same.
    let is_fault = |record: &&Record| record.is("loss") && record.at("total") != record.at("skipped");
    ensure!(!rest.iter().any(|record| is_fault(&record)), "records were lost: {rest:?}");
    Ok(())
}

/// What a parent is told stands in for an end that the kernel skipped; this one is told nothing.
fn crowd_whose_parent_does_not_care() -> Result<()> {
    needs_root()?;
    let parent = parent("careless.py", &["60", "sleep", "100"])?;
    let pids = parent.told()?;
    let group = pids.first().context("no pids")?.to_string();
    let mut agent = watch_each(&pids)?;
    let killer = killer(&["pgrp", &group, "9"])?;
    let mut unseen = 0;
    for &pid in &pids {
        let incident = agent.incident_of(pid)?;
        incident.expect("verdict.cause", "external-kill")?;
        killer.expect(&incident, "verdict.culprit")?;
        if incident.at("outcome.kind") == "unknown" {
            unseen += 1;
            let missing = incident.list("missing")?;
            ensure!(missing.iter().any(|missing| missing["field"] == "outcome"), incident.fault("not told"));
        } else {
            incident.expect_killed(SIGKILL)?;
        }
    }
    let rest = agent.stop()?;
    let skipped = rest.iter().filter(|record| record.is("loss")).map(|record| record.number("skipped"));
    let skipped = skipped.collect::<Result<Vec<u64>>>()?.into_iter().max().unwrap_or(0);
    ensure!(skipped >= unseen, "{unseen} ends were not seen, and {skipped} records told as skipped");
    Ok(())
}

/// The record of a signal is made while its target ends on another CPU. Whichever comes first, nothing is lost with that.
fn signals_at_those_who_are_ending() -> Result<()> {
    needs_root()?;
    let mut sender = parent("relentless.py", &["100"])?;
    let pids = sender.told()?;
    let mut agent = watch_each(&pids)?;
    for &pid in &pids {
        sender.go()?;
        agent.incident_of(pid)?.expect_killed(SIGTERM)?;
    }
    agent.stop().map(drop)
}

/// Starts a program that has children, and tells their pids.
fn parent(program: &str, arguments: &[&str]) -> Result<Victim> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs").join(program);
    Victim::spawn(Command::new(needs_python()?).arg(program).args(arguments))
}

fn watch_each(pids: &[u32]) -> Result<Agent> {
    let arguments: Vec<String> = pids.iter().flat_map(|pid| ["--pid".to_owned(), pid.to_string()]).collect();
    Agent::watch(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}
