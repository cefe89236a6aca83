//! Processes as `/proc` shows them.
//!
//! A directory descriptor of `/proc/PID` is opened once and every file is opened beneath it: such a
//! descriptor belongs to that very process, so a pid that is reused meanwhile yields an error and never
//! a mixture of two processes. Foreign bytes may be of any encoding; nothing here fails on them.

mod cgroup;
mod cmdline;
mod dir;
mod environ;
mod key;
mod list;
mod maps;
mod process;
mod stat;
mod status;
mod time;
mod tty;

pub use cgroup::cgroup_path;
pub use cmdline::{CMDLINE_CAP, Cmdline};
pub use dir::{ProcDir, ProcError};
pub use environ::Environ;
pub use key::{Remains, is_alive, is_alone_with_pid, read_key, remains, state};
pub use list::{PidNamespace, exists, list_pids, pid_namespace};
pub use maps::location;
pub use process::{
    ANCESTORS_MAX, Forebears, read_process, read_process_alone, read_process_among, read_process_noting,
};
pub use stat::Stat;
pub use status::Status;
pub use time::{boot_ns_of_ticks, same_start, ticks_of_boot_ns};
pub use tty::tty_name;
