use serde::{Deserialize, Serialize};

use super::LogLine;

/// What is known of an end that nobody watched: an agent had noted that the target was alive, and the next one found it
/// gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Aftermath {
    /// What came between.
    pub gap: Gap,
    /// Unix time at which the agent last noted that it was at work, and the target alive, seconds.
    pub last_seen: f64,
    /// Unix time at which the next agent found the target gone, seconds.
    pub found: f64,
    /// Pid of the agent that had watched the target.
    pub agent_pid: u32,
    /// That agent was stopped in an orderly way, with the target alive.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub agent_stopped: bool,
    /// What the journal tells of the end of that boot, or wtmp(5); absent when neither has anything of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<JournalEnd>,
    /// What a kernel that panicked left behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub panic: Option<Panic>,
}

/// What came between an agent and the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gap {
    /// The agent was not running, and the host was.
    Agent,
    /// The host was started anew.
    Boot,
    /// The kernel went on, and pid 1 was started anew: a container, or a system of WSL.
    Init,
}

/// How the journal of a boot ends.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JournalEnd {
    /// Unix time of its last entry, seconds.
    pub last: f64,
    /// That a shutdown began, in the words of who carried it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shutdown: Option<LogLine>,
    /// What was logged shortly before by those who can ask for a shutdown, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<LogLine>,
}

/// A record of a panic in the persistent store of the platform (pstore).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Panic {
    /// Where it stands.
    pub file: String,
    /// The line that says it.
    pub text: String,
}
