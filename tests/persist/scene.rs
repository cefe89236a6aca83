//! Where the programs are pinned, and the agents that do it.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use aya::maps::{Array, Map, MapData};
use forensics_agent::store::{Filter, Store};
use forensics_incident::model::Incident;
use harness::{
    Agent, Finished, Killer, PATIENCE, Record, Skip, Victim, WorkDir, agent_program, killer, needs_root,
    output, unique,
};
use libc::SIGKILL;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde_json::Value;

/// A bpf file system of its own, and a store.
pub(crate) struct Scene {
    pub(crate) work: WorkDir,
    mounted: PathBuf,
    pub(crate) directory: PathBuf,
    pub(crate) store: PathBuf,
}

impl Scene {
    pub(crate) fn new() -> Result<Self> {
        needs_root()?;
        let work = WorkDir::new()?;
        let mounted = work.join("bpf");
        std::fs::create_dir(&mounted)?;
        mount("bpf", &mounted, "bpf", MountFlags::empty(), None)
            .map_err(|why| Skip(format!("cannot mount a bpf file system: {why}")))?;
        let directory = mounted.join(format!("forensics-{}", unique()));
        let store = work.join("kept.db");
        Ok(Self { work, mounted, directory, store })
    }

    pub(crate) fn options(&self) -> [String; 3] {
        let persist = format!("--persist={}", self.directory.display());
        [persist, "--store".to_owned(), self.store.display().to_string()]
    }

    pub(crate) fn agent(&self, targets: &[&str]) -> Result<Agent> {
        let options = self.options();
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        Agent::watch(&[targets, &options].concat())
    }

    pub(crate) fn agent_of(&self, victim: &Victim) -> Result<Agent> {
        self.agent(&["--pid", &victim.pid().to_string()])
    }

    pub(crate) fn detach(&self) -> Result<Finished> {
        self.detach_at(&self.directory)
    }

    pub(crate) fn detach_at(&self, directory: &Path) -> Result<Finished> {
        output(Command::new(agent_program()?).arg("detach").arg(directory))
    }

    /// The incident that is open, once so many signals of it are stored.
    pub(crate) fn open(&self, signals: usize) -> Result<Incident> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let open = Store::read(&self.store).and_then(|store| store.open_incidents()).unwrap_or_default();
            ensure!(open.len() < 2, "{} incidents are open", open.len());
            if let Some(open) = open.into_iter().find(|open| open.facts.signals.len() == signals) {
                return Ok(open);
            }
            ensure!(Instant::now() < deadline, "no open incident with {signals} signals is stored");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Writes a note into the log of what is pinned, as an agent does.
    pub(crate) fn note(&self, note: &Value) -> Result<()> {
        /// Of a note, in the frame of an entry.
        const NOTE: u8 = 1;
        let name = self.directory.file_name().and_then(|name| name.to_str()).context("no name")?;
        let beside = std::fs::read_dir("/run/forensics-agent")?.flatten().map(|entry| entry.path());
        let is_log = |path: &PathBuf| {
            let file = path.file_name().and_then(|file| file.to_str()).unwrap_or_default();
            file.starts_with(name) && file.ends_with(".records")
        };
        let log = beside.into_iter().find(is_log).context("there is no log")?;
        let body = serde_json::to_vec(note)?;
        let mut entry = u32::try_from(body.len())?.to_le_bytes().to_vec();
        entry.push(NOTE);
        entry.extend(body);
        Ok(File::options().append(true).open(log)?.write_all(&entry)?)
    }

    /// The incidents of a target that are stored.
    pub(crate) fn stored(&self, pid: u32) -> Result<Vec<Record>> {
        let lines = Store::read(&self.store)?.lines(&Filter::default(), 10_000)?;
        let records = lines.iter().map(|line| Record::parse(line)).collect::<Result<Vec<_>>>()?;
        Ok(records.into_iter().filter(|record| record.at("target.pid") == pid).collect())
    }

    /// Writes something else into the manifest of what is pinned.
    pub(crate) fn doctor(&self, at: usize, byte: u8) -> Result<()> {
        const SIZE: usize = forensics_agent::kernel::pins::MANIFEST_SIZE;
        let map = Map::from_map_data(MapData::from_pin(self.directory.join("current/manifest"))?)?;
        let mut map = Array::<MapData, [u8; SIZE]>::try_from(map)?;
        let mut manifest = map.get(&0, 0)?;
        *manifest.get_mut(at).context("beyond the manifest")? = byte;
        Ok(map.set(0, manifest, 0)?)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // Also the records that were kept beside it.
        let _ = self.detach();
        let _ = unmount(&self.mounted, UnmountFlags::DETACH);
        let _ = &self.work;
    }
}

pub(crate) fn kill(pid: u32, signal: i32) -> Result<Killer> {
    killer(&["kill", &pid.to_string(), &signal.to_string()])
}

/// Ends an agent as a crash would, and says who did it.
pub(crate) fn crash(agent: Agent) -> Result<(u32, Killer)> {
    let pid = agent.pid();
    let killer = kill(pid, SIGKILL)?;
    drop(agent);
    Ok((pid, killer))
}
