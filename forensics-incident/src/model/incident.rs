use serde::{Deserialize, Serialize};

use crate::history::History;

use super::{
    Aftermath, Context, KernelLog, Kill, Limits, LogLine, ManagerFacts, Marker, ObservedDrain, Outcome,
    Pressure, Process, Request, Signal, Timing, UnitResult, Verdict,
};

/// The schema of an incident line.
pub const INCIDENT_SCHEMA: &str = "forensics-agent/incident/1";

/// One end of one target, with all that is known of it, and what it means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// What was seen.
    #[serde(flatten)]
    pub facts: Facts,
    /// Why it ended: a pure function of the facts.
    pub verdict: Verdict,
}

/// One end of one target, as it was seen: all that a verdict may rest on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// [`INCIDENT_SCHEMA`].
    pub schema: String,
    /// UUID version 7.
    pub id: String,
    /// Set in a record that replaces an earlier one of the same id, since more was learnt: 1, 2 and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<u32>,
    /// Shared by targets that were hit by one act.
    ///
    /// An act that reaches several processes by its nature (a kill of a process group, `cgroup.kill`, an
    /// OOM group, a hangup) gives it to each of its targets, even when there is only one. Where one sender
    /// signals several targets one by one, it is there from the second target on, and for the first one
    /// when that was still open by then; so without it a target need not have been alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<String>,
    /// Unix time of the end, seconds.
    pub ts: f64,
    /// The kernel's boot id, 32 hexadecimal digits.
    pub boot_id: String,
    /// Name of the host.
    pub hostname: String,
    /// Release of the kernel.
    pub kernel: String,
    /// Version of the agent.
    pub agent_version: String,
    /// Who ended.
    pub target: Process,
    /// How it ended.
    pub outcome: Outcome,
    /// Its signals, oldest first.
    pub signals: Vec<Signal>,
    /// The shutdown context taken at the decisive request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Context>,
    /// The unit's stop timing, when a drain was configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timing: Option<Timing>,
    /// How long earlier stops of the unit took, when its manager killed it since it had not stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_drain: Option<ObservedDrain>,
    /// What the systemd manager says of the unit, when the target was in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<ManagerFacts>,
    /// What the manager made of the end, once it has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_result: Option<UnitResult>,
    /// The last lines that the unit logged before the end, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unit_log: Vec<LogLine>,
    /// What the kernel log says of this end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_log: Option<KernelLog>,
    /// The target's resource limits, when one of them was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// Earlier ends of the same service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
    /// What was asked of the manager or container runtime that sent the signals, and may concern the target; oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<Request>,
    /// What is known of an end that no agent saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aftermath: Option<Aftermath>,
    /// How short of resources the target and the host were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pressure: Option<Pressure>,
    /// What is known of the act beyond its signal.
    #[serde(default, skip_serializing_if = "Kill::is_empty")]
    pub kill: Kill,
    /// Marker files of the target.
    #[serde(default)]
    pub markers: Vec<Marker>,
    /// What was lost on the way.
    pub lost: Lost,
    /// What could not be read.
    #[serde(default)]
    pub missing: Vec<Missing>,
}

/// Records that were lost while the incident was open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Kernel records that never arrived.
    pub records: u64,
    /// Requests to managers and container engines that were not recorded shortly before, since their sender made too many.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub requests: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A field that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Missing {
    /// Path of the field in the record.
    pub field: String,
    /// Why.
    pub why: String,
}
