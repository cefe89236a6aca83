use serde::{Deserialize, Serialize};

use super::Process;

/// A marker counts for this long after it was written, seconds.
pub const FRESH_S: f64 = 60.0;
/// The clocks of writer and reader may differ by this much, seconds.
const SKEW_S: f64 = 1.0;

/// A file with which the target's operator announced its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Marker {
    /// What it announces.
    pub kind: MarkerKind,
    /// Where it was found, as the target sees it.
    pub path: String,
    /// It names this very process (pid, and start time when given).
    pub names_target: bool,
    /// Written at most [`FRESH_S`] before the decisive signal, or the end where there is none.
    pub fresh: bool,
    /// Seconds from when it was written to that moment; negative when it came afterwards.
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

impl Marker {
    /// True when a marker of this age counts.
    pub fn is_fresh_at(age_s: Option<f64>) -> bool {
        age_s.is_some_and(|age| (-SKEW_S..FRESH_S).contains(&age))
    }

    /// The same marker, looked at `seconds` later, or earlier when negative.
    #[must_use]
    pub fn after(self, seconds: f64) -> Self {
        let age_s = self.age_s.map(|age| age + seconds);
        Self { fresh: Self::is_fresh_at(age_s), age_s, ..self }
    }
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

impl MarkerKind {
    /// The file in which the Hermes gateway looks for it.
    pub fn hermes_file(self) -> &'static str {
        match self {
            Self::Takeover => ".gateway-takeover.json",
            Self::PlannedStop => ".gateway-planned-stop.json",
        }
    }
}
