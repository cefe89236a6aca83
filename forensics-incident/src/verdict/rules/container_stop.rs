use crate::model::{Confidence, Process, Verdict};

use super::super::actors::{Role, role};
use super::super::asked::asked;
use super::super::case::{Case, quote};
use super::super::evidence;

/// A container engine stopped or killed its container, since somebody asked for that.
///
/// Evidence: the signal came from a runtime (runc, crun, a shim), and before it somebody asked an engine about the target's
/// container. Must not match a runtime that was run by the command itself, as Podman does: that is on its ancestry.
pub(super) fn container_stop(case: &Case<'_>) -> Option<Verdict> {
    let signal = case.decisive.filter(|signal| signal.mechanism.is_user_sent())?;
    let sender: &Process = signal.sender.as_ref()?;
    if role(sender, case.target()) != Some(Role::Runtime) {
        return None;
    }
    let asked = asked(case, signal)?;
    let by = format!("{} (pid {})", quote(&sender.name), sender.pid);
    let act = match case.was_killed() {
        true => format!("was stopped with {} by {by}", signal.signal),
        false => format!("{} from {by}", case.ended_by(signal)),
    };
    let mut verdict = asked.verdict(case, signal, &act);
    verdict.confidence = verdict.confidence.min(Confidence::Likely);
    verdict.ruled_out = evidence::ruled_out(signal, false);
    Some(verdict)
}

#[cfg(test)]
mod tests {
    use crate::model::{Cause, Facts, Recipient, Request};
    use crate::sample::{kill, killed, nginx, process, request};
    use crate::signals::SIGTERM;
    use crate::verdict::{Show, judge};

    #[test]
    fn a_request_to_an_engine() {
        let cli = process(77, "docker stop web");
        let asked = Request {
            recipient: Recipient::Docker,
            via: Some("/run/docker.sock".to_owned()),
            ..request(99.5, cli.clone(), "stop", "web", "t=5")
        };
        let runc = process(960, "/usr/bin/runc kill 0123 15");
        let signals = vec![kill(99.9, SIGTERM, runc)];
        let facts = Facts { requests: vec![asked], ..killed(nginx(), 100.0, SIGTERM, signals.clone()) };
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!((verdict.cause, verdict.culprit), (Cause::ContainerStop, Some(cli)));
        assert_eq!(verdict.instigator.map(|i| i.request), Some("stop web t=5".to_owned()));
        let unasked = killed(nginx(), 100.0, SIGTERM, signals);
        let verdict = judge(&unasked, Show::Cmdline);
        assert_eq!((verdict.cause, verdict.instigator), (Cause::ContainerStop, None));
    }
}
