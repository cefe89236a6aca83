//! Processes that are targets because of the cgroup that they are in.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use harness::{Skip, Victim, unique};
use libc::SIGKILL;

use crate::scene::{Scene, crash, kill};

/// A cgroup of its own.
struct Cgroup {
    name: String,
    directory: PathBuf,
}

impl Cgroup {
    fn new() -> Result<Self> {
        let mounts = std::fs::read_to_string("/proc/mounts")?;
        let mut mounts: Vec<(&str, &str)> = mounts
            .lines()
            .filter_map(|line| {
                let mut words = line.split(' ').skip(1);
                let directory = words.next()?;
                let kind = words.next().filter(|kind| kind.starts_with("cgroup"))?;
                Some((kind, directory))
            })
            .collect();
        // The unified one is `cgroup2`.
        mounts.sort_unstable();
        let (_, root) =
            mounts.last().ok_or_else(|| Skip("needs a mounted hierarchy of cgroups".to_owned()))?;
        let name = format!("persist-{}", unique());
        let directory = PathBuf::from(root).join(&name);
        std::fs::create_dir(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        Ok(Self { name, directory })
    }

    fn enter(&self, pid: u32) -> Result<()> {
        Ok(std::fs::write(self.directory.join("cgroup.procs"), pid.to_string())?)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.directory);
    }
}

/// One that was a member before, and one that no agent ever saw.
pub(crate) fn members_that_came_and_went_meanwhile() -> Result<()> {
    let scene = Scene::new()?;
    let cgroup = Cgroup::new()?;
    let path = format!("/{}", cgroup.name);
    let targets = ["--cgroup", path.as_str()];
    let mut before = Victim::start(&["sleep"])?;
    cgroup.enter(before.pid())?;
    crash(scene.agent(&targets)?)?;
    let first = kill(before.pid(), SIGKILL)?;
    before.wait()?;
    let mut meanwhile = Victim::start(&["sleep"])?;
    cgroup.enter(meanwhile.pid())?;
    let second = kill(meanwhile.pid(), SIGKILL)?;
    meanwhile.wait()?;
    let mut agent = scene.agent(&targets)?;
    for (victim, killer) in [(&before, first), (&meanwhile, second)] {
        let incident = agent.incident_of(victim.pid())?;
        killer.expect_blamed(&incident, "signals.0")?;
        incident.expect("target.name", "victim")?;
        incident.expect("target.cgroup", path.as_str())?;
    }
    let mut later = Victim::start(&["sleep"])?;
    cgroup.enter(later.pid())?;
    let third = kill(later.pid(), SIGKILL)?;
    later.wait()?;
    third.expect_blamed(&agent.incident_of(later.pid())?, "signals.0")?;
    agent.stop().map(drop)
}
