use forensics_incident::model::{Facts, Incident, Link, Lost, Outcome, OutcomeKind, Signal, Timing, Verdict};
use forensics_incident::{shortage::shortage, text::span};

use super::line::{LONG, brief, command, cut, sender, signal_columns, slug};
use super::style::Style;
use super::time::Zone;

/// Longest line of evidence, characters.
const LINE: usize = 160;
/// Where the chain is broken into lines, characters.
const CHAIN_WIDTH: usize = 120;
// How many lines of each kind are shown, so that an incident has less than 25; JSON has them all.
const CHAIN_LINES: usize = 4;
const SIGNALS: usize = 4;
const EVIDENCE: usize = 5;
const RULED_OUT: usize = 2;

/// One more that ended by an act whose verdict was printed.
pub(super) fn also(facts: &Facts, style: Style) -> String {
    let text = format!("also ended by the same act: {}, {}", brief(&facts.target), ended(&facts.outcome));
    format!("{}\n", style.dim(&text))
}

/// The whole verdict.
pub(super) fn full(incident: &Incident, again: bool, zone: Zone, style: Style) -> String {
    let Incident { facts, verdict } = incident;
    let outcome = &facts.outcome;
    let summary = format!("● {}", cut(&verdict.summary, 2 * LINE));
    let mut page = Page { text: style.verdict(verdict.intent, outcome.kind, &summary), style };
    if again {
        page.text.push_str(&style.dim("  (updated)"));
    }
    page.text.push('\n');
    page.row("cause", [cause(verdict)]);
    page.row("target", [target(facts)]);
    page.row("outcome", [format!("{}, {}", zone.date(outcome.ts), ended(outcome))]);
    page.row("chain", chain(&verdict.chain));
    page.row("signals", signals(&facts.signals, zone));
    page.row("evidence", first(&verdict.evidence, EVIDENCE, |sentence| cut(sentence, LINE)));
    page.row(
        "ruled out",
        first(&verdict.ruled_out, RULED_OUT, |other| {
            cut(&format!("{}: {}", slug(&other.cause), other.because), LINE)
        }),
    );
    page.row("pressure", facts.pressure.iter().filter_map(shortage).map(|line| cut(&line, 2 * LINE)));
    page.row("timing", facts.timing.iter().map(timing));
    page.row("advice", verdict.advice.iter().map(|advice| cut(advice, 3 * LINE)));
    page.row("gaps", gaps(facts));
    page.row("incident", [style.dim(&cut(&facts.id, 40))]);
    page.text
}

/// Rows of a label and its lines.
struct Page {
    text: String,
    style: Style,
}

impl Page {
    fn row(&mut self, label: &str, lines: impl IntoIterator<Item = String>) {
        let mut label = label;
        for line in lines {
            self.text.push_str(&self.style.dim(&format!("  {label:<11}")));
            self.text.push_str(&line);
            self.text.push('\n');
            label = "";
        }
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
    text.push(')');
    if let Some(place) = target.unit.as_ref().or(target.container_id.as_ref()) {
        text.push_str(&format!(" in {}", cut(place, 60)));
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

/// Links as `a started b → sent SIGKILL to c`, in as many lines as they need, the middle left out when that is too
/// many.
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
    let hidden = lines.len().saturating_sub(CHAIN_LINES);
    if hidden > 0 {
        let head = CHAIN_LINES / 2 - 1;
        let note = format!("… {} lines more …", hidden + 1);
        lines.splice(head..=head + hidden, [note]);
    }
    lines
}

/// Signals with the time of each; the last ones matter most.
fn signals(signals: &[Signal], zone: Zone) -> Vec<String> {
    let show = |signal: &Signal| {
        cut(&format!("{}  {}  {}", zone.clock(signal.ts), signal_columns(signal), sender(signal)), LINE)
    };
    let hidden = signals.len().saturating_sub(SIGNALS);
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
    let Lost { records } = facts.lost;
    let lost = match records {
        0 => None,
        1 => Some("1 kernel record was lost".to_owned()),
        _ => Some(format!("{records} kernel records were lost")),
    };
    let missing = facts.missing.iter().map(|gap| format!("{}: {}", gap.field, gap.why));
    let all: Vec<String> = lost.into_iter().chain(missing).collect();
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
