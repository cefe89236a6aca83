use crate::model::{Cause, Confidence, Intent, Verdict};

use super::super::case::{Case, verdict};
use super::super::evidence;

/// It is gone, and neither its end nor a reason for it was seen: nothing is claimed.
pub(in super::super) fn unseen(case: &Case<'_>) -> Verdict {
    let summary = format!("{} is gone, and how it ended was not seen.", case.target_name());
    let mut verdict = verdict(Cause::Unknown, Intent::Unknown, Confidence::Possible, summary);
    verdict.evidence = evidence::unblamed(case);
    verdict
}
