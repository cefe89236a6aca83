//! What the agent does as a service: it reads its configuration again, runs a command for each incident, and tells its manager
//! how it is.

use std::io::Read as _;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail, ensure};
use harness::{
    Agent, PATIENCE, Record, Skip, Victim, WorkDir, agent_program, killer, needs_program, needs_root, output,
    test, unique,
};
use libc::{SIGHUP, SIGKILL, SIGTERM};

fn main() -> ExitCode {
    harness::main(vec![
        test("reload_adds_and_removes_targets", reload_adds_and_removes_targets),
        test("reload_keeps_what_is_open", reload_keeps_what_is_open),
        test("a_wrong_configuration_changes_nothing", a_wrong_configuration_changes_nothing),
        test("the_manager_is_told", the_manager_is_told),
        test("a_command_for_each_incident", a_command_for_each_incident),
        test("the_unit_is_closed_off", the_unit_is_closed_off),
    ])
}

/// Where a service manager would listen, and what it hears.
struct Manager {
    socket: UnixDatagram,
}

impl Manager {
    fn new(path: &Path) -> Result<Self> {
        let socket = UnixDatagram::bind(path)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { socket })
    }

    /// Waits for a message with this line, and returns it whole.
    fn hears(&self, line: &str) -> Result<String> {
        let mut buffer = [0; 4096];
        loop {
            let length = self.socket.recv(&mut buffer).with_context(|| format!("{line} is not told"))?;
            let message = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned();
            if message.lines().any(|told| told == line) {
                return Ok(message);
            }
        }
    }
}

/// An agent under a manager, with a configuration that can be changed.
struct Scene {
    directory: WorkDir,
    manager: Manager,
    agent: Agent,
}

impl Scene {
    fn new(config: &str) -> Result<Self> {
        needs_root()?;
        let directory = WorkDir::new()?;
        let (path, socket) = (directory.join("config.toml"), directory.join("notify"));
        std::fs::write(&path, config)?;
        let manager = Manager::new(&socket)?;
        let mut command = Command::new(agent_program()?);
        command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "2000000");
        let agent = Agent::start(command, &["--config", &path.to_string_lossy()])?;
        manager.hears("READY=1")?;
        Ok(Self { directory, manager, agent })
    }

    /// Changes the configuration, and waits until the agent has read it.
    fn reload(&self, config: &str) -> Result<()> {
        std::fs::write(self.directory.join("config.toml"), config)?;
        killer(&["kill", &self.agent.pid().to_string(), &SIGHUP.to_string()])?;
        let message = self.manager.hears("RELOADING=1")?;
        ensure!(message.contains("MONOTONIC_USEC="), "{message:?} says no time");
        self.manager.hears("READY=1").map(drop)
    }

    /// Kills a victim and expects its incident.
    fn kill(&mut self, victim: &Victim, signal: i32) -> Result<Record> {
        killer(&["kill", &victim.pid().to_string(), &signal.to_string()])?;
        let incident = self.agent.incident_of(victim.pid())?;
        incident.expect_killed(signal)?;
        Ok(incident)
    }
}

fn matching(tag: &str) -> String {
    format!("[targets]\nmatch = ['victim sleep {tag}$']\n")
}

/// By name, so that the kernel programs must be told as well: of those that are there and of those that start later.
fn reload_adds_and_removes_targets() -> Result<()> {
    let (first, second) = (unique(), unique());
    let directory = WorkDir::new()?;
    let pidfile = directory.join("gateway.pid");
    let by_pidfile = Victim::start(&["sleep"])?;
    std::fs::write(&pidfile, by_pidfile.pid().to_string())?;
    let [old, new] = [Victim::start(&["sleep", &first])?, Victim::start(&["sleep", &second])?];
    // At first nothing is selected by name: no exec is looked at.
    let mut scene = Scene::new(&format!("[targets]\npidfile = ['{}']\n", pidfile.display()))?;
    scene.reload(&matching(&first))?;
    scene.kill(&old, SIGTERM)?;
    let later = Victim::start(&["sleep", &first])?;
    scene.kill(&later, SIGTERM)?;
    let left = Victim::start(&["sleep", &first])?;
    scene.reload(&matching(&second))?;
    // Nobody looks at these any more.
    for victim in [&left, &by_pidfile] {
        killer(&["kill", &victim.pid().to_string(), "9"])?;
    }
    scene.kill(&new, SIGKILL)?;
    let rest = scene.agent.stop()?;
    ensure!(!rest.iter().any(|record| record.is("incident")), "more was reported: {rest:?}");
    Ok(())
}

/// A target that was asked to end and has not yet, under a configuration that does not name it any more.
fn reload_keeps_what_is_open() -> Result<()> {
    let (first, second) = (unique(), unique());
    let stubborn = Victim::start(&["ignore", &SIGTERM.to_string(), &first])?;
    let other = Victim::start(&["sleep", &second])?;
    let mut scene = Scene::new(&format!("[targets]\nmatch = ['victim ignore {SIGTERM} {first}$']\n"))?;
    killer(&["kill", &stubborn.pid().to_string(), &SIGTERM.to_string()])?;
    scene.reload(&matching(&second))?;
    let incident = scene.kill(&stubborn, SIGKILL)?;
    incident.expect("signals.0.signal_num", SIGTERM)?;
    scene.kill(&other, SIGTERM)?;
    scene.agent.stop().map(drop)
}

fn a_wrong_configuration_changes_nothing() -> Result<()> {
    let tag = unique();
    let victim = Victim::start(&["sleep", &tag])?;
    let mut scene = Scene::new(&matching(&tag))?;
    for (wrong, said) in [
        ("[targets]\ncom = ['x']\n", "line 2, key \"com\": unknown field"),
        ("journald = false\n", "names no targets"),
    ] {
        scene.reload(wrong)?;
        let stderr = scene.agent.stderr();
        let last = stderr.lines().next_back().unwrap_or_default();
        ensure!(last.contains("the configuration stays as it was: ") && last.contains(said), "{stderr:?}");
    }
    ensure!(scene.agent.stderr().lines().count() == 2, "more than a line each: {:?}", scene.agent.stderr());
    scene.kill(&victim, SIGTERM)?;
    scene.agent.stop().map(drop)
}

fn the_manager_is_told() -> Result<()> {
    let tag = unique();
    let victim = Victim::start(&["sleep", &tag])?;
    let mut scene = Scene::new(&matching(&tag))?;
    scene.manager.hears("WATCHDOG=1")?;
    scene.kill(&victim, SIGTERM)?;
    let mut status = String::new();
    while !status.contains("1 incident so far; the last one: SIGTERM was sent to") {
        let mut buffer = [0; 4096];
        let length = scene.manager.socket.recv(&mut buffer).with_context(|| format!("after {status:?}"))?;
        status = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned();
    }
    scene.manager.hears("WATCHDOG=1")?;
    scene.agent.stop()?;
    scene.manager.hears("STOPPING=1").map(drop)
}

/// As `systemd-analyze security` sees it: an exposure of 2.0 at most, of 10.
fn the_unit_is_closed_off() -> Result<()> {
    needs_program("systemd-analyze")?;
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/forensics-agent.service");
    let unit = Path::new(unit);
    if !unit.is_file() {
        bail!(Skip("needs the sources".to_owned()));
    }
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(["security", "--no-pager", "--offline=true", "--threshold=20"]).arg(unit);
    let said = output(&mut analyze)?;
    ensure!(said.stdout.contains("Overall exposure level"), "{said:?}");
    ensure!(said.status.success(), "{}", said.stdout);
    Ok(())
}

/// It gets the JSON, and what goes wrong with it is a line, not a delay.
fn a_command_for_each_incident() -> Result<()> {
    let tag = unique();
    let victims = [Victim::start(&["sleep", &tag])?, Victim::start(&["sleep", &tag])?];
    let directory = WorkDir::new()?;
    let socket = directory.join("page");
    let listener = UnixListener::bind(&socket)?;
    // Reads the incident, and connects with it. The second time it fails.
    let script = directory.join("page.py");
    let program = format!(
        "import socket, sys\nline = sys.stdin.readline()\ns = socket.socket(socket.AF_UNIX)\n\
         s.connect({:?})\ns.sendall(line.encode())\ns.close()\nsys.exit('SIGKILL' in line and 7 or 0)\n",
        socket.display().to_string()
    );
    std::fs::write(&script, program)?;
    let python = harness::needs_python()?;
    let config = format!(
        "on_incident = ['{}', '{}']\n{}[on_incident_limits]\ncauses = ['external-kill']\n",
        python.display(),
        script.display(),
        matching(&tag)
    );
    let mut scene = Scene::new(&config)?;
    for (victim, signal) in victims.iter().zip([SIGTERM, SIGKILL]) {
        let incident = scene.kill(victim, signal)?;
        let mut text = String::new();
        listener.accept()?.0.read_to_string(&mut text)?;
        Record::parse(&text)?.expect("id", incident.text("id")?)?;
    }
    let warning = |scene: &Scene| scene.agent.stderr().contains("failed: exit status 7");
    let deadline = std::time::Instant::now() + PATIENCE;
    while !warning(&scene) {
        ensure!(std::time::Instant::now() < deadline, "no warning: {:?}", scene.agent.stderr());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    ensure!(scene.agent.stderr().lines().count() == 1, "{:?}", scene.agent.stderr());
    scene.agent.stop().map(drop)
}
