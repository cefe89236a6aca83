//! Kills by system calls: whoever made the call is named, by its true pid and its whole command line.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use harness::{
    Agent, Killer, PATIENCE, Victim, find_process, killer, killer_program, needs_program, needs_root, test,
    unique, victim_program,
};
use libc::{SIGKILL, SIGTERM, SIGUSR1};

fn main() -> ExitCode {
    harness::main(vec![
        test("kill", kill),
        test("two_hundred_short_lived_killers", two_hundred_short_lived_killers),
        test("tkill_of_a_thread", tkill_of_a_thread),
        test("tgkill_of_a_thread", tgkill_of_a_thread),
        test("sigqueue_with_a_forged_sender", sigqueue_with_a_forged_sender),
        test("tgsigqueue_of_a_thread", tgsigqueue_of_a_thread),
        test("pidfd_send_signal", pidfd_send_signal),
        test("group_kill", group_kill),
        test("kill_in_a_pid_namespace", kill_in_a_pid_namespace),
        test("worker_in_a_pid_namespace", worker_in_a_pid_namespace),
        test("sender_four_shells_deep", sender_four_shells_deep),
        test("pkill", pkill),
    ])
}

fn kill() -> Result<()> {
    let mut victim = Victim::start(&["sleep"])?;
    let mut agent = Agent::watch_pid(victim.pid())?;
    let killer = killer(&["kill", &victim.pid().to_string(), "9"])?;
    let incident = agent.incident_of(victim.pid())?;
    victim.wait()?;
    incident.expect_killed(SIGKILL)?;
    let signal = incident.expect_last_signal(SIGKILL, "kill")?;
    incident.expect(&format!("{signal}.scope"), "process")?;
    incident.expect(&format!("{signal}.syscall"), "kill")?;
    incident.expect(&format!("{signal}.syscall_args.0"), victim.pid())?;
    incident.expect(&format!("{signal}.syscall_args.1"), SIGKILL)?;
    incident.expect(&format!("{signal}.repeated"), 0)?;
    killer.expect_blamed(&incident, &signal)?;
    incident.expect("verdict.confidence", "certain")?;
    incident.expect("target.argv.1", "sleep")?;
    let exe = victim_program()?;
    incident.expect("target.exe", exe.to_string_lossy())?;
    // The test is the parent of both.
    incident.expect(&format!("{signal}.sender.ppid"), std::process::id())?;
    incident.expect(&format!("{signal}.sender.ancestors.0.pid"), std::process::id())?;
    agent.stop()?;
    Ok(())
}

/// Each killer lives for microseconds; afterwards nobody could be asked for its command line.
fn two_hundred_short_lived_killers() -> Result<()> {
    let victim = Victim::start(&["handle", &SIGUSR1.to_string()])?;
    let pid = victim.pid().to_string();
    let mut agent = Agent::watch(&["--pid", &pid, "--events"])?;
    for round in 0..200 {
        let killer = killer(&["kill", &pid, &SIGUSR1.to_string(), &format!("round {round}")])?;
        let line = agent.next("signal", PATIENCE)?;
        line.expect("target.pid", victim.pid())?;
        line.expect("signal_num", SIGUSR1)?;
        killer.expect(&line, "sender").with_context(|| format!("round {round}"))?;
    }
    agent.stop()?;
    Ok(())
}

fn tkill_of_a_thread() -> Result<()> {
    thread_kill(|_, tid| killer(&["tkill", tid, "9"]), "tkill")
}

fn tgkill_of_a_thread() -> Result<()> {
    thread_kill(|pid, tid| killer(&["tgkill", pid, tid, "9"]), "tgkill")
}

fn tgsigqueue_of_a_thread() -> Result<()> {
    thread_kill(|pid, tid| killer(&["tgsigqueue", pid, tid, "9"]), "tgsigqueue")
}

/// A signal at a thread other than the leader: the tracepoint says its thread id, not the pid.
fn thread_kill(kill: fn(&str, &str) -> Result<Killer>, mechanism: &str) -> Result<()> {
    let victim = Victim::start(&["threads", "3"])?;
    let mut agent = Agent::watch_pid(victim.pid())?;
    let tid = *victim.told()?.last().context("no threads")?;
    ensure!(tid != victim.pid(), "thread {tid} is the leader");
    let killer = kill(&victim.pid().to_string(), &tid.to_string())?;
    let incident = agent.incident_of(victim.pid())?;
    incident.expect_killed(SIGKILL)?;
    let signal = incident.expect_last_signal(SIGKILL, mechanism)?;
    incident.expect(&format!("{signal}.scope"), "thread")?;
    incident.expect(&format!("{signal}.target_tid"), tid)?;
    let syscall = if mechanism == "tgsigqueue" { "rt_tgsigqueueinfo" } else { mechanism };
    incident.expect(&format!("{signal}.syscall"), syscall)?;
    killer.expect_blamed(&incident, &signal)?;
    agent.stop()?;
    Ok(())
}

/// `si_pid` says init; the sender is who made the call.
fn sigqueue_with_a_forged_sender() -> Result<()> {
    let victim = Victim::start(&["sleep"])?;
    let mut agent = Agent::watch_pid(victim.pid())?;
    let killer = killer(&["sigqueue", &victim.pid().to_string(), "15", "1"])?;
    let incident = agent.incident_of(victim.pid())?;
    incident.expect_killed(SIGTERM)?;
    let signal = incident.expect_last_signal(SIGTERM, "sigqueue")?;
    incident.expect(&format!("{signal}.si_code"), "SI_QUEUE")?;
    incident.expect(&format!("{signal}.claimed_pid"), 1)?;
    killer.expect_blamed(&incident, &signal)?;
    agent.stop()?;
    Ok(())
}

fn pidfd_send_signal() -> Result<()> {
    let victim = Victim::start(&["sleep"])?;
    let mut agent = Agent::watch_pid(victim.pid())?;
    let killer = killer(&["pidfd", &victim.pid().to_string(), "15"])?;
    let incident = agent.incident_of(victim.pid())?;
    incident.expect_killed(SIGTERM)?;
    let signal = incident.expect_last_signal(SIGTERM, "pidfd")?;
    incident.expect(&format!("{signal}.syscall"), "pidfd_send_signal")?;
    killer.expect_blamed(&incident, &signal)?;
    agent.stop()?;
    Ok(())
}

fn group_kill() -> Result<()> {
    let start = |group: u32| {
        let group = i32::try_from(group).context("a pid beyond the range")?;
        Victim::spawn(Command::new(victim_program()?).arg("sleep").process_group(group))
    };
    let leader = start(0)?;
    let group = leader.pid();
    let victims = [leader, start(group)?, start(group)?];
    let pids: Vec<String> = victims.iter().map(|victim| victim.pid().to_string()).collect();
    let arguments: Vec<&str> = pids.iter().flat_map(|pid| ["--pid", pid]).collect();
    let mut agent = Agent::watch(&arguments)?;
    let killer = killer(&["pgrp", &group.to_string(), "9"])?;
    let mut acts = Vec::new();
    for victim in &victims {
        let incident = agent.incident_of(victim.pid())?;
        incident.expect_killed(SIGKILL)?;
        let signal = incident.expect_last_signal(SIGKILL, "kill")?;
        incident.expect(&format!("{signal}.syscall_args.0"), -i64::from(group))?;
        incident.expect("target.pgid", group)?;
        killer.expect_blamed(&incident, &signal)?;
        acts.push(incident.text("group_id")?.to_owned());
    }
    acts.dedup();
    ensure!(acts.len() == 1, "one act, several groups: {acts:?}");
    agent.stop()?;
    Ok(())
}

/// Inside, the pids are others; the record has those of the host, and says which they were inside.
fn kill_in_a_pid_namespace() -> Result<()> {
    needs_root()?;
    needs_program("unshare")?;
    let tag = unique();
    let script =
        r#""$0" sleep "$2" & victim=$!; read go; "$1" kill $victim 9 inside; wait $victim; read end"#;
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", script]);
    command.arg(victim_program()?).arg(killer_program()?).arg(&tag);
    let mut namespace = Victim::spawn(&mut command)?;
    let inside = *namespace.told()?.first().context("no pid")?;
    let pid = find_process(&["sleep", &tag])?;
    ensure!(pid != inside, "{pid} is not in a namespace of its own");

    let mut agent = Agent::watch_pid(pid)?;
    namespace.go()?;
    let incident = agent.incident_of(pid)?;
    incident.expect_killed(SIGKILL)?;
    incident.expect("target.ns_pid", inside)?;
    let signal = incident.expect_last_signal(SIGKILL, "kill")?;
    incident.expect(&format!("{signal}.syscall_args.0"), inside)?;
    let sender = format!("{signal}.sender");
    let killer = killer_program()?;
    let argv = [&*killer.to_string_lossy(), "kill", &inside.to_string(), "9", "inside"].map(str::to_owned);
    incident.expect(&format!("{sender}.argv"), argv.to_vec())?;
    ensure!(incident.number(&format!("{sender}.ns_pid"))? < 100, incident.fault("the sender's pid inside"));
    ensure!(
        incident.number(&format!("{sender}.pid"))? != incident.number(&format!("{sender}.ns_pid"))?,
        incident.fault("the sender's pid is that of the namespace")
    );
    incident.expect("verdict.cause", "external-kill")?;
    agent.stop()?;
    Ok(())
}

/// A worker that was forked while the agent runs and executes nothing: what it is called inside, its end says first.
fn worker_in_a_pid_namespace() -> Result<()> {
    needs_root()?;
    needs_program("unshare")?;
    let tag = unique();
    let script =
        "echo ready; read go; (while :; do :; done) & worker=$!; kill -9 $worker; echo $worker; read end";
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", script, &tag]);
    let mut namespace = Victim::spawn(&mut command)?;
    let master = find_process(&["-c", script, &tag])?;
    let mut agent = Agent::watch(&["--follow-children", "--pid", &master.to_string()])?;
    namespace.go()?;
    let inside: u32 = namespace.line()?.parse()?;
    let incident = agent.find_incident(|record| record.at("target.ppid") == master)?;
    incident.expect_killed(SIGKILL)?;
    incident.expect("target.ns_pid", inside)?;
    agent.stop()?;
    Ok(())
}

/// Every shell between the test and the killer is named with its command line, though all are gone.
fn sender_four_shells_deep() -> Result<()> {
    let victim = Victim::start(&["sleep"])?;
    let mut agent = Agent::watch_pid(victim.pid())?;
    // The `exit` keeps a shell from replacing itself with the last command.
    let script = r#"if [ "$1" -gt 1 ]; then sh -c "$0" "$0" $(($1 - 1)) "$2" "$3"; else "$2" kill "$3" 15; fi; exit $?"#;
    let killer = killer_program()?;
    let pid = victim.pid().to_string();
    let outermost = Killer::run(Command::new("sh").args(["-c", script, script, "4"]).arg(&killer).arg(&pid))?;
    let incident = agent.incident_of(victim.pid())?;
    incident.expect_killed(SIGTERM)?;
    let signal = incident.expect_last_signal(SIGTERM, "kill")?;
    let sender = format!("{signal}.sender");
    let argv = [&*killer.to_string_lossy(), "kill", &pid, "15"].map(str::to_owned);
    incident.expect(&format!("{sender}.argv"), argv.to_vec())?;
    for (depth, level) in ["1", "2", "3", "4"].into_iter().enumerate() {
        let shell = format!("{sender}.ancestors.{depth}");
        let argv = ["sh", "-c", script, script, level, &killer.to_string_lossy(), &pid].map(str::to_owned);
        incident.expect(&format!("{shell}.argv"), argv.to_vec())?;
        incident.expect(&format!("{shell}.name"), "sh")?;
    }
    incident.expect(&format!("{sender}.ancestors.3.pid"), outermost.pid)?;
    incident.expect(&format!("{sender}.ancestors.4.pid"), std::process::id())?;
    agent.stop()?;
    Ok(())
}

fn pkill() -> Result<()> {
    needs_program("pkill")?;
    let tag = unique();
    let victim = Victim::start(&["sleep", &tag])?;
    let mut agent = Agent::watch_pid(victim.pid())?;
    let killer = Killer::run(Command::new("pkill").args(["-f", &format!("victim sleep {tag}$")]))?;
    let incident = agent.incident_of(victim.pid())?;
    incident.expect_killed(SIGTERM)?;
    let signal = incident.expect_last_signal(SIGTERM, "kill")?;
    killer.expect(&incident, &format!("{signal}.sender"))?;
    incident.expect_one_of("verdict.cause", &["pattern-kill", "external-kill"])?;
    killer.expect(&incident, "verdict.culprit")?;
    ensure!(
        agent.next("incident", Duration::from_millis(1)).is_err(),
        "a second incident was reported for one death"
    );
    agent.stop()?;
    Ok(())
}
