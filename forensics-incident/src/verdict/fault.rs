//! What a processor exception was about, in words.

use crate::model::{CodeLocation, FaultAccess, Signal};
use crate::signals::{SIGBUS, SIGFPE, SIGILL, SIGSEGV};

use super::case::quote;

/// Addresses below this are a null pointer with an offset (the kernel maps nothing there, `vm.mmap_min_addr`).
const NULL_PAGE: u64 = 0x1000;
/// A function that needs a large frame may touch this far below the stack pointer before it moves that.
const BELOW_STACK: u64 = 64 << 10;
/// And this far above it once it is moved. More than that may lie above the stack as a whole, where a buffer that is
/// overrun ends: the arguments and the environment of a program stand there, and what a thread keeps.
const ABOVE_STACK: u64 = 1 << 10;

/// What went wrong, by the `si_code` that the fault path of the kernel sets.
pub(super) fn reason(signal: &Signal) -> String {
    let at = signal
        .fault_address
        .map_or_else(|| "an address".to_owned(), |address| format!("address {address:#x}"));
    let null = signal.fault_address.is_some_and(|address| address < NULL_PAGE);
    let stack = if is_of_stack(signal) {
        "; its stack pointer is there too, so that it most likely ran out of stack"
    } else {
        ""
    };
    let used = match signal.fault_access {
        Some(FaultAccess::Read) => "read from",
        Some(FaultAccess::Write) => "wrote to",
        Some(FaultAccess::Execute) => "jumped to",
        None => "used",
    };
    let denied = match signal.fault_access {
        Some(FaultAccess::Read) => "which it may not read",
        Some(FaultAccess::Write) => "which it may not write",
        Some(FaultAccess::Execute) => "where it may not execute code",
        None => "in a way that the memory there does not permit",
    };
    match signal.si_code.0.as_str() {
        "SEGV_MAPERR" if null => format!("it {used} a null pointer ({at})"),
        "SEGV_MAPERR" => format!("it {used} {at}, where it has no memory{stack}"),
        "SEGV_ACCERR" if signal.fault_access.is_some() => format!("it {used} {at}, {denied}{stack}"),
        "SEGV_ACCERR" => format!("it used {at} {denied}{stack}"),
        "BUS_ADRERR" => {
            format!("it {used} {at} in a mapped file that has no data there (cut short, or unreadable)")
        }
        "BUS_ADRALN" => format!("it {used} {at}, which is not aligned"),
        "FPE_INTDIV" => "it divided by zero".to_owned(),
        _ => match signal.signal_num {
            SIGSEGV | SIGBUS => "it used memory that it may not use".to_owned(),
            SIGILL => "it reached an instruction that the processor does not have".to_owned(),
            SIGFPE => "its arithmetic failed".to_owned(),
            _ => "it ran into a breakpoint that no debugger handled".to_owned(),
        },
    }
}

/// In the code of which file, for the summary: " in `libc.so.6`".
pub(super) fn place(signal: &Signal) -> String {
    let file = signal.code_location.as_ref().and_then(|location| location.file.as_deref());
    let base = file.map(|file| file.rsplit('/').next().unwrap_or(file));
    base.map_or_else(String::new, |base| format!(" in {}", quote(base)))
}

/// Where the instruction was, for the evidence.
pub(super) fn instruction(signal: &Signal) -> Option<String> {
    let pointer = signal.instruction_pointer?;
    let thread = signal.target_tid;
    let place = match &signal.code_location {
        Some(CodeLocation { file: Some(file), offset: Some(offset), .. }) => {
            format!("at offset {offset:#x} of {} (address {pointer:#x})", quote(file))
        }
        Some(CodeLocation { file: Some(file), .. }) => format!("in {} (address {pointer:#x})", quote(file)),
        Some(CodeLocation { memory: Some(memory), .. }) => format!("at {pointer:#x}, in {}", quote(memory)),
        _ => format!("at {pointer:#x}"),
    };
    Some(format!("The instruction was {place}, in thread {thread}."))
}

/// Both the stack pointer and the address point to where no stack is. Where the kernel could still have grown the stack
/// it would not have raised the signal.
fn is_of_stack(signal: &Signal) -> bool {
    let (Some(address), Some(stack)) = (signal.fault_address, signal.stack_pointer) else { return false };
    let writes_or_reads = signal.fault_access != Some(FaultAccess::Execute);
    let is_near = match stack.checked_sub(address) {
        Some(below) => below < BELOW_STACK,
        None => address - stack < ABOVE_STACK,
    };
    writes_or_reads && stack >= NULL_PAGE && is_near
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Mechanism, SiCode};
    use crate::sample::signal;

    fn fault(code: &str, address: u64, access: Option<FaultAccess>, stack: Option<u64>) -> Signal {
        Signal {
            si_code: SiCode(code.to_owned()),
            fault_address: Some(address),
            fault_access: access,
            stack_pointer: stack,
            ..signal(100.0, SIGSEGV, Mechanism::Fault, None)
        }
    }

    #[test]
    fn what_was_done_where() {
        use FaultAccess::{Execute, Read, Write};
        for (code, address, access, stack, words) in [
            ("SEGV_MAPERR", 8, Some(Read), None, "it read from a null pointer (address 0x8)"),
            ("SEGV_MAPERR", 0, Some(Execute), None, "it jumped to a null pointer (address 0x0)"),
            (
                "SEGV_MAPERR",
                0xdead_0000,
                Some(Write),
                None,
                "it wrote to address 0xdead0000, where it has no memory",
            ),
            ("SEGV_MAPERR", 0xdead_0000, None, None, "it used address 0xdead0000, where it has no memory"),
            ("SEGV_ACCERR", 0x4000, Some(Write), None, "it wrote to address 0x4000, which it may not write"),
            (
                "SEGV_ACCERR",
                0x4000,
                Some(Execute),
                None,
                "it jumped to address 0x4000, where it may not execute code",
            ),
            (
                "SEGV_ACCERR",
                0x4000,
                None,
                None,
                "it used address 0x4000 in a way that the memory there does not permit",
            ),
            (
                "SEGV_MAPERR",
                0x7ffc_0000_0ff8,
                Some(Write),
                Some(0x7ffc_0000_1000),
                "it wrote to address 0x7ffc00000ff8, where it has no memory; its stack pointer is there too, so that it most likely ran out of stack",
            ),
            (
                "SEGV_MAPERR",
                0x7ffc_0000_0000,
                Some(Write),
                Some(0x7ffd_0000_0000),
                "it wrote to address 0x7ffc00000000, where it has no memory",
            ),
            (
                "SEGV_MAPERR",
                0x7ffc_0000_2000,
                Some(Write),
                Some(0x7ffc_0000_1000),
                "it wrote to address 0x7ffc00002000, where it has no memory",
            ),
            (
                "SEGV_MAPERR",
                0x2000,
                Some(Read),
                Some(0),
                "it read from address 0x2000, where it has no memory",
            ),
        ] {
            assert_eq!(reason(&fault(code, address, access, stack)), words);
        }
    }

    #[test]
    fn where_the_instruction_was() {
        let at = |file: Option<&str>, offset, memory: Option<&str>| {
            let location =
                CodeLocation { file: file.map(str::to_owned), offset, memory: memory.map(str::to_owned) };
            let mut signal = fault("SEGV_MAPERR", 8, None, None);
            signal.instruction_pointer = Some(0x4010);
            signal.code_location = Some(location);
            (place(&signal), instruction(&signal).unwrap_or_default())
        };
        let (place, instruction) = at(Some("/usr/lib/libx.so"), Some(0x10), None);
        assert_eq!(place, " in `libx.so`");
        assert_eq!(
            instruction,
            "The instruction was at offset 0x10 of `/usr/lib/libx.so` (address 0x4010), in thread 812."
        );
        let (place, instruction) = at(Some("libx.so"), None, None);
        assert_eq!(
            (place.as_str(), instruction.contains("in `libx.so` (address 0x4010)")),
            (" in `libx.so`", true)
        );
        let (place, instruction) = at(None, None, Some("memory of no file"));
        assert_eq!((place.as_str(), instruction.contains("in `memory of no file`")), ("", true));
    }
}
