use serde::{Deserialize, Serialize};

/// Whether the manager gives the unit enough time to drain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Unit name.
    pub unit: String,
    /// Seconds from SIGTERM to SIGKILL; null is infinity.
    pub timeout_stop_sec: Option<f64>,
    /// Seconds that the service wants.
    pub drain_timeout: f64,
    /// `drain_timeout` plus headroom, seconds.
    pub expected_min: f64,
    /// True when the unit is given too little.
    pub mismatch: bool,
    /// `system` or `user`.
    pub scope: String,
    /// The manager's `LoadState`.
    pub load_state: String,
    /// The unit above it, when its own stop timeout is shorter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ParentTiming>,
}

/// The stop timeout of the unit in which a user manager runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParentTiming {
    /// Unit name, as `user@1000.service`.
    pub unit: String,
    /// Seconds; null is infinity.
    pub timeout_stop_sec: Option<f64>,
}
