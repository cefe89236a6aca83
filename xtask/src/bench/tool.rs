//! The tools that people use to see who signals whom, and this one beside them.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use rustix::process::Pid;

use super::auditd;
use super::running::Running;
use crate::{command, debian};

/// The Debian packages of the others that are installed where they are missing. BCC and auditd are not: few kernels let them
/// work, and those that do are run in machines which have them.
const PACKAGES: [&str; 2] = ["bpftrace", "libbpf-tools"];
/// A signal at the tracepoint, told as sigsnoop does: what a person would type.
const ONE_LINER: &str =
    "tracepoint:signal:signal_generate { printf(\"%s %d %d %d\\n\", comm, pid, args->pid, args->sig); }";

/// Installs the others and mounts what they need.
pub(super) fn prepare() -> Result<()> {
    let missing = debian::missing(&PACKAGES);
    if !missing.is_empty() {
        debian::install(&missing)?;
    }
    // They find tracepoints in the tracing file system, which not every machine has mounted.
    const PLACE: &str = "/sys/kernel/tracing";
    if Path::new(PLACE).join("events").exists() {
        return Ok(());
    }
    eprintln!("mounting the tracing file system on {PLACE}");
    command::output(Command::new("mount").args(["-t", "tracefs", "tracefs", PLACE])).map(drop)
}

/// A tool that reports signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Tool {
    /// This project's, with one process watched.
    Agent,
    /// `sigsnoop` of libbpf-tools: every signal of the host, at the tracepoint.
    Sigsnoop,
    /// `killsnoop.bt` of bpftrace: every kill(2), at its entry and exit.
    Killsnoop,
    /// One line of bpftrace at the tracepoint.
    OneLiner,
    /// `killsnoop` of BCC: every kill(2), at kprobes of its entry and exit.
    Bcc,
    /// auditd with a rule for kill(2), tkill(2) and tgkill(2).
    Auditd,
}

impl Tool {
    /// All of them. What leaves a mark comes last.
    pub(super) const ALL: [Self; 6] =
        [Self::Agent, Self::Sigsnoop, Self::Killsnoop, Self::OneLiner, Self::Bcc, Self::Auditd];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Agent => "forensics-agent",
            Self::Sigsnoop => "sigsnoop",
            Self::Killsnoop => "killsnoop.bt",
            Self::OneLiner => "bpftrace one-liner",
            Self::Bcc => "BCC killsnoop",
            Self::Auditd => "auditd",
        }
    }

    /// It changes what everything costs until the next boot, see [`auditd::is_possible`].
    pub(super) fn leaves_a_mark(self) -> bool {
        self == Self::Auditd
    }

    /// It works by programs in the kernel, whose time and memory the kernel tells.
    pub(super) fn has_programs(self) -> bool {
        self != Self::Auditd
    }

    /// What is typed to run it, for those that are one command.
    pub(super) fn command(self) -> Result<Option<Command>> {
        // Each line as it comes: what is printed by the page is no watching.
        let mut command = Command::new(if self == Self::Sigsnoop { "stdbuf" } else { "bpftrace" });
        match self {
            Self::Agent | Self::Auditd => return Ok(None),
            Self::Sigsnoop => command.args(["-oL", installed("/usr/sbin/sigsnoop")?]),
            Self::Killsnoop => command.args(["-B", "line", installed("/usr/sbin/killsnoop.bt")?]),
            Self::OneLiner => command.args(["-B", "line", "-e", ONE_LINER]),
            Self::Bcc => {
                command = Command::new(installed("/usr/sbin/killsnoop-bpfcc")?);
                command.env("PYTHONUNBUFFERED", "1")
            }
        };
        Ok(Some(command))
    }

    /// Those of `chosen`, or of all, that work on this machine, and why the others do not. `victim` ignores signals.
    pub(super) fn working(chosen: &[Self], victim: Pid) -> Result<(Vec<Self>, Vec<String>)> {
        let (mut working, mut notes) = (Vec::new(), Vec::new());
        for tool in Self::ALL.into_iter().filter(|tool| chosen.is_empty() || chosen.contains(tool)) {
            // One that leaves its mark is not tried before the others are done.
            let works = match tool {
                Self::Auditd => auditd::is_possible(),
                _ => Running::start(tool, victim).map(drop),
            };
            match works {
                Ok(()) => working.push(tool),
                Err(why) if tool == Self::Agent => return Err(why),
                Err(why) => notes.push(format!("{} was left out: {why:#}.", tool.name())),
            }
        }
        Ok((working, notes))
    }
}

fn installed(path: &str) -> Result<&str> {
    Path::new(path).exists().then_some(path).with_context(|| format!("there is no {path}"))
}
