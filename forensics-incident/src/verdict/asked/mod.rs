//! Who asked a manager or a container engine for the signal that it sent.

mod find;
mod job;
#[cfg(test)]
mod tests;
mod through_logind;

use crate::model::{
    Act, Cause, Concern, Confidence, Instigator, Intent, Link, Process, Recipient, Request, Signal, Verdict,
};
use crate::text::span;

use super::actors::is_login_manager;
use super::case::{Case, verdict};
use super::evidence;
use super::lineage::{behind, chain, link, run_from};
use super::logind::is_for_shutdown;

pub(super) use find::asked;
pub(super) use job::told_before;

/// A signal this soon after a request is its doing, seconds.
pub(super) const PROMPT_S: f64 = 10.0;

/// The request behind a signal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// What the manager was asked for.
    pub(super) request: &'a Request,
    /// What logind had been asked for before, just now or for this time, when it was logind that asked the manager.
    pub(super) before: Option<&'a Request>,
    /// What made the transient unit in which the asker ran, the nearest first; who scheduled it is to blame.
    pub(super) origin: Option<&'a Request>,
    /// From the request to the first signal that came of it, seconds.
    pub(super) after_s: f64,
    /// It may be that it led to nothing, and another one to the signal.
    is_doubtful: bool,
}

impl<'a> Asked<'a> {
    /// The process that asked, or had logind ask.
    pub(super) fn asker(&self) -> &'a Process {
        &self.before.unwrap_or(self.request).process
    }

    /// The first actor behind it: who scheduled what asked, else who asked. None when that only does as it is told, as logind
    /// does.
    pub(super) fn culprit(&self) -> Option<&'a Process> {
        let first = self.origin.map_or_else(|| self.asker(), |origin| &origin.process);
        let acts_for_others = is_login_manager(first) || first.is_service_manager();
        (!acts_for_others).then_some(first)
    }

    /// How sure it is that the request led to the signal.
    pub(super) fn confidence(&self, case: &Case<'_>) -> Confidence {
        let prompt = self.request.seen && self.after_s <= PROMPT_S;
        let is_sure = prompt && self.is_beyond_doubt() && case.facts.lost.requests == 0;
        if is_sure { Confidence::Certain } else { Confidence::Likely }
    }

    /// True when nobody can have refused it, and it can only have led to what came. That logind acts is no proof that it does so
    /// for whom it was asked by.
    fn is_beyond_doubt(&self) -> bool {
        let is_let = self.asked_of().all(Request::cannot_be_refused);
        is_let && !self.is_doubtful
    }

    /// What logind and the manager were asked for.
    fn asked_of(&self) -> impl Iterator<Item = &'a Request> {
        self.before.into_iter().chain(std::iter::once(self.request))
    }

    /// The verdict of a rule that has nothing to say but that somebody asked.
    pub(super) fn verdict(&self, case: &Case<'a>, signal: &'a Signal, act: &str) -> Verdict {
        let because = if self.is_beyond_doubt() { "because" } else { "likely because" };
        let summary = format!("{} {act} {because} {}.", case.target_name(), self.sentence(case));
        // Nobody wants in particular that a session ends which has come to its end.
        let intent = match (self.cause(), self.culprit()) {
            (Cause::SessionEnd, None) => Intent::Automatic,
            (Cause::HostShutdown, None) => Intent::Unknown,
            _ => Intent::Deliberate,
        };
        let mut verdict = verdict(self.cause(), intent, self.confidence(case), summary);
        verdict.culprit = self.culprit().cloned();
        verdict.instigator = Some(self.instigator(case));
        verdict.chain = self.chain(case);
        verdict
            .chain
            .extend(signal.sender.as_ref().map(|sender| chain(case, sender, signal)).unwrap_or_default());
        verdict.evidence = self.evidence(case);
        verdict.evidence.extend(evidence::of_signal(case, signal));
        verdict.evidence.extend(evidence::earlier(case, signal));
        verdict.evidence.extend(evidence::raised_again(case, signal));
        verdict
    }

    /// As the verdict has it.
    pub(super) fn instigator(&self, case: &Case<'_>) -> Instigator {
        let request = self.before.unwrap_or(self.request);
        Instigator {
            process: request.process.clone(),
            request: request.sentence(),
            at: request.ts,
            inside_target: is_inside(&request.process, case.target()),
        }
    }

    /// "`systemctl restart cron` (pid 77, root) run from `-bash` (pid 70) asked it to (RestartUnit cron.service replace)"
    pub(super) fn sentence(&self, case: &Case<'_>) -> String {
        let request = self.before.unwrap_or(self.request);
        let asker = &request.process;
        let through = self.before.map_or("", |_| ", through systemd-logind,");
        let ahead = request.due.map(|due| format!(" {} ahead", span(due - request.ts)));
        let verb = match (&ahead, self.request.seen) {
            (Some(_), _) => "had asked",
            (None, true) => "asked",
            (None, false) => "must have asked",
        };
        let inside = if is_inside(asker, case.target()) { " inside the very unit" } else { "" };
        let scheduled = match self.origin {
            Some(origin) => {
                format!(", scheduled by {}{},", case.actor(&origin.process), run_from(case, &origin.process))
            }
            None => String::new(),
        };
        let what = match request.recipient {
            Recipient::Systemd | Recipient::Logind => {
                format!("it{} to ({})", ahead.unwrap_or_default(), request.sentence())
            }
            engine => format!("{} to {}", engine.name(), request.sentence()),
        };
        format!("{}{}{inside}{scheduled}{through} {verb} {what}", case.actor(asker), run_from(case, asker))
    }

    /// From the first actor to the manager.
    pub(super) fn chain(&self, case: &Case<'_>) -> Vec<Link> {
        let mut links = Vec::new();
        let by = |request: &Request, to: &str, links: &mut Vec<Link>| {
            let asker = &request.process;
            let mut actors = behind(asker, case.target());
            actors.reverse();
            actors.push(asker);
            for (parent, child) in actors.iter().zip(actors.iter().skip(1)) {
                links.push(link(case.brief(parent), "ran", case.brief(child)));
            }
            let action = format!("asked {to} for");
            links.push(link(case.brief(asker), &action, request.sentence()));
        };
        if let Some(origin) = self.origin {
            by(origin, origin.recipient.name(), &mut links);
        }
        if let Some(before) = self.before {
            by(before, before.recipient.name(), &mut links);
        }
        by(self.request, self.request.recipient.name(), &mut links);
        links
    }

    /// What was seen of it, and who else asked for something about the target meanwhile.
    pub(super) fn evidence(&self, case: &Case<'_>) -> Vec<String> {
        let mut said = Vec::new();
        for request in [self.origin, self.before, Some(self.request)].into_iter().flatten() {
            let pid = request.process.pid;
            let what = request.sentence();
            said.push(match &request.via {
                Some(via) if request.seen => format!("The kernel saw pid {pid} send {what} to {via}."),
                _ => format!(
                    "pid {pid} was executed as a command that sends {what}; the message itself was not seen."
                ),
            });
        }
        for request in self.asked_of().filter(|request| !request.cannot_be_refused()) {
            said.push(format!(
                "pid {} is not root's: {} does so only when polkit lets it, which was not seen.",
                request.process.pid,
                request.recipient.name()
            ));
        }
        if self.before.is_none()
            && is_login_manager(&self.request.process)
            && self.request.act() == Act::Shutdown
            && !case.facts.requests.iter().any(is_for_shutdown)
        {
            said.push(
                "Nobody was seen to ask systemd-logind: it shuts down for a key, for IdleAction=, and at a time that was set before."
                    .to_owned(),
            );
        }
        said.push(format!("The first signal came {} after the request.", span(self.after_s)));
        match case.facts.lost.requests {
            0 => {}
            1 => said.push("1 request was not recorded, since its sender made too many.".to_owned()),
            lost => {
                said.push(format!("{lost} requests were not recorded, since their senders made too many."));
            }
        }
        let others = case.facts.requests.iter().filter(|other| {
            other.concerns == Concern::Target
                && !std::ptr::eq(*other, self.request)
                && self.before.is_none_or(|before| !std::ptr::eq(*other, before))
                && !other.process.is(&self.request.process)
        });
        for other in others.take(2) {
            let gap = self.request.ts - other.ts;
            let when = if gap >= 0.0 { "before" } else { "after" };
            let who = case.actor(&other.process);
            said.push(format!("{who} asked for {} {} {when} that.", other.sentence(), span(gap.abs())));
        }
        said
    }

    /// The cause by what was asked for alone. What logind stops of its own accord is what a session or a user leaves behind
    /// (`session_stop_scope()`, `user_stop_service()` in systemd's `src/login`).
    pub(super) fn cause(&self) -> Cause {
        let of_itself = self.before.is_none() && is_login_manager(&self.request.process);
        match (self.request.recipient, self.before.unwrap_or(self.request).act()) {
            (_, Act::Stop) if of_itself => Cause::SessionEnd,
            (Recipient::Docker | Recipient::Podman, _) => Cause::ContainerStop,
            (_, Act::Shutdown | Act::Schedule) => Cause::HostShutdown,
            (_, Act::Isolate) => Cause::SystemdDependency,
            (_, Act::EndSession) => Cause::SessionEnd,
            _ => Cause::SystemdStop,
        }
    }
}

/// Adds who asked to the verdict of a rule that says why a manager or an engine acted.
pub(super) fn attribute(case: &Case<'_>, verdict: &mut Verdict) {
    let about_managers = matches!(
        verdict.cause,
        Cause::SystemdStopTimeout | Cause::SystemdDependency | Cause::SessionEnd | Cause::HostShutdown
    );
    let Some(signal) = case.decisive.filter(|_| about_managers && verdict.instigator.is_none()) else {
        return;
    };
    let Some(asked) = asked(case, signal) else { return };
    let summary = verdict.summary.trim_end_matches('.');
    let likely = if asked.is_beyond_doubt() { "" } else { "likely " };
    verdict.summary = format!("{summary}; {likely}{}.", asked.sentence(case));
    verdict.instigator = Some(asked.instigator(case));
    if verdict.culprit.is_none() && asked.culprit().is_some() {
        verdict.culprit = asked.culprit().cloned();
        if !asked.is_beyond_doubt() {
            verdict.confidence = verdict.confidence.min(Confidence::Likely);
        }
    }
    if matches!(verdict.cause, Cause::HostShutdown | Cause::SessionEnd) && verdict.culprit.is_some() {
        verdict.intent = Intent::Deliberate;
    }
    verdict.chain.splice(..0, asked.chain(case));
    verdict.evidence.extend(asked.evidence(case));
}

/// True when a process lives in the very unit of the target, or descends from it.
fn is_inside(process: &Process, target: &Process) -> bool {
    let same_unit = target.unit.is_some() && process.unit == target.unit && process.slice == target.slice;
    let descends = process.ancestors.iter().any(|ancestor| ancestor.is(target));
    same_unit || descends || process.is(target)
}
