use serde::{Deserialize, Serialize};

/// The shutdown context: a snapshot of the target and of who is around it. Keys and JSON types are those
/// of the Python function that it grew from; fields stand in the order of their keys.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Context {
    /// One-minute load average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loadavg_1m: Option<f64>,
    /// Pid of the process that this is about.
    pub pid: u32,
    /// First 300 characters of a planned-stop marker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_stop_marker: Option<String>,
    /// Pid of its parent.
    pub ppid: u32,
    /// Its parent.
    pub parent: ProcessSummary,
    /// The process itself.
    #[serde(rename = "self")]
    pub own: ProcessSummary,
    /// Name of the signal, `signal#N` beyond the six that end services, `UNKNOWN` without one.
    pub signal: String,
    /// Number of the signal.
    pub signal_num: Option<i64>,
    /// `INVOCATION_ID` of its environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub systemd_invocation_id: Option<String>,
    /// `JOURNAL_STREAM` of its environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub systemd_journal_stream: Option<String>,
    /// The unit that owns its cgroup, when its `INVOCATION_ID` agrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub systemd_unit: Option<String>,
    /// First 300 characters of a takeover marker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takeover_marker: Option<String>,
    /// The takeover marker names this process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takeover_marker_for_self: Option<bool>,
    /// The process that traces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracer: Option<ProcessSummary>,
    /// Pid of the process that traces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracer_pid: Option<u32>,
    /// Unix time, seconds.
    pub ts: f64,
    /// `CLOCK_MONOTONIC`, seconds.
    pub ts_monotonic: f64,
    /// `INVOCATION_ID` is set, or the parent is pid 1: the plain reading, see `systemd_unit`.
    pub under_systemd: bool,
}

/// A few fields of `/proc/PID`, each absent when it could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessSummary {
    /// Arguments joined by spaces, at most 300 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmdline: Option<String>,
    /// The kernel's name of the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its pid.
    pub pid: u32,
    /// Its parent's pid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ppid: Option<u32>,
    /// As `S (sleeping)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Real user id, in digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}
