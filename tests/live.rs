//! `watch` on a terminal: what is watched stands at its foot, and incidents scroll above.

use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use harness::{PATIENCE, Victim, WorkDir, agent_program, killer, needs_python, needs_root, test, wait};

/// Erases the block, as it stands in what is printed of the terminal.
const ERASE: &str = "\\r\\x1b[J";

fn main() -> ExitCode {
    harness::main(vec![test("a_view_in_place", a_view_in_place), test("plain_in_a_pipe", plain_in_a_pipe)])
}

fn a_view_in_place() -> Result<()> {
    needs_root()?;
    let directory = WorkDir::new()?;
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs/on_terminal.py");
    let mut victim = Victim::start(&["ignore", "15"])?;
    let pid = victim.pid().to_string();
    let mut command = Command::new(needs_python()?);
    command.arg(program).arg(agent_program()?).args(["watch", "--once", "--socket", "none", "--pid", &pid]);
    let terminal = Victim::spawn(command.arg("--store").arg(directory.join("kept.db")))?;
    let mut seen = String::new();
    let mut wait_for = |words: &[&str]| -> Result<String> {
        loop {
            let line = terminal.line().map_err(|why| why.context(format!("not {words:?} in {seen}")))?;
            seen.push_str(&line);
            if words.iter().all(|word| line.contains(word)) {
                return Ok(line);
            }
        }
    };
    let first = wait_for(&["watching 1 process; 0 incidents so far", &pid, "no signal yet"])?;
    ensure!(first.contains("sleeping, up ") || first.contains("running, up "), "{first}");
    // One that it ignores stands in its line from now on.
    let asked = killer(&["kill", &pid, "15"])?;
    wait_for(&[&format!("SIGTERM from killer ({}) ", asked.pid), &pid])?;
    // The incident takes the place of the block.
    killer(&["kill", &pid, "9"])?;
    let told = wait_for(&["SIGKILL was sent to"])?;
    ensure!(told.contains(ERASE) || seen.contains(ERASE), "the block was not taken away: {seen}");
    victim.wait()?;
    loop {
        let line = terminal.line()?;
        if let Some(status) = line.strip_prefix("ended ") {
            ensure!(status == "0", "the agent ended with {status}");
            return Ok(());
        }
    }
}

/// No escape sequence, no block.
fn plain_in_a_pipe() -> Result<()> {
    needs_root()?;
    let directory = WorkDir::new()?;
    let printed = directory.join("printed");
    let mut victim = Victim::start(&["sleep"])?;
    let pid = victim.pid().to_string();
    let mut command = Command::new(agent_program()?);
    command
        .env("TERM", "xterm")
        .args(["watch", "--once", "--store", "none", "--socket", "none", "--pid", &pid])
        .stdout(File::create(&printed)?);
    let mut agent = command.spawn()?;
    let deadline = Instant::now() + PATIENCE;
    while !std::fs::read_to_string(&printed)?.contains("watching") {
        ensure!(Instant::now() < deadline, "it does not say what it watches");
        std::thread::sleep(Duration::from_millis(20));
    }
    killer(&["kill", &pid, "9"])?;
    let status = wait(&mut agent, PATIENCE)?;
    victim.wait()?;
    let said = std::fs::read_to_string(&printed)?;
    ensure!(status.success() && said.contains("SIGKILL was sent to"), "{status}: {said:?}");
    ensure!(!said.contains('\x1b') && !said.contains("so far"), "{said:?}");
    Ok(())
}
