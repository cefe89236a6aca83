//! What the manager said about the unit, beside the signal that it sent.

use crate::model::{
    Cause, Confidence, Intent, ManagerFacts, ManagerMessage, Process, Signal, Timeout, UnitState, Verdict,
};
use crate::stop;
use crate::text::span;

use super::case::{Case, quote, verdict};
use super::evidence;
use super::lineage::chain;

/// A message and a signal this near to each other belong together, seconds. The manager logs its reason, acts on it, and
/// journald's clock is the host's.
pub(super) const MOMENT_S: f64 = 1.5;

/// A signal of a manager that ended the target, and what that manager said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word<'a> {
    pub(super) manager: &'a ManagerFacts,
    /// The signal that ended it.
    pub(super) signal: &'a Signal,
    /// The manager as a process.
    pub(super) sender: &'a Process,
    /// The first signal with which the manager began to end it.
    pub(super) first: &'a Signal,
    /// The unit that the manager acted on: that of the target, or the user manager's around it.
    pub(super) unit: &'a str,
}

impl<'a> Word<'a> {
    /// The word of the manager that sent the decisive signal; none when somebody else sent it, or nothing was said.
    pub(super) fn of(case: &Case<'a>) -> Option<Self> {
        Self::at(case, case.decisive?)
    }

    /// The same, as if another signal had ended it.
    pub(super) fn at(case: &Case<'a>, signal: &'a Signal) -> Option<Self> {
        let signal = Some(signal).filter(|signal| signal.mechanism.is_user_sent())?;
        let sender = signal.sender.as_ref().filter(|sender| sender.is_service_manager())?;
        let manager = case.facts.manager.as_ref()?;
        let first = stop::begun(case.facts, signal);
        // PID 1 ends what a user's manager holds by ending the unit of that manager.
        let by_outer = manager.scope == "user" && !is_of_user(sender);
        let outer = manager.parent.as_ref().filter(|_| by_outer);
        let unit = outer.map_or(manager.unit.as_str(), |parent| parent.unit.as_str());
        Some(Self { manager, signal, sender, first, unit })
    }

    /// What was said about the unit, in the target's run of it.
    pub(super) fn own(&self) -> impl Iterator<Item = &'a ManagerMessage> + use<'a> {
        let Self { manager, unit, .. } = *self;
        let run = manager.invocation_id.as_deref().filter(|_| unit == manager.unit);
        self.about().filter(move |message| {
            let id = message.invocation_id.as_deref();
            run.is_none() || id.is_none() || id == run
        })
    }

    /// What was said about the unit, in any run of it.
    pub(super) fn about(&self) -> impl Iterator<Item = &'a ManagerMessage> + use<'a> {
        let Self { manager, unit, .. } = *self;
        manager.messages.iter().filter(move |message| message.unit.as_deref() == Some(unit))
    }

    /// The last message of this run at a moment that says what is looked for.
    pub(super) fn said_at(
        &self,
        ts: f64,
        is: impl Fn(&ManagerMessage, &str) -> bool,
    ) -> Option<&'a ManagerMessage> {
        self.own().filter(|m| (m.ts - ts).abs() <= MOMENT_S && is(m, self.plain(m))).last()
    }

    /// What a message says after the name of its unit.
    pub(super) fn plain<'m>(&self, message: &'m ManagerMessage) -> &'m str {
        let rest = message.text.strip_prefix(self.unit).and_then(|rest| rest.strip_prefix(": "));
        rest.unwrap_or(&message.text)
    }

    /// The unit's properties: as they were when the target came, else those of afterwards.
    pub(super) fn state(&self) -> Option<&'a UnitState> {
        self.manager.before.as_ref().or(self.manager.after.as_ref())
    }

    /// `Result` of the unit after the end.
    pub(super) fn result(&self) -> Option<&'a str> {
        let failed = self.own().filter(|m| m.ts >= self.first.ts).find_map(|m| m.unit_result.as_deref());
        failed.or_else(|| {
            let after = self.manager.after.as_ref()?;
            let of_run =
                self.manager.invocation_id.is_none() || after.invocation_id == self.manager.invocation_id;
            after.result.as_deref().filter(|_| of_run)
        })
    }

    /// A setting with a time, as `WatchdogSec=2 s`; the name alone when the time is not known.
    pub(super) fn setting(name: &str, time: Option<Timeout>) -> String {
        match time.and_then(Timeout::seconds) {
            Some(seconds) => format!("{name}={}", span(seconds)),
            None => name.to_owned(),
        }
    }

    /// A verdict about the manager's act: nobody is to blame, the manager does as it is told.
    pub(super) fn verdict(
        &self,
        case: &Case<'_>,
        cause: Cause,
        confidence: Confidence,
        summary: String,
        reason: Option<&ManagerMessage>,
    ) -> Verdict {
        let mut verdict = verdict(cause, Intent::Automatic, confidence, summary);
        verdict.chain = chain(case, self.sender, self.signal);
        verdict.evidence.extend(reason.map(|message| quoted(message, self.signal)));
        verdict.evidence.extend(evidence::of_signal(case, self.signal));
        verdict.evidence.extend(evidence::earlier(case, self.signal));
        verdict.ruled_out = evidence::ruled_out(self.signal, true);
        verdict
    }
}

/// A message as evidence.
pub(super) fn quoted(message: &ManagerMessage, signal: &Signal) -> String {
    let apart = signal.ts - message.ts;
    let when = match apart {
        apart if apart.abs() < 0.001 => "at that moment".to_owned(),
        apart if apart > 0.0 => format!("{} before", span(apart)),
        apart => format!("{} after", span(-apart)),
    };
    format!("{} logged, {when}: {}.", message.identifier, quote(&message.text))
}

/// True for a user's manager: it runs below `user@UID.service`.
fn is_of_user(manager: &Process) -> bool {
    match &manager.cgroup {
        Some(path) => path.contains("/user@"),
        None => manager.uid.is_some_and(|uid| uid != 0),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::Facts;
    use crate::sample::BOOT;

    /// What systemd said about `nginx.service`, in a run with the id `a`.
    pub(in crate::verdict) fn manager(messages: Vec<ManagerMessage>) -> ManagerFacts {
        ManagerFacts {
            unit: "nginx.service".to_owned(),
            scope: "system".to_owned(),
            invocation_id: Some("a".to_owned()),
            before: Some(UnitState::default()),
            after: Some(UnitState::default()),
            messages,
            shutdown: None,
            linger: None,
            parent: None,
        }
    }

    /// A message about it, at so many seconds since boot.
    pub(in crate::verdict) fn said(at: f64, text: &str) -> ManagerMessage {
        ManagerMessage {
            ts: BOOT + at,
            identifier: "systemd".to_owned(),
            text: format!("nginx.service: {text}"),
            unit: Some("nginx.service".to_owned()),
            invocation_id: Some("a".to_owned()),
            ..ManagerMessage::default()
        }
    }

    /// The same facts with that word.
    pub(in crate::verdict) fn with_word(facts: Facts, messages: Vec<ManagerMessage>) -> Facts {
        Facts { manager: Some(manager(messages)), ..facts }
    }
}
