//! Marker files against the sender: was this end announced, and by whoever brought it about?

use crate::attribution::is_own;
use crate::model::{Cause, Instigator, Intent, Marker, MarkerKind, Process, Signal, Verdict};
use crate::model::{Confidence, Link};
use crate::text::span;

use super::actors::{Role, role};
use super::case::{Case, quote, verdict};
use super::evidence;
use super::lineage::{behind, chain, link};

/// How far above a sender its announcer may stand: a command, its shell, a wrapper and a launcher.
const MAX_HOPS: usize = 4;

/// What ties the sender to the marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tie {
    /// The announcer is the sender or an ancestor of it.
    /// `agreed`: it was seen to write the marker, and the marker does not name another one.
    Line { agreed: bool },
    /// The sender had the marker written by a child of its own.
    Helper,
    /// The sender is the service manager, which does as it is told.
    Manager,
}

/// A marker that announced what happened.
#[derive(Debug, Clone, Copy)]
struct Announcement<'a> {
    marker: &'a Marker,
    signal: &'a Signal,
    sender: &'a Process,
    announcer: &'a Process,
    tie: Tie,
}

/// The verdict of an end that a marker of this kind announced; none when no marker agrees with the sender.
pub(super) fn announced(case: &Case<'_>, kind: MarkerKind) -> Option<Verdict> {
    let of_kind = case.facts.markers.iter().filter(|marker| marker.kind == kind);
    let found =
        of_kind.filter_map(|marker| announcement(case, marker)).max_by_key(|found| found.confidence(case))?;
    let Announcement { marker, signal, sender, announcer, .. } = found;
    let (cause, how) = match kind {
        MarkerKind::Takeover => (Cause::Takeover, "because another instance takes its place"),
        MarkerKind::PlannedStop => (Cause::PlannedStop, "as planned"),
    };
    let name = case.target_name();
    let summary = format!("{name} {}, {how}: {}.", case.ended_by(signal), found.act(case));
    let mut verdict = verdict(cause, Intent::Deliberate, found.confidence(case), summary);
    verdict.culprit = Some(announcer.clone());
    if !announcer.is(sender) {
        verdict.instigator = Some(Instigator {
            process: announcer.clone(),
            request: format!("{} marker {}", noun(kind), marker.path),
            at: signal.ts - marker.age_s.unwrap_or_default(),
            inside_target: is_of_unit(announcer, case.target()),
        });
    }
    verdict.chain.push(found.link(case));
    verdict.chain.extend(chain(case, sender, signal));
    verdict.evidence = evidence::of_signal(case, signal);
    verdict.evidence.extend(evidence::earlier(case, signal));
    verdict.evidence.extend(evidence::of_sender(case, sender));
    verdict.ruled_out = evidence::ruled_out(signal, sender.is_service_manager());
    Some(verdict)
}

/// What each marker says of this end, whatever the verdict.
pub(super) fn of_markers(case: &Case<'_>) -> Vec<String> {
    case.facts.markers.iter().map(|marker| of_marker(case, marker)).collect()
}

fn of_marker(case: &Case<'_>, marker: &Marker) -> String {
    let (kind, path) = (noun(marker.kind), quote(&marker.path));
    let age =
        marker.age_s.filter(|&age| age >= 0.0).map_or_else(String::new, |age| format!(", {} old", span(age)));
    let whom = match number(marker, "target_pid") {
        _ if marker.names_target => "names this process".to_owned(),
        Some(pid) if is_pid_of(pid, case.target()) => {
            "names its pid, with a start time or home that is not that of this process".to_owned()
        }
        Some(pid) => format!("is for pid {pid}, not for this process"),
        None => "does not name this process".to_owned(),
    };
    if !marker.fresh {
        return format!("A stale {kind} marker, {path}{age}, {whom}.");
    }
    let by = match &marker.writer {
        Some(writer) => format!(" It was written by {}.", case.actor(writer)),
        None => String::new(),
    };
    let fit = match (marker.names_target, foreign_signal(case), announcement(case, marker)) {
        (false, ..) | (true, None, _) => "",
        (true, Some(_), Some(found)) => match found.tie {
            Tie::Manager => ", and the service manager sent the signal",
            _ => " and agrees with the sender",
        },
        (true, Some(_), None)
            if marker.writer.as_ref().is_some_and(|writer| is_of_unit(writer, case.target())) =>
        {
            ", but it comes from its own unit and says nothing of who asked"
        }
        (true, Some((_, sender)), None) if role(sender, case.target()) == Some(Role::Manager) => {
            ", but nothing shows that its writer asked the service manager"
        }
        (true, Some(_), None) => ", but the signal came from somebody else",
    };
    let actor = match (marker.names_target, announcer_pid(marker)) {
        (true, Some(pid)) => format!(" It names pid {pid} as {}.", role_noun(marker.kind)),
        _ => String::new(),
    };
    format!("A fresh {kind} marker, {path}{age}, {whom}{fit}.{actor}{by}")
}

/// How the marker and the decisive signal fit together, if they do.
fn announcement<'a>(case: &Case<'a>, marker: &'a Marker) -> Option<Announcement<'a>> {
    if !marker.fresh || !marker.names_target {
        return None;
    }
    let (signal, sender) = foreign_signal(case)?;
    let target = case.target();
    let found = |announcer, tie| Some(Announcement { marker, signal, sender, announcer, tie });
    let writer = marker.writer.as_ref().filter(|writer| !writer.is(target));

    if role(sender, target) == Some(Role::Manager) {
        // What ExecStop= writes is the manager's own doing, and of a writer whose place is not known nobody can tell that it
        // is not.
        let writer = writer.filter(|writer| is_outside_unit(writer, target))?;
        return found(writer, Tie::Manager);
    }
    let line = || {
        let behind = behind(sender, target).into_iter().filter(|ancestor| !ancestor.is(target));
        std::iter::once(sender).chain(behind.take(MAX_HOPS))
    };
    let claimed = announcer_pid(marker);
    let by_pid = claimed.and_then(|pid| line().find(|process| is_pid_of(pid, process)));
    let by_writer = writer.and_then(|writer| line().find(|process| process.is(writer)));
    match (by_pid, by_writer) {
        (Some(named), wrote) => found(named, Tie::Line { agreed: wrote.is_some() }),
        (None, Some(wrote)) => found(wrote, Tie::Line { agreed: claimed.is_none() }),
        // A script runs one program for the marker, and signals by itself. Supervisors run everything.
        (None, None) if role(sender, target).is_none() => {
            let started = behind(writer?, target).into_iter().take(MAX_HOPS).any(|above| above.is(sender));
            started.then(|| found(sender, Tie::Helper)).flatten()
        }
        (None, None) => None,
    }
}

impl Announcement<'_> {
    /// Likely at most when it exited: a handler stood between, and the marker tells of a wish, not of its effect.
    /// Likely as well as long as writer and content do not both point to the sender: the content is but a claim.
    fn confidence(&self, case: &Case<'_>) -> Confidence {
        match self.tie {
            Tie::Line { agreed: true } => case.confidence(),
            Tie::Line { agreed: false } | Tie::Helper | Tie::Manager => Confidence::Likely,
        }
    }

    /// "`stop.py` (pid 5) announced it in a planned-stop marker and sent the signal"
    fn act(&self, case: &Case<'_>) -> String {
        let (who, kind, sender) =
            (case.actor(self.announcer), noun(self.marker.kind), case.brief(self.sender));
        let sent = match self.tie {
            Tie::Manager => format!("the service manager, pid {}, sent the signal", self.sender.pid),
            Tie::Line { .. } if !self.announcer.is(self.sender) => {
                format!("sent the signal through {sender}")
            }
            Tie::Line { .. } | Tie::Helper => "sent the signal".to_owned(),
        };
        format!("{who} announced it in a {kind} marker, and {sent}")
    }

    fn link(&self, case: &Case<'_>) -> Link {
        let action = format!("announced itself as {} in", role_noun(self.marker.kind));
        link(case.brief(self.announcer), &action, quote(&self.marker.path))
    }
}

/// The decisive signal with its sender, when that is another process.
fn foreign_signal<'a>(case: &Case<'a>) -> Option<(&'a Signal, &'a Process)> {
    let signal = case.decisive.filter(|signal| signal.mechanism.is_user_sent())?;
    let sender = signal.sender.as_ref().filter(|_| !is_own(signal, case.target()))?;
    Some((signal, sender))
}

/// The pid that the marker gives for whoever brings the end about.
fn announcer_pid(marker: &Marker) -> Option<u64> {
    let field = match marker.kind {
        MarkerKind::Takeover => "replacer_pid",
        MarkerKind::PlannedStop => "stopper_pid",
    };
    number(marker, field)
}

fn number(marker: &Marker, field: &str) -> Option<u64> {
    marker.content.as_ref()?.get(field)?.as_u64()
}

/// True when a process goes by this pid, in the initial pid namespace or in its own: a marker does not say in
/// which one its writer lives.
fn is_pid_of(pid: u64, process: &Process) -> bool {
    u64::from(process.pid) == pid || process.ns_pid.is_some_and(|inner| u64::from(inner) == pid)
}

/// True for a process of the target's own unit, where the manager runs what the unit file says (`ExecStop=` in
/// a subgroup `.control` of the cgroup at times).
fn is_of_unit(process: &Process, target: &Process) -> bool {
    let same_unit = target.unit.is_some() && process.unit == target.unit && process.slice == target.slice;
    let below = |own: &String| {
        let rest = process.cgroup.as_deref().and_then(|cgroup| cgroup.strip_prefix(own.as_str()));
        own != "/" && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    same_unit || target.cgroup.as_ref().is_some_and(below)
}

/// True for a process that is known to run elsewhere: it does, or a process that made it does. A manager runs commands of
/// any unit, so from there on nothing can be told.
fn is_outside_unit(process: &Process, target: &Process) -> bool {
    let line = std::iter::once(process).chain(&process.ancestors);
    let mut known = line.take_while(|one| !one.is_service_manager()).filter(|one| one.cgroup.is_some());
    !is_of_unit(process, target) && known.next().is_some_and(|placed| !is_of_unit(placed, target))
}

fn noun(kind: MarkerKind) -> &'static str {
    match kind {
        MarkerKind::Takeover => "takeover",
        MarkerKind::PlannedStop => "planned-stop",
    }
}

fn role_noun(kind: MarkerKind) -> &'static str {
    match kind {
        MarkerKind::Takeover => "the replacer",
        MarkerKind::PlannedStop => "the stopper",
    }
}

#[cfg(test)]
mod tests;
