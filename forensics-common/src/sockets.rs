use crate::ABSENT;

/// Where the running kernel keeps what has to do with open files, sockets, and what is sent through them: for the programs that
/// see requests, and for broken pipes. As [`Offsets`](crate::Offsets), and apart from them since all of it may be absent.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketOffsets {
    /// `socket.sk`
    pub socket_sk: u32,
    /// `sock.__sk_common.skc_family`
    pub sock_family: u32,
    /// `sock.sk_peer_pid`: of a client, who listens.
    pub sock_peer_pid: u32,
    /// `sock.__sk_common.skc_daddr`
    pub sock_address: u32,
    /// `sock.__sk_common.skc_v6_daddr`
    pub sock_address6: u32,
    /// `sock.__sk_common.skc_dport`
    pub sock_port: u32,
    /// `unix_sock.peer`
    pub unix_peer: u32,
    /// `unix_sock.addr`
    pub unix_addr: u32,
    /// `unix_address.len`
    pub address_len: u32,
    /// `unix_address.name[0].sun_path`
    pub address_path: u32,
    /// `msghdr.msg_iter`
    pub msghdr_iter: u32,
    /// `iov_iter.iter_type`, `type` before 5.14.
    pub iter_type: u32,
    /// `iov_iter.__iov`, `iov` before 6.4.
    pub iter_iov: u32,
    /// `iov_iter.ubuf`, since 6.0.
    pub iter_ubuf: u32,
    /// `iov_iter.count`
    pub iter_count: u32,
    /// `iov_iter.nr_segs`
    pub iter_segments: u32,
    /// Value of `ITER_IOVEC`.
    pub iter_iovec: u32,
    /// Value of `ITER_UBUF`, since 6.0.
    pub iter_is_ubuf: u32,
    /// The bits of the type that hold it: before 5.14 the lowest is the direction.
    pub iter_mask: u32,
    /// `task_struct.files`
    pub task_files: u32,
    /// `files_struct.fdt`
    pub files_table: u32,
    /// `fdtable.max_fds`
    pub table_len: u32,
    /// `fdtable.fd`
    pub table_files: u32,
    /// `file.private_data`
    pub file_private: u32,
    /// `inode.i_mode`
    pub inode_mode: u32,
    /// Number of `sendmsg(2)` on this architecture.
    pub nr_sendmsg: u32,
    /// Number of `sendto(2)`.
    pub nr_sendto: u32,
    /// Number of `write(2)`.
    pub nr_write: u32,
    /// Number of `writev(2)`.
    pub nr_writev: u32,
}

impl SocketOffsets {
    /// Nothing is known: what the object holds until the agent fills it in.
    pub const UNKNOWN: Self = Self {
        socket_sk: ABSENT,
        sock_family: ABSENT,
        sock_peer_pid: ABSENT,
        sock_address: ABSENT,
        sock_address6: ABSENT,
        sock_port: ABSENT,
        unix_peer: ABSENT,
        unix_addr: ABSENT,
        address_len: ABSENT,
        address_path: ABSENT,
        msghdr_iter: ABSENT,
        iter_type: ABSENT,
        iter_iov: ABSENT,
        iter_ubuf: ABSENT,
        iter_count: ABSENT,
        iter_segments: ABSENT,
        iter_iovec: ABSENT,
        iter_is_ubuf: ABSENT,
        iter_mask: ABSENT,
        task_files: ABSENT,
        files_table: ABSENT,
        table_len: ABSENT,
        table_files: ABSENT,
        file_private: ABSENT,
        inode_mode: ABSENT,
        nr_sendmsg: ABSENT,
        nr_sendto: ABSENT,
        nr_write: ABSENT,
        nr_writev: ABSENT,
    };
}

const _: () = assert!(size_of::<SocketOffsets>() == 29 * size_of::<u32>());
