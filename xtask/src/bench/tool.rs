//! The tools that people use to see who signals whom, and this one beside them.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::{agent, agent::Agent, bpf};

/// The Debian packages of the others.
pub(super) const PACKAGES: [&str; 2] = ["bpftrace", "libbpf-tools"];
/// How long a tool may take to report its first signal.
const PATIENCE: Duration = Duration::from_secs(30);
/// A signal at the tracepoint, told as sigsnoop does: what a person would type.
const ONE_LINER: &str =
    "tracepoint:signal:signal_generate { printf(\"%s %d %d %d\\n\", comm, pid, args->pid, args->sig); }";

/// A tool that reports signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    /// This project's, with one process watched.
    Agent,
    /// `sigsnoop` of libbpf-tools: every signal of the host, at the tracepoint.
    Sigsnoop,
    /// `killsnoop.bt` of bpftrace: every kill(2), at its entry and exit.
    Killsnoop,
    /// One line of bpftrace at the tracepoint.
    OneLiner,
}

impl Tool {
    pub(super) const ALL: [Self; 4] = [Self::Agent, Self::Sigsnoop, Self::Killsnoop, Self::OneLiner];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Agent => "forensics-agent",
            Self::Sigsnoop => "sigsnoop",
            Self::Killsnoop => "killsnoop.bt",
            Self::OneLiner => "bpftrace one-liner",
        }
    }

    fn command(self) -> Result<Command> {
        // Each line as it comes: what is printed by the page is no watching.
        let mut command = Command::new(if self == Self::Sigsnoop { "stdbuf" } else { "bpftrace" });
        match self {
            Self::Agent => bail!("the agent is started in its own way"),
            Self::Sigsnoop => command.args(["-oL", installed("/usr/sbin/sigsnoop")?]),
            Self::Killsnoop => command.args(["-B", "line", installed("/usr/sbin/killsnoop.bt")?]),
            Self::OneLiner => command.args(["-B", "line", "-e", ONE_LINER]),
        };
        Ok(command)
    }

    /// Starts it, and waits until it sees signals. `victim` ignores them.
    pub(super) fn start(self, victim: Pid) -> Result<Running> {
        let began = Instant::now();
        if self == Self::Agent {
            let agent = Agent::watch_pids(&[victim])?;
            let started_in = agent.started_in;
            agent.settle();
            return Ok(Running { pid: agent.pid(), seen: Arc::default(), started_in, of: Of::Agent(agent) });
        }
        let mut child = self
            .command()?
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", self.name()))?;
        let seen = Arc::new(AtomicU64::new(0));
        let stdout = child.stdout.take().context("a tool has no standard output")?;
        let (count, number) = (Arc::clone(&seen), victim.as_raw_nonzero().to_string());
        std::thread::spawn(move || {
            let mut line = Vec::new();
            let mut reader = BufReader::with_capacity(1 << 16, stdout);
            while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                let names = |word: &[u8]| word == number.as_bytes();
                if line.split(u8::is_ascii_whitespace).any(names) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                line.clear();
            }
        });
        let mut running = Running { pid: child.id(), seen, started_in: Duration::ZERO, of: Of::Other(child) };
        while running.seen() == 0 {
            if began.elapsed() > PATIENCE {
                bail!("{} reports nothing", self.name());
            }
            kill_process(victim, Signal::USR1).context("cannot signal a victim")?;
            std::thread::sleep(Duration::from_millis(5));
        }
        running.started_in = began.elapsed();
        Ok(running)
    }
}

fn installed(path: &str) -> Result<&str> {
    Path::new(path).exists().then_some(path).with_context(|| format!("there is no {path}"))
}

/// A tool that runs; it is stopped with the value.
#[derive(Debug)]
pub(super) struct Running {
    pid: u32,
    seen: Arc<AtomicU64>,
    /// From its start until it was attached, or until the first signal was reported.
    pub(super) started_in: Duration,
    of: Of,
}

#[derive(Debug)]
enum Of {
    Agent(Agent),
    Other(Child),
}

impl Running {
    /// Reports of signals at the victim so far. The agent has none before an end.
    pub(super) fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    /// Resident memory, mebibytes.
    pub(super) fn memory(&self) -> Result<f64> {
        agent::memory_of(self.pid, "VmRSS")
    }

    /// Kernel memory of its maps, mebibytes.
    pub(super) fn maps(&self) -> Result<f64> {
        Ok(bpf::map_memory(self.pid)? / f64::from(1 << 20))
    }

    /// Nanoseconds that all programs of the process have run, and how often the one at `signal_generate` or kill(2) did.
    pub(super) fn program_ns(&self) -> Result<f64> {
        bpf::program_ns(self.pid)
    }

    /// The agent, when it is that.
    pub(super) fn into_agent(self) -> Option<Agent> {
        match self.of {
            Of::Agent(agent) => Some(agent),
            Of::Other(child) => {
                drop(Stopped(child));
                None
            }
        }
    }
}

/// A child that is interrupted and reaped.
struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.0), Signal::INT);
        let deadline = Instant::now() + Duration::from_secs(10);
        while matches!(self.0.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        // It may be dead and reaped; std knows.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
