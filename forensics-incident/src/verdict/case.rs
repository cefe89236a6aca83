//! One incident as the rules see it, and the words for who and what is in it.

use crate::attribution::{decisive_of, is_own};
use crate::model::{Cause, Confidence, Facts, Intent, Mechanism, OutcomeKind, Process, Signal, Verdict};
use crate::text::{clip, command_line, shell_join, span};

pub(super) use crate::text::quote;

use super::Show;

/// Characters of a command line that a sentence can bear.
const SENTENCE_CHARS: usize = 100;
/// Characters of a command line that names a process in passing.
const BRIEF_CHARS: usize = 48;

/// What a rule is asked about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) facts: &'a Facts,
    show: Show,
    /// The signal that the end is attributed to.
    pub(super) decisive: Option<&'a Signal>,
}

impl<'a> Case<'a> {
    pub(super) fn new(facts: &'a Facts, show: Show) -> Self {
        Self { facts, show, decisive: decisive_of(facts) }
    }

    /// The same case, as if another signal had ended it.
    pub(super) fn with_decisive(self, decisive: &'a Signal) -> Self {
        Self { decisive: Some(decisive), ..self }
    }

    pub(super) fn target(&self) -> &'a Process {
        &self.facts.target
    }

    /// True when the target died of a signal.
    pub(super) fn was_killed(&self) -> bool {
        self.facts.outcome.kind == OutcomeKind::Killed
    }

    /// The decisive signal when the target sent it to itself.
    pub(super) fn own_signal(&self) -> Option<&'a Signal> {
        self.decisive.filter(|signal| is_own(signal, self.target()))
    }

    /// Certain when the target died of the signal, likely when a handler stood between.
    pub(super) fn confidence(&self) -> Confidence {
        if self.was_killed() { Confidence::Certain } else { Confidence::Likely }
    }

    /// The target as `nginx` (pid 812); an interpreter with what it runs.
    pub(super) fn target_name(&self) -> String {
        let target = self.target();
        let interpreters = ["python", "node", "java", "perl", "ruby", "bash", "dash", "php"];
        let runs_a_script =
            target.args().len() > 1 && interpreters.iter().any(|name| target.program().starts_with(name));
        let name = if self.show == Show::ExeOnly && target.exe.is_none() {
            // argv[0] is the program's to choose.
            quote(&target.name)
        } else if runs_a_script {
            self.command(target, BRIEF_CHARS)
        } else {
            quote(target.program())
        };
        format!("{name} (pid {})", target.pid)
    }

    /// A process in passing: `bash` (pid 4402).
    pub(super) fn brief(&self, process: &Process) -> String {
        format!("{} (pid {})", self.command(process, BRIEF_CHARS), process.pid)
    }

    /// A process that acted: `pkill -9 nginx` (pid 4431, user id 1000).
    pub(super) fn actor(&self, process: &Process) -> String {
        let command = self.command(process, SENTENCE_CHARS);
        let pid = process.pid;
        match process.uid {
            Some(0) => format!("{command} (pid {pid}, root)"),
            Some(uid) => format!("{command} (pid {pid}, user id {uid})"),
            None => format!("{command} (pid {pid})"),
        }
    }

    /// A command line, or the executable where only that may be shown.
    fn command(&self, process: &Process, longest: usize) -> String {
        let name = process.exe.as_deref().unwrap_or(&process.name);
        let whole = match self.show {
            Show::ExeOnly => name.to_owned(),
            Show::Cmdline if process.args().is_empty() => process.cmdline.clone().unwrap_or_default(),
            Show::Cmdline => command_line(process.args(), longest),
        };
        quote(&clip(if whole.is_empty() { name } else { &whole }, longest))
    }

    /// Arguments as a command line; nothing where they may not be shown.
    pub(super) fn arguments(&self, arguments: &[String]) -> Option<String> {
        let shown = self.show == Show::Cmdline && !arguments.is_empty();
        shown.then(|| quote(&clip(&shell_join(arguments), SENTENCE_CHARS)))
    }

    /// How the target ended because of a signal: "died of SIGHUP".
    pub(super) fn ended_by(&self, signal: &Signal) -> String {
        let name = &signal.signal;
        let outcome = &self.facts.outcome;
        let after = outcome.after_s.map_or_else(|| "some time".to_owned(), span);
        match outcome.kind {
            OutcomeKind::Killed => format!("died of {name}"),
            OutcomeKind::Exited => format!("{}, {after} after {name}", self.exited()),
            OutcomeKind::Survived => format!("is still alive {after} after {name}"),
            OutcomeKind::Unknown => format!("is gone after {name}, and its end was not seen"),
        }
    }

    /// "exited with status 0"
    pub(super) fn exited(&self) -> String {
        match self.facts.outcome.exit_code {
            Some(code) => format!("exited with status {code}"),
            None => "exited".to_owned(),
        }
    }

    /// Seconds from the start of the target to `boot_ns`, when its start is known.
    pub(super) fn age_s(&self, boot_ns: u64) -> Option<f64> {
        seconds_between(self.target().start_boot_ns, boot_ns)
    }
}

/// Seconds between two `CLOCK_BOOTTIME` moments; none when the first is unknown or the later one.
pub(super) fn seconds_between(from_ns: u64, to_ns: u64) -> Option<f64> {
    (from_ns != 0 && from_ns <= to_ns).then(|| (to_ns - from_ns) as f64 / 1e9)
}

/// The system call or kernel path of a signal, as people write it.
pub(super) fn by_what(signal: &Signal) -> String {
    let Some(syscall) = &signal.syscall else { return path(signal.mechanism).to_owned() };
    match (signal.mechanism, signal.syscall_args.as_deref()) {
        (Mechanism::Kill, Some([pid, number, ..])) => format!("kill({pid}, {number})"),
        (Mechanism::CgroupKill, _) => "a write to cgroup.kill".to_owned(),
        _ => format!("{syscall}(2)"),
    }
}

/// Where in the kernel a signal comes from.
pub(super) fn path(mechanism: Mechanism) -> &'static str {
    use Mechanism as M;
    match mechanism {
        M::Kill => "kill(2)",
        M::Tkill => "tkill(2)",
        M::Tgkill => "tgkill(2)",
        M::Sigqueue => "rt_sigqueueinfo(2)",
        M::Tgsigqueue => "rt_tgsigqueueinfo(2)",
        M::Pidfd => "pidfd_send_signal(2)",
        M::CgroupKill => "a write to cgroup.kill",
        M::Oom => "the out-of-memory killer",
        M::ParentDeath => "the end of its parent",
        M::PidNamespaceExit => "the end of its pid namespace",
        M::TtyInterrupt => "a key typed at its terminal",
        M::TtyHangup => "a hangup of its terminal",
        M::SessionLeaderExit => "the end of its session leader",
        M::OrphanedPgrp => "the kernel's rule for orphaned stopped process groups",
        M::Timer => "a timer of its own",
        M::CpuLimit => "its CPU time limit",
        M::RtLimit => "its real-time limit",
        M::FileSizeLimit => "its file size limit",
        M::BrokenPipe => "a write to a pipe or socket without a reader",
        M::Fault => "a processor exception",
        M::Seccomp => "a seccomp filter",
        M::Ptrace => "ptrace(2)",
        M::ExecFailure => "a failed execve(2)",
        M::Bpf => "a BPF program",
        M::AsyncIo => "asynchronous I/O",
        M::MemoryFailure => "a hardware memory error",
        M::Sysrq => "the magic SysRq key",
        M::Unknown => "a kernel path without a name",
    }
}

/// A verdict without culprit, chain or evidence yet.
pub(super) fn verdict(cause: Cause, intent: Intent, confidence: Confidence, summary: String) -> Verdict {
    Verdict {
        cause,
        intent,
        confidence,
        summary,
        culprit: None,
        instigator: None,
        chain: Vec::new(),
        evidence: Vec::new(),
        ruled_out: Vec::new(),
        advice: None,
    }
}
