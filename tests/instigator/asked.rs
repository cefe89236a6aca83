//! Who asked systemd: the request behind a stop, by whatever way it comes.

use anyhow::{Result, ensure};
use harness::{Agent, Machine, PATIENCE, Record, Skip, wait};

const PLAIN: &str = "ExecStart=/bin/sleep 1000";

/// A service, and the agent that watches it.
pub(crate) struct Scene {
    pub(crate) machine: &'static Machine,
    pid: u32,
    agent: Agent,
}

impl Scene {
    pub(crate) fn new(mode: &str, name: &str) -> Result<Self> {
        let machine = Machine::get()?;
        Self::of(machine, machine.service(name, &[PLAIN])?, mode)
    }

    /// Of a process that runs, as the machine counts.
    pub(crate) fn of(machine: &'static Machine, inner: u32, mode: &str) -> Result<Self> {
        let pid = machine.host_pid(inner)?;
        let arguments = ["--pid", &pid.to_string(), "--instigator", mode];
        let agent = Agent::start(machine.agent_beside(), &arguments)?;
        Ok(Self { machine, pid, agent })
    }

    /// The incident, which is to be somebody's doing by way of systemd: certain when the request can be seen.
    fn stopped(self) -> Result<Record> {
        let seen = self.sees();
        let incident = self.told()?;
        incident.expect("verdict.confidence", if seen { "certain" } else { "likely" })?;
        incident.expect("verdict.instigator.inside_target", false)?;
        Ok(incident)
    }

    /// True when requests are seen here, and not only the commands that make them.
    pub(crate) fn sees(&self) -> bool {
        self.agent.ready().at("instigator") != "exec"
    }

    /// Skips a test whose request no known command makes.
    pub(crate) fn needs_sight(&self) -> Result<()> {
        ensure!(self.sees(), Skip("needs a mode that sees the request itself".to_owned()));
        Ok(())
    }

    /// The incident, which is to be a stop that somebody asked for.
    pub(crate) fn told(self) -> Result<Record> {
        let incident = self.incident()?;
        incident.expect("verdict.cause", "systemd-stop")?;
        Ok(incident)
    }

    fn incident(mut self) -> Result<Record> {
        let incident = self.agent.explained_incident_of(self.pid)?;
        self.agent.stop()?;
        Ok(incident)
    }
}

/// The last words of the instigator's command line.
pub(crate) fn expect_asker(incident: &Record, cmdline: &str, request: &str) -> Result<()> {
    let asker = incident.text("verdict.instigator.process.cmdline")?;
    ensure!(asker.ends_with(cmdline), incident.fault(format!("{asker:?} asked, not {cmdline:?}")));
    incident.expect("verdict.instigator.request", request)
}

pub(crate) fn systemctl_by_root(mode: &str) -> Result<()> {
    for (name, command, request) in [
        ("q-stop", "stop q-stop", "StopUnit q-stop.service replace"),
        ("q-restart", "restart q-restart", "RestartUnit q-restart.service replace"),
        ("q-try", "try-restart q-try", "TryRestartUnit q-try.service replace"),
        ("q-kill", "kill -s KILL q-kill", "KillUnit q-kill.service all SIGKILL"),
    ] {
        let scene = Scene::new(mode, name)?;
        scene.machine.sh(&format!("systemctl {command}"))?;
        let incident = scene.stopped()?;
        expect_asker(&incident, &format!("systemctl {command}"), request)?;
        let culprit = incident.text("verdict.culprit.cmdline")?;
        ensure!(culprit.ends_with(command), incident.fault("somebody else is to blame"));
    }
    Ok(())
}

/// As start-stop-daemon is, in the units of Debian.
pub(crate) fn command_of_the_unit(mode: &str) -> Result<()> {
    let machine = Machine::get()?;
    let stops = ["ExecStop=/bin/sh -c 'kill -QUIT $MAINPID; sleep 1'", "TimeoutStopSec=30"];
    let scene = Scene::of(machine, machine.service("q-command", &[&[PLAIN], &stops[..]].concat())?, mode)?;
    machine.sh("systemctl stop q-command")?;
    let incident = scene.told()?;
    incident.expect_killed(libc::SIGQUIT)?;
    incident.expect_part("signals.0.sender.cmdline", "kill -QUIT")?;
    expect_asker(&incident, "systemctl stop q-command", "StopUnit q-command.service replace")?;
    incident.expect_part("verdict.culprit.cmdline", "systemctl stop q-command")?;
    incident.expect_part("verdict.summary", "with a command of its unit, ")
}

pub(crate) fn script_four_shells_deep(mode: &str) -> Result<()> {
    let scene = Scene::new(mode, "q-deep")?;
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

pub(crate) fn timer_that_was_scheduled(mode: &str) -> Result<()> {
    let scene = Scene::new(mode, "q-timed")?;
    scene
        .machine
        .sh("systemd-run --on-active=1 --timer-property=AccuracySec=100ms systemctl stop q-timed")?;
    let sees = scene.sees();
    let incident = scene.stopped()?;
    expect_asker(&incident, "systemctl stop q-timed", "StopUnit q-timed.service replace")?;
    if sees {
        incident.expect_part("verdict.culprit.cmdline", "systemd-run")?;
        incident.expect_part("verdict.summary", "scheduled by `systemd-run")?;
    }
    Ok(())
}

/// Who made the scope, as logind makes that of a session, did not ask for what is asked for from there.
pub(crate) fn command_in_a_scope(mode: &str) -> Result<()> {
    let scene = Scene::new(mode, "q-scoped")?;
    let command = "systemctl stop q-scoped; true";
    scene.machine.sh(&format!("systemd-run --scope --unit=q-session sh -c 'sh -c \"{command}\"; true'"))?;
    let incident = scene.stopped()?;
    expect_asker(&incident, "systemctl stop q-scoped", "StopUnit q-scoped.service replace")?;
    incident.expect_part("verdict.culprit.cmdline", "systemctl stop q-scoped")?;
    let summary = incident.text("verdict.summary")?;
    ensure!(!summary.contains("scheduled"), incident.fault("nobody scheduled it"));
    Ok(())
}

/// It is reloaded, which stops nothing, and then dies of something else: the manager ends what is left of it.
pub(crate) fn reload_before_a_crash(mode: &str) -> Result<()> {
    let machine = Machine::get()?;
    let start = "ExecStart=/bin/sh -c 'sleep 1000 & echo $! > /run/q-worker; exec sleep 2000'";
    machine.service("q-reloaded", &[start, "ExecReload=/bin/true"])?;
    machine.until("test -s /run/q-worker")?;
    let scene = Scene::of(machine, machine.sh("cat /run/q-worker")?.parse()?, mode)?;
    machine.sh("systemctl reload-or-restart q-reloaded")?;
    machine.sh("kill -SEGV $(systemctl show --value -p MainPID q-reloaded); rm /run/q-worker")?;
    let incident = scene.incident()?;
    incident.expect("signals.0.sender.name", "systemd")?;
    ensure!(incident.at("verdict.instigator").is_null(), incident.fault("somebody is said to have asked"));
    Ok(())
}

pub(crate) fn timer_of_a_file(mode: &str) -> Result<()> {
    let scene = Scene::new(mode, "q-cleaned")?;
    let machine = scene.machine;
    machine.write(
        "/run/systemd/system/q-clean.service",
        "[Service]\nType=oneshot\nExecStart=/bin/systemctl stop q-cleaned\n",
    )?;
    machine.write("/run/systemd/system/q-clean.timer", "[Timer]\nOnActiveSec=1\nAccuracySec=100ms\n")?;
    machine.sh("systemctl daemon-reload && systemctl restart q-clean.timer")?;
    let sees = scene.sees();
    let incident = scene.stopped()?;
    expect_asker(&incident, "systemctl stop q-cleaned", "StopUnit q-cleaned.service replace")?;
    // Of what was only executed, the unit is known when it was read before its end.
    if sees {
        incident.expect("verdict.instigator.process.unit", "q-clean.service")?;
        incident.expect_part("verdict.summary", "by the unit q-clean.service")?;
    }
    Ok(())
}

pub(crate) fn calls_over_the_bus(mode: &str) -> Result<()> {
    let scene = Scene::new(mode, "q-bus")?;
    scene.needs_sight()?;
    let call = "busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1/unit/q_2dbus_2eservice \
                org.freedesktop.systemd1.Unit Stop s replace";
    scene.machine.sh(call)?;
    let incident = scene.stopped()?;
    expect_asker(&incident, "Stop s replace", "Stop q-bus.service replace")
}

pub(crate) fn client_in_python(mode: &str) -> Result<()> {
    let scene = Scene::new(mode, "q-python")?;
    scene.needs_sight()?;
    let script = "import dbus; \
                  systemd = dbus.SystemBus().get_object('org.freedesktop.systemd1', '/org/freedesktop/systemd1'); \
                  dbus.Interface(systemd, 'org.freedesktop.systemd1.Manager').RestartUnit('q-python.service', 'replace')";
    scene.machine.write("/run/q/restart.py", &script.replace("; ", "\n"))?;
    scene.machine.sh("python3 /run/q/restart.py")?;
    let incident = scene.stopped()?;
    expect_asker(&incident, "/run/q/restart.py", "RestartUnit q-python.service replace")
}

/// Questions and requests about others, without end, in both of which nobody's request may go under.
pub(crate) fn flood_of_calls() -> Result<()> {
    let scene = Scene::new("auto", "q-flooded")?;
    let script = "import dbus, itertools, os, time
systemd = dbus.SystemBus().get_object('org.freedesktop.systemd1', '/org/freedesktop/systemd1')
manager = dbus.Interface(systemd, 'org.freedesktop.systemd1.Manager')
began = time.monotonic()
for number in itertools.count():
    manager.ListUnitsByNames(['none.service'])
    manager.ResetFailed()
    try:
        manager.StopUnit('none-%d.service' % number, 'replace')
    except dbus.DBusException:
        pass
    if time.monotonic() > began + 1.5:
        open('/run/q/flows', 'w').close()
    if os.path.exists('/run/q/enough'):
        break
";
    scene.machine.sh("rm -f /run/q/flows /run/q/enough")?;
    scene.machine.write("/run/q/flood.py", script)?;
    let mut flood = scene.machine.inside("python3").arg("/run/q/flood.py").spawn()?;
    scene.machine.until("test -e /run/q/flows")?;
    scene.machine.sh("systemctl restart q-flooded")?;
    let (sees, machine) = (scene.sees(), scene.machine);
    let incident = scene.told();
    machine.sh("touch /run/q/enough")?;
    ensure!(wait(&mut flood, PATIENCE)?.success(), "the flood went wrong");
    let incident = incident?;
    expect_asker(&incident, "systemctl restart q-flooded", "RestartUnit q-flooded.service replace")?;
    // Not every one of the flood was recorded, and it is said that one of the others may have been it. An emulated machine is
    // too slow for a flood.
    let lost = incident.at("lost.requests").as_u64().unwrap_or(0);
    ensure!(lost > 0 || !sees || machine.is_this(), incident.fault("no request was lost"));
    incident.expect("verdict.confidence", if lost > 0 || !sees { "likely" } else { "certain" })
}

/// The manager is told to keep nothing but what a target needs.
pub(crate) fn isolated_target() -> Result<()> {
    let scene = Scene::new("auto", "q-left-out")?;
    let target = "[Unit]\nRequires=multi-user.target\nAfter=multi-user.target\nAllowIsolate=yes\n";
    scene.machine.write("/run/systemd/system/q-alone.target", target)?;
    scene.machine.sh("systemctl daemon-reload && systemctl isolate q-alone.target")?;
    let seen = scene.sees();
    let incident = scene.incident()?;
    incident.expect("verdict.cause", "systemd-dependency")?;
    incident.expect("verdict.confidence", if seen { "certain" } else { "likely" })?;
    expect_asker(&incident, "systemctl isolate q-alone.target", "StartUnit q-alone.target isolate")?;
    incident.expect_part("verdict.culprit.cmdline", "systemctl isolate")
}

pub(crate) fn two_units_by_two_callers(mode: &str) -> Result<()> {
    let machine = Machine::get()?;
    let pids = ["q-one", "q-two"].map(|name| machine.host_pid(machine.service(name, &[PLAIN])?));
    let [one, two] = pids;
    let (one, two) = (one?, two?);
    let arguments = ["--pid", &one.to_string(), "--pid", &two.to_string(), "--instigator", mode];
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
