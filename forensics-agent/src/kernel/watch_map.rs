//! The watch map: which processes the kernel programs record.

use std::collections::HashSet;
use std::io;

use aya::maps::{HashMap, MapData, MapError};
use forensics_common::{Target, target_flags};
use forensics_incident::model::ProcessKey;

use super::watch_pages::WatchPages;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// The agent's end of the watch map.
pub struct WatchMap {
    map: HashMap<MapData, u32, Target>,
    pages: WatchPages,
    follow: bool,
}

/// Why a process could not become a target.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// There is no such process, or it ended before it was watched.
    #[error("there is no process {0}")]
    NoProcess(u32),
    /// The kernel would not have it.
    #[error("process {pid} cannot be watched: {reason}")]
    Refused {
        /// Which.
        pid: u32,
        /// The kernel's answer.
        reason: String,
    },
}

impl WatchMap {
    /// Takes the map and the pages before it. With `follow`, the children of each target become targets too.
    pub fn new(map: HashMap<MapData, u32, Target>, pages: WatchPages, follow: bool) -> Self {
        Self { map, pages, follow }
    }

    /// Whether the children of targets become targets too, of those that are entered from now on.
    pub fn set_follow(&mut self, follow: bool) {
        self.follow = follow;
    }

    /// Watches a process that is there now. A pidfd ties the number to the process: when it is still alive after
    /// the entry was made, the entry is its own.
    ///
    /// # Errors
    ///
    /// The process does not exist, or ended in between; or the map is full.
    pub fn insert(&mut self, key: ProcessKey) -> Result<(), WatchError> {
        let flags = if self.follow { target_flags::FOLLOW } else { 0 };
        self.insert_as(key, flags | target_flags::HELD)
    }

    /// Watches a process for the cgroup that it is in, until it leaves; `member` is the bit of the hierarchy.
    ///
    /// # Errors
    ///
    /// As [`Self::insert`].
    pub fn insert_member(&mut self, key: ProcessKey, member: u32) -> Result<(), WatchError> {
        let flags = if self.follow { target_flags::FOLLOW } else { 0 };
        self.insert_as(key, flags | member)
    }

    /// Watches a process that is no target, and whose children are none.
    ///
    /// # Errors
    ///
    /// As [`Self::insert`].
    pub fn insert_aside(&mut self, key: ProcessKey) -> Result<(), WatchError> {
        self.insert_as(key, target_flags::HELD)
    }

    fn insert_as(&mut self, key: ProcessKey, flags: u32) -> Result<(), WatchError> {
        let no_process = || WatchError::NoProcess(key.pid);
        let pid = i32::try_from(key.pid).ok().and_then(Pid::from_raw).ok_or_else(no_process)?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(|_| no_process())?;
        let target = Target { start_boot_ns: key.start_boot_ns, signals: 0, flags, reserved: 0 };
        // An entry that is there already has counted signals: only its flags change. What cgroup it is in the kernel knows.
        let stays = target_flags::MEMBER | target_flags::HELD;
        let target = match self.map.get(&key.pid, 0) {
            Ok(old) => Target { signals: old.signals, flags: flags | old.flags & stays, ..target },
            Err(_) => target,
        };
        // First, so that the kernel does not take it for unwatched once it is in the map.
        self.pages.mark(key.pid, true);
        self.map.insert(key.pid, target, 0).map_err(|error| {
            self.pages.mark(key.pid, false);
            WatchError::Refused { pid: key.pid, reason: reason(&error) }
        })?;
        if has_ended(&pidfd) {
            self.remove(key.pid);
            return Err(no_process());
        }
        Ok(())
    }

    /// Confirms a process that the kernel entered provisionally.
    pub fn confirm(&mut self, key: ProcessKey) -> Result<(), WatchError> {
        self.insert(key)
    }

    /// Stops watching a process; true when it was watched.
    pub fn remove(&mut self, pid: u32) -> bool {
        let removed = self.map.remove(&pid).is_ok();
        if removed {
            self.pages.mark(pid, false);
        }
        removed
    }

    /// Everyone who is watched now, as target or aside.
    pub fn pids(&self) -> HashSet<u32> {
        self.map.keys().filter_map(Result::ok).collect()
    }

    /// True while the kernel still has the process as a target, that is, until its last thread ended.
    pub fn contains(&self, pid: u32) -> bool {
        self.map.get(&pid, 0).is_ok()
    }
}

/// True when all threads of the process have ended: its pidfd has become readable (pidfd_open(2)).
fn has_ended(pidfd: &impl std::os::fd::AsFd) -> bool {
    let mut fds = [rustix::event::PollFd::new(pidfd, rustix::event::PollFlags::IN)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
}

fn reason(error: &MapError) -> String {
    match error {
        MapError::SyscallError(error) if error.io_error.raw_os_error() == Some(libc::E2BIG) => {
            "16384 processes are watched already".to_owned()
        }
        MapError::SyscallError(error) => io::Error::to_string(&error.io_error),
        error => error.to_string(),
    }
}
