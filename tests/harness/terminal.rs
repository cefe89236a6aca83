//! A terminal for a victim.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// The master side of a pty.
#[derive(Debug)]
pub struct Terminal {
    master: File,
    /// Path of the slave side.
    path: String,
}

impl Terminal {
    /// Opens a pty.
    ///
    /// # Errors
    /// As `posix_openpt(3)`.
    pub fn open() -> Result<Self> {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).context("openpt")?;
        grantpt(&master).context("grantpt")?;
        unlockpt(&master).context("unlockpt")?;
        let path = ptsname(&master, Vec::new()).context("ptsname")?.to_string_lossy().into_owned();
        Ok(Self { master: File::from(master), path })
    }

    /// Makes a command the leader of a session that this terminal controls.
    ///
    /// # Errors
    /// When the slave side cannot be opened.
    pub fn control(&self, command: &mut Command) -> Result<()> {
        let slave = File::options().read(true).write(true).open(&self.path).context("cannot open the pty")?;
        command.stderr(Stdio::from(slave));
        let become_leader = || {
            // Whoever starts these tests in the background has these keys ignored.
            for key in [libc::SIGINT, libc::SIGQUIT] {
                // SAFETY: sets a disposition, and is allowed between fork and exec.
                unsafe { libc::signal(key, libc::SIG_DFL) };
            }
            rustix::process::setsid()?;
            rustix::process::ioctl_tiocsctty(rustix::stdio::stderr())?;
            Ok(())
        };
        // SAFETY: between fork and exec only system calls are made; nothing allocates or locks.
        unsafe { command.pre_exec(become_leader) };
        Ok(())
    }

    /// Types at the keyboard.
    ///
    /// # Errors
    /// As `write(2)`.
    pub fn type_in(&mut self, keys: &[u8]) -> Result<()> {
        self.master.write_all(keys).context("cannot write to the pty")
    }
}
