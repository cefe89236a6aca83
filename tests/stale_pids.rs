//! Pids that no longer mean who they meant: pidfiles that are older than the process, and numbers that were used before.

use std::fs::FileTimes;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, SystemTime};

use anyhow::{Result, bail, ensure};
use harness::{
    Agent, Killer, Record, Skip, Victim, WorkDir, needs_program, needs_python, needs_root, test, unique,
};

fn main() -> ExitCode {
    harness::main(vec![
        test("pidfile_on_the_command_line", pidfile_on_the_command_line),
        test("pidfile_in_a_script", pidfile_in_a_script),
        test("pidfile_of_pkill", pidfile_of_pkill),
        test("pidfile_of_start_stop_daemon", pidfile_of_start_stop_daemon),
        test("pidfile_in_run", pidfile_in_run),
        test("pidfile_that_is_up_to_date", pidfile_that_is_up_to_date),
        test("pidfile_of_another_process", pidfile_of_another_process),
        test("pidfile_that_is_a_link", pidfile_that_is_a_link),
        test("pid_that_was_used_before", pid_that_was_used_before),
        test("pid_that_a_stranger_had_before", pid_that_a_stranger_had_before),
        test("pidfile_of_a_group", pidfile_of_a_group),
    ])
}

/// And half a minute, lest it be told as 59 minutes and some.
const HOUR: Duration = Duration::from_secs(3630);

/// A pidfile, written so long ago.
fn write(path: &Path, pid: u32, age: Duration) -> Result<()> {
    std::fs::write(path, format!("{pid}\n"))?;
    let file = std::fs::File::options().write(true).open(path)?;
    file.set_times(FileTimes::new().set_modified(SystemTime::now() - age))?;
    Ok(())
}

/// The incident of a victim whose pid stands in a file of this age, and which is killed by a command.
fn killed(
    age: Duration,
    command: impl Fn(&WorkDir, &Path) -> Result<Command>,
) -> Result<(Record, Killer, PathBuf)> {
    needs_root()?;
    let directory = WorkDir::new()?;
    let path = directory.join("server.pid");
    let victim = Victim::start(&["sleep"])?;
    write(&path, victim.pid(), age)?;
    let mut agent = Agent::watch_pid(victim.pid())?;
    let killer = Killer::run(&mut command(&directory, &path)?)?;
    let incident = agent.incident_of(victim.pid())?;
    incident.expect("outcome.kind", "killed")?;
    agent.stop()?;
    Ok((incident, killer, path))
}

fn shell(script: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]);
    shell
}

fn expect_stale(incident: &Record, path: &Path) -> Result<()> {
    incident.expect("verdict.cause", "stale-pid-kill")?;
    incident.expect("verdict.intent", "fault")?;
    incident.expect("kill.pidfiles.0.path", path.display().to_string())?;
    incident.expect_part("verdict.summary", &path.display().to_string())?;
    incident.expect_part("verdict.summary", "1 h before")
}

fn pidfile_on_the_command_line() -> Result<()> {
    let command = |_: &WorkDir, path: &Path| Ok(shell(&format!("kill -9 $(cat {}); exit 0", path.display())));
    let (incident, killer, path) = killed(HOUR, command)?;
    expect_stale(&incident, &path)?;
    killer.expect(&incident, "verdict.culprit")?;
    incident.expect("kill.pidfiles.0.named_by", killer.pid)?;
    incident.expect("verdict.confidence", "likely")
}

/// The name stands in the script, and the script removes the file at once.
fn pidfile_in_a_script() -> Result<()> {
    let command = |directory: &WorkDir, path: &Path| {
        let script = directory.join("stop.sh");
        let text = format!("PIDFILE={}\nread pid < $PIDFILE\nkill $pid\nexit 0\n", path.display());
        std::fs::write(&script, text)?;
        let mut shell = Command::new("sh");
        shell.arg(script);
        Ok(shell)
    };
    let (incident, killer, path) = killed(HOUR, command)?;
    expect_stale(&incident, &path)?;
    killer.expect(&incident, "verdict.culprit")?;
    let script = path.with_file_name("stop.sh").display().to_string();
    incident.expect("kill.pidfiles.0.script", script)
}

fn pidfile_of_pkill() -> Result<()> {
    needs_program("pkill")?;
    let (incident, _, path) = killed(HOUR, |_, path| {
        let mut pkill = Command::new("pkill");
        pkill.arg("-F").arg(path);
        Ok(pkill)
    })?;
    expect_stale(&incident, &path)
}

fn pidfile_of_start_stop_daemon() -> Result<()> {
    needs_program("start-stop-daemon")?;
    let (incident, _, path) = killed(HOUR, |_, path| {
        let mut command = Command::new("start-stop-daemon");
        command.args(["--stop", "--quiet", "--pidfile"]).arg(path);
        Ok(command)
    })?;
    expect_stale(&incident, &path)
}

/// Nothing says where the number comes from, but a well-known place has it.
fn pidfile_in_run() -> Result<()> {
    needs_root()?;
    let path = PathBuf::from(format!("/run/forensics-tests-{}.pid", unique()));
    // Who starts a process knows its pid; so it must be somebody else who does.
    let starter = Victim::spawn(&mut shell("sleep 1000 & echo ready $!; wait"))?;
    let [pid] = starter.told()?[..] else { bail!("the shell told no pid") };
    if let Err(error) = write(&path, pid, HOUR) {
        bail!(Skip(format!("needs a /run that can be written to: {error}")));
    }
    let result = (|| {
        let mut agent = Agent::watch_pid(pid)?;
        Killer::run(&mut shell(&format!("kill -9 {pid}; exit 0")))?;
        let incident = agent.incident_of(pid)?;
        agent.stop()?;
        expect_stale(&incident, &path)?;
        incident.expect("verdict.confidence", "likely")
    })();
    std::fs::remove_file(&path)?;
    result
}

/// As most pidfiles: written when the process had started.
fn pidfile_that_is_up_to_date() -> Result<()> {
    let command = |_: &WorkDir, path: &Path| Ok(shell(&format!("kill -9 $(cat {}); exit 0", path.display())));
    let (incident, killer, _) = killed(Duration::ZERO, command)?;
    incident.expect("verdict.cause", "external-kill")?;
    killer.expect(&incident, "verdict.culprit")
}

/// An old file whose number is not the one that was killed.
fn pidfile_of_another_process() -> Result<()> {
    let command = |_: &WorkDir, path: &Path| {
        let pid = std::fs::read_to_string(path)?;
        write(path, 1, HOUR)?;
        Ok(shell(&format!("read other < {}; kill -9 {}; exit 0", path.display(), pid.trim())))
    };
    let (incident, ..) = killed(HOUR, command)?;
    incident.expect("verdict.cause", "external-kill")?;
    incident.expect("kill.pidfiles", serde_json::Value::Null)?;
    incident.expect("kill.earlier", serde_json::Value::Null)
}

/// Whoever names a file may want root to read another one.
fn pidfile_that_is_a_link() -> Result<()> {
    let command = |directory: &WorkDir, path: &Path| {
        let link = directory.join("link.pid");
        std::os::unix::fs::symlink(path, &link)?;
        Ok(shell(&format!("kill -9 $(cat {}); exit 0", link.display())))
    };
    let (incident, ..) = killed(HOUR, command)?;
    incident.expect("verdict.cause", "external-kill")
}

/// A victim with a pid that somebody had before. It is watched by its name, since it comes later than the agent.
fn second_holder(pid: u32, tag: &str) -> Result<Victim> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs/with_pid.py");
    let mut command = Command::new(needs_python()?);
    command.arg(program).arg(pid.to_string()).arg(harness::victim_program()?).args(["sleep", tag]);
    let victim = Victim::spawn(&mut command);
    // The number may be in use by now, or the kernel not let it be chosen.
    let victim = victim.map_err(|why| why.context(Skip(format!("needs to choose the pid {pid}"))))?;
    ensure!(victim.told()? == [pid], "another pid than was asked for: {:?}", victim.told());
    Ok(victim)
}

fn maker() -> Result<(Victim, u32)> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs/maker.py");
    let maker = Victim::spawn(Command::new(needs_python()?).arg(program))?;
    let [first] = maker.told()?[..] else { bail!("the maker told no pid") };
    Ok((maker, first))
}

fn pid_that_was_used_before() -> Result<()> {
    needs_root()?;
    let tag = unique();
    let mut agent = Agent::watch(&["--match", &format!("victim sleep {tag}$")])?;
    let (mut maker, pid) = maker()?;
    let _victim = second_holder(pid, &tag)?;
    maker.go()?;
    let incident = agent.incident_of(pid)?;
    agent.stop()?;
    incident.expect("verdict.cause", "stale-pid-kill")?;
    incident.expect("verdict.confidence", "likely")?;
    incident.expect("verdict.culprit.pid", maker.pid())?;
    incident.expect("kill.earlier.0.process.name", "true")?;
    incident.expect("kill.earlier.0.process.ancestors.0.pid", maker.pid())?;
    incident.expect_part("verdict.summary", "which it had started before")
}

/// That somebody had the number before is possible evidence, and no more, when the sender has no part in it.
fn pid_that_a_stranger_had_before() -> Result<()> {
    needs_root()?;
    let tag = unique();
    let mut agent = Agent::watch(&["--match", &format!("victim sleep {tag}$")])?;
    // A shell that is older than the victim, as that of an operator.
    let mut operator = Victim::spawn(&mut shell("echo ready; read pid; kill -9 $pid; exit 0"))?;
    let (_maker, pid) = maker()?;
    let _victim = second_holder(pid, &tag)?;
    operator.tell(&pid.to_string())?;
    let incident = agent.incident_of(pid)?;
    agent.stop()?;
    incident.expect("verdict.cause", "external-kill")?;
    incident.expect("verdict.culprit.pid", operator.pid())?;
    let evidence = incident.at("verdict.evidence").to_string();
    ensure!(
        evidence.contains("possible that a stale pid was used"),
        incident.fault("what is possible is not told")
    );
    Ok(())
}

fn pidfile_of_a_group() -> Result<()> {
    needs_root()?;
    needs_program("setsid")?;
    let directory = WorkDir::new()?;
    let path = directory.join("group.pid");
    let leader =
        Victim::spawn(Command::new("setsid").args(["sh", "-c", "sleep 1000 & echo ready $! $$; wait"]))?;
    let [child, group] = leader.told()?[..] else { bail!("the shell told no pids") };
    write(&path, group, HOUR)?;
    let mut agent = Agent::watch_pid(child)?;
    Killer::run(&mut shell(&format!("kill -KILL -$(cat {}); exit 0", path.display())))?;
    let incident = agent.incident_of(child)?;
    agent.stop()?;
    expect_stale(&incident, &path)?;
    incident.expect("kill.group.leader.pid", group)?;
    incident.expect_part("verdict.summary", "the number of the group came from")
}
