//! Processes to be signalled.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use rustix::process::Pid;

/// A process of ours, killed and reaped with the value.
#[derive(Debug)]
pub(super) struct Victim(Child);

impl Victim {
    /// One that ignores SIGUSR1 and SIGTERM: such a signal wakes nobody up, so that a kill(2) costs nothing but itself.
    pub(super) fn ignoring() -> Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' USR1 TERM; echo; exec sleep 1000000"]);
        let mut victim = Self::spawn(command.stdout(Stdio::piped()))?;
        let mut stdout = victim.0.stdout.take().context("a victim has no standard output")?;
        stdout.read_exact(&mut [0]).context("a victim did not get ready")?;
        Ok(victim)
    }

    /// One that dies of any signal.
    pub(super) fn sleeping() -> Result<Self> {
        Self::spawn(Command::new("sleep").arg("1000000"))
    }

    fn spawn(command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::null()).spawn();
        child.map(Self).with_context(|| format!("cannot start {:?}", command.get_program()))
    }

    pub(super) fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    /// Waits for its end.
    pub(super) fn wait(&mut self) -> Result<()> {
        self.0.wait().map(drop).context("cannot wait for a victim")
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // It may be dead and reaped; std knows.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
