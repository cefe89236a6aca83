//! Units that come, go, and come again.

use std::collections::HashSet;

use anyhow::{Context as _, Result, ensure};
use harness::{Agent, Machine, PATIENCE, Record};

use crate::members::{is_skipped, no_more};

const RESTARTS: usize = 20;

/// Each main process is killed as soon as it is there, and the next one is there at once.
pub(crate) fn twenty_restarts_in_a_row() -> Result<()> {
    let machine = Machine::get()?;
    let settings = ["ExecStart=/bin/sleep 1021", "Restart=always", "RestartSec=0"];
    machine.unit("u-restarts", "StartLimitIntervalSec=0", &settings)?;
    // They come so fast that nothing else may keep the agent busy.
    let mut agent = Agent::start(machine.agent_beside(), &["-u", "u-restarts", "--instigator", "exec"])?;
    // All in one script: the machine's own shell is quicker than anything that is started for each.
    let script = format!(
        "systemctl start u-restarts; last=0; for i in $(seq {RESTARTS}); do \
         while main=$(systemctl show --value -p MainPID u-restarts); [ $main = 0 -o $main = $last ]; do :; done; \
         kill -9 $main; echo $main; last=$main; done; systemctl stop u-restarts"
    );
    let killed = machine.sh_within(&script, 5 * PATIENCE)?;
    let killed: Vec<u64> =
        killed.lines().map(str::parse).collect::<Result<_, _>>().context(killed.clone())?;
    ensure!(killed.len() == RESTARTS, "{killed:?}");
    let mut told = Vec::new();
    for main in &killed {
        let incident = agent.find_incident(|incident| {
            incident.is_pid("target", *main) && incident.at("outcome.signal_num") == 9
        })?;
        incident.expect("target.unit", "u-restarts.service")?;
        // It can be killed before that is executed: as the copy of the manager that it is first, which then names itself after what
        // it will be, or in the program of its own that systemd puts between since version 254.
        let first = incident.text("target.argv.0")?;
        let is_begun = first == "/bin/sleep";
        let is_of_manager =
            ["systemd", "systemd-executor", "(sleep)"].iter().any(|name| first.ends_with(name));
        ensure!(is_begun || is_of_manager, incident.fault("it is something else"));
        if is_begun {
            incident.expect("target.argv", serde_json::json!(["/bin/sleep", "1021"]))?;
        }
        incident.expect("verdict.cause", "external-kill")?;
        incident.expect("signals.0.sender.name", "sh")?;
        incident.expect("lost.records", 0)?;
        told.push(incident);
    }
    // The last one was stopped, in the middle of its start perhaps. The manager may have had a word on any of them.
    for record in agent.stop()? {
        let is_told = told.iter().any(|earlier| earlier.at("id") == record.at("id"));
        let was_stopped = record.at("outcome.signal_num") == 15;
        ensure!(is_told || was_stopped || is_skipped(&record), record.fault("there is more"));
    }
    Ok(())
}

/// Each main process kills itself, as fast as the manager starts them.
pub(crate) fn a_restart_loop_without_a_pause() -> Result<()> {
    let machine = Machine::get()?;
    let settings =
        ["ExecStart=/bin/sh -c 'kill -9 $$$$'", "Restart=always", "RestartSec=0", "SyslogIdentifier=loop"];
    let limits = format!("StartLimitIntervalSec=1h\nStartLimitBurst={RESTARTS}");
    machine.unit("u-loop", &limits, &settings)?;
    let mut agent = Agent::start(machine.agent_beside(), &["-u", "u-loop"])?;
    machine.sh("systemctl start u-loop")?;
    machine.sh_within("until systemctl is-failed u-loop; do sleep 0.1; done", 5 * PATIENCE)?;
    // The manager forgets its count when it reads its files anew, as other tests make it do at any time.
    let logged = "journalctl --sync; journalctl --quiet --output=cat _PID=1 UNIT=u-loop.service | grep -c 'Main process exited'";
    let ends: usize = machine.sh(logged)?.parse()?;
    ensure!(ends >= RESTARTS, "it was started {ends} times only");
    let mut pids = HashSet::new();
    let mut told: Vec<Record> = Vec::new();
    while pids.len() < ends {
        let incident = agent.next("incident", PATIENCE)?;
        incident.expect_killed(9)?;
        incident.expect("target.unit", "u-loop.service")?;
        incident.expect("verdict.cause", "self-kill")?;
        pids.insert(incident.number("target.pid")?);
        told.push(incident);
    }
    no_more(agent, &told)
}

/// The run that ended is not the one that its manager is at when the next agent asks.
pub(crate) fn a_restart_while_no_agent_was_there() -> Result<()> {
    // Of the machine.
    const PLACE: &str = "/run/bpf-of-u-gap";
    const STORE: &str = "/run/u-gap.db";
    let machine = Machine::get()?;
    machine.sh(&format!("mkdir {PLACE} && mount -t bpf -o mode=0700 bpf {PLACE}"))?;
    let pid = machine.host_pid(machine.service("u-gap", &["ExecStart=/bin/sleep 1023"])?)?;
    let run = || machine.sh("systemctl show --value -p InvocationID u-gap");
    let before = run()?;
    let persist = format!("--persist={PLACE}/pins");
    let start = || Agent::start(machine.agent_beside(), &["-u", "u-gap", &persist, "--store", STORE]);
    drop(start()?);
    machine.sh("systemctl restart u-gap")?;
    ensure!(run()? != before, "it is the same run");
    let mut agent = start()?;
    agent.ready().expect("persist", "adopted")?;
    let incident = agent.explained_incident_of(pid)?;
    incident.expect("verdict.cause", "systemd-stop")?;
    incident.expect("manager.invocation_id", before)?;
    agent.stop()?;
    machine.sh(&format!("systemctl stop u-gap; umount {PLACE}; rmdir {PLACE}")).map(drop)
}

/// Its manager and its cgroup know the unit by another name.
pub(crate) fn a_unit_by_its_alias() -> Result<()> {
    let machine = Machine::get()?;
    machine.sh("ln --symbolic --force u-real.service /run/systemd/system/u-alias.service")?;
    let inner = machine.service("u-real", &["ExecStart=/bin/sleep 1000"])?;
    let pid = machine.host_pid(inner)?;
    let mut agent = Agent::start(machine.agent_beside(), &["-u", "u-alias"])?;
    machine.sh("systemctl stop u-alias")?;
    let incident = agent.explained_incident_of(pid)?;
    incident.expect("target.unit", "u-real.service")?;
    incident.expect("verdict.cause", "systemd-stop")?;
    incident.expect("verdict.instigator.request", "StopUnit u-alias.service replace")?;
    agent.stop().map(drop)
}

/// It need not even have a file when the agent starts.
pub(crate) fn a_unit_that_appears_later() -> Result<()> {
    let machine = Machine::get()?;
    let mut agent = Agent::start(machine.agent_beside(), &["-u", "u-later", "-u", "u-never"])?;
    agent.ready().expect("targets", serde_json::json!([]))?;
    agent
        .ready()
        .expect("waiting", serde_json::json!(["--unit u-later.service", "--unit u-never.service"]))?;
    ensure!(agent.stderr().contains("u-later.service"), "no warning in {:?}", agent.stderr());
    let inner = machine.service("u-later", &["ExecStart=/bin/sleep 1022"])?;
    let pid = machine.host_pid(inner)?;
    machine.sh(&format!("kill -9 {inner}"))?;
    let incident = agent.incident_of(pid)?;
    incident.expect("target.unit", "u-later.service")?;
    incident.expect("target.argv", serde_json::json!(["/bin/sleep", "1022"]))?;
    incident.expect_killed(9)?;
    agent.stop().map(drop)
}
