//! Many processes that do nothing.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

/// Copies of one shell, which is told by a word on its command line. They end with the value.
#[derive(Debug)]
pub(super) struct Crowd(Child);

/// Each child is a fork that executes nothing, the cheapest process there is, and waits for the end of standard input.
const SCRIPT: &str =
    "exec 3<&0; i=1; while [ $i -lt $1 ]; do (read _ <&3) & i=$((i+1)); done; echo; read _; wait";

impl Crowd {
    /// Starts `count` of them, the shell itself included.
    pub(super) fn start(count: usize, word: &str) -> Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, word, &count.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut crowd = Self(command.spawn().context("cannot start a crowd")?);
        let mut stdout = crowd.0.stdout.take().context("a crowd has no standard output")?;
        stdout.read_exact(&mut [0]).with_context(|| format!("cannot start {count} processes"))?;
        Ok(crowd)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
