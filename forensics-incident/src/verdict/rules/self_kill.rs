use crate::model::{Cause, Intent, Verdict};

use super::super::case::{Case, by_what, verdict};
use super::super::evidence;
use super::super::lineage::link;

/// It signalled itself: `raise(3)`, `kill $$`, `kill 0`.
///
/// Evidence: the decisive signal was sent by the target's own process. Must not match a handler that
/// raises again what came from elsewhere (then that one is decisive), `abort(3)`, nor signals that the
/// kernel makes while the target happens to run.
pub(super) fn self_kill(case: &Case<'_>) -> Option<Verdict> {
    let signal = case.own_signal()?;
    let name = case.target_name();
    let itself = match signal.syscall_args.as_deref().and_then(|args| args.first()) {
        Some(0) => "its own process group, itself included",
        _ => "itself",
    };
    let summary = if case.was_killed() {
        format!("{name} sent {} to {itself}.", signal.signal)
    } else {
        format!("{name} sent {} to {itself}, and {}.", signal.signal, case.ended_by(signal))
    };
    let mut verdict = verdict(Cause::SelfKill, Intent::Deliberate, case.confidence(), summary);
    verdict.culprit = signal.sender.clone();
    verdict.chain = vec![link(name, &format!("sent {} to", signal.signal), itself.to_owned())];
    verdict.evidence = evidence::of_signal(case, signal);
    verdict.evidence.push(format!("Sender and target are the same process, by {}.", by_what(signal)));
    verdict.ruled_out = evidence::ruled_out(signal, false);
    Some(verdict)
}
