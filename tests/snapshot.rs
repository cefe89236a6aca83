//! `snapshot`, as a gateway or an operator runs it.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use harness::{
    Finished, Record, Victim, WorkDir, agent_program, needs_program, needs_python, needs_root, output, test,
};
use serde_json::Value;

fn main() -> ExitCode {
    harness::main(vec![
        test("same_as_the_seed", same_as_the_seed),
        test("the_caller_is_the_parent", the_caller_is_the_parent),
        test("caller_that_is_su", caller_that_is_su),
        test("line", line),
        test("no_such_process", no_such_process),
    ])
}

/// Both look at one process, which has everything that a context can tell of but a tracer.
fn same_as_the_seed() -> Result<()> {
    let python = needs_python()?;
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs/own_context.py");
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("../xtask/src/bench");
    let home = WorkDir::new()?;
    let mut python = Command::new(python);
    python.arg(programs).arg(module).env("HERMES_HOME", home.join("")).env("INVOCATION_ID", "0123abcd");
    let mut gateway =
        Victim::spawn(python.env("JOURNAL_STREAM", "8:1234").env("PYTHONDONTWRITEBYTECODE", "1"))?;
    let pid = gateway.pid();
    for name in [".gateway-takeover.json", ".gateway-planned-stop.json"] {
        std::fs::write(home.join(name), format!("{{\"target_pid\": {pid}, \"by\": \"é\"}}"))?;
    }

    let agent = agent_program()?;
    let taken = output(Command::new(agent).args(["snapshot", "-p", &pid.to_string(), "--signal", "TERM"]))?;
    ensure!(taken.status.success(), "{taken:?}");
    let agents = Record::parse(&taken.stdout)?;
    gateway.go()?;
    let seeds = Record::parse(&gateway.line()?)?;

    ensure!(agents.keys() == seeds.keys(), "other keys: {agents}, {seeds}");
    for key in seeds.keys() {
        let (ours, theirs) = (agents.at(&key), seeds.at(&key));
        match key.as_str() {
            "ts" | "ts_monotonic" | "loadavg_1m" => {
                ensure!(ours.is_f64() && theirs.is_f64(), "{key} of another type: {ours}, {theirs}");
                let apart = ours.as_f64().unwrap_or_default() - theirs.as_f64().unwrap_or(f64::MAX);
                ensure!(apart.abs() < 10.0, "{key}: {ours} and {theirs}");
            }
            "self" | "parent" => {
                // A process that looks at itself runs.
                let without_state = |summary: &Value| {
                    let mut summary = summary.as_object().cloned().unwrap_or_default();
                    let state = summary.remove("state");
                    (summary, state.is_some_and(|state| state.is_string()))
                };
                ensure!(without_state(ours) == without_state(theirs), "{key}: {ours} and {theirs}");
            }
            _ => ensure!(ours == theirs, "{key}: {ours} and {theirs}"),
        }
    }
    let at = |key: &str| taken.stdout.find(&format!("\"{key}\":")).unwrap_or(usize::MAX);
    ensure!(at("loadavg_1m") < at("parent") && at("pid") < at("ts"), "the keys are not printed sorted");
    gateway.go()?;
    ensure!(gateway.wait()?.success(), "the seed did not end well");
    Ok(())
}

fn the_caller_is_the_parent() -> Result<()> {
    let script = format!("{} snapshot; echo $$", agent_program()?.display());
    let said = output(Command::new("sh").args(["-c", &script]))?;
    let (context, shell) = said.stdout.trim().split_once('\n').with_context(|| format!("{said:?}"))?;
    let context = Record::parse(context)?;
    context.expect("pid", shell.parse::<u32>()?)?;
    context.expect("self.name", "sh")?;
    context.expect("signal", "UNKNOWN")?;
    context.expect("signal_num", Value::Null)
}

fn caller_that_is_su() -> Result<()> {
    needs_root()?;
    needs_program("su")?;
    let agent = agent_program()?;
    let agent = agent.display();
    let su = |command: &str| output(Command::new("su").args(["root", "-s", "/bin/sh", "-c", command]));
    // The shell that su starts becomes the agent.
    let refused = su(&format!("exec {agent} snapshot"))?;
    ensure!(refused.status.code() == Some(2) && refused.stdout.is_empty(), "{refused:?}");
    ensure!(
        refused.stderr.lines().count() == 1 && refused.stderr.contains("the caller is su"),
        "{refused:?}"
    );
    let named = su(&format!("exec {agent} snapshot -p {}", std::process::id()))?;
    Record::parse(&named.stdout)?.expect("pid", std::process::id())
}

fn line() -> Result<()> {
    let pid = std::process::id().to_string();
    let agent = agent_program()?;
    for (signal, name) in [("SIGTERM", "SIGTERM"), ("9", "signal#9"), ("RTMIN+1", "signal#35")] {
        let arguments = ["snapshot", "-p", &pid, "--signal", signal, "--format", "line"];
        let Finished { status, stdout, stderr } = output(Command::new(&agent).args(arguments))?;
        ensure!(status.success() && stderr.is_empty(), "{status}, {stderr}");
        let start = format!(
            "signal={name} under_systemd=no parent_pid={} parent_name=",
            std::os::unix::process::parent_id()
        );
        ensure!(stdout.starts_with(&start) && stdout.lines().count() == 1, "{stdout:?}");
        ensure!(stdout.contains(" loadavg_1m=") && stdout.contains(" parent_cmdline='"), "{stdout:?}");
    }
    Ok(())
}

fn no_such_process() -> Result<()> {
    let finished = output(Command::new(agent_program()?).args(["snapshot", "-p", "4194305"]))?;
    ensure!(finished.status.code() == Some(2) && finished.stdout.is_empty(), "{finished:?}");
    ensure!(finished.stderr.contains("process 4194305 does not exist"), "{finished:?}");
    Ok(())
}
