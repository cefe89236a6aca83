use serde::{Deserialize, Serialize};

use super::Process;

/// Why the target died, and on what evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The cause, one of a closed list.
    pub cause: Cause,
    /// Whether somebody wanted it.
    pub intent: Intent,
    /// How sure the evidence makes it.
    pub confidence: Confidence,
    /// One sentence that a tired person understands.
    pub summary: String,
    /// Who is to blame, when someone is; never a manager, runtime or relay.
    pub culprit: Option<Process>,
    /// Who asked the sender for it.
    pub instigator: Option<Instigator>,
    /// From the first actor to the target.
    pub chain: Vec<Link>,
    /// What the verdict rests on, one sentence each.
    pub evidence: Vec<String>,
    /// What it was not, and why not.
    pub ruled_out: Vec<RuledOut>,
    /// What to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// Why a target died. The meaning of each is in the documentation of its rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Another process signalled it.
    ExternalKill,
    /// It signalled itself.
    SelfKill,
    /// `timeout(1)` expired.
    TimeoutCommand,
    /// `pkill`, `killall` or the like matched it.
    PatternKill,
    /// The pid came from a stale pidfile, or was recycled.
    StalePidKill,
    /// The kernel ran out of memory.
    Oom,
    /// An out-of-memory daemon chose it.
    OomDaemon,
    /// Someone wrote `cgroup.kill`.
    CgroupKill,
    /// Its parent ended and it had asked for a signal then.
    ParentDeath,
    /// The init of its pid namespace ended.
    PidNamespaceExit,
    /// ^C or ^\ was typed.
    TerminalInterrupt,
    /// Its terminal went away.
    TerminalHangup,
    /// It reached a resource limit.
    ResourceLimit,
    /// It wrote to a pipe or socket that nobody reads.
    BrokenPipe,
    /// A timer that it did not handle.
    Timer,
    /// A `SIGIO` that it did not handle.
    AsyncIo,
    /// A fault, or `abort(3)`.
    Crash,
    /// A seccomp filter ended it.
    Seccomp,
    /// A tracer ended it.
    Debugger,
    /// A systemd stop or restart job.
    SystemdStop,
    /// `TimeoutStopSec` ran out.
    SystemdStopTimeout,
    /// `WatchdogSec` ran out.
    SystemdWatchdog,
    /// `RuntimeMaxSec` ran out.
    SystemdRuntimeLimit,
    /// `OOMPolicy=stop` after another process of the unit was killed.
    SystemdOomPolicy,
    /// A job of another unit pulled it down.
    SystemdDependency,
    /// The login session ended.
    SessionEnd,
    /// The host shut down.
    HostShutdown,
    /// A container runtime stopped it.
    ContainerStop,
    /// Its own supervisor stopped it.
    SupervisorStop,
    /// Another instance took its place.
    Takeover,
    /// Somebody announced the stop.
    PlannedStop,
    /// It ended by itself.
    Exit,
    /// It died of a signal that no event announced.
    SilentKill,
    /// The host went down with the target alive.
    HostCrash,
    /// The agent was not running.
    AgentGap,
    /// It was asked to end and is still alive.
    Survived,
    /// The kernel raised the signal by a path for which there is no rule.
    Unknown,
}

/// Whether somebody wanted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Intent {
    /// Someone decided it.
    Deliberate,
    /// A policy or mechanism did it.
    Automatic,
    /// Something went wrong.
    Fault,
    /// Not known.
    Unknown,
}

/// How sure the evidence makes a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// One explanation among others.
    Possible,
    /// The best explanation of what was seen.
    Likely,
    /// The kernel recorded it.
    Certain,
}

/// Who asked a manager, and for what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Instigator {
    /// The process that asked.
    pub process: Process,
    /// Verb, object and mode, as `RestartUnit cron.service replace`.
    pub request: String,
    /// Unix time of the request, seconds.
    pub at: f64,
    /// It ran inside the very unit that it stopped.
    pub inside_target: bool,
}

/// One step from the first actor to the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Who did it.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To whom.
    pub object: String,
}

/// A cause that people suspect first, and the fact that excludes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuledOut {
    /// The cause.
    pub cause: Cause,
    /// The fact.
    pub because: String,
}
