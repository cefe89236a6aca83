//! Directories for one test.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, ensure};

/// A directory that anyone may enter, removed with the value.
#[derive(Debug)]
pub struct WorkDir(PathBuf);

impl WorkDir {
    /// Makes a new one.
    ///
    /// # Errors
    /// As `mkdir(2)`.
    pub fn new() -> Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        loop {
            let path = std::env::temp_dir().join(format!("forensics-tests-{}", unique()));
            match std::fs::create_dir(&path) {
                Ok(()) => {
                    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755))?;
                    return Ok(Self(path));
                }
                // A test that was killed left it, and had the same pid.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| format!("cannot create {}", path.display())),
            }
        }
    }

    /// A path in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }

    /// Copies a program into it under another name.
    ///
    /// # Errors
    /// As `cp(1)`.
    pub fn copy(&self, program: &Path, name: impl AsRef<Path>) -> Result<PathBuf> {
        let copy = self.join(name);
        // By a process of its own: a child that another test forks while this one has the copy open for writing would
        // inherit that, and executing the copy would fail with ETXTBSY.
        let status =
            Command::new("cp").arg("--").args([program, &copy]).status().context("cannot start cp")?;
        ensure!(status.success(), "cannot copy {} to {}: {status}", program.display(), copy.display());
        Ok(copy)
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A word that no other test uses.
pub fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
