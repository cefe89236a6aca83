//! Programs that choose their victims by a pattern.

use std::process::{Command, ExitCode};

use anyhow::{Result, bail, ensure};
use harness::{Agent, Killer, Record, Skip, Victim, needs_program, needs_root, test, unique};

const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;

fn main() -> ExitCode {
    harness::main(vec![
        test("pkill_with_a_part_of_a_word", pkill_with_a_part_of_a_word),
        test("pkill_with_the_whole_word", pkill_with_the_whole_word),
        test("pkill_of_several", pkill_of_several),
        test("pgrep_and_xargs", pgrep_and_xargs),
        test("kill_with_a_pid", kill_with_a_pid),
        test("killall_by_name", killall_by_name),
        test("fuser_by_file", fuser_by_file),
    ])
}

/// Kills a victim whose command line ends in `--tag TAG99` by a command that is given the tag.
fn killed_by(command: impl Fn(&str) -> Command, signal: i32) -> Result<(Record, Killer)> {
    needs_root()?;
    let tag = unique();
    let victim = Victim::start(&["sleep", &format!("{tag}99")])?;
    let mut agent = Agent::watch_pid(victim.pid())?;
    let killer = Killer::run(&mut command(&tag))?;
    let incident = agent.incident_of(victim.pid())?;
    incident.expect_killed(signal)?;
    agent.stop()?;
    Ok((incident, killer))
}

fn pkill_with_a_part_of_a_word() -> Result<()> {
    needs_program("pkill")?;
    let pkill = |tag: &str| {
        let mut pkill = Command::new("pkill");
        pkill.args(["-9", "-f", &format!("victim sleep {tag}9")]);
        pkill
    };
    let (incident, killer) = killed_by(pkill, SIGKILL)?;
    incident.expect("verdict.cause", "pattern-kill")?;
    incident.expect("verdict.confidence", "certain")?;
    killer.expect(&incident, "verdict.culprit")?;
    incident.expect_part("verdict.summary", "in its command line")?;
    // The advice is for those whose pattern meets too much.
    incident.expect_part("verdict.advice", "-x")
}

fn pkill_with_the_whole_word() -> Result<()> {
    needs_program("pkill")?;
    let pkill = |tag: &str| {
        let mut pkill = Command::new("pkill");
        pkill.args(["--signal", "TERM", "--full", &format!("victim sleep {tag}99")]);
        pkill
    };
    let (incident, killer) = killed_by(pkill, SIGTERM)?;
    incident.expect("verdict.cause", "pattern-kill")?;
    killer.expect(&incident, "verdict.culprit")?;
    incident.expect("verdict.advice", serde_json::Value::Null)
}

/// Of those that it meets one is watched, and the others are counted.
fn pkill_of_several() -> Result<()> {
    needs_root()?;
    needs_program("pkill")?;
    let tag = unique();
    let victims = [1, 2, 3].map(|number| Victim::start(&["sleep", &format!("{tag}{number}")]));
    let [watched, one, other] = victims;
    let (watched, _one, _other) = (watched?, one?, other?);
    let mut agent = Agent::watch_pid(watched.pid())?;
    Killer::run(Command::new("pkill").args(["-9", "-f", &format!("victim sleep {tag}")]))?;
    let incident = agent.incident_of(watched.pid())?;
    incident.expect("verdict.cause", "pattern-kill")?;
    if incident.text("kernel")?.starts_with("5.10.") {
        bail!(Skip("what a sender does to others is counted on Linux 5.15 and newer".to_owned()));
    }
    // It may have been told before the last of them was hit, but not after nobody else was.
    let others = incident.number("kill.others")?;
    ensure!((1..=2).contains(&others), incident.fault("it met two others"));
    incident
        .expect_evidence("to another process")
        .or_else(|_| incident.expect_evidence("2 more times, to other processes"))?;
    agent.stop().map(drop)
}

fn pgrep_and_xargs() -> Result<()> {
    needs_program("pgrep")?;
    let pipe = |tag: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("pgrep -f 'sleep {tag}' | grep -v $$ | xargs kill -9; exit 0")]);
        shell
    };
    let (incident, _) = killed_by(pipe, SIGKILL)?;
    incident.expect("verdict.cause", "pattern-kill")?;
    incident.expect_part("verdict.culprit.cmdline", "kill -9")
}

fn kill_with_a_pid() -> Result<()> {
    needs_root()?;
    let victim = Victim::start(&["sleep"])?;
    let mut agent = Agent::watch_pid(victim.pid())?;
    let script = format!("kill -9 {}; exit 0", victim.pid());
    let killer = Killer::run(Command::new("sh").args(["-c", &script]))?;
    let incident = agent.incident_of(victim.pid())?;
    killer.expect_blamed(&incident, &incident.expect_last_signal(SIGKILL, "kill")?)?;
    agent.stop()?;
    Ok(())
}

fn killall_by_name() -> Result<()> {
    needs_root()?;
    needs_program("killall")?;
    // A name that nobody else has.
    let directory = harness::WorkDir::new()?;
    let name = format!("v{}", std::process::id());
    let program = directory.copy(&harness::victim_program()?, &name)?;
    let victim = Victim::spawn(Command::new(program).arg("sleep"))?;
    let mut agent = Agent::watch_pid(victim.pid())?;
    let killer = Killer::run(Command::new("killall").args(["-9", &name]))?;
    let incident = agent.incident_of(victim.pid())?;
    incident.expect_killed(SIGKILL)?;
    incident.expect("verdict.cause", "pattern-kill")?;
    killer.expect(&incident, "verdict.culprit")?;
    agent.stop()?;
    Ok(())
}

fn fuser_by_file() -> Result<()> {
    needs_root()?;
    needs_program("fuser")?;
    let directory = harness::WorkDir::new()?;
    let file = directory.join("used");
    std::fs::write(&file, "x")?;
    let script = "exec 3< \"$0\"; echo ready; exec sleep 1000";
    let victim = Victim::spawn(Command::new("sh").args(["-c", script]).arg(&file))?;
    let mut agent = Agent::watch_pid(victim.pid())?;
    // It complains about every file of the machine that it may not look at.
    let mut fuser = Command::new("fuser");
    fuser.args(["--silent", "-k"]).arg(&file).stderr(std::process::Stdio::null());
    let killer = Killer::run(&mut fuser)?;
    let incident = agent.incident_of(victim.pid())?;
    incident.expect_killed(SIGKILL)?;
    incident.expect("verdict.cause", "pattern-kill")?;
    killer.expect(&incident, "verdict.culprit")?;
    agent.stop()?;
    Ok(())
}
