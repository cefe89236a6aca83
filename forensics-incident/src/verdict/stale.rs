//! A pid that no longer means who it meant: files and earlier processes against the start of the one that was hit.

use crate::model::{Confidence, EarlierHolder, Mechanism, Pidfile, Process, Signal};
use crate::text::span;

use super::actors::role;
use super::case::{Case, quote, seconds_between};

/// A file may be written just before the process is made whose pid it shall hold, and file systems round times, seconds.
const SLACK_S: f64 = 2.0;

/// Why a number is taken for stale.
#[derive(Debug, Clone, Copy)]
enum Reason<'a> {
    /// The sender was told to read this file, which is older than the process.
    File(&'a Pidfile),
    /// A well-known file, older than the process, holds the number, and the sender may have it from there.
    KnownFile(&'a Pidfile),
    /// The sender, or one that it descends from, had made an earlier process of that number.
    Made(&'a EarlierHolder, &'a Process),
}

/// A number that no longer meant who it meant.
#[derive(Debug)]
pub(super) struct Stale<'a> {
    reason: Reason<'a>,
    /// Who has the number now: the target, or the leader of its group.
    holder: &'a Process,
    /// Who had it before.
    before: Option<&'a EarlierHolder>,
    /// Unix time minus `CLOCK_BOOTTIME`, seconds.
    offset_s: f64,
}

/// What shows that the number which the sender used was meant for somebody else; none when nothing does.
pub(super) fn stale<'a>(case: &Case<'a>, signal: &'a Signal, sender: &'a Process) -> Option<Stale<'a>> {
    let holder = holder(case, signal)?;
    // Who does as he is told, or made the process itself, has its number from elsewhere.
    if role(sender, case.target()).is_some() || made_it(case, sender) {
        return None;
    }
    let act = &case.facts.kill;
    let offset_s = signal.ts - signal.boot_ns as f64 / 1e9;
    let started = holder.start_boot_ns as f64 / 1e9 + offset_s;
    let is_older = |file: &&Pidfile| file.modified + SLACK_S < started;
    let before = act.earlier.iter().find(|earlier| is_before(earlier, holder));
    let found = |reason| Some(Stale { reason, holder, before, offset_s });

    let mut named = act.pidfiles.iter().filter(|file| file.named_by.is_some());
    if let Some(file) = named.clone().find(is_older) {
        // One that is up to date says that the number was right.
        return if named.all(|file| is_older(&file)) { found(Reason::File(file)) } else { None };
    }
    if named.next().is_some() || is_own_child(case, sender) {
        return None;
    }
    if let Some((earlier, maker)) =
        act.earlier.iter().find_map(|earlier| Some((earlier, maker_of(earlier, sender)?)))
        && is_before(earlier, holder)
    {
        return Some(Stale { reason: Reason::Made(earlier, maker), holder, before: Some(earlier), offset_s });
    }
    let known = act.pidfiles.iter().filter(|file| file.named_by.is_none());
    match known.clone().all(|file| is_older(&file)) {
        true => known
            .max_by(|a, b| a.modified.total_cmp(&b.modified))
            .and_then(|file| found(Reason::KnownFile(file))),
        false => None,
    }
}

/// What makes it possible, and no more, that the number was meant for somebody else.
pub(super) fn possibly_stale(case: &Case<'_>, signal: &Signal, sender: &Process) -> Option<String> {
    let holder = holder(case, signal)?;
    if role(sender, case.target()).is_some() || is_own_child(case, sender) {
        return None;
    }
    let earlier = case.facts.kill.earlier.iter().find(|earlier| is_before(earlier, holder))?;
    let older = line(sender)
        .filter(|process| process.start_boot_ns != 0)
        .find(|process| process.start_boot_ns < holder.start_boot_ns)?;
    Some(format!(
        "It is possible that a stale pid was used (stale-pid-kill): {} had the number {} before, and {} is older than this \
         process.",
        case.brief(&earlier.process),
        holder.pid,
        case.brief(older)
    ))
}

/// Who has the number that `kill(2)` was given.
fn holder<'a>(case: &Case<'a>, signal: &Signal) -> Option<&'a Process> {
    let aim = signal.syscall_args.as_ref().and_then(|args| args.first().copied());
    let holder = match (signal.mechanism, aim) {
        (Mechanism::Kill, Some(..=-2)) => case.facts.kill.group.as_ref()?.leader.as_ref()?,
        (Mechanism::Kill, Some(0 | -1)) | (Mechanism::CgroupKill, _) => return None,
        _ => case.target(),
    };
    (holder.start_boot_ns != 0).then_some(holder)
}

/// True when the target descends from the sender, which so knows the number first-hand.
fn made_it(case: &Case<'_>, sender: &Process) -> bool {
    case.target().ancestors.iter().any(|ancestor| ancestor.is(sender))
}

/// True when the sender acts for the one that made the target: a shell that has `kill` end its own job.
fn is_own_child(case: &Case<'_>, sender: &Process) -> bool {
    let maker = case.target().parent().filter(|maker| !maker.is_service_manager());
    maker.is_some_and(|maker| line(sender).any(|process| process.is(maker)))
}

/// A process and those that it descends from, up to the service manager.
fn line(process: &Process) -> impl Iterator<Item = &Process> {
    std::iter::once(process).chain(&process.ancestors).take_while(|process| !process.is_service_manager())
}

fn is_before(earlier: &EarlierHolder, holder: &Process) -> bool {
    let started = earlier.process.start_boot_ns;
    started != 0 && started < holder.start_boot_ns
}

/// The sender, or one that it descends from, when that made the earlier process.
fn maker_of<'a>(earlier: &EarlierHolder, sender: &'a Process) -> Option<&'a Process> {
    let maker = earlier.process.parent()?;
    line(sender).find(|process| process.is(maker))
}

impl Stale<'_> {
    /// "its pid came from `/run/x.pid`, which was written 3 d 2 h before this process started"
    pub(super) fn phrase(&self, case: &Case<'_>) -> String {
        let what = self.what(case);
        match self.reason {
            Reason::File(file) => {
                format!(
                    "{what} came from {}, written {} before that process started",
                    quote(&file.path),
                    self.age(file)
                )
            }
            Reason::KnownFile(file) => format!(
                "{what} stands in {}, written {} before that process started",
                quote(&file.path),
                self.age(file)
            ),
            Reason::Made(earlier, _) => {
                format!(
                    "{what} had been that of {}, which it had started before",
                    case.brief(&earlier.process)
                )
            }
        }
    }

    fn what(&self, case: &Case<'_>) -> &'static str {
        if self.holder.is(case.target()) { "the pid" } else { "the number of the group" }
    }

    fn age(&self, file: &Pidfile) -> String {
        span(self.holder.start_boot_ns as f64 / 1e9 + self.offset_s - file.modified)
    }

    /// Two facts that agree are certain, one is likely.
    pub(super) fn confidence(&self, case: &Case<'_>) -> Confidence {
        match (self.reason, self.before) {
            (Reason::File(_), Some(_)) => case.confidence(),
            _ => Confidence::Likely,
        }
    }

    /// The facts, one sentence each.
    pub(super) fn evidence(&self, case: &Case<'_>) -> Vec<String> {
        let mut said = Vec::new();
        match self.reason {
            Reason::File(file) | Reason::KnownFile(file) => {
                let named = match (file.named_by, &file.script) {
                    (Some(pid), Some(script)) => {
                        format!("It is named in {}, which pid {pid} runs.", quote(script))
                    }
                    (Some(pid), None) => format!("It is named on the command line of pid {pid}."),
                    (None, _) => "That the sender read it was not seen.".to_owned(),
                };
                said.push(format!(
                    "The file {} holds {} and was last changed {} before that process started. {named}",
                    quote(&file.path),
                    file.pid,
                    self.age(file)
                ));
            }
            Reason::Made(earlier, maker) => said.push(format!(
                "{} was made by {}, which so knew its pid.",
                case.brief(&earlier.process),
                case.brief(maker)
            )),
        }
        if let Some(before) = self.before {
            let ended =
                before.ended_boot_ns.and_then(|ended| seconds_between(ended, self.holder.start_boot_ns));
            let ended =
                ended.map_or_else(String::new, |s| format!("; it ended {} before that one started", span(s)));
            said.push(format!(
                "Before, the number {} was that of {}{ended}.",
                self.holder.pid,
                case.brief(&before.process)
            ));
        }
        said
    }
}
