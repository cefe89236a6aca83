//! Where things are pinned, and where they cannot be.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Result, ensure};
use harness::{Agent, Victim, WorkDir};
use libc::SIGKILL;

use crate::scene::{Scene, kill};

/// The kernel does not take the last of what is to be pinned: the agent works without.
pub(crate) fn what_cannot_be_pinned() -> Result<()> {
    let scene = Scene::new()?;
    let mut victim = Victim::start(&["sleep"])?;
    let current = scene.directory.join("current");
    let in_the_way = current.join("link_cgroup_entered");
    std::fs::create_dir_all(&in_the_way)?;
    let mut agent = scene.agent_of(&victim)?;
    let said = agent.stderr();
    ensure!(said.contains("pinning cgroup_entered") && said.contains("end with it"), "{said:?}");
    ensure!(agent.ready().at("persist").is_null(), "it says that it outlives itself");
    ensure!(std::fs::read_dir(&current)?.count() == 1, "something stays pinned");
    let killer = kill(victim.pid(), SIGKILL)?;
    victim.wait()?;
    killer.expect_blamed(&agent.incident_of(victim.pid())?, "signals.0")?;
    agent.stop()?;
    // What goes with it elsewhere is removed by the scene.
    Ok(std::fs::remove_dir(in_the_way)?)
}

/// Whoever may write to the directory may have put anything there.
pub(crate) fn a_directory_of_somebody_else() -> Result<()> {
    let scene = Scene::new()?;
    let victim = Victim::start(&["sleep"])?;
    std::fs::create_dir(&scene.directory)?;
    std::fs::set_permissions(&scene.directory, Permissions::from_mode(0o777))?;
    let agent = scene.agent_of(&victim)?;
    let said = agent.stderr();
    ensure!(said.contains("others may write to it"), "{said:?}");
    ensure!(agent.ready().at("persist").is_null(), "it says that it outlives itself");
    agent.stop()?;
    Ok(std::fs::remove_dir(&scene.directory)?)
}

/// Two directories whose last names are the same have nothing to do with each other.
pub(crate) fn one_name_in_two_places() -> Result<()> {
    let scene = Scene::new()?;
    let mut victim = Victim::start(&["sleep"])?;
    let (pid, work) = (victim.pid().to_string(), WorkDir::new()?);
    std::fs::create_dir(&scene.directory)?;
    let start = |name: &str| -> Result<Agent> {
        let directory = scene.directory.join(name);
        std::fs::create_dir(&directory)?;
        let persist = format!("--persist={}", directory.join("pins").display());
        let store = work.join(name).display().to_string();
        Agent::watch(&["--pid", &pid, &persist, "--store", &store])
    };
    let mut agents = [start("a")?, start("b")?];
    let killer = kill(victim.pid(), SIGKILL)?;
    victim.wait()?;
    for agent in &mut agents {
        agent.ready().expect("persist", "new")?;
        killer.expect_blamed(&agent.incident_of(victim.pid())?, "signals.0")?;
    }
    for agent in agents {
        agent.stop()?;
    }
    for name in ["a", "b"] {
        let removed = scene.detach_at(&scene.directory.join(name).join("pins"))?;
        ensure!(removed.status.success(), "{removed:?}");
        std::fs::remove_dir(scene.directory.join(name))?;
    }
    Ok(())
}
