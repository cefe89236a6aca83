//! Who asked systemd: the request behind a stop, by whatever way it comes.

use anyhow::{Result, ensure};
use harness::{Agent, Machine, Record};

const PLAIN: &str = "ExecStart=/bin/sleep 1000";

/// A service, and the agent that watches it.
struct Scene {
    machine: &'static Machine,
    pid: u32,
    agent: Agent,
}

impl Scene {
    fn new(name: &str) -> Result<Self> {
        Self::with(name, &[PLAIN], "auto")
    }

    fn with(name: &str, lines: &[&str], mode: &str) -> Result<Self> {
        let machine = Machine::get()?;
        let pid = machine.host_pid(machine.service(name, lines)?)?;
        let arguments = ["--pid", &pid.to_string(), "--instigator", mode];
        let agent = Agent::start(machine.agent_beside(), &arguments)?;
        Ok(Self { machine, pid, agent })
    }

    /// The incident, which is to be somebody's doing by way of systemd.
    fn stopped(mut self) -> Result<Record> {
        let incident = self.agent.incident_of(self.pid)?;
        incident.expect("verdict.cause", "systemd-stop")?;
        let seen = self.agent.ready().text("instigator")? != "exec";
        let confidence = if seen { "certain" } else { "likely" };
        incident.expect("verdict.confidence", confidence)?;
        incident.expect("verdict.instigator.inside_target", false)?;
        self.agent.stop()?;
        Ok(incident)
    }
}

/// The last words of the instigator's command line.
fn expect_asker(incident: &Record, cmdline: &str, request: &str) -> Result<()> {
    let asker = incident.text("verdict.instigator.process.cmdline")?;
    ensure!(asker.ends_with(cmdline), incident.fault(format!("{asker:?} asked, not {cmdline:?}")));
    incident.expect("verdict.instigator.request", request)
}

pub(crate) fn systemctl_by_root() -> Result<()> {
    for (name, command, request) in [
        ("q-stop", "stop q-stop", "StopUnit q-stop.service replace"),
        ("q-restart", "restart q-restart", "RestartUnit q-restart.service replace"),
        ("q-try", "try-restart q-try", "TryRestartUnit q-try.service replace"),
        ("q-kill", "kill -s KILL q-kill", "KillUnit q-kill.service all SIGKILL"),
    ] {
        let scene = Scene::new(name)?;
        scene.machine.sh(&format!("systemctl {command}"))?;
        let incident = scene.stopped()?;
        expect_asker(&incident, &format!("systemctl {command}"), request)?;
        let culprit = incident.text("verdict.culprit.cmdline")?;
        ensure!(culprit.ends_with(command), incident.fault("somebody else is to blame"));
    }
    Ok(())
}

pub(crate) fn script_four_shells_deep() -> Result<()> {
    let scene = Scene::new("q-deep")?;
    let machine = scene.machine;
    machine.write("/run/q/4.sh", "systemctl stop q-deep; true")?;
    for level in [3, 2, 1] {
        machine.write(&format!("/run/q/{level}.sh"), &format!("sh /run/q/{}.sh; true", level + 1))?;
    }
    machine.sh("sh /run/q/1.sh; true")?;
    let incident = scene.stopped()?;
    expect_asker(&incident, "systemctl stop q-deep", "StopUnit q-deep.service replace")?;
    for (at, script) in ["4.sh", "3.sh", "2.sh", "1.sh"].iter().enumerate() {
        incident.expect_part(&format!("verdict.instigator.process.ancestors.{at}.cmdline"), script)?;
    }
    incident.expect_part("verdict.summary", "4.sh")
}

pub(crate) fn timer_that_was_scheduled() -> Result<()> {
    let scene = Scene::new("q-timed")?;
    scene
        .machine
        .sh("systemd-run --on-active=1 --timer-property=AccuracySec=100ms systemctl stop q-timed")?;
    let incident = scene.stopped()?;
    expect_asker(&incident, "systemctl stop q-timed", "StopUnit q-timed.service replace")?;
    incident.expect_part("verdict.culprit.cmdline", "systemd-run")?;
    incident.expect_part("verdict.summary", "scheduled by `systemd-run")
}

pub(crate) fn timer_of_a_file() -> Result<()> {
    let scene = Scene::new("q-cleaned")?;
    let machine = scene.machine;
    machine.write(
        "/run/systemd/system/q-clean.service",
        "[Service]\nType=oneshot\nExecStart=/bin/systemctl stop q-cleaned\n",
    )?;
    machine.write("/run/systemd/system/q-clean.timer", "[Timer]\nOnActiveSec=1\nAccuracySec=100ms\n")?;
    machine.sh("systemctl daemon-reload && systemctl start q-clean.timer")?;
    let incident = scene.stopped()?;
    expect_asker(&incident, "systemctl stop q-cleaned", "StopUnit q-cleaned.service replace")?;
    incident.expect("verdict.instigator.process.unit", "q-clean.service")?;
    incident.expect_part("verdict.summary", "by the unit q-clean.service")
}

pub(crate) fn calls_over_the_bus() -> Result<()> {
    let scene = Scene::new("q-bus")?;
    let call = "busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1/unit/q_2dbus_2eservice \
                org.freedesktop.systemd1.Unit Stop s replace";
    scene.machine.sh(call)?;
    let incident = scene.stopped()?;
    expect_asker(&incident, "Stop s replace", "Stop q-bus.service replace")
}

pub(crate) fn two_units_by_two_callers() -> Result<()> {
    let machine = Machine::get()?;
    let pids = ["q-one", "q-two"].map(|name| machine.host_pid(machine.service(name, &[PLAIN])?));
    let [one, two] = pids;
    let (one, two) = (one?, two?);
    let arguments = ["--pid", &one.to_string(), "--pid", &two.to_string()];
    let mut agent = Agent::start(machine.agent_beside(), &arguments)?;
    machine.sh("sh -c 'systemctl stop q-one; true' & sh -c 'systemctl restart q-two; true' & wait")?;
    for (pid, command, request) in [
        (two, "systemctl restart q-two", "RestartUnit q-two.service replace"),
        (one, "systemctl stop q-one", "StopUnit q-one.service replace"),
    ] {
        let incident = agent.incident_of(pid)?;
        incident.expect("verdict.cause", "systemd-stop")?;
        expect_asker(&incident, command, request)?;
    }
    agent.stop().map(drop)
}

/// Nothing is seen: what was executed must do.
pub(crate) fn by_commands_alone() -> Result<()> {
    let scene = Scene::with("q-exec", &[PLAIN], "exec")?;
    scene.machine.sh("systemctl restart q-exec")?;
    let incident = scene.stopped()?;
    incident.expect("requests.0.seen", false)?;
    expect_asker(&incident, "systemctl restart q-exec", "RestartUnit q-exec.service replace")
}
