//! What is pinned is not what this agent would pin.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use forensics_agent::store::Store;
use harness::{PATIENCE, Victim};
use libc::SIGKILL;

use crate::scene::{Scene, crash, kill};

/// As if another build had pinned the programs: their records are read, and then they are replaced.
pub(crate) fn another_build_takes_over() -> Result<()> {
    /// Within the digest of the object.
    const OBJECT: usize = 30;
    let scene = Scene::new()?;
    let (mut before, mut after) = (Victim::start(&["sleep"])?, Victim::start(&["sleep"])?);
    let (a, b) = (before.pid().to_string(), after.pid().to_string());
    let targets = ["--pid", a.as_str(), "--pid", b.as_str()];
    crash(scene.agent(&targets)?)?;
    let killer = kill(before.pid(), SIGKILL)?;
    before.wait()?;
    scene.doctor(OBJECT, b'?')?;
    let mut agent = scene.agent(&targets)?;
    agent.ready().expect("persist", "replaced")?;
    killer.expect_blamed(&agent.incident_of(before.pid())?, "signals.0")?;
    let said = agent.stderr();
    ensure!(said.contains("another build") && !said.contains("lost"), "{said:?}");
    let next = scene.directory.join("next");
    let deadline = Instant::now() + PATIENCE;
    while next.exists() {
        ensure!(Instant::now() < deadline, "the new programs do not take the place of the old ones");
        std::thread::sleep(Duration::from_millis(10));
    }
    crash(agent)?;

    // The new ones are pinned in the place of the old ones.
    let killer = kill(after.pid(), SIGKILL)?;
    after.wait()?;
    let mut agent = scene.agent(&targets)?;
    agent.ready().expect("persist", "adopted")?;
    killer.expect_blamed(&agent.incident_of(after.pid())?, "signals.0")?;
    agent.stop().map(drop)
}

/// As if an agent of another version had pinned the programs: what they recorded is lost, and that is said.
pub(crate) fn records_of_another_version_are_not_read() -> Result<()> {
    /// The version of the records.
    const ABI: usize = 12;
    let scene = Scene::new()?;
    let mut victim = Victim::start(&["sleep"])?;
    let agent = scene.agent_of(&victim)?;
    let noted = |pid: u32| {
        let runs = Store::read(&scene.store).and_then(|store| store.runs()).unwrap_or_default();
        runs.iter().any(|(_, targets)| targets.iter().any(|target| target.pid == pid))
    };
    let deadline = Instant::now() + PATIENCE;
    while !noted(victim.pid()) {
        ensure!(Instant::now() < deadline, "it is not noted");
        std::thread::sleep(Duration::from_millis(20));
    }
    crash(agent)?;
    kill(victim.pid(), SIGKILL)?;
    victim.wait()?;
    scene.doctor(ABI, 77)?;
    let mut agent = scene.agent(&["--comm", "nobody-has-this"])?;
    agent.ready().expect("persist", "replaced")?;
    let incident = agent.incident_of(victim.pid())?;
    incident.expect("verdict.cause", "agent-gap")?;
    let said = agent.stderr();
    ensure!(said.contains("is lost") && said.contains("records of version 77"), "{said:?}");
    agent.stop().map(drop)
}

/// An agent that died while it pinned has left programs without a manifest.
pub(crate) fn the_remains_of_a_start_are_cleared() -> Result<()> {
    let scene = Scene::new()?;
    let mut victim = Victim::start(&["sleep"])?;
    crash(scene.agent_of(&victim)?)?;
    std::fs::remove_file(scene.directory.join("current/manifest"))?;
    let mut agent = scene.agent_of(&victim)?;
    agent.ready().expect("persist", "new")?;
    let killer = kill(victim.pid(), SIGKILL)?;
    victim.wait()?;
    killer.expect_blamed(&agent.incident_of(victim.pid())?, "signals.0")?;
    agent.stop().map(drop)
}
