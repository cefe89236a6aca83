//! What cannot be done is said in one sentence, with the right exit status, at once.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::{Result, ensure};
use harness::{Agent, Finished, Victim, WorkDir, agent_program, needs_root, output, test};

fn main() -> ExitCode {
    harness::main(vec![
        test("pid_that_does_not_exist", pid_that_does_not_exist),
        test("pidfile_that_does_not_exist", pidfile_that_does_not_exist),
        test("no_target", no_target),
        test("configuration_without_targets", configuration_without_targets),
        test("not_root", not_root),
        test("the_agent_itself", the_agent_itself),
        test("doctor_agrees_with_watch", doctor_agrees_with_watch),
        test("stops_on_sigint_and_sigterm", stops_on_sigint_and_sigterm),
    ])
}

/// One line on stderr that names the input, nothing on stdout, and this exit status.
fn refused(finished: &Finished, code: i32, named: &str) -> Result<()> {
    ensure!(finished.status.code() == Some(code), "not {code}: {finished:?}");
    ensure!(finished.stdout.is_empty(), "something on stdout: {finished:?}");
    ensure!(finished.stderr.lines().count() == 1, "not one line: {finished:?}");
    ensure!(finished.stderr.contains(named), "{named} is not named: {finished:?}");
    ensure!(!finished.stderr.contains("panicked"), "a panic: {finished:?}");
    Ok(())
}

fn pid_that_does_not_exist() -> Result<()> {
    needs_root()?;
    let pid = {
        let mut victim = Victim::start(&["exit", "0"])?;
        victim.go()?;
        victim.wait()?;
        victim.pid().to_string()
    };
    refused(&output(Command::new(agent_program()?).args(["watch", "--pid", &pid]))?, 2, &pid)
}

fn pidfile_that_does_not_exist() -> Result<()> {
    needs_root()?;
    let finished = output(Command::new(agent_program()?).args(["watch", "--pidfile", "/no/such.pid"]))?;
    refused(&finished, 2, "/no/such.pid")
}

fn no_target() -> Result<()> {
    let finished = output(Command::new(agent_program()?).arg("watch"))?;
    refused(&finished, 2, "--pid")
}

fn configuration_without_targets() -> Result<()> {
    let directory = WorkDir::new()?;
    let config = directory.join("config.toml");
    std::fs::write(&config, "signals = \"TERM\"\n")?;
    let finished = output(Command::new(agent_program()?).arg("watch").arg("--config").arg(&config))?;
    refused(&finished, 2, &config.to_string_lossy())
}

fn not_root() -> Result<()> {
    needs_root()?;
    let victim = Victim::start(&["sleep"])?;
    // A copy where anyone may run it: the build directory may be closed to others.
    let directory = WorkDir::new()?;
    let agent = directory.copy(&agent_program()?, "forensics-agent")?;
    let pid = victim.pid().to_string();
    let finished = output(Command::new(agent).args(["watch", "--pid", &pid]).uid(65534).gid(65534))?;
    refused(&finished, 4, "root")
}

fn the_agent_itself() -> Result<()> {
    needs_root()?;
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"exec "$0" watch --pid $$"#]).arg(agent_program()?);
    refused(&output(&mut shell)?, 2, "itself")
}

fn doctor_agrees_with_watch() -> Result<()> {
    let victim = Victim::start(&["sleep"])?;
    Agent::watch_pid(victim.pid())?.stop()?;
    let doctor = output(Command::new(agent_program()?).arg("doctor"))?;
    ensure!(doctor.status.code() == Some(0), "watch works and doctor says otherwise: {doctor:?}");
    Ok(())
}

fn stops_on_sigint_and_sigterm() -> Result<()> {
    let victim = Victim::start(&["sleep"])?;
    Agent::watch_pid(victim.pid())?.stop()?;
    let agent = Agent::watch_pid(victim.pid())?;
    harness::killer(&["kill", &agent.pid().to_string(), "15"])?;
    agent.ended()?;
    Ok(())
}
