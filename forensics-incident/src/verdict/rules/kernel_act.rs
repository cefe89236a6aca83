use crate::model::{BpfProgram, Cause, Intent, Mechanism, Signal, Verdict};
use crate::text::span;

use super::super::case::{Case, quote, seconds_between};
use super::super::evidence;
use super::super::kernel::{begin_with, explain};

/// Programs, and holders of one, that are named.
const MAX_NAMED: usize = 3;

/// The kernel raised the signal by a path that names no cause: a BPF program, the magic SysRq key, or one that is not
/// known.
///
/// Evidence: the kernel path, which is told as it is. Whoever happened to be running is never called the killer; who holds
/// the only BPF program that can send a signal is to blame for what one sent. Must not match what a process sent, nor a path that has a rule of its own.
pub(super) fn kernel_act(case: &Case<'_>) -> Option<Verdict> {
    let signal = case.decisive.filter(|signal| !signal.mechanism.is_user_sent())?;
    let (reason, advice) = match signal.mechanism {
        Mechanism::Bpf => (
            by_program(case),
            Some(
                "`bpftool prog list` names the programs that are loaded; security agents and bpftrace use bpf_send_signal().",
            ),
        ),
        Mechanism::Sysrq => {
            ("the magic SysRq key was pressed, or /proc/sysrq-trigger written".to_owned(), None)
        }
        _ => {
            let reason = match evidence::innermost(&signal.kernel_stack) {
                Some(stack) => format!("the kernel raised it by a path that is not known here, {stack}"),
                None => "where the kernel raised it is not known".to_owned(),
            };
            (reason, None)
        }
    };
    let mut verdict = explain(case, signal, Cause::Unknown, Intent::Unknown, &reason);
    verdict.advice = advice.map(str::to_owned);
    if signal.mechanism == Mechanism::Bpf {
        verdict
            .evidence
            .extend(case.facts.kill.bpf_programs.iter().map(|program| could_have(case, program, signal)));
        if let [BpfProgram { holders, .. }] = case.facts.kill.bpf_programs.as_slice()
            && let [holder] = holders.as_slice()
        {
            begin_with(
                &mut verdict,
                case,
                holder,
                "held",
                "the only loaded BPF program that can send a signal",
            );
        }
    }
    Some(verdict)
}

/// What is known of the program that sent it.
fn by_program(case: &Case<'_>) -> String {
    match case.facts.kill.bpf_programs.as_slice() {
        [] => "a BPF program sent it; which one, the kernel does not record".to_owned(),
        [only] => {
            let held = match only.holders.as_slice() {
                [holder] => format!(", which {} holds", case.actor(holder)),
                _ => String::new(),
            };
            format!("a BPF program sent it, and the only loaded one that can is {}{held}", named(only))
        }
        several => {
            let names = several.iter().take(MAX_NAMED).map(named).collect::<Vec<_>>().join(", ");
            format!(
                "a BPF program sent it; which one, the kernel does not record. Of those that are loaded {} can: {names}",
                several.len()
            )
        }
    }
}

fn named(program: &BpfProgram) -> String {
    format!("{} ({}, id {})", quote(&program.name), program.kind, program.id)
}

/// One program that can send a signal.
fn could_have(case: &Case<'_>, program: &BpfProgram, signal: &Signal) -> String {
    let loaded = seconds_between(program.loaded_boot_ns, signal.boot_ns);
    let loaded = loaded.map_or_else(String::new, |before| format!(", loaded {} before,", span(before)));
    let holders = program.holders.iter().take(MAX_NAMED).map(|holder| case.brief(holder)).collect::<Vec<_>>();
    let held = match holders.is_empty() {
        true => "no process holds it open".to_owned(),
        false => format!("it is held open by {}", holders.join(" and ")),
    };
    format!("The BPF program {}{loaded} can send signals; {held}.", named(program))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Confidence, Process};
    use crate::sample::{kill, killed, nginx, ns, process};
    use crate::signals::SIGKILL;
    use crate::verdict::kernel::tests::{death, judged, somebody};
    use crate::verdict::{Show, judge};

    #[test]
    fn paths_without_a_cause() {
        use Mechanism as M;
        for (mechanism, stack, words) in [
            (M::Bpf, &[][..], "BPF program"),
            (M::Sysrq, &[], "SysRq"),
            (M::Unknown, &["odd_path", "odder"], "`odd_path < odder`"),
            (M::Unknown, &[], "is not known"),
        ] {
            let verdict = judged(&death(SIGKILL, mechanism, stack, &somebody()));
            assert_eq!((verdict.cause, verdict.confidence), (Cause::Unknown, Confidence::Possible));
            assert_eq!(verdict.culprit, None);
            assert!(verdict.summary.contains(words), "{}", verdict.summary);
        }
    }

    #[test]
    fn programs_that_can_send_signals() {
        let program = |id, holders: &[Process]| BpfProgram {
            id,
            name: "guard".to_owned(),
            kind: "kprobe".to_owned(),
            loaded_boot_ns: ns(40.0),
            holders: holders.to_vec(),
        };
        let tetragon = process(600, "/usr/bin/tetragon");
        let with = |programs: Vec<BpfProgram>| {
            let mut facts = death(SIGKILL, Mechanism::Bpf, &[], &somebody());
            facts.kill.bpf_programs = programs;
            judged(&facts)
        };
        let only = with(vec![program(7, std::slice::from_ref(&tetragon))]);
        assert_eq!((only.cause, only.culprit), (Cause::Unknown, Some(tetragon.clone())));
        assert!(
            only.summary.contains(
                "the only loaded one that can is `guard` (kprobe, id 7), which `/usr/bin/tetragon`"
            )
        );
        assert!(
            only.evidence
                .iter()
                .any(|said| said.contains("loaded 59.9 s before, can send signals; it is held open by"))
        );
        let two = with(vec![program(7, &[tetragon]), program(8, &[])]);
        assert_eq!(two.culprit, None);
        assert!(
            two.summary.contains("2 can: `guard` (kprobe, id 7), `guard` (kprobe, id 8)"),
            "{}",
            two.summary
        );
        assert_eq!(with(vec![program(8, &[])]).culprit, None, "pinned, and held by nobody");
    }

    #[test]
    fn what_a_process_sent_is_not_the_kernels() {
        let facts = killed(nginx(), 100.0, SIGKILL, vec![kill(99.9, SIGKILL, process(5, "kill -9 812"))]);
        assert_eq!(judge(&facts, Show::Cmdline).cause, Cause::ExternalKill);
    }
}
