use forensics_incident::signals::*;
use proptest::prelude::*;
use serde::Deserialize;

use super::*;

/// A stack that bpftrace recorded on 6.18 (x86_64) at `tracepoint:signal:signal_generate`, for a victim that was
/// ended on purpose in the way that `case` names.
#[derive(Deserialize)]
struct Recorded {
    case: String,
    signal: u32,
    mechanism: Mechanism,
    syscall: Option<String>,
    stack: Vec<String>,
}

fn recorded() -> Vec<Recorded> {
    serde_json::from_str(include_str!("../../../fixtures/stacks-6.18.json")).unwrap()
}

#[test]
fn recorded_stacks() {
    let all = recorded();
    assert!(all.len() > 80, "only {} stacks", all.len());
    for Recorded { case, signal, mechanism, syscall, stack } in all {
        let found = classify(&stack, signal);
        assert_eq!(found.mechanism, mechanism, "{case}: {stack:?}");
        assert_eq!(found.syscall, syscall, "{case}: {stack:?}");
        assert_eq!(found.frames.start, 1, "{case}: {stack:?}");
        // A limit on real-time CPU looks the same as one on CPU in this kernel, and says so.
        let alternative = (mechanism == Mechanism::CpuLimit).then_some(Mechanism::RtLimit);
        assert_eq!(found.or, alternative, "{case}: {stack:?}");
    }
}

#[test]
fn the_running_task_is_blamed_only_for_what_it_did() {
    for Recorded { case, signal, stack, .. } in recorded() {
        let expected = match case.as_str() {
            "kill" | "kill-int80" | "kill-group" | "kill-zero" | "kill-all" | "tkill" | "tgkill"
            | "abort" | "raise" | "sigqueue" | "tgsigqueue" | "pidfd" | "pidfd-group" | "cgroup-kill"
            | "ptrace-attach" | "ptrace-kill" | "tty-sigpty" | "tty-tiocsti" => Current::Sender,
            "parent-death"
            | "parent-death-thread"
            | "parent-killed"
            | "pid-namespace-exit"
            | "session-leader-exit"
            | "session-leader-killed"
            | "tty-hangup"
            | "tty-hangup-exit"
            | "tty-vhangup"
            | "tty-vhangup-syscall"
            | "tty-notty"
            | "orphaned-pgrp"
            | "ptrace-exitkill" => Current::Cause,
            "oom" | "oom-file" | "tty-interrupt" | "tty-quit" | "bpf" | "timer-alarm" | "timer-posix"
            | "timer-alarm-busy" | "timer-posix-now" | "async-io-tcp" | "async-io-tty" => Current::Bystander,
            _ => continue,
        };
        assert_eq!(classify(&stack, signal).current, expected, "{case}: {stack:?}");
    }
}

#[test]
fn no_part_of_the_stack_below_an_interrupt_counts() {
    let interrupted = "it_real_fn __hrtimer_run_queues hrtimer_interrupt";
    for entry in [
        "__sysvec_apic_timer_interrupt sysvec_apic_timer_interrupt asm_sysvec_apic_timer_interrupt",
        "smp_apic_timer_interrupt irqentry_exit",
        "arch_timer_handler_virt handle_percpu_devid_irq generic_handle_domain_irq gic_handle_irq call_on_irq_stack",
        "el1_interrupt el1h_64_irq_handler el1h_64_irq",
        "gic_handle_irq el1_irq",
        "run_timer_softirq handle_softirqs __irq_exit_rcu",
        "__do_softirq irq_exit",
    ] {
        let stack = format!("__send_signal_locked {interrupted} {entry} __x64_sys_kill do_syscall_64");
        let stack: Vec<&str> = stack.split(' ').collect();
        let found = classify(&stack, SIGALRM);
        assert_eq!(found.mechanism, Mechanism::Timer, "{entry}");
        assert_eq!(found.syscall, None, "{entry}");
        assert_eq!(found.current, Current::Bystander, "{entry}");
        assert!(found.frames.end < stack.len() - 2, "{entry}");
    }
}

/// Stacks of other kernels, compilers and architectures, composed from their sources.
const COMPOSED: &[(Mechanism, u32, Option<&str>, &str)] = &[
    // 5.10, x86_64 and arm64
    (
        Mechanism::Kill,
        SIGTERM,
        Some("kill"),
        "__send_signal send_signal do_send_sig_info group_send_sig_info kill_pid_info kill_something_info __x64_sys_kill do_syscall_64",
    ),
    (
        Mechanism::Kill,
        SIGTERM,
        Some("kill"),
        "__send_signal send_signal do_send_sig_info group_send_sig_info kill_pid_info __do_sys_kill __se_sys_kill __arm64_sys_kill invoke_syscall el0_svc_common.constprop.0 do_el0_svc el0_svc el0t_64_sync_handler el0t_64_sync",
    ),
    (
        Mechanism::Kill,
        SIGTERM,
        Some("kill"),
        "__send_signal do_send_sig_info kill_pid_info kill_something_info __arm64_compat_sys_kill",
    ),
    (Mechanism::Kill, SIGPIPE, Some("kill"), "__send_signal do_send_sig_info kill_something_info"),
    (
        Mechanism::Tgkill,
        SIGABRT,
        Some("tgkill"),
        "__send_signal do_send_sig_info do_send_specific do_tkill __arm64_sys_tgkill",
    ),
    (
        Mechanism::Tgsigqueue,
        SIGTERM,
        Some("rt_tgsigqueueinfo"),
        "__send_signal_locked do_send_sig_info do_send_specific do_rt_tgsigqueueinfo do_syscall_64",
    ),
    (
        Mechanism::Sigqueue,
        SIGTERM,
        Some("rt_sigqueueinfo"),
        "__send_signal do_send_sig_info kill_pid_info kill_proc_info do_rt_sigqueueinfo __ia32_compat_sys_rt_sigqueueinfo",
    ),
    (
        Mechanism::Pidfd,
        SIGTERM,
        Some("pidfd_send_signal"),
        "__send_signal do_send_sig_info kill_pid_info __do_sys_pidfd_send_signal",
    ),
    (
        Mechanism::CgroupKill,
        SIGKILL,
        None,
        "__send_signal_locked do_send_sig_info send_sig cgroup_kill_control cgroup_kill_write",
    ),
    (
        Mechanism::CgroupKill,
        SIGKILL,
        Some("clone3"),
        "__send_signal_locked do_send_sig_info cgroup_post_fork copy_process kernel_clone __do_sys_clone3",
    ),
    (
        Mechanism::Oom,
        SIGKILL,
        None,
        "__send_signal send_signal do_send_sig_info __oom_kill_process.cold oom_kill_memcg_member mem_cgroup_scan_tasks oom_kill_process",
    ),
    (
        Mechanism::Oom,
        SIGKILL,
        Some("write"),
        "__send_signal do_send_sig_info __oom_kill_process oom_kill_process out_of_memory mem_cgroup_out_of_memory memory_max_write kernfs_fop_write_iter ksys_write",
    ),
    (
        Mechanism::ParentDeath,
        SIGTERM,
        Some("exit_group"),
        "__send_signal send_signal do_send_sig_info group_send_sig_info forget_original_parent exit_notify do_exit do_group_exit __arm64_sys_exit_group",
    ),
    (
        Mechanism::PidNamespaceExit,
        SIGKILL,
        None,
        "__send_signal do_send_sig_info group_send_sig_info zap_pid_ns_processes find_child_reaper forget_original_parent exit_notify do_exit",
    ),
    // A real terminal is hung up when its session leader ends.
    (
        Mechanism::SessionLeaderExit,
        SIGHUP,
        None,
        "__send_signal __group_send_sig_info tty_signal_session_leader __tty_hangup tty_vhangup_session disassociate_ctty do_exit",
    ),
    (
        Mechanism::TtyHangup,
        SIGHUP,
        None,
        "__send_signal __group_send_sig_info tty_signal_session_leader __tty_hangup do_tty_hangup process_one_work worker_thread kthread",
    ),
    (
        Mechanism::TtyInterrupt,
        SIGINT,
        None,
        "__send_signal send_signal do_send_sig_info group_send_sig_info __kill_pgrp_info kill_pgrp __isig isig n_tty_receive_signal_char",
    ),
    (
        Mechanism::OrphanedPgrp,
        SIGHUP,
        None,
        "__send_signal do_send_sig_info __kill_pgrp_info reparent_leader forget_original_parent do_exit",
    ),
    // Without CONFIG_POSIX_CPU_TIMERS_TASK_WORK, CPU timers run in the tick.
    (
        Mechanism::CpuLimit,
        SIGXCPU,
        None,
        "__send_signal __group_send_sig_info check_process_timers run_posix_cpu_timers update_process_times tick_sched_timer hrtimer_interrupt asm_sysvec_apic_timer_interrupt",
    ),
    (
        Mechanism::RtLimit,
        SIGKILL,
        None,
        "__send_signal __group_send_sig_info check_rlimit check_thread_timers posix_cpu_timers_work task_work_run",
    ),
    (
        Mechanism::Timer,
        SIGKILL,
        None,
        "send_sigqueue posix_timer_event cpu_timer_fire handle_posix_cpu_timers posix_cpu_timers_work task_work_run",
    ),
    (Mechanism::Timer, SIGTERM, None, "send_sigqueue posix_timer_event posix_timer_fn __hrtimer_run_queues"),
    (Mechanism::Timer, SIGALRM, None, "send_sigqueue alarm_handle_timer alarmtimer_fired"),
    (Mechanism::Bpf, SIGKILL, None, "__send_signal do_send_sig_info bpf_send_signal_common bpf_prog_12ab_x"),
    (
        Mechanism::Bpf,
        SIGKILL,
        Some("kill"),
        "__send_signal do_send_sig_info bpf_send_signal bpf_prog_1_x bpf_trampoline_6 __x64_sys_kill",
    ),
    (
        Mechanism::Fault,
        SIGSEGV,
        None,
        "__send_signal force_sig_info_to_task force_sig_fault arm64_force_sig_fault do_bad_area do_translation_fault do_mem_abort el0_da el0t_64_sync_handler el0t_64_sync",
    ),
    (
        Mechanism::Seccomp,
        SIGSYS,
        None,
        "__send_signal force_sig_info_to_task force_sig_info seccomp_send_sigsys __seccomp_filter __secure_computing syscall_trace_enter",
    ),
    (
        Mechanism::ExecFailure,
        SIGSEGV,
        Some("execve"),
        "__send_signal force_sig_info_to_task force_sig force_sigsegv bprm_execve.part.0 do_execveat_common __arm64_sys_execve",
    ),
    (
        Mechanism::Ptrace,
        SIGTRAP,
        Some("execve"),
        "__send_signal send_signal do_send_sig_info ptrace_event exec_binprm bprm_execve __x64_sys_execve",
    ),
    (Mechanism::Ptrace, SIGUSR1, None, "__send_signal get_signal arch_do_signal_or_restart"),
    (
        Mechanism::Ptrace,
        SIGTERM,
        None,
        "__send_signal_locked send_signal_locked do_send_sig_info do_syscall_64 entry_SYSCALL_64_after_hwframe",
    ),
    (
        Mechanism::MemoryFailure,
        SIGBUS,
        None,
        "__send_signal force_sig_info_to_task force_sig_mceerr kill_procs memory_failure",
    ),
    (
        Mechanism::Sysrq,
        SIGTERM,
        Some("write"),
        "__send_signal do_send_sig_info send_sig_all sysrq_handle_term __handle_sysrq write_sysrq_trigger proc_reg_write ksys_write",
    ),
    (
        Mechanism::Sysrq,
        SIGKILL,
        None,
        "__send_signal __oom_kill_process oom_kill_process out_of_memory moom_callback process_one_work kthread",
    ),
    (
        Mechanism::AsyncIo,
        SIGIO,
        None,
        "__send_signal do_send_sig_info send_sigio kill_fasync perf_event_wakeup",
    ),
    (
        Mechanism::BrokenPipe,
        SIGPIPE,
        Some("sendmsg"),
        "__send_signal do_send_sig_info send_sig sk_stream_error tls_sw_sendmsg sock_sendmsg __sys_sendmsg",
    ),
    (
        Mechanism::FileSizeLimit,
        SIGXFSZ,
        Some("write"),
        "__send_signal do_send_sig_info send_sig generic_write_check_limits xfs_file_write_checks ksys_write",
    ),
    (Mechanism::Unknown, SIGCHLD, None, "__send_signal do_notify_parent exit_notify do_exit"),
    (Mechanism::Unknown, SIGTERM, None, "__send_signal do_send_sig_info kill_pid kfd_signal_event"),
    (Mechanism::Unknown, SIGPIPE, None, "0xffffffff81000000 0xffffffff81000010"),
];

#[test]
fn composed_stacks() {
    for (mechanism, signal, call, stack) in COMPOSED {
        let stack: Vec<&str> = stack.split(' ').collect();
        let found = classify(&stack, *signal);
        assert_eq!(found.mechanism, *mechanism, "{stack:?}");
        assert_eq!(found.syscall.as_deref(), *call, "{stack:?}");
    }
}

#[test]
fn control_files_tell_writers_from_bystanders() {
    let current = |stack: &str, signal| classify(&stack.split(' ').collect::<Vec<_>>(), signal).current;
    assert_eq!(current("do_send_sig_info cgroup_post_fork copy_process", SIGKILL), Current::Bystander);
    assert_eq!(current("__oom_kill_process out_of_memory memory_max_write", SIGKILL), Current::Cause);
    assert_eq!(current("send_sig_all __handle_sysrq write_sysrq_trigger", SIGTERM), Current::Sender);
    assert_eq!(current("send_sig_all __handle_sysrq sysrq_filter", SIGTERM), Current::Bystander);
}

#[test]
fn the_tracepoints_own_frames_are_left_out() {
    // As a raw tracepoint program sees them.
    let stack = [
        "bpf_prog_2f0a_signal_raw",
        "bpf_trace_run5",
        "__traceiter_signal_generate",
        "__send_signal_locked",
        "do_bpf_send_signal",
        "bpf_prog_77_other",
        "bpf_trace_run2",
    ];
    let found = classify(&stack, SIGKILL);
    assert_eq!((found.mechanism, found.frames), (Mechanism::Bpf, 3..7));
    // Without the program's name, as where JIT symbols are not shown.
    let nameless: Vec<&str> = ["0xffffffffc0001234"].iter().chain(&stack[1..]).copied().collect();
    assert_eq!(classify(&nameless, SIGKILL).frames, 3..7);
    let empty: [&str; 0] = [];
    assert_eq!(classify(&empty, SIGPIPE).mechanism, Mechanism::Unknown);
    assert_eq!(classify(&stack[..3], SIGPIPE).mechanism, Mechanism::Unknown);
}

#[test]
fn base_names() {
    for (symbol, base) in [
        ("__tty_hangup.part.0", "__tty_hangup"),
        ("do_execveat_common.isra.0.cold", "do_execveat_common"),
        ("kill_something_info", "kill_something_info"),
        ("ext4_file_write_iter [ext4]", "ext4_file_write_iter"),
        (".weird", ".weird"),
        ("", ""),
    ] {
        assert_eq!(base_name(symbol), base);
    }
}

/// Every mechanism of the model that the kernel can give is in the table, so that none is forgotten.
#[test]
fn every_mechanism_has_a_stack() {
    use Mechanism::*;
    let mut seen: Vec<Mechanism> =
        recorded().iter().map(|r| classify(&r.stack, r.signal).mechanism).collect();
    seen.extend(COMPOSED.iter().map(|(mechanism, ..)| *mechanism));
    for mechanism in [
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
    ] {
        assert!(seen.contains(&mechanism), "{mechanism:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_judged(stack in prop::collection::vec(".{0,12}", 0..12), signal: u32) {
        let found = classify(&stack, signal);
        prop_assert!(found.frames.start <= found.frames.end && found.frames.end <= stack.len());
    }
}
