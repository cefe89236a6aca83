//! Where the running kernel keeps what has to do with open files and sockets.

use forensics_common::{ABSENT, SocketOffsets};

use crate::kernel::btf::{Btf, BtfError};

/// `sockaddr_un.sun_path` (`include/uapi/linux/un.h`).
const SUN_PATH: u32 = 2;
/// The direction of an iterator before 5.14, in the byte that also says its kind (`include/linux/uio.h`).
const DIRECTION: u32 = 1;

/// Resolves what there is; what this kernel lacks is absent, and the hook that needs it sees nothing.
///
/// # Errors
///
/// The BTF is damaged.
pub(super) fn resolve(btf: &Btf<'_>) -> Result<SocketOffsets, BtfError> {
    let any = |structure: &str, members: &[&str]| match btf.offset_of_any(structure, members) {
        Ok(field) => Ok(field.offset),
        Err(BtfError::MissingMember { .. } | BtfError::MissingType { .. }) => Ok(ABSENT),
        Err(error) => Err(error),
    };
    let value = |enumerator: &str| match btf.enum_value("iter_type", enumerator) {
        // 0 to 5, or a bit in the lowest byte.
        Ok(value) => Ok(u32::try_from(value).unwrap_or(ABSENT)),
        Err(BtfError::MissingMember { .. } | BtfError::MissingType { .. }) => Ok(ABSENT),
        Err(error) => Err(error),
    };
    let address = any("unix_address", &["name"])?;
    let own_byte = any("iov_iter", &["iter_type"])?;
    Ok(SocketOffsets {
        socket_sk: any("socket", &["sk"])?,
        sock_family: any("sock", &["__sk_common.skc_family"])?,
        sock_peer_pid: any("sock", &["sk_peer_pid"])?,
        sock_address: any("sock", &["__sk_common.skc_daddr"])?,
        sock_address6: any("sock", &["__sk_common.skc_v6_daddr"])?,
        sock_port: any("sock", &["__sk_common.skc_dport"])?,
        unix_peer: any("unix_sock", &["peer"])?,
        unix_addr: any("unix_sock", &["addr"])?,
        address_len: any("unix_address", &["len"])?,
        address_path: if address == ABSENT { ABSENT } else { address + SUN_PATH },
        msghdr_iter: any("msghdr", &["msg_iter"])?,
        // A byte of its own since 5.14 (8cd54c1c8480).
        iter_type: if own_byte == ABSENT { any("iov_iter", &["type"])? } else { own_byte },
        // Renamed in 6.4 (de4f5fed3f23).
        iter_iov: any("iov_iter", &["__iov", "iov"])?,
        iter_ubuf: any("iov_iter", &["ubuf"])?,
        iter_count: any("iov_iter", &["count"])?,
        iter_segments: any("iov_iter", &["nr_segs"])?,
        iter_iovec: value("ITER_IOVEC")?,
        iter_is_ubuf: value("ITER_UBUF")?,
        iter_mask: if own_byte == ABSENT { 0xff & !DIRECTION } else { 0xff },
        task_files: any("task_struct", &["files"])?,
        files_table: any("files_struct", &["fdt"])?,
        table_len: any("fdtable", &["max_fds"])?,
        table_files: any("fdtable", &["fd"])?,
        file_private: any("file", &["private_data"])?,
        inode_mode: any("inode", &["i_mode"])?,
        nr_sendmsg: number(libc::SYS_sendmsg),
        nr_sendto: number(libc::SYS_sendto),
        nr_write: number(libc::SYS_write),
        nr_writev: number(libc::SYS_writev),
    })
}

fn number(syscall: libc::c_long) -> u32 {
    u32::try_from(syscall).unwrap_or(ABSENT)
}
