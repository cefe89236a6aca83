//! Why the target died: a pure function of the facts, one rule per cause.
//!
//! [`judge`] asks the rules in turn; the first that has its evidence explains the incident. What holds
//! for every verdict stands here: lost records bound the confidence, and no foreign character
//! leaves unescaped.

mod actors;
mod announcement;
mod asked;
mod case;
#[cfg(test)]
mod coverage;
mod evidence;
mod exit_codes;
mod fault;
mod grace;
mod groups;
mod kernel;
mod kill_tools;
mod last_words;
mod lineage;
mod logind;
mod origins;
mod programs;
mod reach;
mod relay;
mod ruled_out;
mod rules;
mod stale;
mod suspension;
#[cfg(test)]
mod tests;
mod timeout_args;
mod word;

use crate::model::{Confidence, Facts, Verdict};
use crate::text::escape;

use case::Case;

/// How the command lines of processes may be shown in sentences.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Show {
    /// As they stand in the record, where they are redacted already.
    #[default]
    Cmdline,
    /// Only the path of the executable.
    ExeOnly,
}

/// Explains an incident. All sentences are single lines that are safe to print.
pub fn judge(facts: &Facts, show: Show) -> Verdict {
    let case = Case::new(facts, show);
    let verdict = rules::RULES.iter().find_map(|rule| (rule.judge)(&case));
    let mut verdict = verdict.unwrap_or_else(|| rules::unseen(&case));
    asked::attribute(&case, &mut verdict);
    bound(&mut verdict, &case);
    ruled_out::complete(&mut verdict, &case);
    verdict.evidence.extend(evidence::around(&case));
    escape_all(&mut verdict);
    verdict
}

/// Nothing is certain when a record is missing: it may have been the cause.
fn bound(verdict: &mut Verdict, case: &Case<'_>) {
    if case.facts.lost.records > 0 {
        verdict.confidence = verdict.confidence.min(Confidence::Likely);
    }
}

/// The one place where foreign text is made safe; [`escape`] leaves alone what it made.
fn escape_all(verdict: &mut Verdict) {
    let Verdict { summary, chain, evidence, ruled_out, advice, .. } = verdict;
    let links = chain.iter_mut().flat_map(|link| [&mut link.actor, &mut link.action, &mut link.object]);
    let facts = ruled_out.iter_mut().map(|ruled_out| &mut ruled_out.because);
    for text in [summary].into_iter().chain(links).chain(evidence).chain(facts).chain(advice.as_mut()) {
        *text = escape(text);
    }
}
