/// An offset of a field that the running kernel does not have.
pub const ABSENT: u32 = u32::MAX;

/// Byte offsets of kernel structure members, resolved from the running kernel's BTF when the programs are
/// loaded. The table is read-only data: the verifier knows every value, so code behind an absent field is
/// not even verified.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offsets {
    /// `task_struct.pid`: the thread id.
    pub task_pid: u32,
    /// `task_struct.tgid`
    pub task_tgid: u32,
    /// `task_struct.start_boottime`, or `real_start_time` before 5.5.
    pub task_start: u32,
    /// `task_struct.group_leader`
    pub task_group_leader: u32,
    /// `task_struct.real_parent`
    pub task_real_parent: u32,
    /// `task_struct.parent`: the tracer, where there is one.
    pub task_parent: u32,
    /// `task_struct.ptrace`: not 0 while it is traced.
    pub task_ptrace: u32,
    /// `task_struct.comm`
    pub task_comm: u32,
    /// `task_struct.cred`
    pub task_cred: u32,
    /// `task_struct.mm`
    pub task_mm: u32,
    /// `task_struct.signal`
    pub task_signal: u32,
    /// `task_struct.sighand`
    pub task_sighand: u32,
    /// `task_struct.cgroups`
    pub task_cgroups: u32,
    /// `task_struct.loginuid`, absent without `CONFIG_AUDIT`.
    pub task_loginuid: u32,
    /// `task_struct.exit_code`
    pub task_exit_code: u32,
    /// `task_struct.stack`
    pub task_stack: u32,
    /// `cred.uid`
    pub cred_uid: u32,
    /// `cred.euid`
    pub cred_euid: u32,
    /// `mm_struct.arg_start`
    pub mm_arg_start: u32,
    /// `mm_struct.arg_end`
    pub mm_arg_end: u32,
    /// `mm_struct.exe_file`
    pub mm_exe_file: u32,
    /// `signal_struct.live.counter`
    pub signal_live: u32,
    /// `signal_struct.flags`
    pub signal_flags: u32,
    /// `signal_struct.group_exit_code`
    pub signal_group_exit_code: u32,
    /// `signal_struct.pids[PIDTYPE_TGID]`
    pub signal_pid_tgid: u32,
    /// `signal_struct.pids[PIDTYPE_PGID]`
    pub signal_pid_pgid: u32,
    /// `signal_struct.pids[PIDTYPE_SID]`
    pub signal_pid_sid: u32,
    /// `signal_struct.tty`
    pub signal_tty: u32,
    /// `tty_struct.name`
    pub tty_name: u32,
    /// `sighand_struct.action[0].sa.sa_handler`
    pub sighand_handler: u32,
    /// Size of `struct k_sigaction`, the distance from one handler to the next.
    pub k_sigaction_size: u32,
    /// `pid.level`
    pub pid_level: u32,
    /// `pid.numbers[0].nr`
    pub pid_number: u32,
    /// Size of `struct upid`, the distance from one pid namespace level to the next.
    pub upid_size: u32,
    /// `css_set.dfl_cgrp`
    pub css_set_dfl_cgrp: u32,
    /// `cgroup.kn`
    pub cgroup_kn: u32,
    /// `cgroup.root`
    pub cgroup_root: u32,
    /// `cgroup_root.hierarchy_id`
    pub cgroup_root_hierarchy: u32,
    /// `kernfs_node.id`
    pub kernfs_id: u32,
    /// `kernfs_node.name`
    pub kernfs_name: u32,
    /// `kernfs_node.parent`, `__parent` since 6.15.
    pub kernfs_parent: u32,
    /// `file.f_path.mnt`
    pub file_mnt: u32,
    /// `file.f_path.dentry`
    pub file_dentry: u32,
    /// `file.f_inode`
    pub file_inode: u32,
    /// `inode.i_ino`
    pub inode_ino: u32,
    /// `inode.i_sb`
    pub inode_sb: u32,
    /// `super_block.s_dev`
    pub sb_dev: u32,
    /// `dentry.d_name.name`
    pub dentry_name: u32,
    /// `dentry.d_parent`
    pub dentry_parent: u32,
    /// `mount.mnt`: from a `vfsmount` back to its `mount`.
    pub mount_vfsmount: u32,
    /// `mount.mnt.mnt_root`
    pub mount_root: u32,
    /// `mount.mnt_parent`
    pub mount_parent: u32,
    /// `mount.mnt_mountpoint`
    pub mount_mountpoint: u32,
    /// Size of `union thread_union`: the kernel stack; absent from the BTF of many kernels.
    pub thread_size: u32,
    /// Size of `struct pt_regs`.
    pub pt_regs_size: u32,
    /// System call number in the saved user registers.
    pub regs_syscall: u32,
    /// First argument of the system call in the saved user registers.
    pub regs_arg0: u32,
    /// Second argument.
    pub regs_arg1: u32,
    /// Third argument.
    pub regs_arg2: u32,
    /// Fourth argument.
    pub regs_arg3: u32,
    /// Instruction pointer in the saved user registers.
    pub regs_ip: u32,
    /// Stack pointer in the saved user registers.
    pub regs_sp: u32,
    /// `task_struct.thread.trap_nr`: the last processor exception of the thread, x86 only.
    pub thread_trap: u32,
    /// `task_struct.thread.error_code`: what the processor said of it, x86 only.
    pub thread_error: u32,
}

impl Offsets {
    /// Nothing is known: what the object holds until the agent fills it in.
    pub const UNKNOWN: Self = Self::from_words([ABSENT; Self::WORDS]);

    const WORDS: usize = size_of::<Self>() / size_of::<u32>();

    const fn from_words(words: [u32; Self::WORDS]) -> Self {
        // SAFETY: both are plain arrays of `u32` of the same size, see the assertion below.
        unsafe { core::mem::transmute(words) }
    }
}

const _: () = assert!(size_of::<Offsets>() == 64 * size_of::<u32>());
