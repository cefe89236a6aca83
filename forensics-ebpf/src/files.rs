//! Open files of the running process, and what is behind them.

use aya_ebpf::helpers::generated::bpf_get_current_task;

use crate::{
    globals::{offset, socket_offset},
    read::{field, pointer},
};

/// The bits of a mode that are the type of the file, and two types (`include/uapi/linux/stat.h`).
const S_IFMT: u16 = 0o170_000;
const S_IFSOCK: u16 = 0o140_000;
const S_IFIFO: u16 = 0o010_000;

/// An open file.
pub(crate) struct File {
    file: u64,
    kind: u16,
}

impl File {
    /// That of a descriptor of the running process.
    #[inline(always)]
    pub(crate) fn of(descriptor: u32) -> Option<Self> {
        // SAFETY: the helper takes nothing.
        let current = unsafe { bpf_get_current_task() };
        let files = pointer(current, socket_offset!(task_files)).ok()?;
        let table = pointer(files, socket_offset!(files_table)).ok()?;
        let len: u32 = field(table, socket_offset!(table_len)).ok()?;
        if descriptor >= len {
            return None;
        }
        let array = pointer(table, socket_offset!(table_files)).ok()?;
        let file = pointer(array + u64::from(descriptor) * size_of::<u64>() as u64, 0).ok()?;
        let inode = pointer(file, offset!(file_inode)).ok()?;
        let mode: u16 = field(inode, socket_offset!(inode_mode)).ok()?;
        Some(Self { file, kind: mode & S_IFMT })
    }

    /// True for a pipe, with a name or without.
    #[inline(always)]
    pub(crate) fn is_pipe(&self) -> bool {
        self.kind == S_IFIFO
    }

    /// Its `struct sock`, when it is a socket.
    #[inline(always)]
    pub(crate) fn sock(&self) -> Option<u64> {
        if self.kind != S_IFSOCK {
            return None;
        }
        let socket = pointer(self.file, socket_offset!(file_private)).ok()?;
        pointer(socket, socket_offset!(socket_sk)).ok()
    }
}
