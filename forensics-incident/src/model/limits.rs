use serde::{Deserialize, Serialize};

/// Resource limits of the target, from `/proc/PID/limits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Read when the limit's signal came; otherwise they are those of the moment it was first watched.
    pub at_the_signal: bool,
    /// `RLIMIT_CPU`, seconds.
    pub cpu: Limit,
    /// `RLIMIT_RTTIME`, microseconds.
    pub rttime: Limit,
    /// `RLIMIT_FSIZE`, bytes.
    pub fsize: Limit,
}

/// One limit; absent means unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// The limit in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soft: Option<u64>,
    /// How far it may be raised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hard: Option<u64>,
}
