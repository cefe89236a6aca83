//! Cgroups for victims, of either version: with little memory, with little of the processor.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{PATIENCE, Skip, needs_root, unique};

/// A cgroup with a memory limit, removed with the value.
#[derive(Debug)]
pub struct MemoryCgroup(PathBuf);

impl MemoryCgroup {
    /// Makes a cgroup whose processes may use `limit` bytes together.
    ///
    /// # Errors
    /// [`Skip`] where no memory controller can be used.
    pub fn new(limit: u64) -> Result<Self> {
        needs_root()?;
        let v1 = PathBuf::from("/sys/fs/cgroup/memory");
        let v2 = PathBuf::from("/sys/fs/cgroup");
        let (parent, file) = if v1.join("memory.limit_in_bytes").exists() {
            (v1, "memory.limit_in_bytes")
        } else if std::fs::read_to_string(v2.join("cgroup.subtree_control"))
            .is_ok_and(|on| on.contains("memory"))
        {
            (v2, "memory.max")
        } else {
            bail!(Skip("needs a cgroup memory controller".to_owned()));
        };
        let path = parent.join(format!("forensics-tests-{}", unique()));
        std::fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let cgroup = Self(path);
        cgroup.write(file, &limit.to_string())?;
        // Without it a machine with swap would swap instead. Absent where swap accounting is off.
        let _ = cgroup.write("memory.swap.max", "0");
        let _ = cgroup.write("memory.swappiness", "0");
        Ok(cgroup)
    }

    /// Moves a process into it.
    ///
    /// # Errors
    /// As the kernel.
    pub fn enter(&self, pid: u32) -> Result<()> {
        self.write("cgroup.procs", &pid.to_string())
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.0.join(file);
        std::fs::write(&path, text).with_context(|| format!("cannot write {text} to {}", path.display()))
    }
}

impl Drop for MemoryCgroup {
    fn drop(&mut self) {
        // It stays when a victim outlives the test, and then it is empty soon.
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// The root of a controller, and whether it is of version 2.
fn root_of(controller: &str, file: &str) -> Result<(PathBuf, bool)> {
    let (v1, v2) = (PathBuf::from("/sys/fs/cgroup").join(controller), PathBuf::from("/sys/fs/cgroup"));
    if v1.is_dir() {
        return Ok((v1, false));
    }
    let on = std::fs::read_to_string(v2.join("cgroup.subtree_control")).unwrap_or_default();
    if !on.split_whitespace().any(|one| one == controller) {
        bail!(Skip(format!("needs the {controller} controller of cgroups for {file}")));
    }
    Ok((v2, true))
}

/// A cgroup whose processes get a part of one processor, removed with the value.
#[derive(Debug)]
pub struct ProcessorCgroup(PathBuf);

impl ProcessorCgroup {
    /// Makes one with so many percent.
    ///
    /// # Errors
    /// [`Skip`] where there are no quotas.
    pub fn new(percent: u32) -> Result<Self> {
        needs_root()?;
        let (root, is_v2) = root_of("cpu", "a quota")?;
        let path = root.join(format!("forensics-tests-{}", unique()));
        std::fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let cgroup = Self(path);
        let quota = percent * 1000;
        let (file, text) = if is_v2 {
            ("cpu.max", format!("{quota} 100000"))
        } else {
            ("cpu.cfs_quota_us", quota.to_string())
        };
        let path = cgroup.0.join(file);
        if !path.exists() {
            bail!(Skip("this kernel has no processor quotas (CONFIG_CFS_BANDWIDTH)".to_owned()));
        }
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(cgroup)
    }

    /// Moves a process into it.
    ///
    /// # Errors
    /// As the kernel.
    pub fn enter(&self, pid: u32) -> Result<()> {
        std::fs::write(self.0.join("cgroup.procs"), pid.to_string()).context("cannot enter the cgroup")
    }

    /// Waits until its processes had to stop so many times.
    ///
    /// # Errors
    /// When they do not in time.
    pub fn wait_until_throttled(&self, times: u64) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = std::fs::read_to_string(self.0.join("cpu.stat"))?;
            let count = text.lines().find_map(|line| line.strip_prefix("nr_throttled ")?.parse::<u64>().ok());
            if count.context("cpu.stat has no nr_throttled")? >= times {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "it is not throttled: {text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for ProcessorCgroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}
