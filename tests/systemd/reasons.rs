//! Why a manager acts when nobody tells it to, or more than it was told: by its own word.

use anyhow::{Result, bail, ensure};
use harness::{Agent, Machine, Record, Skip};
use serde_json::{Value, json};

/// Tells the pid of the journal daemon.
const JOURNAL_PID: &str = "systemctl show --value -p MainPID systemd-journald";

/// Takes a minute to stop. The manager sends SIGTERM again to what comes while it sends it, so its `sleep` does not mind.
const DRAIN: &str = "ExecStart=/bin/sh -c 'drain() { trap \"\" TERM; sleep 60; exit; }; trap drain TERM; \
    while :; do sleep 0.1; done'";

/// Asserts what is the same for all of them: the manager sent the signal, and is not to blame.
fn expect_reason(incident: &Record, cause: &str, confidence: &str) -> Result<()> {
    incident.expect("verdict.cause", cause)?;
    incident.expect("verdict.confidence", confidence)?;
    incident.expect("signals.0.sender.name", "systemd")?;
    let culprit = incident.at("verdict.culprit.name");
    ensure!(culprit != "systemd", incident.fault("the manager is blamed"));
    Ok(())
}

/// Units of these names and files, known to the manager.
fn write_units(machine: &Machine, units: &[(&str, &str)]) -> Result<()> {
    for (name, text) in units {
        machine.write(&format!("/run/systemd/system/{name}.service"), text)?;
    }
    machine.sh("systemctl daemon-reload").map(drop)
}

/// The end of a unit whose clock starts when the agent is there: at the word of its process that it is ready.
fn end_of(unit: &str, setting: &str) -> Result<Record> {
    let machine = Machine::get()?;
    let script =
        format!("until test -e /run/{unit}-go; do sleep 0.05; done; systemd-notify --ready; exec sleep 1000");
    let text =
        format!("[Service]\nType=notify\nNotifyAccess=all\nExecStart=/bin/sh -c '{script}'\n{setting}\n");
    write_units(machine, &[(unit, &text)])?;
    machine.sh(&format!("systemctl start --no-block {unit}"))?;
    machine.until(&format!("test $(systemctl show --value -p MainPID {unit}) != 0"))?;
    let inner = machine.sh(&format!("systemctl show --value -p MainPID {unit}"))?.parse()?;
    let pid = machine.host_pid(inner)?;
    let mut agent = Agent::start(machine.agent_beside(), &["--pid", &pid.to_string()])?;
    machine.sh(&format!("touch /run/{unit}-go"))?;
    let incident = agent.explained_incident_of(pid)?;
    incident.expect("target.unit", format!("{unit}.service"))?;
    agent.stop()?;
    Ok(incident)
}

pub(crate) fn stop_that_took_too_long() -> Result<()> {
    let machine = Machine::get()?;
    let pid = machine.host_pid(machine.service("r-slow", &[DRAIN, "TimeoutStopSec=2"])?)?;
    let arguments = ["--pid", &pid.to_string(), "--drain-timeout", "5"];
    let mut agent = Agent::start(machine.agent_beside(), &arguments)?;
    machine.sh("systemctl stop r-slow")?;
    let incident = agent.explained_incident_of(pid)?;
    incident.expect_killed(9)?;
    expect_reason(&incident, "systemd-stop-timeout", "certain")?;
    incident.expect_part("verdict.summary", "as long as TimeoutStopSec=2 s allows")?;
    incident.expect_evidence("State 'stop-sigterm' timed out. Killing.")?;
    incident.expect_evidence("Still in its cgroup then: `sleep`")?;
    incident.expect_part("verdict.advice", "/etc/systemd/system/r-slow.service.d/stop-timeout.conf")?;
    // A busy manager may not have told its timing when the unit came.
    if !incident.at("timing").is_null() {
        incident.expect_part("verdict.summary", "configured to drain for 5 s")?;
        incident.expect_part("verdict.advice", "TimeoutStopSec=35")?;
    }
    agent.stop().map(drop)
}

/// It stopped in time before, which the store knows.
pub(crate) fn stop_that_hung_this_time() -> Result<()> {
    let machine = Machine::get()?;
    let script = "ExecStart=/bin/sh -c 'drain() { trap \"\" TERM; sleep 0.3; test ! -e /run/r-moody-hangs || sleep 60; exit 0; }; \
        trap drain TERM; while :; do sleep 0.1; done'";
    let first = machine.host_pid(machine.service("r-moody", &[script, "TimeoutStopSec=2"])?)?;
    let mut agent = Agent::start(machine.agent_beside(), &["-u", "r-moody", "--main"])?;
    machine.sh("systemctl restart r-moody")?;
    agent.incident_of(first)?.expect("outcome.exit_code", 0)?;
    let second = machine.host_pid(machine.sh("systemctl show --value -p MainPID r-moody")?.parse()?)?;
    machine.sh("touch /run/r-moody-hangs && sleep 0.5 && systemctl stop r-moody")?;
    let incident = agent.explained_incident_of(second)?;
    expect_reason(&incident, "systemd-stop-timeout", "certain")?;
    incident.expect("observed_drain.stops", 1)?;
    let longest = incident.at("observed_drain.longest_s").as_f64().unwrap_or_default();
    ensure!((0.3..2.0).contains(&longest), incident.fault("it took another time"));
    incident.expect_part("verdict.advice", "look first for what held this one")?;
    agent.stop().map(drop)
}

/// What the journal has not taken yet comes in an update, and nothing is made up meanwhile.
pub(crate) fn journal_that_is_late() -> Result<()> {
    let machine = Machine::get()?;
    let pid = machine.host_pid(machine.service("r-unheard", &[DRAIN, "TimeoutStopSec=1"])?)?;
    let mut agent = Agent::start(machine.agent_beside(), &["--pid", &pid.to_string()])?;
    let mute = Mute::new(machine)?;
    machine.sh("systemctl stop --no-block r-unheard")?;
    let first = agent.incident_of(pid)?;
    first.expect_killed(9)?;
    expect_reason(&first, "systemd-stop-timeout", "likely")?;
    ensure!(
        first.list("missing")?.iter().any(|one| one["field"] == "manager.messages"),
        first.fault("nothing says that the manager's word is missing")
    );
    drop(mute);
    let update = agent.incident_of(pid)?;
    update.expect("id", first.text("id")?)?;
    expect_reason(&update, "systemd-stop-timeout", "certain")?;
    update.expect_evidence("State 'stop-sigterm' timed out. Killing.")?;
    agent.stop().map(drop)
}

/// A journal daemon that takes nothing, for as long as this lives.
struct Mute(&'static Machine);

impl Mute {
    fn new(machine: &'static Machine) -> Result<Self> {
        let mute = Self(machine);
        machine.sh(&format!("{JOURNAL_PID} | xargs kill -STOP")).map(|_| mute)
    }
}

impl Drop for Mute {
    fn drop(&mut self) {
        // A machine without its journal fails the tests that need it.
        let _ = self.0.sh(&format!("{JOURNAL_PID} | xargs kill -CONT"));
    }
}

pub(crate) fn watchdog_that_was_not_fed() -> Result<()> {
    let incident = end_of("r-dog", "WatchdogSec=1")?;
    incident.expect_killed(6)?;
    expect_reason(&incident, "systemd-watchdog", "certain")?;
    incident.expect_part("verdict.summary", "did not report within WatchdogSec=1 s")?;
    incident.expect_evidence("Watchdog timeout (limit 1s)!")
}

pub(crate) fn run_that_took_too_long() -> Result<()> {
    let incident = end_of("r-limit", "RuntimeMaxSec=1")?;
    incident.expect_killed(15)?;
    expect_reason(&incident, "systemd-runtime-limit", "certain")?;
    incident.expect_part("verdict.summary", "had run for RuntimeMaxSec=1 s")
}

/// One process is killed for memory, and its unit is ended with it, or not.
pub(crate) fn rest_of_a_unit_without_memory() -> Result<()> {
    let machine = Machine::get()?;
    if machine.sh("grep -qw memory /sys/fs/cgroup/cgroup.controllers").is_err() {
        bail!(Skip("needs the memory controller of cgroup v2".to_owned()));
    }
    let script = "ExecStart=/bin/sh -c '(until test -e /run/$0-go; do sleep 0.05; done; exec tail /dev/zero) & exec sleep 3600' NAME";
    for (name, policy) in [("r-memory-stop", "stop"), ("r-memory-on", "continue")] {
        let script = script.replace("NAME", name);
        let policy = format!("OOMPolicy={policy}");
        let lines = [script.as_str(), "MemoryMax=24M", "MemorySwapMax=0", &policy];
        let pid = machine.host_pid(machine.service(name, &lines)?)?;
        let mut agent = Agent::start(machine.agent_beside(), &["--pid", &pid.to_string()])?;
        machine.sh(&format!("touch /run/{name}-go"))?;
        if name == "r-memory-stop" {
            let incident = agent.explained_incident_of(pid)?;
            incident.expect_killed(15)?;
            expect_reason(&incident, "systemd-oom-policy", "certain")?;
            incident.expect_part("verdict.summary", "OOMPolicy=stop ends the rest")?;
        } else {
            machine.until(&format!("journalctl -u {name} | grep -q 'OOM killer'"))?;
            machine.sh(&format!("systemctl stop {name}"))?;
            let incident = agent.explained_incident_of(pid)?;
            let cause = incident.text("verdict.cause")?;
            ensure!(
                cause != "systemd-oom-policy" && cause != "oom",
                incident.fault("it was stopped by hand")
            );
        }
        agent.stop()?;
    }
    Ok(())
}

pub(crate) fn units_that_hang_together() -> Result<()> {
    let machine = Machine::get()?;
    let service = "[Service]\nExecStart=/bin/sleep 1000\n";
    let with = |lines: &str| format!("[Unit]\n{lines}\n{service}");
    for (tie, lines, act, words) in [
        ("part", "PartOf=r-base-part.service", "stop r-base-part", "was stopped, and it is part of that"),
        ("again", "PartOf=r-base-again.service", "restart r-base-again", ", and it is part of that"),
        (
            "bound",
            "BindsTo=r-base-bound.service\nAfter=r-base-bound.service",
            "stop r-base-bound",
            "it is bound to that",
        ),
        (
            "needs",
            "Requires=r-base-needs.service\nAfter=r-base-needs.service",
            "stop r-base-needs",
            "it requires that",
        ),
        (
            "enemy",
            "Conflicts=r-base-enemy.service",
            "start r-base-enemy",
            "was started, and the two conflict",
        ),
    ] {
        let (base, unit) = (format!("r-base-{tie}"), format!("r-{tie}"));
        write_units(machine, &[(&base, service), (&unit, &with(lines))])?;
        if tie != "enemy" {
            machine.sh(&format!("systemctl start {base}"))?;
        }
        machine.sh(&format!("systemctl start {unit}"))?;
        let inner = machine.sh(&format!("systemctl show --value -p MainPID {unit}"))?.parse()?;
        let pid = machine.host_pid(inner)?;
        let mut agent = Agent::start(machine.agent_beside(), &["--pid", &pid.to_string()])?;
        machine.sh(&format!("systemctl {act}"))?;
        let incident = agent.explained_incident_of(pid)?;
        incident.expect("verdict.cause", "systemd-dependency")?;
        incident.expect_part("verdict.summary", &format!("because `{base}.service`"))?;
        incident.expect_part("verdict.summary", words)?;
        agent.stop()?;
        machine.sh(&format!("systemctl stop {unit} {base}"))?;
    }
    Ok(())
}

/// What a unit is bound to ends without anybody's job.
pub(crate) fn unit_whose_support_ended() -> Result<()> {
    let machine = Machine::get()?;
    let base = "[Service]\nExecStart=/bin/sleep 1000\n";
    let unit =
        "[Unit]\nBindsTo=r-support.service\nAfter=r-support.service\n[Service]\nExecStart=/bin/sleep 1000\n";
    write_units(machine, &[("r-support", base), ("r-held", unit)])?;
    machine.sh("systemctl start r-held")?;
    let pid = machine.host_pid(machine.sh("systemctl show --value -p MainPID r-held")?.parse()?)?;
    let mut agent = Agent::start(machine.agent_beside(), &["--pid", &pid.to_string()])?;
    machine.sh("systemctl show --value -p MainPID r-support | xargs kill -9")?;
    let incident = agent.explained_incident_of(pid)?;
    expect_reason(&incident, "systemd-dependency", "likely")?;
    incident.expect_part("verdict.summary", "because `r-support.service` ended by itself")?;
    agent.stop().map(drop)
}

pub(crate) fn user_manager_that_ended() -> Result<()> {
    let machine = Machine::get()?;
    machine.user("bob", 1071)?;
    machine.sh("loginctl enable-linger bob")?;
    machine.until("systemctl is-active user@1071.service")?;
    machine
        .write("/home/bob/.config/systemd/user/r-mine.service", "[Service]\nExecStart=/bin/sleep 1000\n")?;
    let as_bob = "runuser -u bob -- env XDG_RUNTIME_DIR=/run/user/1071 systemctl --user";
    machine.sh(&format!("{as_bob} daemon-reload && {as_bob} start r-mine"))?;
    let inner = machine.sh(&format!("{as_bob} show --value -p MainPID r-mine"))?.parse()?;
    let pid = machine.host_pid(inner)?;
    let mut agent = Agent::start(machine.agent_beside(), &["--pid", &pid.to_string()])?;
    machine.sh("loginctl disable-linger bob; systemctl stop user@1071.service")?;
    let incident = agent.explained_incident_of(pid)?;
    incident.expect("manager.scope", "user")?;
    expect_reason(&incident, "session-end", "likely")?;
    incident.expect_part("verdict.summary", "the manager of its user (`user@1071.service`) ended")?;
    incident.expect("manager.linger", json!(false))?;
    agent.stop()?;
    // Newer kernels may skip the program that sees who asked, which is said.
    let may_miss = |missing: &Value| missing["field"] == "requests";
    if incident.at("verdict.instigator").is_null() && incident.list("missing")?.iter().any(may_miss) {
        return incident.expect("verdict.intent", "automatic");
    }
    // Without lingering logind asks for the same, and may be the first; since version 255 by way of what the manager is bound to.
    let by_logind = incident.text("verdict.instigator.process.name")? == "systemd-logind";
    incident.expect_one_of(
        "verdict.instigator.request",
        if by_logind {
            &[
                "StopUnit user@1071.service replace",
                "StopUnit user@1071.service fail",
                "StopUnit user-runtime-dir@1071.service replace",
                "StopUnit user-runtime-dir@1071.service fail",
            ]
        } else {
            &["StopUnit user@1071.service replace"]
        },
    )?;
    incident.expect("verdict.intent", if by_logind { "automatic" } else { "deliberate" })
}
