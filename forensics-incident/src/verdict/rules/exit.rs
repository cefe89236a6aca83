use crate::model::{Cause, Confidence, Intent, OutcomeKind, RuledOut, Verdict};
use crate::signals;

use super::super::case::{Case, verdict};
use super::super::evidence;
use super::super::lineage::link;

/// It called `exit(2)`, and no signal led to that.
///
/// Evidence: the wait status. Statuses from 129 on look like deaths by a signal, and are not: shells and
/// runtimes return 128+N for a child that died of signal N. Must not match an exit after a handled signal.
pub(super) fn exit(case: &Case<'_>) -> Option<Verdict> {
    let outcome = &case.facts.outcome;
    if outcome.kind != OutcomeKind::Exited || case.decisive.is_some() {
        return None;
    }
    let name = case.target_name();
    let impostor = outcome.exit_code.and_then(impostor);
    let summary = match (&impostor, outcome.exit_code) {
        (Some(signal), Some(code)) => {
            let number = code - 128;
            format!(
                "{name} exited by itself with status {code}; it was not killed by {signal}, though 128+{number} looks like it."
            )
        }
        _ => format!("{name} {} by itself; no signal led to it.", case.exited()),
    };
    let mut verdict = verdict(Cause::Exit, Intent::Unknown, Confidence::Certain, summary);
    verdict.culprit = Some(case.target().clone());
    verdict.chain = vec![link(name, &case.exited(), "by itself".to_owned())];
    verdict.evidence.push("Its wait status says that it called exit(2).".to_owned());
    if let Some(signal) = impostor {
        verdict.evidence.push(format!(
            "A process that dies of {signal} has the signal in its wait status, not an exit status."
        ));
        verdict.advice = Some(format!(
            "Look at what it started: a shell exits with 128+N when a child of it died of signal N, here perhaps of {signal}."
        ));
    }
    verdict.evidence.extend(evidence::unblamed(case));
    verdict.ruled_out.push(RuledOut {
        cause: Cause::Oom,
        because: "the out-of-memory killer's SIGKILL cannot end in an exit status".to_owned(),
    });
    if case.facts.signals.is_empty() && case.facts.lost.records == 0 {
        let because = "no signal at it was recorded and none was lost".to_owned();
        verdict.ruled_out.push(RuledOut { cause: Cause::ExternalKill, because });
    }
    Some(verdict)
}

/// The signal that an exit status seems to speak of.
fn impostor(code: i32) -> Option<String> {
    let number = u32::try_from(code.checked_sub(128)?).ok()?;
    (1..=64).contains(&number).then(|| signals::name(number))
}
