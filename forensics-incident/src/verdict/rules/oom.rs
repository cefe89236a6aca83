use crate::model::{Cause, Chosen, Intent, Mechanism, OomReport, RuledOut, Verdict};
use crate::text::size;

use super::super::case::{Case, quote};
use super::super::kernel::{begin_with, explain, passed, raised, running};

/// Largest consumers that are told.
const CONSUMERS: usize = 3;

/// The kernel's out-of-memory killer chose it: in its memory cgroup, or on the whole machine.
///
/// Evidence: the kernel path, and the killer's own report in the kernel log. The victim is not the trigger, and
/// neither is whoever asked for the last page; only who lowered a limit below what was in use is to blame. Must not
/// match a SIGKILL by a daemon that watches memory.
pub(super) fn oom(case: &Case<'_>) -> Option<Verdict> {
    let signal = raised(case, &[Mechanism::Oom])?;
    let report = case.facts.kernel_log.as_ref().and_then(|log| log.oom.as_ref());
    let lowered = ["memory_max_write", "mem_cgroup_resize_max", "mem_cgroup_write"];
    let writer = running(signal).filter(|_| passed(signal, &lowered));
    let is_cgroup =
        report.map_or_else(|| passed(signal, &["mem_cgroup_out_of_memory"]), |report| report.is_cgroup);
    let is_global = report.is_some_and(|report| !report.is_cgroup)
        || passed(signal, &["__alloc_pages", "pagefault_out_of_memory"]);
    let whole = passed(signal, &["oom_kill_memcg_member"]);
    let chose = chose(case, report, whole);
    let scope = match (writer, is_cgroup, is_global) {
        (Some(writer), ..) => {
            format!("{} lowered the memory limit of its cgroup below what was in use", case.actor(writer))
        }
        (None, true, _) => reached(report),
        (None, false, true) => "the machine ran out of memory".to_owned(),
        (None, false, false) => "memory ran out".to_owned(),
    };
    let reason = format!("{scope}, and the kernel's out-of-memory killer chose {chose}");
    let mut verdict = explain(case, signal, Cause::Oom, Intent::Automatic, &reason);
    if let Some(writer) = writer {
        begin_with(&mut verdict, case, writer, "lowered", "the memory limit of the cgroup");
    }
    if let Some(report) = report {
        let at = verdict.evidence.len().min(1);
        verdict.evidence.splice(at..at, facts(report));
        if report.is_cgroup {
            let because = "the report names a memory cgroup: the machine itself had memory left".to_owned();
            verdict.ruled_out.push(RuledOut { cause: Cause::OomDaemon, because });
        }
    }
    verdict.advice = Some(if is_cgroup {
        "Raise the cgroup's memory limit (MemoryMax= of its unit, --memory of its container), or find what grew."
            .to_owned()
    } else {
        "Find what grew; a limit on each service (MemoryMax=) keeps one from taking the memory of all."
            .to_owned()
    });
    Some(verdict)
}

/// Whom the killer chose, and why the target ended with that one.
fn chose(case: &Case<'_>, report: Option<&OomReport>, whole: bool) -> String {
    let target = case.target();
    let chosen = report.and_then(|report| report.chosen.as_ref()).filter(|chosen| chosen.pid != target.pid);
    match chosen {
        Some(Chosen { pid, name }) if whole => {
            format!("{} (pid {pid}), with all of its cgroup (memory.oom.group)", quote(name))
        }
        // __oom_kill_process() sends it to whoever has the same memory.
        Some(Chosen { pid, name }) => format!("{} (pid {pid}), whose memory it shared", quote(name)),
        None if whole => "it, with all of its cgroup (memory.oom.group)".to_owned(),
        None => "it".to_owned(),
    }
}

/// "its memory cgroup `/web` reached its limit of 32 MiB"
fn reached(report: Option<&OomReport>) -> String {
    let cgroup = report.and_then(|report| report.cgroup.as_deref());
    let cgroup = cgroup.map_or_else(String::new, |path| format!(" {}", quote(path)));
    let limit = report
        .and_then(|report| report.limit)
        .map_or_else(String::new, |limit| format!(" of {}", size(limit)));
    format!("its memory cgroup{cgroup} reached its limit{limit}")
}

/// What the report says.
fn facts(report: &OomReport) -> Vec<String> {
    let mut said = Vec::new();
    if let (Some(usage), Some(limit)) = (report.usage, report.limit) {
        said.push(format!("The kernel log says that the cgroup used {} of {}.", size(usage), size(limit)));
    }
    if let Some(held) = report.anon_rss {
        let score =
            report.oom_score_adj.map_or_else(String::new, |adj| format!(", with oom_score_adj {adj}"));
        said.push(format!("The target held {} of anonymous memory{score}.", size(held)));
    }
    let largest = report.largest.iter().take(CONSUMERS);
    let largest = largest.map(|one| format!("{} (pid {}) {}", quote(&one.name), one.pid, size(one.rss)));
    let largest = largest.collect::<Vec<_>>();
    if largest.len() > 1 {
        said.push(format!("Most memory was held by {}.", largest.join(", ")));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Consumer, KernelLog};
    use crate::sample::{kill, killed, nginx, process};
    use crate::signals::SIGKILL;
    use crate::verdict::kernel::tests::{death, judged, somebody};
    use crate::verdict::{Show, judge};

    fn report() -> OomReport {
        OomReport {
            cgroup: Some("/web".to_owned()),
            is_cgroup: true,
            usage: Some(32 << 20),
            limit: Some(32 << 20),
            trigger: Some("somebody --running".to_owned()),
            chosen: None,
            anon_rss: Some(30 << 20),
            oom_score_adj: Some(0),
            largest: [(812, "nginx"), (7, "helper")]
                .map(|(pid, name)| Consumer { pid, name: name.to_owned(), rss: 31 << 20 })
                .to_vec(),
        }
    }

    #[test]
    fn a_cgroup_with_its_report() {
        let mut facts = death(SIGKILL, Mechanism::Oom, &["mem_cgroup_out_of_memory"], &somebody());
        let plain = judged(&facts);
        assert!(plain.summary.contains("its memory cgroup reached its limit,"), "{}", plain.summary);
        facts.kernel_log = Some(KernelLog { oom: Some(report()), seccomp: None });
        let verdict = judged(&facts);
        assert_eq!((verdict.cause, verdict.culprit.as_ref()), (Cause::Oom, None));
        assert!(verdict.summary.contains("`/web` reached its limit of 32 MiB"), "{}", verdict.summary);
        assert!(verdict.evidence.iter().any(|said| said.contains("`helper` (pid 7) 31 MiB")));
    }

    #[test]
    fn the_whole_machine() {
        let mut facts =
            death(SIGKILL, Mechanism::Oom, &["out_of_memory", "__alloc_pages_slowpath"], &somebody());
        assert!(judged(&facts).summary.contains("the machine ran out of memory"));
        facts = death(SIGKILL, Mechanism::Oom, &["out_of_memory"], &somebody());
        assert!(judged(&facts).summary.contains(": memory ran out"));
        let oom = OomReport { is_cgroup: false, cgroup: None, usage: None, limit: None, ..report() };
        facts.kernel_log = Some(KernelLog { oom: Some(oom), seccomp: None });
        assert!(judged(&facts).summary.contains("the machine ran out of memory"));
    }

    #[test]
    fn who_ends_with_the_one_that_was_chosen() {
        let chosen = |pid| Some(Chosen { pid, name: "hog".to_owned() });
        let told = |stack: &[&str], pid| {
            let mut facts = death(SIGKILL, Mechanism::Oom, stack, &somebody());
            let oom = OomReport { chosen: chosen(pid), ..report() };
            facts.kernel_log = Some(KernelLog { oom: Some(oom), seccomp: None });
            judged(&facts).summary
        };
        let shared = told(&["oom_kill_process", "mem_cgroup_out_of_memory"], 7);
        assert!(shared.contains("chose `hog` (pid 7), whose memory it shared."), "{shared}");
        let group = told(&["oom_kill_memcg_member", "mem_cgroup_out_of_memory"], 7);
        assert!(group.contains("chose `hog` (pid 7), with all of its cgroup (memory.oom.group)."), "{group}");
        let itself = told(&["oom_kill_process", "mem_cgroup_out_of_memory"], 812);
        assert!(itself.contains("killer chose it."), "{itself}");
    }

    #[test]
    fn only_who_lowers_the_limit_is_to_blame() {
        for frame in ["memory_max_write", "mem_cgroup_resize_max"] {
            let stack = ["mem_cgroup_out_of_memory", frame];
            let verdict = judged(&death(SIGKILL, Mechanism::Oom, &stack, &somebody()));
            assert_eq!(verdict.culprit, Some(somebody()));
            assert!(verdict.summary.contains("lowered the memory limit"), "{}", verdict.summary);
        }
    }

    #[test]
    fn a_daemon_is_not_the_kernel() {
        let sent = kill(99.9, SIGKILL, process(5, "earlyoom"));
        assert_ne!(judge(&killed(nginx(), 100.0, SIGKILL, vec![sent]), Show::Cmdline).cause, Cause::Oom);
    }
}
