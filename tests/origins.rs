//! Where a sender comes from: a CI runner, a script of logrotate, an editor, a terminal that outlives logins.

use std::process::{Command, ExitCode, Stdio};

use anyhow::{Result, ensure};
use harness::{
    Agent, Killer, Record, Victim, WorkDir, needs_program, needs_root, test, unique, victim_program,
};

fn main() -> ExitCode {
    harness::main(vec![
        test("orphan_of_a_github_job", orphan_of_a_github_job),
        test("process_that_was_kept_from_the_runner", process_that_was_kept_from_the_runner),
        test("script_of_logrotate", script_of_logrotate),
        test("command_of_vim", command_of_vim),
        test("shell_in_tmux", shell_in_tmux),
        test("plain_shell", plain_shell),
    ])
}

fn told(incident: &Record) -> String {
    incident.at("verdict.evidence").to_string()
}

fn expect_told(incident: &Record, words: &str) -> Result<()> {
    ensure!(told(incident).contains(words), incident.fault(format!("{words:?} is not told")));
    Ok(())
}

/// The runner ends what has its tracking id in the environment; here it is a program of that name that does.
fn killed_by_runner(tracking_id: &str) -> Result<Record> {
    needs_root()?;
    let directory = WorkDir::new()?;
    let runner = directory.copy(&harness::killer_program()?, "Runner.Worker")?;
    let mut command = Command::new(victim_program()?);
    let victim = Victim::spawn(command.arg("sleep").env("RUNNER_TRACKING_ID", tracking_id))?;
    let mut agent = Agent::watch_pid(victim.pid())?;
    let killer = Killer::run(Command::new(runner).args(["kill", &victim.pid().to_string(), "9"]))?;
    let incident = agent.incident_of(victim.pid())?;
    agent.stop()?;
    killer.expect(&incident, "verdict.culprit")?;
    incident.expect("verdict.cause", "external-kill")?;
    incident.expect("verdict.intent", "automatic")?;
    expect_told(&incident, "calls an orphan process")?;
    ensure!(!incident.to_string().contains("github_4711"), incident.fault("the value was kept"));
    Ok(incident)
}

fn orphan_of_a_github_job() -> Result<()> {
    let incident = killed_by_runner("github_4711")?;
    incident.expect("kill.job_cookies", vec!["RUNNER_TRACKING_ID"])?;
    expect_told(&incident, "The environment of the target has RUNNER_TRACKING_ID")?;
    incident.expect_part("verdict.advice", "RUNNER_TRACKING_ID")
}

fn process_that_was_kept_from_the_runner() -> Result<()> {
    let incident = killed_by_runner("")?;
    incident.expect("kill.job_cookies", serde_json::Value::Null)?;
    ensure!(!told(&incident).contains("RUNNER_TRACKING_ID"), incident.fault("it has none"));
    Ok(())
}

/// The incident of a victim that is killed by a command which is given its pid.
fn killed_by(command: impl FnOnce(&WorkDir, u32) -> Result<Command>) -> Result<Record> {
    let directory = WorkDir::new()?;
    let victim = Victim::start(&["sleep"])?;
    let mut agent = Agent::watch_pid(victim.pid())?;
    Killer::run(&mut command(&directory, victim.pid())?)?;
    let incident = agent.incident_of(victim.pid())?;
    agent.stop()?;
    Ok(incident)
}

fn script_of_logrotate() -> Result<()> {
    needs_root()?;
    needs_program("logrotate")?;
    let incident = killed_by(|directory, pid| {
        let (log, config) = (directory.join("log"), directory.join("config"));
        std::fs::write(&log, "a line\n")?;
        let text = format!("\"{}\" {{\n  postrotate\n    kill -9 {pid}\n  endscript\n}}\n", log.display());
        std::fs::write(&config, text)?;
        let mut logrotate = Command::new("logrotate");
        logrotate.arg("--force").arg("--state").arg(directory.join("state")).arg(config);
        Ok(logrotate)
    })?;
    incident.expect("verdict.intent", "automatic")?;
    expect_told(&incident, "It was a script of logrotate")
}

fn command_of_vim() -> Result<()> {
    needs_root()?;
    needs_program("vim")?;
    let incident = killed_by(|_, pid| {
        let mut vim = Command::new("vim");
        vim.args(["-u", "NONE", "-es", "-c", &format!("silent !kill -9 {pid}"), "-c", "qall!"]);
        vim.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(vim)
    })?;
    incident.expect("verdict.intent", "deliberate")?;
    expect_told(&incident, "It was run in an editor")
}

fn shell_in_tmux() -> Result<()> {
    needs_root()?;
    needs_program("tmux")?;
    let socket = format!("forensics-tests-{}", unique());
    let incident = killed_by(|_, pid| {
        let mut tmux = Command::new("tmux");
        tmux.args([
            "-L",
            &socket,
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            &format!("kill -9 {pid}; sleep 1"),
        ]);
        tmux.env_remove("TMUX");
        Ok(tmux)
    })?;
    expect_told(&incident, "It was run in a terminal that outlives logins")
}

fn plain_shell() -> Result<()> {
    needs_root()?;
    let incident = killed_by(|_, pid| {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("kill -9 {pid}; exit 0"), "logrotate", "vim"]);
        Ok(shell)
    })?;
    for words in ["logrotate", "an editor"] {
        ensure!(!told(&incident).contains(words), incident.fault(format!("{words} has no part in it")));
    }
    Ok(())
}
