//! `diagnose`, as a gateway that is being stopped runs it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use harness::{Finished, PATIENCE, Victim, WorkDir, agent_program, needs_root, output, test};

fn main() -> ExitCode {
    harness::main(vec![
        test("returns_at_once_and_outlives_its_caller", returns_at_once_and_outlives_its_caller),
        test("many_at_once_give_whole_blocks", many_at_once_give_whole_blocks),
        test("the_log_is_private_and_rotated", the_log_is_private_and_rotated),
        test("the_timeout_is_kept", the_timeout_is_kept),
        test("wedged_process_costs_its_own_line", wedged_process_costs_its_own_line),
    ])
}

/// Starts a diagnostic of a process, and yields the pid of the worker.
fn diagnose(pid: u32, log: &Path, options: &[&str]) -> Result<u32> {
    let mut command = Command::new(agent_program()?);
    command.args(["diagnose", "-p", &pid.to_string(), "--signal", "SIGTERM", "--log"]).arg(log);
    let said = output(command.args(options))?;
    ensure!(said.status.success() && said.stderr.is_empty(), "{said:?}");
    said.stdout.trim().parse().with_context(|| format!("{said:?}"))
}

/// The log when it has so many whole blocks.
fn log_with(log: &Path, blocks: usize) -> Result<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        if text.matches("\n=== end === run=").count() >= blocks {
            return Ok(text);
        }
        ensure!(Instant::now() < deadline, "no {blocks} blocks came: {text}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn mode(path: &Path) -> Result<u32> {
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o7777)
}

fn returns_at_once_and_outlives_its_caller() -> Result<()> {
    let directory = WorkDir::new()?;
    let log = directory.join("deep/log");
    let victim = Victim::start(&["sleep"])?;
    // The caller's caller reads to the end of its output, which the worker must not hold open; and it is killed at once.
    let script = format!(
        "{} diagnose -p {} --signal SIGTERM --log {}; kill -KILL -$$",
        agent_program()?.display(),
        victim.pid(),
        log.display()
    );
    let Finished { status, stdout, stderr } =
        output(Command::new("setsid").args(["--wait", "sh", "-c", &script]))?;
    ensure!(stderr.is_empty() && stdout.trim().parse::<u32>().is_ok(), "{status}, {stdout:?}, {stderr:?}");
    let text = log_with(&log, 1)?;
    for part in [
        "=== shutdown diagnostic @ SIGTERM === run=",
        "--- date ---\n",
        "--- /proc/loadavg ---\n",
        &format!("--- tree of {} ---\n", victim.pid()),
        " <== the target\n",
        "--- recent kernel log ",
        "--- processes (top 60 by cpu) ---\n",
    ] {
        ensure!(text.contains(part), "{part:?} is not in {text}");
    }
    ensure!(mode(&log)? == 0o600 && mode(&directory.join("deep"))? == 0o700, "others can read the log");
    Ok(())
}

fn many_at_once_give_whole_blocks() -> Result<()> {
    let directory = WorkDir::new()?;
    let log = directory.join("log");
    let victim = Victim::start(&["sleep"])?;
    for _ in 0..6 {
        diagnose(victim.pid(), &log, &[])?;
    }
    let text = log_with(&log, 6)?;
    let mut open = None;
    let mut blocks = 0;
    for line in text.lines() {
        let run = || line.split(" run=").nth(1).map(|rest| rest.split(' ').next().unwrap_or_default());
        if line.starts_with("=== shutdown diagnostic @") {
            ensure!(open.is_none(), "a block begins in another: {text}");
            open = run();
        } else if line.starts_with("=== end ===") {
            ensure!(open.is_some() && open == run(), "a block ends in another: {text}");
            (open, blocks) = (None, blocks + 1);
        } else {
            ensure!(open.is_some(), "{line:?} stands outside of all blocks");
        }
    }
    ensure!(blocks == 6, "{blocks} blocks");
    Ok(())
}

fn the_log_is_private_and_rotated() -> Result<()> {
    let directory = WorkDir::new()?;
    let log = directory.join("log");
    let victim = Victim::start(&["sleep"])?;
    // As an older program may have left it, and nearly full.
    std::fs::write(&log, "x".repeat((4 << 20) - 100))?;
    std::fs::set_permissions(&log, std::fs::Permissions::from_mode(0o644))?;
    diagnose(victim.pid(), &log, &[])?;
    let text = log_with(&log, 1)?;
    ensure!(text.starts_with("=== shutdown diagnostic"), "it was not rotated");
    let old = directory.join("log.1");
    ensure!(std::fs::metadata(&old)?.len() == (4 << 20) - 100, "the old log is not whole");
    ensure!(mode(&log)? == 0o600 && mode(&old)? == 0o600, "others can read the logs");
    Ok(())
}

fn the_timeout_is_kept() -> Result<()> {
    let directory = WorkDir::new()?;
    let log = directory.join("log");
    let victim = Victim::start(&["sleep"])?;
    diagnose(victim.pid(), &log, &["--timeout", "0.001"])?;
    let text = log_with(&log, 1)?;
    ensure!(text.contains("incomplete: 1 ms were not enough"), "{text}");
    for bad in ["0", "-1", "x", "1e9"] {
        let mut command = Command::new(agent_program()?);
        command.args(["diagnose", "-p", "1", "--signal", "TERM", "--log"]).arg(&log);
        let refused = output(command.args([&format!("--timeout={bad}")]))?;
        ensure!(refused.status.code() == Some(2) && refused.stderr.lines().count() == 1, "{refused:?}");
    }
    Ok(())
}

/// Whoever reads the command line of that process waits for ever.
fn wedged_process_costs_its_own_line() -> Result<()> {
    needs_root()?;
    let directory = WorkDir::new()?;
    let log = directory.join("log");
    let (_server, wedged) = Victim::wedged(&directory)?;
    let pid = wedged.to_string();
    let started = Instant::now();
    diagnose(wedged, &log, &["--timeout", "20"])?;
    let text = log_with(&log, 1)?;
    let took = started.elapsed();
    ensure!(took < Duration::from_secs(15), "it took {took:?}");
    let lines: Vec<_> = text.lines().filter(|line| line.split_whitespace().any(|word| word == pid)).collect();
    let is_told = |line: &&str| line.contains("(its command line did not answer within 50 ms)");
    ensure!(lines.iter().any(is_told), "{lines:?}");
    let own = std::process::id().to_string();
    let others = text.lines().filter(|line| line.split_whitespace().any(|word| word == own));
    ensure!(
        others.clone().any(|line| line.contains("/deps/diagnose")),
        "the others have no command lines: {text}"
    );
    ensure!(!text.contains("incomplete"), "the report is incomplete: {text}");
    Ok(())
}
