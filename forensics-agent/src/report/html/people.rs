//! Where the sender comes from, as a tree.

use forensics_incident::model::{Facts, Process, Verdict};

use super::evidence::process;

/// The ancestry of who is to blame, else of the last sender. Nothing when no process sent anything.
pub(super) fn section(facts: &Facts, verdict: &Verdict) -> String {
    let senders = facts.signals.iter().rev().find_map(|signal| signal.sender.as_ref());
    let asked = verdict.instigator.as_ref().map(|asked| &asked.process);
    let Some(actor) = asked.or(verdict.culprit.as_ref()).or(senders) else { return String::new() };
    let line: Vec<&Process> = actor.ancestors.iter().rev().chain([actor]).collect();
    let mut tree = String::new();
    for ancestor in &line {
        tree += &format!("<ul><li>{}", process(ancestor));
    }
    tree += &"</li></ul>".repeat(line.len());
    format!("<section>\n<h2>Where it came from</h2>\n<div class=\"tree\">{tree}</div>\n</section>\n")
}
