//! What holds for every verdict, whatever the facts.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::model::{
    CodeLocation, Context, FaultAccess, Incident, Lost, Marker, MarkerKind, Mechanism, Outcome, OutcomeKind,
    Process, Scope, SendResult, SiCode, Signal,
};
use crate::model::{KernelLog, OomReport, Pressure, Reading, SeccompReport};
use crate::sample::{BOOT, incident};
use crate::text::escape;

use super::*;

/// Foreign text at its worst: escape sequences, separators, overrides, quotes.
fn text() -> BoxedStrategy<String> {
    prop_oneof![
        "[a-z`'\"\\\\ /-]{0,20}",
        "\\PC{0,20}",
        any::<String>(),
        Just("a\n\x1b[2J\u{202e}\u{9b}`".to_owned()),
        Just("timeout".to_owned()),
        Just("systemd".to_owned()),
        Just("sh".to_owned()),
    ]
    .boxed()
}

/// Numbers that meet each other, and those that overflow.
fn number() -> impl Strategy<Value = u32> {
    prop_oneof![0..5u32, Just(9), Just(15), Just(812), any::<u32>()]
}

fn moment() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0..2_000_000_000_000u64, any::<u64>()]
}

fn one_process() -> BoxedStrategy<Process> {
    let names = (text(), option::of(text()), option::of(vec(text(), 0..6)), option::of(text()));
    let ids = (number(), option::of(number()), option::of(number()), moment(), option::of(number()));
    (names, ids, option::of(text()), option::of(text()))
        .prop_map(|(names, ids, tty, unit)| {
            let (name, exe, argv, cmdline) = names;
            let (pid, ppid, tid, start_boot_ns, uid) = ids;
            let container_id = tty.clone();
            Process {
                pid,
                ppid,
                tid,
                start_boot_ns,
                name,
                exe,
                argv,
                cmdline,
                uid,
                tty,
                unit,
                container_id,
                ..Process::default()
            }
        })
        .boxed()
}

fn process() -> BoxedStrategy<Process> {
    (one_process(), vec(one_process(), 0..4))
        .prop_map(|(process, ancestors)| Process { ancestors, ..process })
        .boxed()
}

fn mechanism() -> impl Strategy<Value = Mechanism> {
    use Mechanism::*;
    proptest::sample::select(vec![
        Kill,
        Kill,
        Kill,
        Tkill,
        Tgkill,
        Sigqueue,
        Tgsigqueue,
        Pidfd,
        CgroupKill,
        Oom,
        ParentDeath,
        PidNamespaceExit,
        TtyInterrupt,
        TtyHangup,
        SessionLeaderExit,
        OrphanedPgrp,
        Timer,
        CpuLimit,
        RtLimit,
        FileSizeLimit,
        BrokenPipe,
        Fault,
        Seccomp,
        Ptrace,
        ExecFailure,
        Bpf,
        AsyncIo,
        MemoryFailure,
        Sysrq,
        Unknown,
    ])
}

fn seconds() -> impl Strategy<Value = f64> {
    prop_oneof![BOOT..BOOT + 10.0, Just(BOOT), proptest::num::f64::NORMAL | proptest::num::f64::ZERO]
}

fn one_signal() -> BoxedStrategy<Signal> {
    (plain_signal(), option::of(plain_signal()))
        .prop_map(|(signal, relayed)| Signal { relayed: relayed.map(Box::new), ..signal })
        .boxed()
}

fn plain_signal() -> BoxedStrategy<Signal> {
    let result = proptest::sample::select(vec![
        SendResult::Delivered,
        SendResult::Delivered,
        SendResult::Ignored,
        SendResult::AlreadyPending,
        SendResult::Overflow,
        SendResult::LostInfo,
    ]);
    let what =
        (number(), mechanism(), result, text(), option::of(text()), option::of(vec(any::<i64>(), 0..4)));
    let who = (option::of(process()), option::of(process()), option::of(number()));
    let when = (seconds(), moment(), option::of(moment()), any::<u64>(), vec(text(), 0..4));
    (what, who, when)
        .prop_map(|(what, who, when)| {
            let (signal_num, mechanism, result, text, syscall, syscall_args) = what;
            let (sender, current, claimed_pid) = who;
            let (ts, boot_ns, last_boot_ns, repeated, kernel_stack) = when;
            let foreign = text.clone();
            Signal {
                ts,
                boot_ns,
                signal: text.clone(),
                signal_num,
                si_code: SiCode(text),
                mechanism,
                scope: Scope::Thread,
                target_tid: signal_num,
                result,
                syscall,
                syscall_args,
                sender,
                current,
                kernel_stack,
                fault_address: Some(repeated),
                fault_access: Some(FaultAccess::Write),
                stack_pointer: last_boot_ns,
                code_location: Some(CodeLocation {
                    file: Some(foreign.clone()),
                    offset: last_boot_ns,
                    memory: Some(foreign.clone()),
                }),
                instruction_pointer: Some(boot_ns),
                forbidden_syscall: Some(foreign),
                outlet: None,
                claimed_pid,
                relayed: None,
                repeated,
                last_boot_ns,
            }
        })
        .boxed()
}

fn facts() -> BoxedStrategy<Facts> {
    let kind = proptest::sample::select(vec![
        OutcomeKind::Killed,
        OutcomeKind::Exited,
        OutcomeKind::Survived,
        OutcomeKind::Unknown,
    ]);
    let end = (kind, option::of(number()), option::of(any::<i32>()), seconds(), option::of(seconds()));
    (process(), end, vec(one_signal(), 0..4), vec(text(), 0..3), number())
        .prop_map(|(target, end, signals, stack, lost)| {
            let (kind, signal_num, exit_code, ts, after_s) = end;
            let path = stack.first().cloned().unwrap_or_default();
            let tracer_pid = Some(lost);
            let outcome = Outcome {
                kind,
                signal: None,
                signal_num,
                exit_code,
                core_dumped: lost % 2 == 1,
                tracer: None,
                exit_tid: signal_num,
                exit_thread: Some(path.clone()),
                exit_called: lost % 3 == 1,
                kernel_stack: stack,
                ts,
                lived_s: after_s,
                after_s,
            };
            let oom = OomReport { cgroup: Some(path.clone()), is_cgroup: true, ..OomReport::default() };
            let report = SeccompReport { signal_num: 9, syscall: Some(path.clone()), action: 0 };
            let marker = Marker {
                kind: MarkerKind::Takeover,
                path,
                names_target: true,
                fresh: true,
                age_s: None,
                content: Some(serde_json::json!({ "target_pid": lost, "replacer_pid": lost })),
                raw: String::new(),
                writer: signals.first().and_then(|signal| signal.sender.clone()),
            };
            Facts {
                outcome,
                pressure: Some(pressure(ts, u64::from(lost))),
                lost: Lost { records: u64::from(lost), requests: u64::from(lost % 2) },
                markers: vec![marker],
                kernel_log: Some(KernelLog { oom: Some(oom), seccomp: Some(report) }),
                context: Some(Context { tracer_pid, ..Context::default() }),
                ..incident(target, 0.0, signals)
            }
        })
        .boxed()
}

/// Readings that may contradict each other.
fn pressure(ts: f64, count: u64) -> Pressure {
    let reading = |ts, oom_kills| Some(Reading { ts, oom_kills: Some(oom_kills), ..Reading::default() });
    Pressure { before: reading(ts, count % 3), request: None, end: reading(-ts, count % 2) }
}

/// A line that a terminal shows as it stands.
fn is_safe_line(text: &str) -> bool {
    escape(text) == text && !text.contains('\n')
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn every_sentence_is_a_safe_line(facts in facts(), exe_only in any::<bool>()) {
        let show = if exe_only { Show::ExeOnly } else { Show::Cmdline };
        let verdict = judge(&facts, show);
        prop_assert!(verdict.summary.ends_with('.'), "{}", verdict.summary);
        prop_assert!(is_safe_line(&verdict.summary));
        let links = verdict.chain.iter().flat_map(|link| [&link.actor, &link.action, &link.object]);
        let ruled_out = verdict.ruled_out.iter().map(|out| &out.because);
        for text in links.chain(&verdict.evidence).chain(ruled_out).chain(&verdict.advice) {
            prop_assert!(is_safe_line(text), "{text:?}");
        }
        if facts.lost.records > 0 {
            prop_assert!(verdict.confidence <= Confidence::Likely);
        }
    }

    #[test]
    fn an_incident_survives_json(facts in facts()) {
        let verdict = judge(&facts, Show::Cmdline);
        let incident = Incident { facts, verdict };
        let json = serde_json::to_string(&incident).unwrap();
        prop_assert!(!json.contains('\n'));
        let back: Incident = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(&back, &incident);
        prop_assert_eq!(judge(&back.facts, Show::Cmdline), incident.verdict);
    }
}

#[test]
fn the_order_of_the_rules_is_from_the_most_specific_on() {
    let names = rules::RULES.map(|rule| rule.name);
    let wanted = [
        "earlier_boot",
        "agent_gap",
        "survived",
        "seccomp",
        "debugger",
        "silent_kill",
        "timeout_command",
        "crash",
        "self_kill",
        "systemd_watchdog",
        "systemd_stop_timeout",
        "systemd_runtime_limit",
        "systemd_oom_policy",
        "host_shutdown",
        "session_end",
        "systemd_dependency",
        "systemd_stop",
        "container_stop",
        "takeover",
        "planned_stop",
        "relayed",
        "oom_daemon",
        "stale_pid_kill",
        "pattern_kill",
        "supervisor_stop",
        "external_kill",
        "oom",
        "parent_death",
        "pid_namespace",
        "terminal",
        "limits",
        "own_doing",
        "kernel_act",
        "exit",
    ];
    assert_eq!(names, wanted);
}

#[test]
fn foreign_text_cannot_close_its_quotation() {
    let mut facts = incident(crate::sample::process(812, "x` (pid 1) was fine. `y"), 1.0, Vec::new());
    facts.target.exe = Some("/bin/x` was fine. `y\x1b[31m".to_owned());
    let summary = judge(&facts, Show::Cmdline).summary;
    assert_eq!(summary.matches('`').count(), 2, "{summary}");
    assert!(summary.contains("\\x1b[31m"), "{summary}");
}
