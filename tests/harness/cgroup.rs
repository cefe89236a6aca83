//! A memory cgroup for a victim, of either version.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::{Skip, needs_root, unique};

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
