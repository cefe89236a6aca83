use serde::{Deserialize, Serialize};

/// A line that the target's unit wrote to the journal, redacted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// Unix time at which it was sent, or received where that is not known, seconds.
    pub ts: f64,
    /// What it says: the first 300 characters.
    pub text: String,
    /// `SYSLOG_IDENTIFIER`, mostly the name of the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<String>,
    /// The process that wrote it, as the journal's host counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Priority of syslog(3): 0 is an emergency, 7 is debugging.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
}
