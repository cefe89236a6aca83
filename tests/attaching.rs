//! Loading and attaching: each hook variant, what the verifier refuses, and targets that do not wait for it.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use forensics_agent::kernel::load::{Hook, Kernel, KernelTypes, LoadError};
use forensics_common::Config;
use harness::{Agent, PATIENCE, Victim, agent_program, killer, needs_root, output, test};

fn main() -> ExitCode {
    harness::main(vec![
        test("each_hook_names_the_killer", each_hook_names_the_killer),
        test("a_program_that_the_verifier_refuses", a_program_that_the_verifier_refuses),
        test("log_of_the_kernel_programs", log_of_the_kernel_programs),
        test("no_log_without_being_asked", no_log_without_being_asked),
        test("target_that_dies_meanwhile", target_that_dies_meanwhile),
        test("two_agents_at_once", two_agents_at_once),
    ])
}

fn each_hook_names_the_killer() -> Result<()> {
    for hook in ["tp_btf", "raw_tracepoint"] {
        let victim = Victim::start(&["sleep"])?;
        let pid = victim.pid().to_string();
        let mut agent = Agent::watch(&["--pid", &pid, "--hook", hook])?;
        agent.ready().expect("hook", hook)?;
        let killer = killer(&["kill", &pid, "15", hook])?;
        let incident = agent.incident_of(victim.pid())?;
        incident.expect_killed(15)?;
        killer.expect_blamed(&incident, &incident.expect_last_signal(15, "kill")?)?;
        agent.stop()?;
    }
    Ok(())
}

/// With a table that says nonsense of where a task has its process id, the kernel must refuse the program that reads
/// it there by type.
fn a_program_that_the_verifier_refuses() -> Result<()> {
    needs_root()?;
    let mut types = KernelTypes::read()?;
    types.offsets.task_tgid += 1;
    let watching = Config { record_mask: u64::MAX, ..Config::NOTHING };
    let Err(error) = Kernel::load_with(&types, watching, None, Hook::TpBtf) else {
        bail!("a program that reads half of a process id was loaded");
    };
    ensure!(matches!(error, LoadError::Rejected { program: "signal_btf", .. }), "not refused: {error:?}");
    let message = error.to_string();
    ensure!(message.lines().count() == 1, "not one line: {message:?}");
    ensure!(message.contains("verifier") && message.contains("signal_btf"), "it does not say why: {message}");
    // The verifier's own reason, not its statistics.
    ensure!(message.contains("task_struct") && !message.contains("processed "), "no reason: {message}");
    Ok(())
}

fn log_of_the_kernel_programs() -> Result<()> {
    let victim = Victim::start(&["ignore", "10"])?;
    let pid = victim.pid().to_string();
    let mut agent = Agent::watch(&["--pid", &pid, "--events", "--ebpf-log", "debug"])?;
    killer(&["kill", &pid, "10"])?;
    agent.next("signal", PATIENCE)?;
    let until = Instant::now() + PATIENCE;
    while !agent.stderr().contains("bytes sent") {
        ensure!(Instant::now() < until, "no line of the kernel programs: {:?}", agent.stderr());
        std::thread::sleep(Duration::from_millis(10));
    }
    agent.stop()?;
    Ok(())
}

fn no_log_without_being_asked() -> Result<()> {
    let victim = Victim::start(&["ignore", "10"])?;
    let pid = victim.pid().to_string();
    let mut agent = Agent::watch(&["--pid", &pid, "--events"])?;
    killer(&["kill", &pid, "10"])?;
    agent.next("signal", PATIENCE)?;
    ensure!(agent.stderr().is_empty(), "said unasked: {:?}", agent.stderr());
    agent.stop()?;
    Ok(())
}

/// Killed at every moment of the agent's start: either it came too late and says so in one sentence, or it was in time
/// and explains the death.
fn target_that_dies_meanwhile() -> Result<()> {
    needs_root()?;
    for delay_ms in (0..120).step_by(8) {
        let victim = Victim::start(&["sleep"])?;
        let pid = victim.pid().to_string();
        let killing = std::thread::spawn({
            let pid = pid.clone();
            move || {
                std::thread::sleep(Duration::from_millis(delay_ms));
                killer(&["kill", &pid, "9"])
            }
        });
        let finished =
            output(Command::new(agent_program()?).args([
                "-o", "json", "watch", "--once", "--store", "none", "--socket", "none", "--pid", &pid,
            ]))?;
        killing.join().ok().context("the killer panicked")??;
        match finished.status.code() {
            Some(0) => {
                let told = finished.stdout.contains("incident/1") && finished.stdout.contains("SIGKILL");
                ensure!(told, "after {delay_ms} ms the death is not told: {finished:?}");
            }
            Some(2) => {
                let one_sentence = finished.stderr.lines().count() == 1 && finished.stderr.contains(&pid);
                ensure!(one_sentence && finished.stdout.is_empty(), "after {delay_ms} ms: {finished:?}");
            }
            _ => bail!("after {delay_ms} ms: {finished:?}"),
        }
    }
    Ok(())
}

fn two_agents_at_once() -> Result<()> {
    let victim = Victim::start(&["sleep"])?;
    let mut agents = [Agent::watch_pid(victim.pid())?, Agent::watch_pid(victim.pid())?];
    let killer = killer(&["kill", &victim.pid().to_string(), "9"])?;
    for agent in &mut agents {
        let incident = agent.incident_of(victim.pid())?;
        killer.expect_blamed(&incident, &incident.expect_last_signal(9, "kill")?)?;
    }
    for agent in agents {
        agent.stop()?;
    }
    Ok(())
}
