//! Markers: a gateway in Python that removes them at once, and those who announce its end, or do not.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Result, ensure};
use harness::{
    Agent, Killer, Record, Run, Victim, WorkDir, agent_program, killer, needs_python, output, test,
};
use libc::SIGTERM;

fn main() -> ExitCode {
    harness::main(vec![
        test("planned_stop", planned_stop),
        test("takeover", takeover),
        test("marker_that_is_gone_before_the_signal", marker_that_is_gone_before_the_signal),
        test("marker_for_another_process", marker_for_another_process),
        test("stale_marker", stale_marker),
        test("kill_by_somebody_else", kill_by_somebody_else),
        test("fifo_in_place_of_a_marker", fifo_in_place_of_a_marker),
        test("marker_of_another_service", marker_of_another_service),
        test("marker_of_another_service_under_run", marker_of_another_service_under_run),
        test("faulty_configuration", faulty_configuration),
    ])
}

/// A gateway in a home of its own, and the agent that watches it.
struct Scene {
    home: WorkDir,
    python: PathBuf,
    gateway: Victim,
    agent: Agent,
}

impl Scene {
    fn new() -> Result<Self> {
        Self::with(|_| Ok(()))
    }

    /// `prepare` is given the home before the gateway starts.
    fn with(prepare: impl FnOnce(&WorkDir) -> Result<()>) -> Result<Self> {
        harness::needs_root()?;
        let home = WorkDir::new()?;
        prepare(&home)?;
        let python = needs_python()?;
        let gateway = Victim::spawn(
            Command::new(&python).arg(program("gateway.py")).env("HERMES_HOME", home.join("")),
        )?;
        let agent = Agent::watch_pid(gateway.pid())?;
        Ok(Self { home, python, gateway, agent })
    }

    /// Runs `programs/announcer.py` to its end.
    fn announce(&self, kind: &str, options: &[&str]) -> Result<Killer> {
        let mut command = Command::new(&self.python);
        command.arg(program("announcer.py")).arg(kind).arg(self.home.join(""));
        Killer::run(command.arg(self.gateway.pid().to_string()).args(options))
    }

    /// The incident of the gateway, which has ended well.
    fn incident(mut self) -> Result<Record> {
        let incident = self.agent.incident_of(self.gateway.pid())?;
        ensure!(self.gateway.wait()?.code() == Some(0), incident.fault("the gateway did not end well"));
        incident.expect_exited(0)?;
        incident.expect_last_signal(SIGTERM, "kill")?;
        self.agent.stop()?;
        Ok(incident)
    }
}

fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("programs").join(name)
}

/// The marker is kept with who wrote it, though the gateway removed it at once.
fn expect_announced(incident: &Record, kind: &str, by: &Killer) -> Result<()> {
    incident.expect("verdict.cause", kind)?;
    incident.expect("verdict.intent", "deliberate")?;
    incident.expect("verdict.confidence", "likely")?;
    by.expect(incident, "verdict.culprit")?;
    incident.expect_part("verdict.summary", &by.pid.to_string())?;
    incident.expect("markers.0.kind", kind)?;
    incident.expect("markers.0.names_target", true)?;
    incident.expect("markers.0.fresh", true)?;
    incident.expect("markers.0.content.target_pid", incident.number("target.pid")?)?;
    by.expect(incident, "markers.0.writer")
}

fn planned_stop() -> Result<()> {
    let scene = Scene::new()?;
    let stopper = scene.announce("planned-stop", &[])?;
    let incident = scene.incident()?;
    expect_announced(&incident, "planned-stop", &stopper)?;
    incident.expect("markers.0.content.stopper_pid", stopper.pid)?;
    incident.expect_part("context.planned_stop_marker", &stopper.pid.to_string())?;
    incident.expect("context.takeover_marker", serde_json::Value::Null)
}

fn takeover() -> Result<()> {
    let scene = Scene::new()?;
    let replacer = scene.announce("takeover", &[])?;
    let incident = scene.incident()?;
    expect_announced(&incident, "takeover", &replacer)?;
    incident.expect_part("context.takeover_marker", &replacer.pid.to_string())?;
    incident.expect("context.takeover_marker_for_self", true)
}

/// No snapshot can find it: it must have been seen when it was written.
fn marker_that_is_gone_before_the_signal() -> Result<()> {
    let scene = Scene::new()?;
    let stopper = scene.announce("planned-stop", &["gone"])?;
    let incident = scene.incident()?;
    expect_announced(&incident, "planned-stop", &stopper)?;
    incident.expect_part("context.planned_stop_marker", &stopper.pid.to_string())
}

/// The sender is to blame, and what the marker says is told.
fn expect_told(incident: &Record, sender: &Killer, evidence: &str) -> Result<()> {
    let signal = incident.expect_last_signal(SIGTERM, "kill")?;
    sender.expect_blamed(incident, &signal)?;
    let told = |sentence: &serde_json::Value| sentence.as_str().is_some_and(|text| text.contains(evidence));
    ensure!(
        incident.list("verdict.evidence")?.iter().any(told),
        incident.fault(format!("no evidence says {evidence:?}"))
    );
    Ok(())
}

fn marker_for_another_process() -> Result<()> {
    let scene = Scene::new()?;
    let stopper = scene.announce("planned-stop", &[&format!("for={}", std::process::id())])?;
    let incident = scene.incident()?;
    expect_told(&incident, &stopper, &format!("is for pid {}, not for this process", std::process::id()))?;
    incident.expect("markers.0.names_target", false)
}

fn stale_marker() -> Result<()> {
    let scene = Scene::new()?;
    let replacer = scene.announce("takeover", &["age=120"])?;
    let incident = scene.incident()?;
    expect_told(&incident, &replacer, "A stale takeover marker")?;
    incident.expect("markers.0.fresh", false)
}

fn kill_by_somebody_else() -> Result<()> {
    let scene = Scene::new()?;
    let stopper = scene.announce("planned-stop", &["quiet"])?;
    let killer = killer(&["kill", &scene.gateway.pid().to_string(), "15"])?;
    let incident = scene.incident()?;
    expect_told(&incident, &killer, "but the signal came from somebody else")?;
    expect_told(&incident, &killer, &format!("It names pid {} as the stopper.", stopper.pid))?;
    stopper.expect(&incident, "markers.0.writer")
}

/// Whoever opens a FIFO waits for its other end.
fn fifo_in_place_of_a_marker() -> Result<()> {
    let fifo = |home: &WorkDir| {
        let made = Command::new("mkfifo").arg(home.join(".gateway-takeover.json")).status()?;
        ensure!(made.success(), "mkfifo ended with {made}");
        Ok(())
    };
    let scene = Scene::with(fifo)?;
    let killer = killer(&["kill", &scene.gateway.pid().to_string(), "15"])?;
    let incident = scene.incident()?;
    killer.expect_blamed(&incident, "signals.0")?;
    let about = |note: &serde_json::Value| note["field"] == "markers.takeover_marker";
    ensure!(incident.list("missing")?.iter().any(about), incident.fault("the FIFO is not missing"));
    ensure!(incident.list("markers")?.is_empty(), incident.fault("a FIFO is no marker"));
    Ok(())
}

/// A configuration that knows a marker of its own in `directory`.
fn configuration(directory: &WorkDir) -> Result<String> {
    let config = directory.join("config.toml");
    let marker = directory.join("stopping.json");
    let text = format!(
        "[[marker]]\nname = \"deploy\"\npath = {:?}\npid_pointer = \"/service/pid\"\nkind = \"planned-stop\"\n",
        marker.display().to_string()
    );
    std::fs::write(&config, text)?;
    Ok(config.display().to_string())
}

/// A shell that announces and sends the end of the process `pid`, or of what `pid` is a shell expression for.
fn announcing_script(directory: &WorkDir, pid: &str) -> String {
    let marker = directory.join("stopping.json");
    format!("echo \"{{\\\"service\\\": {{\\\"pid\\\": {pid}}}}}\" > {}; kill -TERM {pid}", marker.display())
}

fn expect_deployed(incident: &Record, directory: &WorkDir) -> Result<()> {
    incident.expect("verdict.cause", "planned-stop")?;
    incident.expect("verdict.confidence", "certain")?;
    incident.expect("markers.0.path", directory.join("stopping.json").display().to_string())?;
    incident.expect("markers.0.names_target", true)?;
    incident.expect("markers.0.content.service.pid", incident.number("target.pid")?)?;
    // The keys of the context are those of the built-in markers.
    incident.expect("context.planned_stop_marker", serde_json::Value::Null)
}

fn marker_of_another_service() -> Result<()> {
    harness::needs_root()?;
    let directory = WorkDir::new()?;
    let config = configuration(&directory)?;
    let victim = Victim::start(&["sleep"])?;
    let mut agent = Agent::watch(&["--pid", &victim.pid().to_string(), "--config", &config])?;
    let script = announcing_script(&directory, &victim.pid().to_string());
    let stopper = Killer::run(Command::new("sh").args(["-c", &script]))?;
    let incident = agent.incident_of(victim.pid())?;
    expect_deployed(&incident, &directory)?;
    incident.expect("verdict.culprit.pid", stopper.pid)?;
    incident.expect("markers.0.writer.pid", stopper.pid)?;
    agent.stop()?;
    Ok(())
}

/// The command itself has its end announced by a child.
fn marker_of_another_service_under_run() -> Result<()> {
    harness::needs_root()?;
    let directory = WorkDir::new()?;
    let config = configuration(&directory)?;
    let child = announcing_script(&directory, "$PPID");
    // Only when the command has been looked at.
    std::fs::write(directory.join("stop.sh"), format!("sleep 2; {child}"))?;
    let script = format!("sh {} & wait; sleep 300", directory.join("stop.sh").display());
    let ran = Run::with(&["--config", &config], &["sh", "-c", &script])?.finish()?;
    let incident = ran.incident()?;
    incident.expect_killed(SIGTERM)?;
    expect_deployed(incident, &directory)
}

fn faulty_configuration() -> Result<()> {
    let directory = WorkDir::new()?;
    let config = directory.join("config.toml");
    std::fs::write(&config, "[[marker]]\nname = \"deploy\"\npth = \"/x\"\n")?;
    let config = config.display().to_string();
    for arguments in
        [["watch", "--config", &config, "--all"].as_slice(), &["run", "--config", &config, "--", "true"]]
    {
        let ended = output(Command::new(agent_program()?).args(arguments))?;
        let status = if arguments.contains(&"run") { 125 } else { 2 };
        ensure!(ended.status.code() == Some(status), "{arguments:?}: {ended:?}");
        let place = format!("{config}, line 3, key \"pth\": unknown field");
        ensure!(
            ended.stderr.contains(&place) && ended.stderr.lines().count() == 1,
            "{arguments:?}: {ended:?}"
        );
    }
    Ok(())
}
