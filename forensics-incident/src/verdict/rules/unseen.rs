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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{incident, kill, nginx, process};
    use crate::verdict::{Show, judge};

    #[test]
    fn nothing_is_claimed_of_what_was_not_seen() {
        let verdict = judge(&incident(nginx(), 100.0, Vec::new()), Show::Cmdline);
        assert_eq!((verdict.cause, verdict.culprit), (Cause::Unknown, None));
        assert_eq!(verdict.summary, "`nginx` (pid 812) is gone, and how it ended was not seen.");
    }

    #[test]
    fn a_kill_before_an_unseen_end_explains_it() {
        let facts = incident(nginx(), 100.0, vec![kill(99.0, 9, process(5, "kill -9 812"))]);
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::ExternalKill, Confidence::Likely));
        assert!(verdict.summary.contains("its end was not seen"), "{}", verdict.summary);
    }
}
