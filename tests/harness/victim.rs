//! Processes to be killed.

use std::io::Write as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::lines::Lines;
use crate::needs::needs_python;
use crate::process::{put_down, wait};
use crate::programs::wedged_program;
use crate::{PATIENCE, Skip, WorkDir, victim_program};

/// A running victim that has set up what it was told to. It is killed with the value.
#[derive(Debug)]
pub struct Victim {
    child: Child,
    lines: Lines,
    ready: Vec<String>,
}

impl Victim {
    /// Starts `programs/victim.rs` in a mode, as `["ignore", "15"]`, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn start(mode: &[&str]) -> Result<Self> {
        Self::spawn(Command::new(victim_program()?).args(mode))
    }

    /// Starts a command that prints `ready …` as the victim does.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn spawn(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let stdout = child.stdout.take().context("the victim has no standard output")?;
        let mut victim = Self { child, lines: Lines::new(stdout), ready: Vec::new() };
        let line = victim.line().with_context(|| format!("{command:?}"))?;
        let Some(words) = line.strip_prefix("ready") else { bail!("{command:?} said {line:?}, not ready") };
        victim.ready = words.split_whitespace().map(str::to_owned).collect();
        Ok(victim)
    }

    /// Starts a process that says `asked` at each SIGTERM, and lives on.
    ///
    /// # Errors
    /// When it does not get ready; [`Skip`] where there is no Python.
    pub fn that_tells_of_sigterm() -> Result<Self> {
        let script = "import signal, sys
signal.signal(signal.SIGTERM, lambda *_: print('asked', flush=True))
print('ready', flush=True)
sys.stdin.read()";
        Self::spawn(Command::new(needs_python()?).args(["-c", script]))
    }

    /// Starts `programs/wedged.rs`, and yields it with the pid of a child of it: whoever reads that one's command line waits
    /// until the victim is gone.
    ///
    /// # Errors
    /// [`Skip`] where there is no FUSE.
    pub fn wedged(directory: &WorkDir) -> Result<(Self, u32)> {
        if !std::path::Path::new("/dev/fuse").exists() {
            bail!(Skip("needs /dev/fuse".to_owned()));
        }
        let server = Self::spawn(Command::new(wedged_program()?).arg(directory.join("")))?;
        let [wedged] = server.told()?[..] else { bail!("the victim told no pid") };
        // It has told that just before, and is about to wait.
        loop {
            let stat = std::fs::read_to_string(format!("/proc/{wedged}/stat"))?;
            if stat.contains(") D ") {
                return Ok((server, wedged));
            }
            if stat.contains(") S ") {
                bail!(Skip(
                    "needs a kernel that waits for FUSE with the lock held, as from Linux 6.16 on".to_owned()
                ));
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The numbers that it told when it got ready: its own pid, or its thread ids.
    ///
    /// # Errors
    /// When it said something else.
    pub fn told(&self) -> Result<Vec<u32>> {
        self.ready.iter().map(|word| word.parse().with_context(|| format!("{word:?}"))).collect()
    }

    /// Lets it do what it was started for.
    ///
    /// # Errors
    /// When it is gone.
    pub fn go(&mut self) -> Result<()> {
        self.tell("")
    }

    /// Gives it a line to read.
    ///
    /// # Errors
    /// When it is gone.
    pub fn tell(&mut self, line: &str) -> Result<()> {
        let stdin = self.child.stdin.as_mut().context("the victim has no standard input")?;
        stdin.write_all(format!("{line}\n").as_bytes()).context("the victim does not listen")
    }

    /// The next line that it or a child of it prints.
    ///
    /// # Errors
    /// When none comes in time.
    pub fn line(&self) -> Result<String> {
        let line = self.lines.next(Instant::now() + PATIENCE).context("the victim says nothing")?;
        Ok(line.context("the victim closed its standard output")?.trim_end().to_owned())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it is still alive after [`PATIENCE`].
    pub fn wait(&mut self) -> Result<ExitStatus> {
        wait(&mut self.child, PATIENCE)
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        put_down(&mut self.child);
    }
}
