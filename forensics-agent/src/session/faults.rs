//! Processor exceptions: what the instruction did, and in which file it is.

use forensics_incident::{
    model::{CodeLocation, FaultAccess},
    signals,
};

use crate::{host::proc, kernel::records::SignalEvent};

/// A signal that the kernel raised for what an instruction did: the codes between those of `kill(2)` and `SI_KERNEL`.
pub(super) fn is_fault(event: &SignalEvent) -> bool {
    (1..0x80).contains(&event.code) && signals::is_fault(event.signal)
}

/// What a faulting instruction did with the memory at its address, where the processor says so.
pub(super) fn access(event: &SignalEvent) -> Option<FaultAccess> {
    /// `X86_TRAP_PF` of `arch/x86/include/asm/trapnr.h`.
    const PAGE_FAULT: u64 = 14;
    /// `X86_PF_WRITE` and `X86_PF_INSTR` of `arch/x86/include/asm/trap_pf.h`.
    const WRITE: u64 = 1 << 1;
    const INSTRUCTION: u64 = 1 << 4;
    let (trap, error) = event.trap.filter(|_| is_fault(event))?;
    match error {
        _ if trap != PAGE_FAULT => None,
        error if error & INSTRUCTION != 0 => Some(FaultAccess::Execute),
        error if error & WRITE != 0 => Some(FaultAccess::Write),
        _ => Some(FaultAccess::Read),
    }
}

/// In which file the faulting instruction is. To be asked at once: unless it dumps core, the process lets go of its
/// memory some ten microseconds after the signal.
pub(super) fn location(event: &SignalEvent) -> Option<CodeLocation> {
    let pointer = event.user_ip.filter(|_| is_fault(event))?;
    proc::location(event.target.tgid, event.target.start_boot_ns, pointer)
}
