use std::io;

use super::dir::ProcDir;
use super::status::Status;

/// Every process that `/proc` shows, in the order of their pids.
///
/// # Errors
/// What reading the directory `/proc` says.
pub fn list_pids() -> io::Result<Vec<u32>> {
    let mut pids = Vec::with_capacity(256);
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        pids.extend(name.to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    pids.sort_unstable();
    Ok(pids)
}

/// True when there is a process (or thread) of that number, also one that we may not look into.
pub fn exists(pid: u32) -> bool {
    ProcDir::open(pid).is_ok()
}

/// Where the agent stands: the kernel programs speak of pids of the initial pid namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PidNamespace {
    /// In the initial one: its pids are the kernel's.
    Initial,
    /// In a nested one, or with the `/proc` of one.
    Nested,
    /// It could not be told.
    Unknown,
}

/// `PROC_PID_INIT_INO` of `include/linux/proc_ns.h`: the inode number of the initial pid namespace.
const PROC_PID_INIT_INO: u64 = 0xEFFF_FFFC;

/// Which pid namespace the agent and its `/proc` are in.
pub fn pid_namespace() -> PidNamespace {
    let own = rustix::process::getpid().as_raw_nonzero().get().cast_unsigned();
    // Seen through the /proc of another namespace, `self` has another number there, or none at all.
    let shown = std::fs::read_link("/proc/self").ok();
    let is_own_proc = shown.is_some_and(|link| link.to_str() == Some(&own.to_string()));
    match rustix::fs::stat("/proc/self/ns/pid") {
        Ok(_) if !is_own_proc || nested_pid(own).is_some() => PidNamespace::Nested,
        Ok(stat) if stat.st_ino == PROC_PID_INIT_INO => PidNamespace::Initial,
        Ok(_) => PidNamespace::Nested,
        Err(_) => PidNamespace::Unknown,
    }
}

/// The pid in an inner namespace, when `/proc` belongs to an outer one.
fn nested_pid(pid: u32) -> Option<u32> {
    let mut buffer = Vec::new();
    ProcDir::open(pid).ok()?.read(c"status", &mut buffer, 1 << 20).ok()?;
    Status::parse(&buffer).ns_pid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_finds_itself() {
        let own = std::process::id();
        assert!(list_pids().unwrap().contains(&own));
        assert!(exists(own) && !exists(0) && !exists(u32::MAX));
        assert_ne!(pid_namespace(), PidNamespace::Unknown);
    }
}
