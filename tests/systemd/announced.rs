//! Stops that the manager carried out, and markers beside them.

use anyhow::{Context as _, Result, ensure};
use harness::{Agent, Machine, Record, output};

/// A service in a home of its own, and the agent that watches it.
struct Scene {
    machine: &'static Machine,
    name: String,
    home: String,
    /// As the machine counts.
    inner: u32,
    /// As the host counts.
    pid: u32,
    agent: Agent,
}

impl Scene {
    /// `settings` may name `HOME`, which stands for the home.
    fn new(name: &str, settings: &[&str]) -> Result<Self> {
        let machine = Machine::get()?;
        let home = format!("/run/{name}-home");
        machine.sh(&format!("mkdir -p {home}"))?;
        let environment = format!("Environment=HERMES_HOME={home}");
        let settings: Vec<_> =
            settings.iter().map(|setting| setting.replace("HOME/", &format!("{home}/"))).collect();
        let mut lines = vec!["ExecStart=/bin/sleep 1000", &environment];
        lines.extend(settings.iter().map(String::as_str));
        let inner = machine.service(name, &lines)?;
        let pid = machine.host_pid(inner)?;
        let agent = Agent::start(machine.agent_beside(), &["--pid", &pid.to_string()])?;
        Ok(Self { machine, name: name.to_owned(), home, inner, pid, agent })
    }

    fn incident(mut self) -> Result<Record> {
        let incident = self.agent.incident_of(self.pid)?;
        // SIGCONT follows, for those that are stopped.
        incident.expect("signals.0.signal_num", 15)?;
        incident.expect("signals.0.sender.name", "systemd")?;
        incident.expect("target.unit", format!("{}.service", self.name))?;
        incident.expect("markers.0.names_target", true)?;
        incident.expect("markers.0.fresh", true)?;
        self.agent.stop()?;
        Ok(incident)
    }
}

/// Whoever writes the marker asks the manager, which sends the signal.
pub(crate) fn stop_that_was_announced() -> Result<()> {
    let scene = Scene::new("a-planned", &[])?;
    let (inner, home) = (scene.inner, &scene.home);
    let script = format!(
        "read -r stat < /proc/{inner}/stat; set -- ${{stat##*)}}; \
         echo \"{{\\\"target_pid\\\": {inner}, \\\"target_start_time\\\": ${{20}}, \\\"stopper_pid\\\": $$}}\" \
         > {home}/.gateway-planned-stop.json; systemctl stop a-planned; echo $$"
    );
    let stopped = output(scene.machine.inside("sh").args(["-c", &script]))?;
    ensure!(stopped.status.success(), "{stopped:?}");
    let stopper: u32 = stopped.stdout.trim().parse().context("the stopper told no pid")?;
    let incident = scene.incident()?;
    // What was asked says more than what was announced.
    incident.expect("verdict.cause", "systemd-stop")?;
    incident.expect("verdict.intent", "deliberate")?;
    let writer = incident.number("markers.0.writer.pid")?;
    incident.expect_part("verdict.instigator.process.cmdline", "systemctl stop a-planned")?;
    incident.expect("verdict.instigator.process.ppid", writer)?;
    incident.expect("verdict.instigator.inside_target", false)?;
    incident.expect_evidence(&format!("It names pid {stopper} as the stopper."))?;
    incident.expect_evidence("and the service manager sent the signal")
}

/// It tells how the manager stops the unit, not who wanted that.
pub(crate) fn marker_of_exec_stop() -> Result<()> {
    let write =
        "ExecStop=/bin/sh -c 'echo \"{\\\\\"target_pid\\\\\": $MAINPID}\" > HOME/.gateway-planned-stop.json'";
    for (name, last) in [("a-exec-stop", ""), ("a-exec-stop-slow", "ExecStop=/bin/sleep 0.2")] {
        let scene = Scene::new(name, &[write, last])?;
        scene.machine.sh(&format!("systemctl stop {name}"))?;
        let incident = scene.incident()?;
        incident.expect("verdict.cause", "systemd-stop")?;
        incident.expect_part("verdict.culprit.cmdline", &format!("systemctl stop {name}"))?;
        ensure!(
            incident.expect_evidence("comes from its own unit and says nothing of who asked").is_ok()
                || incident.expect_evidence("but nothing shows that its writer asked").is_ok(),
            incident.fault("the marker is not told")
        );
    }
    Ok(())
}
