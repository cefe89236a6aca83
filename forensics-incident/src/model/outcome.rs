use serde::{Deserialize, Serialize};

use super::Process;

/// How the target ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// What happened.
    pub kind: OutcomeKind,
    /// The signal that it died of, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// The signal that it died of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal_num: Option<u32>,
    /// Exit status, 0 to 255, when it exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// A core dump was written.
    #[serde(default)]
    pub core_dumped: bool,
    /// The thread that called `exit_group(2)` for the process; the last one to end when none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_tid: Option<u32>,
    /// Name of that thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_thread: Option<String>,
    /// It called `exit_group(2)`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exit_called: bool,
    /// Who traced the last thread when it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracer: Option<Process>,
    /// Kernel functions on the stack of the last thread when it ended, innermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kernel_stack: Vec<String>,
    /// Unix time of the end (or of the close of the window), seconds.
    pub ts: f64,
    /// Seconds from its start to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lived_s: Option<f64>,
    /// Seconds from the decisive signal to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_s: Option<f64>,
}

impl Outcome {
    /// `SIGKILL`, `exit 3`, `survived` or `unknown`.
    pub fn in_brief(&self) -> String {
        match (self.kind, &self.signal, self.exit_code) {
            (OutcomeKind::Killed, Some(signal), _) => signal.clone(),
            (OutcomeKind::Killed, None, _) => "killed".to_owned(),
            (OutcomeKind::Exited, _, Some(code)) => format!("exit {code}"),
            (OutcomeKind::Exited, _, None) => "exited".to_owned(),
            (OutcomeKind::Survived, ..) => "survived".to_owned(),
            (OutcomeKind::Unknown, ..) => "unknown".to_owned(),
        }
    }
}

/// The kinds of end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutcomeKind {
    /// Died of a signal.
    Killed,
    /// Called `exit(2)`.
    Exited,
    /// Was asked to end and is still alive.
    Survived,
    /// Gone, and how was not seen.
    Unknown,
}
