use forensics_incident::model::{
    Facts, Incident, Link, Lost, Outcome, OutcomeKind, RuledOut, Signal, Timing, UnitResult, Verdict,
};
use forensics_incident::{shortage::shortage, text::span};

use super::line::{LONG, brief, command, cut, sender, signal_columns, slug};
use super::style::Style;
use super::time::Zone;

/// Longest line of evidence, characters.
const LINE: usize = 160;
/// Where the chain is broken into lines, characters.
const CHAIN_WIDTH: usize = 120;
/// Lines of a verdict at most.
const PAGE: usize = 24;

/// One more that ended by an act whose verdict was printed.
pub(super) fn also(facts: &Facts, style: Style) -> String {
    let text = format!("also ended by the same act: {}, {}", brief(&facts.target), ended(&facts.outcome));
    format!("{}\n", style.dim(&text))
}

/// Those that are not told one by one.
pub(super) fn also_more(style: Style) -> String {
    format!("{}\n", style.dim("and more by the same act: `forensics-agent list` has each of them"))
}

/// One more of a row of ends that are alike.
pub(super) fn again(incident: &Incident, zone: Zone, style: Style) -> String {
    let Incident { facts, verdict } = incident;
    let clock = zone.clock(facts.outcome.ts);
    let summary =
        style.verdict(verdict.intent, facts.outcome.kind, &format!("● {}", cut(&verdict.summary, LINE)));
    let row = facts.history.as_ref().map(|history| cut(&history.sentence(), LINE)).unwrap_or_default();
    format!("{clock}  {summary}  {}", style.dim(&format!("{row} (incident {})", cut(&facts.id, 40))))
}

/// What a manager made of an end whose verdict was printed; none when it made nothing of it.
pub(super) fn settled(facts: &Facts, style: Style) -> Option<String> {
    let result = facts.unit_result.as_ref()?;
    let text = format!("{}  (incident {})", unit_result(facts, result), cut(&facts.id, 40));
    Some(style.dim(&text))
}

/// What the manager made of it, in words.
fn unit_result(facts: &Facts, result: &UnitResult) -> String {
    let UnitResult { result, n_restarts, restarted, why_not, inactive_after_s: _, residual } = result;
    let unit = facts.manager.as_ref().map_or("its unit", |manager| manager.unit.as_str());
    let mut text = format!("{}: result {}", cut(unit, 60), cut(result, 40));
    match (restarted, why_not) {
        (true, _) => text.push_str(", started again"),
        (false, Some(why)) => text.push_str(&format!(", not started again: {}", cut(why, LINE))),
        (false, None) => text.push_str(", not started again"),
    }
    if let Some(count) = n_restarts.filter(|&count| count > 0) {
        text.push_str(&format!("; {count} automatic restarts so far"));
    }
    if let [first, rest @ ..] = residual.as_slice() {
        text.push_str(&format!("; still in its cgroup: {}", brief(first)));
        if !rest.is_empty() {
            text.push_str(&format!(" and {} more", rest.len()));
        }
    }
    text
}

/// The whole verdict. JSON has what does not fit.
pub(super) fn full(incident: &Incident, anew: bool, zone: Zone, style: Style) -> String {
    let Incident { facts, verdict } = incident;
    let outcome = &facts.outcome;
    let summary = format!("● {}", cut(&verdict.summary, 2 * LINE));
    let mut text = style.verdict(verdict.intent, outcome.kind, &summary);
    if anew {
        text.push_str(&style.dim("  (updated)"));
    }
    text.push('\n');
    let chain = chain(&verdict.chain);
    let ruled_out = ruled_out(&verdict.ruled_out);
    let pressure = facts.pressure.iter().filter_map(shortage).map(|line| cut(&line, 2 * LINE));
    let advice = verdict.advice.iter().map(|advice| cut(advice, 3 * LINE));
    let mut rows = [
        Row::whole("cause", [cause(verdict)]),
        Row::whole("target", [target(facts)]),
        Row::whole("outcome", [format!("{}, {}", zone.date(outcome.ts), ended(outcome))]),
        Row::up_to(4, 3, "chain", |limit| middle_out(&chain, limit)),
        Row::up_to(4, 3, "signals", |limit| signals(&facts.signals, limit, zone)),
        Row::up_to(6, 4, "evidence", |limit| first(&verdict.evidence, limit, |said| cut(said, LINE))),
        Row::up_to(3, 2, "ruled out", |limit| first(&ruled_out, limit, |line| cut(line, LINE))),
        Row::whole("pressure", pressure),
        Row::whole("timing", facts.timing.iter().map(timing)),
        Row::whole("unit", facts.unit_result.iter().map(|result| unit_result(facts, result))),
        Row::whole("advice", advice),
        Row::whole("gaps", gaps(facts)),
        Row::whole("incident", [style.dim(&cut(&facts.id, 40))]),
    ];
    fit(&mut rows, PAGE - 1);
    for Row { label, lines, .. } in &rows {
        for (index, line) in lines.iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            text.push_str(&style.dim(&format!("  {label:<11}")));
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// A label and its lines.
struct Row<'a> {
    label: &'static str,
    lines: Vec<String>,
    /// Lines that it may be brought down to.
    least: usize,
    shorten: Box<dyn Fn(usize) -> Vec<String> + 'a>,
}

impl<'a> Row<'a> {
    /// All of it is shown.
    fn whole(label: &'static str, lines: impl IntoIterator<Item = String>) -> Self {
        let lines: Vec<String> = lines.into_iter().collect();
        Self { label, least: lines.len(), lines, shorten: Box::new(|_| Vec::new()) }
    }

    /// So many lines of it are shown, or fewer where others need the room.
    fn up_to(
        most: usize,
        least: usize,
        label: &'static str,
        shorten: impl Fn(usize) -> Vec<String> + 'a,
    ) -> Self {
        Self { label, lines: shorten(most), least, shorten: Box::new(shorten) }
    }
}

/// Takes lines from the longest rows until the page holds them.
fn fit(rows: &mut [Row<'_>], page: usize) {
    while rows.iter().map(|row| row.lines.len()).sum::<usize>() > page {
        let longest = rows.iter_mut().filter(|row| row.lines.len() > row.least);
        let Some(row) = longest.max_by_key(|row| row.lines.len()) else { return };
        row.lines = (row.shorten)(row.lines.len() - 1);
    }
}

fn cause(verdict: &Verdict) -> String {
    let Verdict { cause, intent, confidence, .. } = verdict;
    let intent = match intent {
        forensics_incident::model::Intent::Unknown => String::new(),
        known => format!(", {}", slug(known)),
    };
    format!("{}{intent}, {}", slug(cause), slug(confidence))
}

fn target(facts: &Facts) -> String {
    let target = &facts.target;
    let mut text = format!("`{}` (pid {}", command(target, LONG), target.pid);
    if let Some(uid) = target.uid {
        text.push_str(&format!(", uid {uid}"));
    }
    if let Some(pid) = target.ns_pid.filter(|&pid| pid != target.pid) {
        text.push_str(&format!(", which calls itself {pid}"));
    }
    text.push(')');
    match (&target.container_name, &target.container_id) {
        (Some(name), Some(id)) => {
            text.push_str(&format!(" in the container {} ({})", cut(name, 40), cut(id, 13)));
        }
        (None, Some(id)) => text.push_str(&format!(" in the container {}", cut(id, 13))),
        _ => {}
    }
    // A container's scope says no more than its id.
    let own =
        target.unit.as_ref().filter(|unit| target.container_id.as_ref().is_none_or(|id| !unit.contains(id)));
    if let Some(unit) = own {
        text.push_str(&format!(" in {}", cut(unit, 60)));
    }
    text
}

/// How it ended, in words.
fn ended(outcome: &Outcome) -> String {
    let Outcome { kind, signal, exit_code, core_dumped, after_s, .. } = outcome;
    let mut text = match kind {
        OutcomeKind::Killed => {
            format!(
                "killed by {}",
                signal.as_deref().map_or_else(|| "a signal".to_owned(), |name| cut(name, 20))
            )
        }
        OutcomeKind::Exited => {
            exit_code.map_or_else(|| "exited".to_owned(), |code| format!("exited with status {code}"))
        }
        OutcomeKind::Survived => "still alive".to_owned(),
        OutcomeKind::Unknown => "gone, and how was not seen".to_owned(),
    };
    if let Some(seconds) = after_s {
        text.push_str(&format!(", {} after the signal", span(*seconds)));
    }
    if *core_dumped {
        text.push_str(", core dumped");
    }
    text
}

/// Links as `a started b → sent SIGKILL to c`, in as many lines as they need.
fn chain(links: &[Link]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut previous: Option<&Link> = None;
    for link in links {
        let (action, object) = (cut(&link.action, 60), cut(&link.object, 80));
        let follows = previous.is_some_and(|previous| previous.object == link.actor);
        let step = if follows {
            format!("→ {action} {object}")
        } else {
            format!("{} {action} {object}", cut(&link.actor, 80))
        };
        match lines.last_mut() {
            Some(line) if follows && line.chars().count() + step.chars().count() < CHAIN_WIDTH => {
                line.push(' ');
                line.push_str(&step);
            }
            _ => lines.push(step),
        }
        previous = Some(link);
    }
    lines
}

/// So many lines, those in the middle left out when there are more.
fn middle_out(lines: &[String], limit: usize) -> Vec<String> {
    let mut lines = lines.to_vec();
    let hidden = lines.len().saturating_sub(limit);
    if hidden > 0 {
        let head = (limit / 2).saturating_sub(1);
        let note = format!("… {} lines more …", hidden + 1);
        lines.splice(head..=head + hidden, [note]);
    }
    lines
}

/// What it was not, the reasons that exclude several causes once.
fn ruled_out(others: &[RuledOut]) -> Vec<String> {
    let mut lines: Vec<(String, &str)> = Vec::new();
    for RuledOut { cause, because } in others {
        match lines.iter_mut().find(|(_, reason)| reason == because) {
            Some((causes, _)) => causes.push_str(&format!(", {}", slug(cause))),
            None => lines.push((slug(cause), because)),
        }
    }
    lines.into_iter().map(|(causes, because)| format!("{causes}: {because}")).collect()
}

/// Signals with the time of each; the last ones matter most.
fn signals(signals: &[Signal], limit: usize, zone: Zone) -> Vec<String> {
    let show = |signal: &Signal| {
        cut(&format!("{}  {}  {}", zone.clock(signal.ts), signal_columns(signal), sender(signal)), LINE)
    };
    let hidden = signals.len().saturating_sub(limit);
    let hidden = if hidden > 0 { hidden + 1 } else { 0 };
    let note = (hidden > 0).then(|| format!("… {hidden} earlier ones …"));
    note.into_iter().chain(signals.iter().skip(hidden).map(show)).collect()
}

fn timing(timing: &Timing) -> String {
    let Timing { unit, timeout_stop_sec, drain_timeout, mismatch, .. } = timing;
    let given = timeout_stop_sec.map_or_else(|| "all the time it wants".to_owned(), span);
    let judged = if *mismatch { "too little" } else { "enough" };
    format!("{} is given {given} to stop and drains for {}: {judged}", cut(unit, 60), span(*drain_timeout))
}

/// What the verdict could not rest on.
fn gaps(facts: &Facts) -> Vec<String> {
    let Lost { records, requests } = facts.lost;
    let lost = |count, what: &str| match count {
        0 => None,
        1 => Some(format!("1 {what} was lost")),
        _ => Some(format!("{count} {what}s were lost")),
    };
    let missing = facts.missing.iter().map(|gap| format!("{}: {}", gap.field, gap.why));
    let lost = lost(records, "kernel record").into_iter().chain(lost(requests, "request to a manager"));
    let all: Vec<String> = lost.chain(missing).collect();
    if all.is_empty() { Vec::new() } else { vec![cut(&all.join("; "), LINE)] }
}

/// The first so many, and how many more there are.
fn first<T>(items: &[T], limit: usize, show: impl Fn(&T) -> String) -> Vec<String> {
    let shown = if items.len() > limit { limit - 1 } else { limit };
    let mut lines: Vec<String> = items.iter().take(shown).map(show).collect();
    if items.len() > limit {
        lines.push(format!("… {} more in JSON", items.len() - shown));
    }
    lines
}
