//! Who belongs to a unit.

use std::collections::HashSet;

use anyhow::{Context as _, Result, bail, ensure};
use harness::{Agent, Machine, Record};

/// A main process and two workers, none of which ends by itself.
const THREE: &str = "ExecStart=/bin/sh -c 'sleep 1001 & sleep 1002 & wait'";

/// The pids of a unit's processes, as the machine counts and as the host does.
pub(crate) fn pids(machine: &Machine, unit: &str, count: usize) -> Result<Vec<(u32, u32)>> {
    let procs = format!("cat {}/cgroup.procs", machine.cgroup(unit)?);
    machine.until(&format!("test $({procs} | wc -l) = {count}"))?;
    let inner = machine.sh(&procs)?;
    let pid = |line: &str| {
        let pid = line.parse()?;
        Ok((pid, machine.host_pid(pid)?))
    };
    inner.lines().map(pid).collect()
}

/// The pid on the host of one of them.
pub(crate) fn host(members: &[(u32, u32)], inner: u32) -> Result<u32> {
    let found = members.iter().find(|&&(pid, _)| pid == inner);
    found.map(|&(_, pid)| pid).with_context(|| format!("{inner} is not among {members:?}"))
}

/// The pids of the targets in the first line of an agent.
pub(crate) fn targets(ready: &Record) -> Result<HashSet<u64>> {
    Ok(ready.list("targets")?.iter().filter_map(|target| target["pid"].as_u64()).collect())
}

/// Stops an agent that has told of everything. What a manager says later may follow, in records with the same ids.
/// True when nothing is told but that the kernel skipped runs of programs. From Linux 7.0 on it does when a program is preempted and
/// another process comes to the same point, as happens on a slow machine; whose end is missing is known anyway.
pub(crate) fn is_skipped(record: &Record) -> bool {
    record.is("loss") && record.at("skipped") == record.at("total")
}

pub(crate) fn no_more(agent: Agent, told: &[Record]) -> Result<()> {
    for record in agent.stop()? {
        let is_update = told.iter().any(|earlier| earlier.at("id") == record.at("id"));
        ensure!(is_update || is_skipped(&record), record.fault("there is more"));
    }
    Ok(())
}

pub(crate) fn a_unit_as_a_whole() -> Result<()> {
    let machine = Machine::get()?;
    machine.service("u-whole", &[THREE])?;
    let members = pids(machine, "u-whole", 3)?;
    let mut agent = Agent::start(machine.agent_beside(), &["-u", "u-whole"])?;
    let expected: HashSet<u64> = members.iter().map(|&(_, pid)| u64::from(pid)).collect();
    ensure!(targets(agent.ready())? == expected, agent.ready().fault(format!("not {expected:?}")));

    // One of them by hand.
    let [main, second, (inner, worker)] = members[..] else { bail!("the unit has {members:?}") };
    machine.sh(&format!("kill -9 {inner}"))?;
    let incident = agent.incident_of(worker)?;
    incident.expect("target.unit", "u-whole.service")?;
    incident.expect("target.ns_pid", if machine.is_this() { None } else { Some(inner) })?;
    incident.expect_killed(9)?;
    incident.expect("verdict.cause", "external-kill")?;
    incident.expect("group_id", serde_json::Value::Null)?;

    // The others by one act, which gives them a group.
    machine.sh("systemctl stop u-whole")?;
    let mut told = vec![incident];
    let mut groups = HashSet::new();
    for (_, pid) in [main, second] {
        let incident = agent.incident_of(pid)?;
        incident.expect("target.unit", "u-whole.service")?;
        incident.expect_killed(15)?;
        groups.insert(incident.text("group_id")?.to_owned());
        told.push(incident);
    }
    ensure!(groups.len() == 1, "the groups are {groups:?}");
    no_more(agent, &told)
}

/// Its manager asks the main process to end, and kills the others when it has: one stop.
pub(crate) fn a_unit_stopped_in_two_steps() -> Result<()> {
    let machine = Machine::get()?;
    machine.service("u-mixed", &[THREE, "KillMode=mixed"])?;
    let members = pids(machine, "u-mixed", 3)?;
    let mut agent = Agent::start(machine.agent_beside(), &["-u", "u-mixed"])?;
    machine.sh("systemctl stop u-mixed")?;
    let (mut told, mut groups, mut signals) = (Vec::new(), HashSet::new(), Vec::new());
    for (_, pid) in members {
        let incident = agent.incident_of(pid)?;
        signals.push(incident.number("outcome.signal_num")?);
        groups.insert(incident.text("group_id")?.to_owned());
        told.push(incident);
    }
    signals.sort_unstable();
    ensure!(signals == [9, 9, 15] && groups.len() == 1, "by {signals:?}, the groups are {groups:?}");
    no_more(agent, &told)
}

/// Its workers may be killed, and started again, without a word.
pub(crate) fn a_unit_by_its_main_process() -> Result<()> {
    let machine = Machine::get()?;
    let inner = machine.service("u-main", &[THREE, "Restart=always", "RestartSec=100ms"])?;
    let members = pids(machine, "u-main", 3)?;
    let mut agent = Agent::start(machine.agent_beside(), &["-u", "u-main", "--main"])?;
    let Some(&(worker, _)) = members.iter().find(|&&(pid, _)| pid != inner) else {
        bail!("the unit has {members:?}")
    };
    // The manager has said which one is the main process as soon as an incident can show its word.
    machine.sh(&format!("sleep 2; kill -9 {worker}"))?;
    machine.sh(&format!("kill -9 {inner}"))?;
    let first = agent.find_incident(|_| true)?;
    first.expect("target.pid", host(&members, inner)?)?;
    // And so with the next one.
    machine.until(&format!("test $(systemctl show --value -p MainPID u-main) -gt 0 -a $(systemctl show --value -p MainPID u-main) != {inner}"))?;
    let members = pids(machine, "u-main", 3)?;
    let next: u32 = machine.sh("systemctl show --value -p MainPID u-main")?.parse()?;
    machine.sh("sleep 1; systemctl stop u-main")?;
    let second = agent.find_incident(|record| record.at("id") != first.at("id"))?;
    second.expect("target.pid", host(&members, next)?)?;
    second.expect("verdict.cause", "systemd-stop")?;
    no_more(agent, &[first, second])
}

pub(crate) fn a_unit_killed_by_its_cgroup() -> Result<()> {
    let machine = Machine::get()?;
    machine.service("u-cgroup-kill", &[THREE])?;
    let members = pids(machine, "u-cgroup-kill", 3)?;
    let cgroup = machine.cgroup("u-cgroup-kill")?;
    if machine.sh(&format!("test -e {cgroup}/cgroup.kill")).is_err() {
        bail!(harness::Skip("needs cgroup.kill (Linux 5.14)".to_owned()));
    }
    let mut agent = Agent::start(machine.agent_beside(), &["-u", "u-cgroup-kill"])?;
    machine.sh(&format!("echo 1 > {cgroup}/cgroup.kill"))?;
    let mut groups = HashSet::new();
    for (_, pid) in members {
        let incident = agent.incident_of(pid)?;
        incident.expect_killed(9)?;
        incident.expect("verdict.cause", "cgroup-kill")?;
        groups.insert(incident.text("group_id")?.to_owned());
    }
    ensure!(groups.len() == 1, "the groups are {groups:?}");
    agent.stop().map(drop)
}

pub(crate) fn moved_in_and_out_by_hand() -> Result<()> {
    let machine = Machine::get()?;
    machine.service("u-moved", &["ExecStart=/bin/sleep 1003"])?;
    let cgroup = machine.cgroup("u-moved")?;
    let mut agent = Agent::start(machine.agent_beside(), &["-u", "u-moved"])?;
    let start = |seconds: &str| -> Result<(String, u32)> {
        let inner = machine.sh(&format!("sleep {seconds} > /dev/null 2>&1 & echo $!"))?;
        let pid = machine.host_pid(inner.parse()?)?;
        Ok((inner, pid))
    };
    let roots = machine.hierarchies()?;
    let path = machine.sh("systemctl show --value -p ControlGroup u-moved")?;
    let enter = |inner: &str, path: &str| {
        machine.sh(&format!("for root in {roots}; do echo {inner} > $root{path}/cgroup.procs || exit; done"))
    };

    let (stays, stayed) = start("1004")?;
    enter(&stays, &path)?;
    let (leaves, left) = start("1005")?;
    enter(&leaves, &path)?;
    enter(&leaves, "/visitors")?;
    machine.sh(&format!("kill -9 {leaves}; kill -9 {stays}"))?;
    let incident = agent.incident_of(stayed)?;
    incident.expect("target.unit", "u-moved.service")?;
    incident.expect_part("target.cgroup", "/u-moved.service")?;
    incident.expect_killed(9)?;

    // Whoever is started there by somebody else belongs to it as well.
    let script = format!(
        "echo $$ > {cgroup}/cgroup.procs; sleep 1006 & echo $!; \
         until grep -q ^sleep /proc/$!/cmdline; do :; done; kill -KILL $!; wait"
    );
    let inner = machine.sh(&script)?;
    let incident = agent.find_incident(|incident| incident.at("target.argv.1") == "1006")?;
    incident.expect("target.unit", "u-moved.service")?;
    incident.expect("target.ns_pid", if machine.is_this() { None } else { Some(inner.parse::<u32>()?) })?;
    machine.sh("systemctl stop u-moved")?;
    let rest = agent.stop()?;
    ensure!(rest.iter().all(|record| record.at("target.pid") != left), "who had left is reported: {rest:?}");
    Ok(())
}

/// Shells run programs all the time, and their ends are no incidents; that of the main process is one.
pub(crate) fn workers_that_have_done_their_work() -> Result<()> {
    let machine = Machine::get()?;
    let script =
        "ExecStart=/bin/sh -c 'for i in 1 2 3 4 5; do /bin/true; /bin/false; done; sleep 0.01; exit 3'";
    machine.write("/run/systemd/system/u-shell.service", &format!("[Service]\n{script}\n"))?;
    let mut agent = Agent::start(machine.agent_beside(), &["-u", "u-shell"])?;
    machine.sh("systemctl daemon-reload; systemctl start u-shell")?;
    let incident = agent.next("incident", harness::PATIENCE)?;
    incident.expect_exited(3)?;
    incident.expect("target.unit", "u-shell.service")?;
    no_more(agent, &[incident])
}

pub(crate) fn units_by_pattern() -> Result<()> {
    let machine = Machine::get()?;
    let inner = machine.service("u-pattern-1", &["ExecStart=/bin/sleep 1007"])?;
    let first = machine.host_pid(inner)?;
    machine.service("u-other", &["ExecStart=/bin/sleep 1008"])?;
    let mut agent = Agent::start(machine.agent_beside(), &["-u", "u-pattern-[12]*"])?;
    ensure!(targets(agent.ready())? == HashSet::from([u64::from(first)]), agent.ready().fault("not it"));
    machine.service("u-pattern-2", &["ExecStart=/bin/sleep 1009"])?;
    machine.service("u-pattern-3", &["ExecStart=/bin/sleep 1010"])?;
    // Nobody named it, so nobody waits for it to have done its work.
    machine.service("u-pattern-1-job", &["Type=oneshot", "ExecStart=/bin/true"])?;
    machine.unit("u-pattern-1-bad", "", &["Type=oneshot", "ExecStart=/bin/sh -c 'exit 3'"])?;
    machine.sh("! systemctl start u-pattern-1-bad")?;
    let failed = agent.find_incident(|incident| incident.at("target.unit") == "u-pattern-1-bad.service")?;
    failed.expect_exited(3)?;
    machine.sh("systemctl kill -s KILL u-other u-pattern-3 u-pattern-2 u-pattern-1")?;
    let mut told = vec![failed];
    for unit in ["u-pattern-2.service", "u-pattern-1.service"] {
        let incident = agent.find_incident(|incident| incident.at("target.unit") == unit)?;
        incident.expect_killed(9)?;
        told.push(incident);
    }
    no_more(agent, &told)
}

pub(crate) fn unit_of_a_user() -> Result<()> {
    let machine = Machine::get()?;
    machine.sh("id carol || useradd --create-home --uid 1072 carol; loginctl enable-linger carol")?;
    machine.until("systemctl is-active user@1072.service")?;
    let path = "/home/carol/.config/systemd/user/u-gw.service";
    machine.write(path, "[Service]\nExecStart=/bin/sleep 1011\n")?;
    let systemctl = |verb: &str| {
        machine.sh(&format!("runuser -u carol -- env XDG_RUNTIME_DIR=/run/user/1072 systemctl --user {verb}"))
    };
    systemctl("daemon-reload")?;
    // It is killed so soon that nothing else may keep the agent busy.
    let arguments = ["--user-unit", "u-gw", "--uid", "1072", "--instigator", "exec"];
    let mut agent = Agent::start(machine.agent_beside(), &arguments)?;
    agent.ready().expect("targets", serde_json::json!([]))?;
    systemctl("start u-gw")?;
    let inner = systemctl("show --value -p MainPID u-gw")?.parse()?;
    let pid = machine.host_pid(inner)?;
    let run = systemctl("show --value -p InvocationID u-gw")?;
    machine.sh(&format!("kill -9 {inner}"))?;
    let incident = agent.incident_of(pid)?;
    incident.expect("target.unit", "u-gw.service")?;
    incident.expect("target.uid", 1072)?;
    incident.expect_killed(9)?;
    // When it was forked, its environment still was the manager's, which is another run of another unit.
    let update = agent.find_incident(|record| record.at("update") == 1)?;
    update.expect("manager.invocation_id", run)?;
    update.expect("unit_result.result", "signal")?;
    agent.stop().map(drop)
}
