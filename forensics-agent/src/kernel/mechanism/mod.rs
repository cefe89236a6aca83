//! From a kernel stack to how a signal came to be.
//!
//! `si_code` cannot tell: cgroup.kill, a parent's death, a broken pipe and `kill(2)` all say `SI_USER`, and
//! it is the sender's claim where a sender makes one. The functions on the stack tell every way apart. Pure:
//! names in, judgement out.

mod frames;
mod rules;

#[cfg(test)]
mod tests;

use std::ops::Range;

use forensics_incident::model::Mechanism;
pub use frames::{SYSCALL_PREFIXES, base_name, syscall};

use frames::{Boundary, boundary, is_machinery};
use rules::{RULES, SENDING};

/// What the task that was running has to do with the signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Current {
    /// It sent the signal: by a system call, or by a write to a control file.
    Sender,
    /// The kernel raised the signal because of what it did: it ended, closed the terminal, or faulted.
    Cause,
    /// Nothing follows: it allocated memory when there was none left, was interrupted by a timer, or is a
    /// kernel worker.
    Bystander,
}

/// What a stack tells about a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classification {
    /// How the signal came to be.
    pub mechanism: Mechanism,
    /// Another mechanism that the same stack may stand for, when the compiler inlined what tells them apart.
    pub or: Option<Mechanism>,
    /// The system call that the stack is inside, without prefix: `kill`, `exit_group`, `write`.
    pub syscall: Option<String>,
    /// What the running task has to do with it.
    pub current: Current,
    /// The frames that have to do with the signal: without the tracepoint's own at the start, and without
    /// what an interrupt interrupted at the end.
    pub frames: Range<usize>,
}

/// Tells how a signal came to be.
///
/// `stack` holds names of functions, innermost first, with or without compiler suffixes and module; unknown
/// addresses may stand there as any text that is no function's name. An empty stack, and one whose functions
/// are not known, is [`Mechanism::Unknown`].
pub fn classify<S: AsRef<str>>(stack: &[S], signal: u32) -> Classification {
    let names: Vec<&str> = stack.iter().map(|symbol| base_name(symbol.as_ref())).collect();
    let start = own_start(&names);
    let own = names.get(start..).unwrap_or_default();
    let cut = own.iter().enumerate().find_map(|(index, name)| Some((index, boundary(name)?)));
    let end = cut.map_or(own.len(), |(index, _)| index);
    let own = own.get(..end).unwrap_or_default();
    let interrupted = matches!(cut, Some((_, Boundary::Interrupt)));

    let call = syscall(own.iter().copied());
    let origin = own.iter().copied().find(|name| !SENDING.contains(name));
    let rule = RULES.iter().find(|rule| rule.fits(own, origin, call, signal));
    // kernel/kthread.c: a worker does what somebody else asked for.
    let by_itself = !interrupted && !own.contains(&"kthread");
    let current = rule.filter(|_| by_itself).map_or(Current::Bystander, |rule| rule.current);
    Classification {
        mechanism: rule.map_or(Mechanism::Unknown, |rule| rule.mechanism),
        or: rule.and_then(|rule| rule.or),
        syscall: call.or(rule.and_then(|rule| rule.implies)).map(str::to_owned),
        current,
        frames: start..start + end,
    }
}

/// The first frame that is not the tracepoint's own. The program's frame has no name when JIT symbols are
/// hidden, so that nameless frames before the last of the machinery go with it.
fn own_start(names: &[&str]) -> usize {
    // bpf_prog_*, bpf_trace_run5, __bpf_trace_*, __traceiter_* and a trampoline or two.
    const MAX_MACHINERY: usize = 8;
    let until_sending = names.iter().take(MAX_MACHINERY).take_while(|name| !SENDING.contains(name));
    until_sending.enumerate().filter(|(_, name)| is_machinery(name)).last().map_or(0, |(index, _)| index + 1)
}
