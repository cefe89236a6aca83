//! A tool at work, and what it reports.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::agent::{self, Agent};
use super::auditd::Auditd;
use super::bpf;
use super::tool::Tool;

/// How long a tool may take to report its first signal: BCC compiles its programs, which takes an emulated processor minutes.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long one may take to end.
const END: Duration = Duration::from_secs(20);

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
    Agent(Box<Agent>),
    Other(Other),
    Auditd { _ends_it: Auditd },
}

/// A command that prints a line for each signal. It is interrupted and reaped with the value.
#[derive(Debug)]
struct Other(Child);

impl Running {
    /// Starts a tool, and waits until it sees signals. `victim` ignores them.
    pub(super) fn start(tool: Tool, victim: Pid) -> Result<Self> {
        let began = Instant::now();
        let seen = Arc::new(AtomicU64::new(0));
        let number = victim.as_raw_nonzero().to_string();
        let mut running = match tool.command()? {
            Some(mut command) => {
                let complaints = Complaints::of(tool)?;
                command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(complaints.file.try_clone()?);
                let mut child = command.spawn().with_context(|| format!("cannot start {}", tool.name()))?;
                let lines = child.stdout.take().context("a tool has no standard output")?;
                count_lines(lines, number, &seen);
                let mut running =
                    Self { pid: child.id(), seen, started_in: Duration::ZERO, of: Of::Other(Other(child)) };
                running.wait_for_first(victim, began).with_context(|| complaints.last())?;
                running
            }
            None if tool == Tool::Auditd => {
                let (auditd, lines) = Auditd::start()?;
                count_lines(lines, format!("opid={number}"), &seen);
                let mut running = Self {
                    pid: auditd.pid(),
                    seen,
                    started_in: Duration::ZERO,
                    of: Of::Auditd { _ends_it: auditd },
                };
                running.wait_for_first(victim, began)?;
                running
            }
            None => {
                let agent = Agent::watch_pids(&[victim])?;
                agent.settle();
                let (pid, started_in) = (agent.pid(), agent.started_in);
                return Ok(Self { pid, seen, started_in, of: Of::Agent(Box::new(agent)) });
            }
        };
        running.started_in = began.elapsed();
        Ok(running)
    }

    /// Signals the victim until that is reported.
    fn wait_for_first(&mut self, victim: Pid, began: Instant) -> Result<()> {
        while self.seen() == 0 {
            let child = match &mut self.of {
                Of::Other(Other(child)) => Some(child),
                _ => None,
            };
            if let Some(status) = child.map(Child::try_wait).transpose()?.flatten() {
                bail!("it ended with {status}");
            }
            if began.elapsed() > PATIENCE {
                bail!("it reports nothing");
            }
            in_new_thread(|| kill_process(victim, Signal::USR1).context("cannot signal a victim"))?;
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Reports of signals at the victim so far. The agent has none before an end.
    pub(super) fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    /// A line of its `status` that holds memory, as `VmRSS`, mebibytes.
    pub(super) fn memory(&self, field: &str) -> Result<f64> {
        agent::memory_of(self.pid, field)
    }

    /// Kernel memory of its maps, mebibytes.
    pub(super) fn maps(&self) -> Result<f64> {
        Ok(bpf::map_memory(self.pid)? / f64::from(1 << 20))
    }

    /// Nanoseconds that all programs of the process have run.
    pub(super) fn program_ns(&self) -> Result<f64> {
        bpf::program_ns(self.pid)
    }

    /// The agent, when it is that.
    pub(super) fn into_agent(self) -> Option<Agent> {
        match self.of {
            Of::Agent(agent) => Some(*agent),
            Of::Other(_) | Of::Auditd { .. } => None,
        }
    }
}

/// Does something in a thread of its own: the kernel audits only threads that were made since it began to.
pub(super) fn in_new_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| scope.spawn(work).join().ok().context("a thread panicked")?)
}

/// Counts the lines in which a word stands.
fn count_lines(lines: impl Read + Send + 'static, word: String, seen: &Arc<AtomicU64>) {
    let seen = Arc::clone(seen);
    std::thread::spawn(move || {
        let mut line = Vec::new();
        let mut reader = BufReader::with_capacity(1 << 16, lines);
        while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            if has_word(&line, &word) {
                seen.fetch_add(1, Ordering::Relaxed);
            }
            line.clear();
        }
    });
}

fn has_word(line: &[u8], word: &str) -> bool {
    line.split(u8::is_ascii_whitespace).any(|found| found == word.as_bytes())
}

/// What a tool says on standard error.
struct Complaints {
    path: std::path::PathBuf,
    file: File,
}

impl Complaints {
    fn of(tool: Tool) -> Result<Self> {
        let name = format!("forensics-bench-{}-{}", std::process::id(), tool.name().replace(' ', "-"));
        let path = std::env::temp_dir().join(name);
        let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self { path, file })
    }

    /// The last line.
    fn last(&self) -> String {
        let text = std::fs::read(&self.path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing").trim().to_owned()
    }
}

impl Drop for Complaints {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        end(&mut self.0, Signal::INT);
    }
}

/// Ends a child as its operator does, by force when it takes too long, and reaps it.
pub(super) fn end(child: &mut Child, signal: Signal) {
    // One that has ended and was not waited for keeps its number.
    if matches!(child.try_wait(), Ok(None)) {
        let _ = kill_process(Pid::from_child(child), signal);
    }
    let deadline = Instant::now() + END;
    while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    // It may be dead and reaped; std knows.
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::has_word;

    #[test]
    fn a_pid_is_a_whole_word() {
        assert!(has_word(b"13:22:01 4242   bash  15  77 0\n", "77"));
        assert!(!has_word(b"13:22:01 4242   bash  15  777 0\n", "77"));
        let record = b"type=OBJ_PID msg=audit(1.2:3): opid=77 oauid=-1 ouid=0 oses=-1 ocomm=\"sleep\"\x1dOAUID=\"unset\"\n";
        assert!(has_word(record, "opid=77") && !has_word(record, "opid=7"));
    }
}
