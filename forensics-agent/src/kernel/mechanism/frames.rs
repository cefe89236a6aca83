//! What the names on a kernel stack are: the tracepoint's own machinery, interrupt entries, system calls.

/// The name without what compilers append to clones and parts of a function: `__tty_hangup.part.0`,
/// `do_execveat_common.isra.0`, `foo.constprop.0`, `foo.cold`, `foo.llvm.123`; and without the module.
pub fn base_name(symbol: &str) -> &str {
    let name = symbol.split([' ', '\t']).next().unwrap_or(symbol);
    match name.find('.') {
        Some(dot) if dot > 0 => name.get(..dot).unwrap_or(name),
        _ => name,
    }
}

/// True for the frames between a tracepoint and the program that looks at it. They stand first in the stack
/// (three for a raw tracepoint, one for a classic one on 6.18), and say nothing about the signal.
pub(super) fn is_machinery(name: &str) -> bool {
    const PREFIXES: &[&str] = &[
        "bpf_prog_",       // a program, kernel/bpf/core.c bpf_get_prog_name
        "bpf_trace_run",   // kernel/trace/bpf_trace.c
        "__bpf_trace_",    // include/trace/bpf_probe.h
        "__traceiter_",    // include/linux/tracepoint.h, since 5.10
        "bpf_trampoline_", // kernel/bpf/trampoline.c
        "bpf_dispatcher_",
        "__bpf_prog_run", // the interpreter, by stack size
        "bpf_get_stack",
        "trace_event_raw_event_", // include/trace/trace_events.h
        "perf_trace_",            // include/trace/perf.h, perf_trace_run_bpf_submit
    ];
    const NAMES: &[&str] = &["___bpf_prog_run", "trace_call_bpf", "perf_call_bpf_enter", "ftrace_trampoline"];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || NAMES.contains(&name)
}

/// How a frame separates what ran from what it interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Boundary {
    /// An interrupt: what stands further out was interrupted at random and has nothing to do with the signal.
    Interrupt,
    /// The way back to user space after an interrupt: what ran, ran for the current task.
    ReturnToUser,
}

/// Whether a frame is such a boundary.
pub(super) fn boundary(name: &str) -> Option<Boundary> {
    // kernel/entry/common.c; task work and signal setup run under it.
    if name == "irqentry_exit_to_user_mode" {
        return Some(Boundary::ReturnToUser);
    }
    const PREFIXES: &[&str] = &[
        // x86: arch/x86/include/asm/idtentry.h
        "asm_sysvec_",
        "sysvec_",
        "__sysvec_",
        "fred_sysvec_",
        "asm_call_", // asm_call_irq_on_stack and kin of 5.8 to 5.11
        "irqentry_", // kernel/entry/common.c
        // Softirqs, kernel/softirq.c: they handle what interrupts left, wherever they happen to run.
        "do_softirq",
        "__irq_exit",
        "irq_exit",
    ];
    const NAMES: &[&str] = &[
        "asm_common_interrupt",
        "common_interrupt",
        "__common_interrupt",
        "asm_exc_xen_hypervisor_callback",
        "exc_xen_hypervisor_callback",
        "xen_evtchn_do_upcall",
        "asm_exc_nmi",
        "exc_nmi",
        "fred_extint",
        "__do_softirq",
        "handle_softirqs", // in newer kernels
        "run_ksoftirqd",
        // arm64: arch/arm64/kernel/entry-common.c and its callees
        "el1_interrupt",
        "el0_interrupt",
        "__el0_irq_handler_common",
        "do_interrupt_handler",
        "call_on_irq_stack",
        "gic_handle_irq",
        "handle_domain_irq",
        "generic_handle_domain_irq",
        "generic_handle_arch_irq",
    ];
    // `el1_irq` in 5.10; `el1h_64_irq`, `el1h_64_irq_handler`, `el0t_64_irq`, `el0t_32_fiq` and kin later.
    let is_arm64_vector =
        || name.starts_with("el") && ["_irq", "_fiq", "_error"].iter().any(|kind| name.contains(kind));
    let is_interrupt =
        NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || is_arm64_vector();
    is_interrupt.then_some(Boundary::Interrupt)
}

/// What precedes a system call's name in the names of its functions, longest first where one holds another.
/// The wrappers of `arch/x86/include/asm/syscall_wrapper.h`, `arch/arm64/include/asm/syscall_wrapper.h`
/// and `include/linux/syscalls.h`.
pub const SYSCALL_PREFIXES: &[&str] = &[
    "__x64_sys_",
    "__ia32_compat_sys_",
    "__ia32_sys_",
    "__x32_compat_sys_",
    "__arm64_compat_sys_",
    "__arm64_sys_",
    "__se_compat_sys_",
    "__se_sys_",
    "__do_compat_sys_",
    "__do_sys_",
];

/// The body of some system calls, into which the compiler may turn the wrapper's call into a jump.
const BODY_PREFIXES: &[&str] = &["ksys_", "__sys_"];

/// The system call that a stack is inside, without prefix: `kill`, `pidfd_send_signal`.
pub fn syscall<'a>(stack: impl DoubleEndedIterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let called =
        |name: &'a str, prefixes: &[&str]| prefixes.iter().find_map(|prefix| name.strip_prefix(prefix));
    // From the outermost frame on, since that is where system calls are entered.
    let wrapper = stack.clone().rev().find_map(|name| called(name, SYSCALL_PREFIXES));
    wrapper.or_else(|| stack.rev().find_map(|name| called(name, BODY_PREFIXES)))
}
