//! Ends that nobody caused, and what the host says around them: who exited and what its status means, where a fault
//! was, what was short.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail, ensure};
use harness::{Agent, MemoryCgroup, Record, Run, Skip, Victim, needs_root, test, victim_program};

fn main() -> ExitCode {
    harness::main(vec![
        test("a_thread_that_exits_for_all", a_thread_that_exits_for_all),
        test("a_status_with_a_meaning", a_status_with_a_meaning),
        test("a_fault_in_its_own_program", a_fault_in_its_own_program),
        test("a_fault_in_a_library", a_fault_in_a_library),
        test("a_stack_that_is_used_up", a_stack_that_is_used_up),
        test("pressure_of_the_host", pressure_of_the_host),
        test("kills_of_a_memory_cgroup_are_counted", kills_of_a_memory_cgroup_are_counted),
        test("a_processor_quota_is_told", a_processor_quota_is_told),
    ])
}

/// The incident of a victim that ends by itself when it is let go.
fn ends(mode: &[&str]) -> Result<(u32, Record)> {
    let mut victim = Victim::start(mode)?;
    let mut agent = Agent::watch_pid(victim.pid())?;
    victim.go()?;
    let incident = agent.incident_of(victim.pid())?;
    agent.stop()?;
    Ok((victim.pid(), incident))
}

/// The last thread to end is another one.
fn a_thread_that_exits_for_all() -> Result<()> {
    let (pid, incident) = ends(&["quit", "78"])?;
    incident.expect_exited(78)?;
    incident.expect("outcome.exit_called", true)?;
    incident.expect("outcome.exit_thread", "quitter")?;
    ensure!(incident.number("outcome.exit_tid")? != u64::from(pid), incident.fault("its main thread"));
    incident.expect("verdict.cause", "exit")?;
    incident.expect_part("verdict.summary", "(EX_CONFIG)")?;
    expect_said(&incident, "(`quitter`) called exit_group(2)")
}

fn a_status_with_a_meaning() -> Result<()> {
    let ran = Run::command(&["sh", "-c", "exit 75"])?;
    let incident = ran.incident()?;
    incident.expect_exited(75)?;
    incident.expect_part("verdict.summary", "exited with status 75 by itself (EX_TEMPFAIL)")?;
    expect_said(incident, "Its main thread called exit_group(2)")?;
    let lived = incident.at("outcome.lived_s").as_f64().context("it lived for some time")?;
    ensure!((0.0..60.0).contains(&lived), incident.fault("it did not live that long"));
    Ok(())
}

/// Sentences of evidence have this in them.
fn expect_said(incident: &Record, part: &str) -> Result<()> {
    let said = incident.list("verdict.evidence")?;
    let found = said.iter().any(|sentence| sentence.as_str().is_some_and(|text| text.contains(part)));
    ensure!(found, incident.fault(format!("nothing of the evidence says {part:?}")));
    Ok(())
}

/// The access is what the processor says, which only x86 tells.
fn expect_access(incident: &Record, access: &str) -> Result<()> {
    if cfg!(target_arch = "x86_64") { incident.expect("signals.0.fault_access", access) } else { Ok(()) }
}

/// The name of the file in which the instruction was.
fn file_of_fault(incident: &Record) -> Result<String> {
    let file = incident.at("signals.0.code_location.file").as_str().map(str::to_owned);
    let logged = std::fs::read_to_string("/proc/sys/debug/exception-trace").is_ok_and(|on| on.trim() == "1");
    match file {
        Some(file) => Ok(file.rsplit('/').next().unwrap_or_default().to_owned()),
        None if !logged => bail!(Skip("this kernel does not log where a fault was".to_owned())),
        None => Err(incident.fault("in which file is not known")),
    }
}

fn a_fault_in_its_own_program() -> Result<()> {
    needs_root()?;
    let (_, incident) = ends(&["segv"])?;
    incident.expect_killed(libc::SIGSEGV)?;
    incident.expect("verdict.cause", "crash")?;
    expect_access(&incident, "write")?;
    ensure!(file_of_fault(&incident)? == "victim", incident.fault("it was in its own program"));
    incident.expect_part("verdict.summary", "in `victim`: it wrote to a null pointer (address 0x8)")
}

fn a_fault_in_a_library() -> Result<()> {
    needs_root()?;
    harness::needs_python()?;
    let script = "import ctypes, sys; print('ready', flush=True); sys.stdin.readline(); ctypes.string_at(8)";
    let mut victim = Victim::spawn(Command::new("python3").args(["-c", script]))?;
    let mut agent = Agent::watch_pid(victim.pid())?;
    victim.go()?;
    let incident = agent.incident_of(victim.pid())?;
    agent.stop()?;
    incident.expect_killed(libc::SIGSEGV)?;
    expect_access(&incident, "read")?;
    // `ctypes.string_at` calls strlen(3), or the interpreter's own.
    let file = file_of_fault(&incident)?;
    ensure!(!file.is_empty() && file != "victim", incident.fault(format!("it was in {file}")));
    incident.expect_part("verdict.summary", &format!("in `{file}`: it read from a null pointer"))
}

fn a_stack_that_is_used_up() -> Result<()> {
    let (_, incident) = ends(&["recurse"])?;
    incident.expect_killed(libc::SIGSEGV)?;
    incident.expect_part("verdict.summary", "it most likely ran out of stack")
}

fn pressure_of_the_host() -> Result<()> {
    needs_root()?;
    let (_, incident) = ends(&["quit", "1"])?;
    // Counted since 4.13, whatever memory ran out.
    let count = |moment: &str| incident.number(&format!("pressure.{moment}.oom_kills"));
    ensure!(count("end")? >= count("before")?, incident.fault("a count went back"));
    if count("end")? == count("before")? {
        let excluded = incident.list("verdict.ruled_out")?.iter().find(|other| other["cause"] == "oom");
        let because = excluded.and_then(|other| other["because"].as_str()).unwrap_or_default();
        ensure!(because.contains("counted no out-of-memory kill"), incident.fault("that is known"));
    }
    if !Path::new("/proc/pressure/memory").exists() {
        bail!(Skip("this kernel keeps no pressure stall information (psi=1 turns it on)".to_owned()));
    }
    for resource in ["cpu", "memory", "io"] {
        incident.number(&format!("pressure.end.host.{resource}.some_total_us"))?;
    }
    Ok(())
}

fn kills_of_a_memory_cgroup_are_counted() -> Result<()> {
    let cgroup = MemoryCgroup::new(32 << 20)?;
    let mut victim = Victim::start(&["allocate"])?;
    cgroup.enter(victim.pid())?;
    let mut agent = Agent::watch_pid(victim.pid())?;
    victim.go()?;
    let incident = agent.incident_of(victim.pid())?;
    agent.stop()?;
    incident.expect_killed(libc::SIGKILL)?;
    incident.expect("verdict.cause", "oom")?;
    let kills = |moment: &str| incident.number(&format!("pressure.{moment}.cgroup.memory_events.oom_kill"));
    ensure!(kills("end")? == kills("before")? + 1, incident.fault("one was killed in between"));
    let limit = incident.at("pressure.end.cgroup.memory_limits.0.max");
    ensure!(limit.as_u64() == Some(32 << 20), incident.fault(format!("its limit is {limit}")));
    ensure!(
        !incident.list("verdict.ruled_out")?.iter().any(|other| other["cause"] == "oom"),
        incident.fault("it excludes itself")
    );
    Ok(())
}

/// A tenth of a processor, for one that wants a whole one.
fn a_processor_quota_is_told() -> Result<()> {
    needs_root()?;
    let cgroup = harness::ProcessorCgroup::new(10)?;
    let mut victim = Command::new(victim_program()?);
    let mut victim = Victim::spawn(victim.arg("burn"))?;
    cgroup.enter(victim.pid())?;
    let mut agent = Agent::watch_pid(victim.pid())?;
    victim.go()?;
    cgroup.wait_until_throttled(20)?;
    harness::killer(&["kill", &victim.pid().to_string(), "15"])?;
    let incident = agent.incident_of(victim.pid())?;
    agent.stop()?;
    incident.expect_killed(libc::SIGTERM)?;
    let count =
        |moment: &str, what: &str| incident.number(&format!("pressure.{moment}.cgroup.throttling.{what}"));
    let grown = count("end", "throttled")? - count("before", "throttled")?;
    ensure!(grown >= 20, incident.fault(format!("it was throttled {grown} times")));
    ensure!(count("end", "throttled_us")? > 0, incident.fault("that takes time"));
    Ok(())
}
