//! `watch` on a terminal: what is watched stands at its foot, and incidents scroll above.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Result, ensure};
use harness::{Victim, WorkDir, agent_program, killer, needs_python, needs_root, output, test};

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
    let mut victim = Victim::start(&["sleep"])?;
    let pid = victim.pid().to_string();
    let killing = std::thread::spawn({
        let pid = pid.clone();
        move || {
            std::thread::sleep(std::time::Duration::from_secs(3));
            killer(&["kill", &pid, "9"])
        }
    });
    let mut command = Command::new(agent_program()?);
    command
        .env("TERM", "xterm")
        .args(["watch", "--once", "--store", "none", "--socket", "none", "--pid", &pid]);
    let said = output(&mut command)?;
    killing.join().map_err(|_| anyhow::anyhow!("the killer panicked"))??;
    victim.wait()?;
    ensure!(said.status.success() && said.stdout.contains("SIGKILL was sent to"), "{said:?}");
    ensure!(!said.stdout.contains('\x1b') && !said.stdout.contains("so far"), "{said:?}");
    Ok(())
}
