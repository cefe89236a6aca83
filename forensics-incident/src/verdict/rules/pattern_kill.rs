use crate::model::{Cause, Confidence, Signal, Verdict};

use super::super::case::{Case, quote, verdict};
use super::super::evidence;
use super::super::kill_tools::{Met, Selection, meet, selection};
use super::super::lineage::{chain, run_from};
use super::super::origins;

/// A program that chooses its victims by a pattern chose the target: `pkill`, `killall`, `fuser -k`, `pgrep | xargs kill`.
///
/// Evidence: the sender is such a program, and its pattern, tried again on what the target is called, meets it. Must not
/// match when the pattern is known and meets nothing: then something else chose the target.
pub(super) fn pattern_kill(case: &Case<'_>) -> Option<Verdict> {
    let signal = case.decisive.filter(|signal| signal.mechanism.is_user_sent())?;
    let sender = signal.sender.as_ref().filter(|sender| !sender.is(case.target()))?;
    let selection = selection(sender)?;
    let met = meet(&selection, case.target());
    let (how, confidence) = match &met {
        Met::Part { pattern, subject, words, .. } => {
            (format!("the pattern {} met {} in {subject}", quote(pattern), quote(words)), case.confidence())
        }
        Met::Selectors(selectors) => (format!("it was chosen by {}", quote(selectors)), case.confidence()),
        Met::User(name) => (format!("it was using {}", quote(name)), Confidence::Likely),
        Met::Untested(why) => (format!("how it met this process cannot be told: {why}"), Confidence::Likely),
        Met::Nothing(_) => return None,
    };
    let how =
        case.arguments(sender.args()).map_or_else(|| format!("{} chose it", quote(&selection.tool)), |_| how);
    let from = format!("{}{}", case.actor(sender), run_from(case, sender));
    let name = case.target_name();
    let summary = match case.was_killed() {
        true => format!("{} was sent to {name} by {from}: {how}.", signal.signal),
        false => format!("{name} {} from {from}: {how}.", case.ended_by(signal)),
    };
    let mut verdict = verdict(Cause::PatternKill, origins::intent(case, sender), confidence, summary);
    verdict.culprit = Some(sender.clone());
    verdict.chain = chain(case, sender, signal);
    verdict.evidence = told(case, signal, &selection, &met);
    verdict.evidence.extend(evidence::earlier(case, signal));
    verdict.evidence.extend(evidence::raised_again(case, signal));
    verdict.evidence.extend(evidence::of_sender(case, sender));
    verdict.ruled_out = evidence::ruled_out(signal, false);
    verdict.advice = advice(&selection, &met);
    Some(verdict)
}

fn told(case: &Case<'_>, signal: &Signal, selection: &Selection, met: &Met) -> Vec<String> {
    let mut said = evidence::of_signal(case, signal);
    let hidden = signal.sender.as_ref().and_then(|sender| case.arguments(sender.args())).is_none();
    if hidden {
        return said;
    }
    match met {
        Met::Part { pattern, inside_a_word: true, words, .. } => said.push(format!(
            "The pattern {} is only a part of {}: it meets more than whole words.",
            quote(pattern),
            quote(words)
        )),
        Met::Untested(why) => {
            said.push(format!("What {} looked for was not compared: {why}.", selection.tool));
        }
        _ => {}
    }
    if !selection.selectors.is_empty() && !matches!(met, Met::Selectors(_)) {
        said.push(format!("Its choice was narrowed by {}.", quote(&selection.selectors.join(" "))));
    }
    said
}

fn advice(selection: &Selection, met: &Met) -> Option<String> {
    let Met::Part { inside_a_word: true, .. } = met else { return None };
    let whole = if selection.tool == "killall" { "the whole name" } else { "`-x`, or an anchored pattern" };
    Some(format!("Give {} {whole}, or signal the unit instead of a pattern.", selection.tool))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Process;
    use crate::sample::{kill, killed, process, under};
    use crate::signals::SIGKILL;
    use crate::verdict::{Show, judge};

    fn service() -> Process {
        process(812, "svc --port 9999")
    }

    fn by(argv: &[&str], show: Show) -> Verdict {
        let argv: Vec<String> = argv.iter().map(|&word| word.to_owned()).collect();
        let sender = Process {
            cmdline: Some(crate::text::shell_join(&argv)),
            exe: Some(format!("/usr/bin/{}", argv[0])),
            argv: Some(argv),
            ..under(process(4431, "x"), &[process(4402, "-bash")])
        };
        judge(&killed(service(), 100.0, SIGKILL, vec![kill(99.9, SIGKILL, sender)]), show)
    }

    #[test]
    fn a_pattern_that_meets_too_much() {
        let verdict = by(&["pkill", "-9", "-f", "port 99"], Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::PatternKill, Confidence::Certain));
        assert_eq!(verdict.culprit.as_ref().map(|culprit| culprit.pid), Some(4431));
        assert_eq!(
            verdict.summary,
            "SIGKILL was sent to `svc` (pid 812) by `pkill -9 -f 'port 99'` (pid 4431, user id 1000) run from `-bash` \
             (pid 4402): the pattern `port 99` met `--port 9999` in its command line."
        );
        assert!(verdict.evidence.iter().any(|said| said.contains("is only a part of `--port 9999`")));
        assert!(verdict.advice.is_some());
    }

    #[test]
    fn a_pattern_that_meets_what_was_meant() {
        let verdict = by(&["killall", "-9", "svc"], Show::Cmdline);
        assert_eq!((verdict.cause, verdict.advice), (Cause::PatternKill, None));
        assert!(verdict.summary.ends_with("the pattern `svc` met `svc` in its name."), "{}", verdict.summary);
        let verdict = by(&["pkill", "-u", "www"], Show::Cmdline);
        assert!(verdict.summary.ends_with("it was chosen by `-u www`."), "{}", verdict.summary);
        let verdict = by(&["fuser", "-k", "9999/tcp"], Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::PatternKill, Confidence::Likely));
    }

    #[test]
    fn what_must_not_match() {
        for argv in [
            &["pkill", "-f", "port 98"][..],
            &["killall", "httpd"],
            &["kill", "-9", "812"],
            &["python3", "x"],
        ] {
            assert_eq!(by(argv, Show::Cmdline).cause, Cause::ExternalKill, "{argv:?}");
        }
    }

    #[test]
    fn without_command_lines_no_pattern_is_told() {
        let verdict = by(&["pkill", "-9", "-f", "port 99"], Show::ExeOnly);
        assert_eq!(verdict.cause, Cause::PatternKill);
        let said = [vec![verdict.summary], verdict.evidence].concat().join("\n");
        assert!(!said.contains("port 99"), "{said}");
    }
}
