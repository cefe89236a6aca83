//! Why the target died: a pure function of the facts, one rule per cause.

use crate::model::{Cause, Confidence, Facts, Intent, Verdict};

/// How the command lines of other processes may be shown in sentences.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Show {
    /// As they stand in the record, where they are redacted already.
    #[default]
    Cmdline,
    /// Only the path of the executable.
    ExeOnly,
}

/// Explains an incident.
pub fn judge(facts: &Facts, show: Show) -> Verdict {
    let _ = show;
    let decisive = crate::attribution::decisive_of(facts);
    Verdict {
        cause: Cause::Unknown,
        intent: Intent::Unknown,
        confidence: Confidence::Possible,
        summary: decisive.map_or_else(String::new, |signal| crate::text::escape(&signal.signal)),
        culprit: None,
        instigator: None,
        chain: Vec::new(),
        evidence: Vec::new(),
        ruled_out: Vec::new(),
        advice: None,
    }
}
