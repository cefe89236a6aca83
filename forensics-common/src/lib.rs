//! What the kernel programs and the agent share: wire records, map values and the offset table.
//!
//! Everything here is `repr(C)`, made of integers and byte arrays only, without padding that the compiler
//! chose: the sizes are asserted at compile time. Numbers are in host byte order; the record never leaves
//! the host. Bytes become enums in the agent through `TryFrom`, never by transmute.
#![no_std]

mod cgroup;
mod config;
mod counters;
mod exec;
mod exit;
mod fold;
mod fork;
mod header;
mod offsets;
mod outlet;
mod reach;
mod request;
mod signal;
mod sockets;
mod target;
mod task;
#[cfg(feature = "user")]
mod user;

pub use cgroup::{
    CgroupEvent, CgroupKey, CgroupRecord, MAX_CGROUP_PATH_TEXT, MAX_HIERARCHIES, NO_HIERARCHY, UNIFIED_SLOT,
    UnknownCgroupEvent,
};
pub use config::Config;
pub use counters::Counter;
pub use exec::{ExecEntry, ExecRecord, MAX_LEDGER_CMDLINE, MAX_LEDGER_PATH, exec_flags};
pub use exit::{ExitCaller, ExitRecord, MAX_EXIT_FRAMES, SIGNAL_GROUP_EXIT};
pub use fold::{FOLD_WINDOW_NS, FoldKey, FoldValue};
pub use fork::{ForkRecord, TaskKey};
pub use header::{Header, Kind, Stream, UnknownKind};
pub use offsets::{ABSENT, Offsets};
pub use outlet::{Outlet, OutletKind};
pub use reach::{REACH_PLACES, Reach, reach_id, reach_place};
pub use request::{
    MAX_MESSAGE, MAX_RATE, MAX_SOCKET_PATH, RATE_WINDOW_NS, RequestRate, RequestRecord, request_flags,
};
pub use signal::{
    Ancestor, MAX_ANCESTORS, MAX_CGROUP_PATH, MAX_CMDLINE, MAX_FRAMES, SIGINFO_WORDS, SignalRecord,
    signal_flags,
};
pub use sockets::SocketOffsets;
pub use target::{Target, WATCH_PAGE, target_flags, watch_place};
pub use task::{COMM_LEN, TTY_LEN, TaskInfo, task_missing};

/// Version of every layout in this crate. A program pinned by another version is not read.
pub const ABI_VERSION: u32 = 3;
