use serde::{Deserialize, Serialize};

use super::Process;

/// What the manager made of the end, once it has settled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UnitResult {
    /// `Result` of the unit: `success`, `exit-code`, `signal`, `timeout`, `watchdog`, `oom-kill` and so on.
    pub result: String,
    /// Automatic restarts since it was last started by a job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_restarts: Option<u32>,
    /// The unit runs again, in another invocation.
    pub restarted: bool,
    /// Why it was not started again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    /// Seconds from the end of the target until the unit was down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inactive_after_s: Option<f64>,
    /// Processes that were still in its cgroup when it was down.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub residual: Vec<Process>,
}
