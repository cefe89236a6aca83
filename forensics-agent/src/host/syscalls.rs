//! Names of system calls, for the architecture that the agent runs on.

use syscalls::Sysno;

/// `AUDIT_ARCH_*` of this machine's own calls, `include/uapi/linux/audit.h`.
pub const NATIVE: u32 = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };

/// The name of a system call, or its number where the call is of another architecture (32-bit programs) or too new.
pub fn name(arch: u32, number: u32) -> String {
    let known = Sysno::new(number as usize).filter(|_| arch == NATIVE);
    known.map_or_else(
        || match arch == NATIVE {
            true => format!("system call {number}"),
            false => format!("system call {number} of architecture {arch:#x}"),
        },
        |known| known.name().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let getppid = u32::try_from(libc::SYS_getppid).unwrap();
        assert_eq!(name(NATIVE, getppid), "getppid");
        assert_eq!(name(NATIVE, 1 << 20), "system call 1048576");
        assert_eq!(name(0x4000_0003, 1), "system call 1 of architecture 0x40000003");
    }
}
