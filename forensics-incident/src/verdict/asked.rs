//! Who asked a manager or a container engine for the signal that it sent.

use crate::concern::{commands, is_of, manager_of};
use crate::model::{
    Act, Cause, Concern, Confidence, Instigator, Intent, Link, Process, Recipient, Request, Signal, Verdict,
};
use crate::signals::{SIGABRT, SIGHUP};
use crate::text::span;
use crate::transient::is_maker;

use super::actors::is_login_manager;
use super::case::{Case, verdict};
use super::evidence;
use super::lineage::{behind, chain, link, run_from};

/// A signal this soon after a request is its doing, seconds.
const PROMPT_S: f64 = 10.0;
/// How long a job may have waited before its first signal, seconds.
const PATIENCE_S: f64 = 300.0;
/// How long after a request for a signal that signal may come, seconds: whoever is not root may be asked for a password.
const SIGNAL_S: f64 = 60.0;
/// A request that was recorded after it was sent may have a later time than what came of it, by as much as its sender may have
/// had to wait for the processor, seconds.
const LATE_S: f64 = 0.1;
/// The time at which a process began may be known no better than this, nanoseconds.
const TICK_NS: u64 = 10_000_000;
/// How long before it asked systemd logind may have been asked itself, seconds.
const HOP_S: f64 = 5.0;
/// How long after the time of a scheduled shutdown logind may ask systemd for it: it waits for those who delay it
/// (`InhibitDelayMaxSec=`), seconds.
const DUE_S: f64 = 15.0;
/// How far the clock that a shutdown is scheduled by may have gone from that of the records, seconds.
const CLOCKS_S: f64 = 1.0;

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
}

/// Finds the request that the sender of a signal, a manager or a runtime, carried out. The one nearest before it counts, of those
/// that name the target, what holds it, or everything: whether a job of another unit pulled the target along is not judged
/// here.
pub(super) fn asked<'a>(case: &Case<'a>, signal: &'a Signal) -> Option<Asked<'a>> {
    let sender = signal.sender.as_ref()?;
    let manager = manager_of(sender, case.target());
    let requests = case.facts.requests.iter();
    let candidates = requests.filter(|request| {
        let of_it = matches!(request.concerns, Concern::Target | Concern::Above | Concern::Everything);
        let by_manager = matches!(request.recipient, Recipient::Systemd | Recipient::Logind);
        let by_it = || manager.is_some_and(|manager| is_of(request, manager)) && began_for(sender, request);
        of_it && (!by_manager || by_it())
    });
    let found = candidates.filter_map(|request| Some((request, explains(case, request, signal)?)));
    // A message that was seen says more than a command that must have sent one, and one that cannot have been refused more
    // than one that may have been.
    let (request, after_s) = found.max_by_key(|(request, after_s)| {
        let sure = request.seen && *after_s <= PROMPT_S && request.cannot_be_refused();
        (request.seen, sure, request.boot_ns)
    })?;
    let before = is_login_manager(&request.process).then(|| asked_logind(case, request)).flatten();
    let asker = before.unwrap_or(request);
    Some(Asked { request, before, origin: origin_of(case, &asker.process), after_s })
}

/// True for a manager, and for a command that it began to carry out a request.
fn began_for(sender: &Process, request: &Request) -> bool {
    let acts = matches!(request.act(), Act::Stop | Act::Restart | Act::Isolate | Act::Shutdown);
    let began = |process: &Process| process.start_boot_ns.saturating_add(TICK_NS) >= request.boot_ns;
    commands(sender).last().is_none_or(|first| acts && began(first))
}

/// Seconds from a request to the first signal that came of it, when the signal in question can have come of it.
fn explains(case: &Case<'_>, request: &Request, signal: &Signal) -> Option<f64> {
    let slack = if request.late { LATE_S } else { 0.0 };
    let since = |signal: &Signal| signal.ts - request.ts;
    let gap = since(signal);
    if gap < -slack {
        return None;
    }
    let fits = match request.act() {
        Act::Signal => request.signal_num == Some(signal.signal_num) && gap <= SIGNAL_S,
        Act::Reload => signal.signal_num == SIGHUP && gap <= PROMPT_S,
        // What a watchdog sends; a stop never begins with it.
        Act::Stop | Act::Restart | Act::EndSession | Act::Isolate | Act::Shutdown => {
            signal.signal_num != SIGABRT
        }
        Act::Freeze | Act::Start | Act::Create | Act::Schedule | Act::Other => false,
    };
    // A stop goes on for as long as it needs once it has begun: what counts is how soon it did.
    let of_same_sender = |other: &&Signal| match (&other.sender, &signal.sender) {
        (Some(one), Some(other)) => one.is(other),
        _ => false,
    };
    let signals = case.facts.signals.iter().filter(of_same_sender).map(since);
    let first = signals.filter(|gap| *gap >= -slack).fold(gap, f64::min);
    (fits && first <= PATIENCE_S).then_some(first.max(0.0))
}

/// What logind was asked for shortly before it asked the manager, else what it had been asked for to do at that time.
fn asked_logind<'a>(case: &Case<'a>, request: &Request) -> Option<&'a Request> {
    let slack = if request.late { LATE_S } else { 0.0 };
    let of_logind = case.facts.requests.iter().filter(|before| {
        before.recipient == Recipient::Logind
            && before.concerns != Concern::Elsewhere
            && before.ts <= request.ts + slack
            && !before.process.is(&request.process)
    });
    let fits = |before: &&Request| match before.due {
        None => request.ts - before.ts <= HOP_S,
        Some(due) => request.act() == Act::Shutdown && (-CLOCKS_S..=DUE_S).contains(&(request.ts - due)),
    };
    // logind has one time for a shutdown, that of the last one whom it let choose.
    of_logind
        .filter(fits)
        .max_by_key(|before| (before.due.is_none(), before.cannot_be_refused(), before.boot_ns))
}

/// Who made the unit in which a process runs, and so on to the first of them.
fn origin_of<'a>(case: &Case<'a>, asker: &Process) -> Option<&'a Request> {
    let made = |process: &Process| {
        let origins = case.facts.requests.iter().filter(|request| request.concerns == Concern::Origin);
        let of_unit = origins.filter(|origin| is_maker(origin, process));
        of_unit.filter(|origin| !origin.process.is(process)).max_by_key(|origin| origin.boot_ns)
    };
    let first = made(asker)?;
    Some(made(&first.process).unwrap_or(first))
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
        // That logind acts at the time is no proof that it let everybody choose it.
        let is_let = |before: &Request| before.due.is_none() || before.cannot_be_refused();
        let is_sure = prompt
            && self.request.cannot_be_refused()
            && self.before.is_none_or(is_let)
            && case.facts.lost.requests == 0;
        if is_sure { Confidence::Certain } else { Confidence::Likely }
    }

    /// The verdict of a rule that has nothing to say but that somebody asked.
    pub(super) fn verdict(&self, case: &Case<'a>, signal: &'a Signal, act: &str) -> Verdict {
        let because = if self.request.cannot_be_refused() { "because" } else { "likely because" };
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
        if !self.request.cannot_be_refused() {
            said.push(format!(
                "pid {} is not root's: systemd does so only when polkit lets it, which was not seen.",
                self.request.process.pid
            ));
        }
        if self.before.is_none()
            && is_login_manager(&self.request.process)
            && self.request.act() == Act::Shutdown
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
    verdict.summary = format!("{summary}; {}.", asked.sentence(case));
    verdict.instigator = Some(asked.instigator(case));
    verdict.culprit = verdict.culprit.take().or_else(|| asked.culprit().cloned());
    if verdict.cause == Cause::HostShutdown && verdict.culprit.is_some() {
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
