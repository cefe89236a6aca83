//! Victims that cannot run when the signal comes: stopped, or in a frozen cgroup.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use harness::{Agent, Skip, Victim, killer, needs_root, test, unique};

fn main() -> ExitCode {
    harness::main(vec![
        test("stopped_until_it_goes_on", stopped_until_it_goes_on),
        test("frozen_until_the_thaw", frozen_until_the_thaw),
        test("running", running),
    ])
}

/// Waits for the agent to have taken in a signal: it prints each one as it comes.
fn seen(agent: &mut Agent, signal: &str) -> Result<()> {
    while agent.next("signal", harness::PATIENCE)?.at("signal") != signal {}
    Ok(())
}

fn stopped_until_it_goes_on() -> Result<()> {
    let victim = Victim::start(&["drain", "0"])?;
    let pid = victim.pid().to_string();
    let mut agent = Agent::watch(&["--pid", &pid, "--events"])?;
    killer(&["kill", &pid, "19", "stop"])?;
    while !std::fs::read_to_string(format!("/proc/{pid}/stat"))?.contains(") T ") {
        std::thread::yield_now();
    }
    let asked = killer(&["kill", &pid, "15", "ask"])?;
    seen(&mut agent, "SIGTERM")?;
    // Time must pass that nobody takes for the victim's own.
    std::thread::sleep(std::time::Duration::from_millis(100));
    killer(&["kill", &pid, "18", "go on"])?;
    let incident = agent.incident_of(victim.pid())?;
    agent.stop()?;
    incident.expect_exited(0)?;
    asked.expect(&incident, "verdict.culprit")?;
    incident.expect("kill.suspension.by", "stop")?;
    incident.expect_evidence("It was stopped when the signal came, so that it ended")?;
    incident.expect_evidence("SIGSTOP had come")?;
    incident.expect_evidence("SIGCONT came")
}

/// A cgroup that is removed with the value.
struct Freezer {
    path: PathBuf,
    switch: (&'static str, &'static str, &'static str),
}

impl Freezer {
    fn new() -> Result<Self> {
        let v1 = PathBuf::from("/sys/fs/cgroup/freezer");
        let unified = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(PathBuf::from);
        let v2 = unified.into_iter().find(|root| root.join("cgroup.controllers").exists());
        let (root, switch) = match v2 {
            // The root has no switch; every other cgroup has.
            Some(root) => (root, ("cgroup.freeze", "1", "0")),
            None if v1.join("cgroup.procs").exists() => (v1, ("freezer.state", "FROZEN", "THAWED")),
            None => bail!(Skip("needs a freezer of cgroups".to_owned())),
        };
        let path = root.join(format!("forensics-tests-{}", unique()));
        std::fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let freezer = Self { path, switch };
        if !freezer.path.join(switch.0).exists() {
            bail!(Skip(format!("needs {}", switch.0)));
        }
        Ok(freezer)
    }

    fn freeze(&self, pid: u32) -> Result<()> {
        std::fs::write(self.path.join("cgroup.procs"), pid.to_string())?;
        std::fs::write(self.path.join(self.switch.0), self.switch.1)?;
        // It takes the kernel a moment.
        let (file, word) = match self.switch.0 {
            "cgroup.freeze" => ("cgroup.events", "frozen 1"),
            _ => ("freezer.state", "FROZEN"),
        };
        while !std::fs::read_to_string(self.path.join(file))?.contains(word) {
            std::thread::yield_now();
        }
        Ok(())
    }

    fn thaw(&self) -> Result<()> {
        Ok(std::fs::write(self.path.join(self.switch.0), self.switch.2)?)
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        let _ = self.thaw();
        let _ = std::fs::remove_dir(&self.path);
    }
}

fn frozen_until_the_thaw() -> Result<()> {
    needs_root()?;
    let freezer = Freezer::new()?;
    // What ends at once by a signal does so in a frozen cgroup of version 2 as well; a handler must wait.
    let victim = Victim::start(&["drain", "0"])?;
    let pid = victim.pid().to_string();
    let mut agent = Agent::watch(&["--pid", &pid, "--events"])?;
    freezer.freeze(victim.pid())?;
    let killer = killer(&["kill", &pid, "15"])?;
    seen(&mut agent, "SIGTERM")?;
    std::thread::sleep(std::time::Duration::from_millis(100));
    freezer.thaw()?;
    let incident = agent.incident_of(victim.pid())?;
    agent.stop()?;
    incident.expect_exited(0)?;
    killer.expect(&incident, "verdict.culprit")?;
    incident.expect("kill.suspension.by", "freezer")?;
    incident.expect_evidence("was frozen when the signal came, so that it ended")
}

fn running() -> Result<()> {
    let victim = Victim::start(&["sleep"])?;
    let mut agent = Agent::watch_pid(victim.pid())?;
    killer(&["kill", &victim.pid().to_string(), "15"])?;
    let incident = agent.incident_of(victim.pid())?;
    agent.stop()?;
    incident.expect("kill.suspension", serde_json::Value::Null)
}
