use serde::{Deserialize, Serialize};

use super::Process;

/// A file with which the target's operator announced its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Marker {
    /// What it announces.
    pub kind: MarkerKind,
    /// Where it was found, as the target sees it.
    pub path: String,
    /// It names this very process (pid, and start time when given).
    pub names_target: bool,
    /// Written less than 60 s before it was looked at.
    pub fresh: bool,
    /// Seconds since it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_s: Option<f64>,
    /// Its content, when it is JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<serde_json::Value>,
    /// The first 300 characters of it.
    pub raw: String,
    /// Who wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writer: Option<Process>,
}

/// The kinds of marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MarkerKind {
    /// Another instance takes the target's place.
    Takeover,
    /// Somebody stops the target on purpose.
    PlannedStop,
}
