use crate::{Ancestor, Header, MAX_ANCESTORS, MAX_CGROUP_PATH, MAX_CMDLINE, TaskInfo};

/// Bytes kept of the path of a socket: all that `sockaddr_un` holds, rounded up (`include/uapi/linux/un.h`).
pub const MAX_SOCKET_PATH: usize = 112;
/// Bytes kept of what was sent.
pub const MAX_MESSAGE: usize = 1024;
/// Requests of one process that are recorded in [`RATE_WINDOW_NS`]; those beyond are counted.
pub const MAX_RATE: u64 = 64;
/// The time in which requests of one process are counted, nanoseconds.
pub const RATE_WINDOW_NS: u64 = 1_000_000_000;

/// A process sent a manager or a container engine what may be a request. Sent up to the end of the command line.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct RequestRecord {
    /// Kind [`Kind::Request`](crate::Kind::Request).
    pub header: Header,
    /// Who.
    pub sender: TaskInfo,
    /// Process id of who listens at the socket; 0 when it could not be read.
    pub listener: u32,
    /// [`request_flags`] bits.
    pub flags: u32,
    /// Entries of `ancestors` in use.
    pub ancestor_count: u32,
    /// Bytes of `cgroup_path` in use.
    pub cgroup_path_len: u32,
    /// Bytes of `socket_path` in use.
    pub socket_path_len: u32,
    /// Bytes of `message` in use.
    pub message_len: u32,
    /// Bytes of the command line in the record.
    pub cmdline_len: u32,
    /// Bytes of the command line in the sender's memory.
    pub cmdline_full_len: u32,
    /// Ancestors of the sender, nearest first.
    pub ancestors: [Ancestor; MAX_ANCESTORS],
    /// Names of the cgroup of the sender and its parents, innermost first, each NUL-terminated.
    pub cgroup_path: [u8; MAX_CGROUP_PATH],
    /// The path that the socket was bound to.
    pub socket_path: [u8; MAX_SOCKET_PATH],
    /// The beginning of what was sent.
    pub message: [u8; MAX_MESSAGE],
    /// The arguments of the sender, each NUL-terminated.
    pub cmdline: [u8; MAX_CMDLINE],
}

const _: () = assert!(core::mem::offset_of!(RequestRecord, cmdline).is_multiple_of(8));
const _: () = assert!(size_of::<RequestRecord>().is_multiple_of(8));

/// Bits of [`RequestRecord::flags`].
pub mod request_flags {
    /// The command line could not be read.
    pub const CMDLINE_FAULT: u32 = 1 << 0;
    /// The ancestry is complete: the last entry has no parent.
    pub const ANCESTRY_COMPLETE: u32 = 1 << 1;
    /// The cgroup path is complete up to the root.
    pub const CGROUP_COMPLETE: u32 = 1 << 2;
    /// It was recorded after it was sent: what it led to may have come first.
    pub const AFTERWARDS: u32 = 1 << 3;
}

/// How many requests a process made lately.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestRate {
    /// Since when they are counted, `CLOCK_BOOTTIME` nanoseconds.
    pub since_ns: u64,
    /// How many there were.
    pub count: u64,
}

const _: () = assert!(size_of::<RequestRate>() == 16);
