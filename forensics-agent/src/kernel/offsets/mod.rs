//! The offset table of the running kernel, from its BTF.

mod sockets;

use forensics_common::{ABSENT, Offsets, SocketOffsets};

use super::btf::{Btf, BtfError};

/// Where a process keeps the registers of its system call; the names differ by architecture, the meaning does
/// not.
struct Registers {
    syscall: &'static str,
    args: [&'static str; 4],
    /// Bytes from the member that BTF names to the argument, for arguments that live in an array.
    arg_shift: [u32; 4],
    ip: &'static str,
    sp: &'static str,
}

/// `arch/x86/include/asm/ptrace.h`; the system call ABI of `entry_64.S`.
#[cfg(target_arch = "x86_64")]
const REGISTERS: Registers = Registers {
    syscall: "orig_ax",
    args: ["di", "si", "dx", "r10"],
    arg_shift: [0, 0, 0, 0],
    ip: "ip",
    sp: "sp",
};

/// `arch/arm64/include/asm/ptrace.h`; `x0` is overwritten by the result, `orig_x0` is not.
#[cfg(target_arch = "aarch64")]
const REGISTERS: Registers = Registers {
    syscall: "syscallno",
    args: ["orig_x0", "regs", "regs", "regs"],
    arg_shift: [0, 8, 16, 24],
    ip: "pc",
    sp: "sp",
};

/// Bytes of a kernel stack where BTF does not tell: four pages of 4 KiB (`THREAD_SIZE_ORDER` 2 on x86_64, `MIN_THREAD_SHIFT`
/// 14 on arm64), unless the kernel was built with KASAN. The system call that is read through it is compared with the
/// one on the kernel's stack before it is believed.
const USUAL_THREAD_SIZE: u32 = 16 << 10;

/// Resolves what the programs that see requests read.
///
/// # Errors
///
/// The BTF is damaged.
pub(super) fn resolve_sockets(btf: &Btf<'_>) -> Result<SocketOffsets, BtfError> {
    sockets::resolve(btf)
}

/// Resolves every member that the programs read.
///
/// # Errors
///
/// A member without which no sender can be named is missing from this kernel, or the BTF is damaged.
pub(super) fn resolve(btf: &Btf<'_>) -> Result<Offsets, BtfError> {
    let must = |structure: &str, member: &str| btf.offset_of(structure, member).map(|field| field.offset);
    // What only some kernels or configurations have costs its own field, not the agent.
    let may = |structure: &str, member: &str| match btf.offset_of(structure, member) {
        Ok(field) => Ok(field.offset),
        Err(BtfError::MissingMember { .. } | BtfError::MissingType { .. }) => Ok(ABSENT),
        Err(error) => Err(error),
    };
    let pid_of = |kind: &str| -> Result<u32, BtfError> {
        let index = u32::try_from(btf.enum_value("pid_type", kind)?).unwrap_or(0);
        Ok(must("signal_struct", "pids")? + index * size_of::<u64>() as u32)
    };
    let argument = |index: usize| -> Result<u32, BtfError> {
        match (REGISTERS.args.get(index), REGISTERS.arg_shift.get(index)) {
            (Some(member), Some(shift)) => Ok(must("pt_regs", member)? + shift),
            _ => Ok(ABSENT),
        }
    };
    // arch/x86/include/asm/processor.h; other architectures keep what their own processors say.
    let exception =
        |member: &str| if cfg!(target_arch = "x86_64") { may("task_struct", member) } else { Ok(ABSENT) };
    Ok(Offsets {
        task_pid: must("task_struct", "pid")?,
        task_tgid: must("task_struct", "tgid")?,
        // Renamed in 5.5 (cf25e24db61c).
        task_start: btf.offset_of_any("task_struct", &["start_boottime", "real_start_time"])?.offset,
        task_group_leader: must("task_struct", "group_leader")?,
        task_real_parent: must("task_struct", "real_parent")?,
        task_parent: may("task_struct", "parent")?,
        task_ptrace: may("task_struct", "ptrace")?,
        task_comm: must("task_struct", "comm")?,
        task_cred: must("task_struct", "cred")?,
        task_mm: must("task_struct", "mm")?,
        task_signal: must("task_struct", "signal")?,
        task_sighand: must("task_struct", "sighand")?,
        task_cgroups: may("task_struct", "cgroups")?,
        task_loginuid: may("task_struct", "loginuid")?,
        task_exit_code: must("task_struct", "exit_code")?,
        task_stack: must("task_struct", "stack")?,
        cred_uid: must("cred", "uid")?,
        cred_euid: must("cred", "euid")?,
        mm_arg_start: must("mm_struct", "arg_start")?,
        mm_arg_end: must("mm_struct", "arg_end")?,
        mm_exe_file: must("mm_struct", "exe_file")?,
        signal_live: must("signal_struct", "live")?,
        signal_flags: must("signal_struct", "flags")?,
        signal_group_exit_code: must("signal_struct", "group_exit_code")?,
        signal_pid_tgid: pid_of("PIDTYPE_TGID")?,
        signal_pid_pgid: pid_of("PIDTYPE_PGID")?,
        signal_pid_sid: pid_of("PIDTYPE_SID")?,
        signal_tty: may("signal_struct", "tty")?,
        tty_name: may("tty_struct", "name")?,
        sighand_handler: must("sighand_struct", "action")? + must("k_sigaction", "sa.sa_handler")?,
        k_sigaction_size: btf.size_of("k_sigaction")?,
        pid_level: must("pid", "level")?,
        pid_number: must("pid", "numbers")? + must("upid", "nr")?,
        upid_size: btf.size_of("upid")?,
        css_set_dfl_cgrp: may("css_set", "dfl_cgrp")?,
        cgroup_kn: may("cgroup", "kn")?,
        cgroup_root: may("cgroup", "root")?,
        cgroup_root_hierarchy: may("cgroup_root", "hierarchy_id")?,
        kernfs_id: may("kernfs_node", "id")?,
        kernfs_name: may("kernfs_node", "name")?,
        // Renamed in 6.15 (633488947ef6), when it came under RCU.
        kernfs_parent: match btf.offset_of_any("kernfs_node", &["__parent", "parent"]) {
            Ok(field) => field.offset,
            Err(BtfError::MissingMember { .. } | BtfError::MissingType { .. }) => ABSENT,
            Err(error) => return Err(error),
        },
        file_mnt: may("file", "f_path.mnt")?,
        file_dentry: may("file", "f_path.dentry")?,
        file_inode: may("file", "f_inode")?,
        inode_ino: may("inode", "i_ino")?,
        inode_sb: may("inode", "i_sb")?,
        sb_dev: may("super_block", "s_dev")?,
        dentry_name: may("dentry", "d_name.name")?,
        dentry_parent: may("dentry", "d_parent")?,
        mount_vfsmount: may("mount", "mnt")?,
        mount_root: may("mount", "mnt.mnt_root")?,
        mount_parent: may("mount", "mnt_parent")?,
        mount_mountpoint: may("mount", "mnt_mountpoint")?,
        // Only some kernels describe it; it is needed only where `bpf_task_pt_regs()` is missing.
        thread_size: match btf.size_of("thread_union") {
            Ok(size) => size,
            Err(BtfError::MissingType { .. }) => USUAL_THREAD_SIZE,
            Err(error) => return Err(error),
        },
        pt_regs_size: btf.size_of("pt_regs")?,
        regs_syscall: must("pt_regs", REGISTERS.syscall)?,
        regs_arg0: argument(0)?,
        regs_arg1: argument(1)?,
        regs_arg2: argument(2)?,
        regs_arg3: argument(3)?,
        regs_ip: must("pt_regs", REGISTERS.ip)?,
        regs_sp: must("pt_regs", REGISTERS.sp)?,
        thread_trap: exception("thread.trap_nr")?,
        thread_error: exception("thread.error_code")?,
    })
}
