use crate::model::{Cause, Confidence, Intent, Mechanism, Process, RuledOut, Signal, Verdict};
use crate::signals::{SIGINT, SIGQUIT};

use super::super::actors::is_kernel_thread;
use super::super::case::{Case, path, quote, verdict};
use super::super::evidence;
use super::super::lineage::link;

/// The kernel raised the signal on its own: memory, terminals, timers, limits, filters.
///
/// Evidence: the kernel path of the decisive signal, which is reported in its plain reading. Whoever
/// happened to be running is never called the killer. Must not match what a process sent.
pub(super) fn kernel_act(case: &Case<'_>) -> Option<Verdict> {
    let signal = case.decisive.filter(|signal| !signal.mechanism.is_user_sent())?;
    let Reading { cause, intent, culprit, reason } = read(case, signal);
    let name = case.target_name();
    let summary = format!("{name} {}: {reason}.", case.ended_by(signal));
    let confidence = if cause == Cause::Unknown { Confidence::Possible } else { case.confidence() };
    let mut verdict = verdict(cause, intent, confidence, summary);
    verdict.culprit = culprit;
    let action = format!("sent {} to", signal.signal);
    verdict.chain = vec![link(format!("the kernel, by {}", path(signal.mechanism)), &action, name)];
    verdict.evidence = evidence::of_signal(case, signal);
    if let Some(stack) = evidence::innermost(&signal.kernel_stack) {
        verdict.evidence.push(format!("The kernel came there by {stack}."));
    }
    verdict.evidence.extend(evidence::earlier(case, signal));
    if signal.sender.is_none() && cause != Cause::Unknown {
        let because = "no process sent the signal; the kernel raised it by itself".to_owned();
        verdict.ruled_out.push(RuledOut { cause: Cause::ExternalKill, because });
    }
    Some(verdict)
}

/// What a kernel path means.
struct Reading {
    cause: Cause,
    intent: Intent,
    culprit: Option<Process>,
    reason: String,
}

fn read(case: &Case<'_>, signal: &Signal) -> Reading {
    use Mechanism as M;
    let itself = || Some(case.target().clone());
    // For these few paths the kernel runs in the process that brought it about, unless a worker does.
    let actor = signal.sender.as_ref().or(signal.current.as_ref()).filter(|p| !is_kernel_thread(p));
    let named = |otherwise: &str| actor.map_or_else(|| otherwise.to_owned(), |actor| case.actor(actor));
    let tty = case.target().tty.as_ref().map_or_else(String::new, |tty| format!(" {tty}"));
    let (cause, intent, culprit, reason) = match signal.mechanism {
        M::Oom => {
            let writer = actor.filter(|_| passed(signal, &["memory_max_write", "mem_cgroup_resize_max"]));
            (Cause::Oom, Intent::Automatic, writer.cloned(), out_of_memory(case, signal, writer))
        }
        M::ParentDeath => (
            Cause::ParentDeath,
            Intent::Automatic,
            actor.cloned(),
            parent_death(signal, &named("its parent")),
        ),
        M::PidNamespaceExit => {
            let init = named("which one is not known");
            let reason = format!(
                "the init of its pid namespace, {init}, ended, and the kernel ended all others in it"
            );
            (Cause::PidNamespaceExit, Intent::Automatic, actor.cloned(), reason)
        }
        M::TtyInterrupt => (
            Cause::TerminalInterrupt,
            Intent::Deliberate,
            None,
            format!("{} was typed at its terminal{tty}", key(signal)),
        ),
        M::TtyHangup => {
            let closer = actor.map_or_else(String::new, |actor| format!(", closed by {}", case.actor(actor)));
            (
                Cause::TerminalHangup,
                Intent::Automatic,
                actor.cloned(),
                format!("its terminal{tty} went away{closer}"),
            )
        }
        M::SessionLeaderExit => {
            let leader = named("a process that is not known");
            let reason = format!("the leader of its terminal session, {leader}, ended");
            (Cause::TerminalHangup, Intent::Automatic, actor.cloned(), reason)
        }
        M::OrphanedPgrp => {
            let reason =
                "its process group was stopped, and the last process that could have continued it ended";
            (Cause::TerminalHangup, Intent::Automatic, None, reason.to_owned())
        }
        M::Timer => (
            Cause::Timer,
            Intent::Automatic,
            itself(),
            "a timer that it had set for itself ran out".to_owned(),
        ),
        M::CpuLimit => limit("it used up the CPU time that RLIMIT_CPU allows"),
        M::RtLimit => limit("it ran under a real-time policy for longer than RLIMIT_RTTIME allows"),
        M::FileSizeLimit => limit("it wrote a file larger than RLIMIT_FSIZE allows"),
        M::BrokenPipe => (
            Cause::BrokenPipe,
            Intent::Fault,
            itself(),
            "it wrote to a pipe or socket that nobody reads any more".to_owned(),
        ),
        M::AsyncIo => (
            Cause::AsyncIo,
            Intent::Fault,
            itself(),
            "it had asked for signals about a file or socket, and has no handler for them".to_owned(),
        ),
        M::Seccomp => (
            Cause::Seccomp,
            Intent::Fault,
            itself(),
            "its seccomp filter forbids the system call that it made".to_owned(),
        ),
        M::Ptrace => {
            let tracer = named("which one is not known");
            let reason = match passed(signal, &["exit_ptrace"]) {
                true => format!("its tracer, {tracer}, ended and had asked that its tracees end with it"),
                false => format!("its tracer, {tracer}, ended it"),
            };
            (Cause::Debugger, Intent::Deliberate, actor.cloned(), reason)
        }
        M::Bpf => {
            unknown("a BPF program sent it; `bpftool prog list` names those that are loaded".to_owned())
        }
        M::Sysrq => unknown("the magic SysRq key was pressed, or /proc/sysrq-trigger written".to_owned()),
        _ => unknown(match evidence::innermost(&signal.kernel_stack) {
            Some(stack) => format!("the kernel raised it by a path that is not known here, {stack}"),
            None => "where the kernel raised it is not known".to_owned(),
        }),
    };
    Reading { cause, intent, culprit, reason }
}

type Parts = (Cause, Intent, Option<Process>, String);

fn limit(reason: &str) -> Parts {
    (Cause::ResourceLimit, Intent::Automatic, None, reason.to_owned())
}

fn unknown(reason: String) -> Parts {
    (Cause::Unknown, Intent::Unknown, None, reason)
}

/// The victim is not the trigger, nor is whoever asked for the last page; only who lowers the limit is.
fn out_of_memory(case: &Case<'_>, signal: &Signal, writer: Option<&Process>) -> String {
    if let Some(writer) = writer {
        let writer = case.actor(writer);
        return format!("{writer} lowered the memory limit of its cgroup below what was in use");
    }
    let whole =
        if passed(signal, &["oom_kill_memcg_member"]) { ", and all of the cgroup had to go" } else { "" };
    if passed(signal, &["mem_cgroup_out_of_memory"]) {
        format!("its memory cgroup reached its limit, and the kernel's out-of-memory killer chose it{whole}")
    } else if passed(signal, &["__alloc_pages", "pagefault_out_of_memory"]) {
        format!("the machine ran out of memory, and the kernel's out-of-memory killer chose it{whole}")
    } else {
        format!("memory ran out, and the kernel's out-of-memory killer chose it{whole}")
    }
}

/// `PR_SET_PDEATHSIG` fires when the creating thread ends, be the process alive or not: a process passes
/// `do_group_exit`, a thread that merely returns does not (`kernel/exit.c`).
fn parent_death(signal: &Signal, parent: &str) -> String {
    let is_thread = signal.current.as_ref().is_some_and(|current| current.tid.is_some());
    if is_thread && !passed(signal, &["do_group_exit"]) {
        format!(
            "the thread of {parent} that had started it ended, which counts as the death of its parent (PR_SET_PDEATHSIG)"
        )
    } else {
        format!("its parent, {parent}, ended, and it had asked for this signal then (PR_SET_PDEATHSIG)")
    }
}

/// The key behind a signal of the terminal.
fn key(signal: &Signal) -> String {
    match signal.signal_num {
        SIGINT => "^C".to_owned(),
        SIGQUIT => "^\\".to_owned(),
        _ => format!("the key for {}", quote(&signal.signal)),
    }
}

/// True when one of these functions, compiler suffixes aside, is on the kernel stack.
fn passed(signal: &Signal, names: &[&str]) -> bool {
    signal.kernel_stack.iter().any(|frame| names.iter().any(|name| frame.starts_with(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{exited, kill, killed, nginx, process, signal};
    use crate::signals::{SIGALRM, SIGHUP, SIGIO, SIGKILL, SIGPIPE, SIGSYS, SIGTERM, SIGXCPU, SIGXFSZ};
    use crate::verdict::{Show, judge};

    fn raised(number: u32, mechanism: Mechanism, stack: &[&str], current: &Process) -> Verdict {
        let mut raised = signal(99.9, number, mechanism, None);
        raised.current = Some(current.clone());
        raised.kernel_stack = stack.iter().map(ToString::to_string).collect();
        judge(&killed(nginx(), 100.0, number, vec![raised]), Show::Cmdline)
    }

    #[test]
    fn the_plain_reading_of_each_path() {
        use Mechanism as M;
        let bystander = process(77, "bystander --innocent");
        // (signal, mechanism, stack, cause, `current` is the culprit, words)
        for (number, mechanism, stack, cause, blamed, words) in [
            (
                SIGKILL,
                M::Oom,
                &["mem_cgroup_out_of_memory"][..],
                Cause::Oom,
                false,
                "memory cgroup reached its limit",
            ),
            (
                SIGKILL,
                M::Oom,
                &["__alloc_pages_slowpath"],
                Cause::Oom,
                false,
                "the machine ran out of memory",
            ),
            (SIGKILL, M::Oom, &["memory_max_write"], Cause::Oom, true, "lowered the memory limit"),
            (
                SIGTERM,
                M::ParentDeath,
                &["do_exit", "do_group_exit"],
                Cause::ParentDeath,
                true,
                "its parent, ",
            ),
            (
                SIGKILL,
                M::PidNamespaceExit,
                &["zap_pid_ns_processes"],
                Cause::PidNamespaceExit,
                true,
                "the init of",
            ),
            (SIGINT, M::TtyInterrupt, &["isig"], Cause::TerminalInterrupt, false, "^C was typed"),
            (SIGQUIT, M::TtyInterrupt, &["isig"], Cause::TerminalInterrupt, false, "^\\ was typed"),
            (SIGHUP, M::TtyHangup, &["__tty_hangup"], Cause::TerminalHangup, true, "went away, closed by"),
            (
                SIGHUP,
                M::SessionLeaderExit,
                &["disassociate_ctty"],
                Cause::TerminalHangup,
                true,
                "the leader of",
            ),
            (SIGHUP, M::OrphanedPgrp, &["kill_orphaned_pgrp"], Cause::TerminalHangup, false, "was stopped"),
            (SIGXCPU, M::CpuLimit, &[], Cause::ResourceLimit, false, "RLIMIT_CPU"),
            (SIGXCPU, M::RtLimit, &[], Cause::ResourceLimit, false, "RLIMIT_RTTIME"),
            (SIGXFSZ, M::FileSizeLimit, &[], Cause::ResourceLimit, false, "RLIMIT_FSIZE"),
            (
                SIGKILL,
                M::Ptrace,
                &["exit_ptrace"],
                Cause::Debugger,
                true,
                "its tracer, `bystander --innocent`",
            ),
            (SIGKILL, M::Bpf, &[], Cause::Unknown, false, "BPF"),
            (SIGKILL, M::Sysrq, &[], Cause::Unknown, false, "SysRq"),
            (SIGKILL, M::Unknown, &["odd_path", "odder"], Cause::Unknown, false, "`odd_path < odder`"),
        ] {
            let verdict = raised(number, mechanism, stack, &bystander);
            assert_eq!(verdict.cause, cause, "{mechanism:?}");
            assert!(verdict.summary.contains(words), "{}", verdict.summary);
            assert_eq!(verdict.culprit, blamed.then(|| bystander.clone()), "{mechanism:?}");
            let named = format!("{verdict:?}").contains("innocent");
            assert_eq!(named, blamed, "{mechanism:?}: a bystander is not even named");
        }
    }

    #[test]
    fn what_it_did_itself() {
        use Mechanism as M;
        for (number, mechanism, cause) in [
            (SIGALRM, M::Timer, Cause::Timer),
            (SIGPIPE, M::BrokenPipe, Cause::BrokenPipe),
            (SIGIO, M::AsyncIo, Cause::AsyncIo),
            (SIGSYS, M::Seccomp, Cause::Seccomp),
        ] {
            let verdict = raised(number, mechanism, &[], &process(77, "bystander"));
            assert_eq!((verdict.cause, verdict.culprit), (cause, Some(nginx())));
        }
    }

    #[test]
    fn a_kernel_thread_is_never_to_blame() {
        let worker = Process { ppid: Some(2), ..process(44, "kworker/u8:0") };
        let verdict = raised(SIGHUP, Mechanism::TtyHangup, &["__tty_hangup"], &worker);
        assert_eq!(verdict.culprit, None);
        assert!(!verdict.summary.contains("kworker"), "{}", verdict.summary);
    }

    #[test]
    fn a_thread_that_ends_is_not_its_process() {
        let parent = Process { tid: Some(78), ..process(77, "tokio") };
        let verdict = raised(SIGTERM, Mechanism::ParentDeath, &["do_exit", "__x64_sys_exit"], &parent);
        assert!(verdict.summary.contains("the thread of `tokio`"), "{}", verdict.summary);
        let verdict = raised(SIGTERM, Mechanism::ParentDeath, &["do_exit", "do_group_exit"], &parent);
        assert!(verdict.summary.contains("its parent, `tokio`"), "{}", verdict.summary);
    }

    #[test]
    fn an_exit_after_a_kernels_signal_is_likely_at_most() {
        let sent = signal(99.0, SIGHUP, Mechanism::TtyHangup, None);
        let verdict = judge(&exited(nginx(), 100.0, 0, Some(1.0), vec![sent]), Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::TerminalHangup, Confidence::Likely));
    }

    #[test]
    fn what_a_process_sent_is_not_the_kernels() {
        let facts = killed(nginx(), 100.0, SIGKILL, vec![kill(99.9, SIGKILL, process(5, "kill -9 812"))]);
        assert_eq!(judge(&facts, Show::Cmdline).cause, Cause::ExternalKill);
    }
}
