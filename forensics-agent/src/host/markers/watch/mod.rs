//! Markers as they are written.
//!
//! A gateway unlinks its marker within milliseconds of its writer, far quicker than anybody can look. So the directory of
//! every marker is watched: fanotify hands out a descriptor of each file that was written and closed there, which keeps
//! the content readable when the name is gone, and the pid of the writer. Python programs write a temporary
//! file and rename it over the marker: the kernel keeps the last name of an open file, an unlinked one included, so the
//! descriptor of the temporary file tells by itself that it became the marker. inotify tells when to look again.
//!
//! What this cannot see: a marker that the writer keeps open, writes by other machines on a network file system (such
//! directories are not watched, since handing out a descriptor could hang there), and a marker that is written into a
//! directory that is itself less old than the time it takes to react to `mkdir` and gone again by then.

mod directories;
mod fanotify;
mod places;
mod queue;
#[cfg(test)]
mod tests;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use forensics_incident::model::Missing;
use rustix::event::epoll;
use rustix::io::Errno;

use super::{MarkerFile, MarkerSpec, MarkerTarget};
use crate::host::proc::ProcDir;
use directories::Directories;
use fanotify::{Fanotify, Written};
use places::Places;
use queue::{Change, read_changes};

/// Why markers cannot be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    /// The agent lacks a privilege.
    #[error("markers are only seen while they exist: fanotify needs CAP_SYS_ADMIN")]
    Privilege,
    /// The kernel has no fanotify, or its limits are reached.
    #[error("markers are only seen while they exist: {call} failed: {errno}")]
    Kernel {
        /// The system call.
        call: &'static str,
        /// Its answer.
        errno: Errno,
    },
}

/// A marker that was written, or found when its directory came to be watched.
#[derive(Debug, Clone, PartialEq)]
pub struct MarkerEvent {
    /// Pid of the target whose marker it is.
    pub target: u32,
    /// The file.
    pub file: MarkerFile,
    /// Pid of the process that wrote it, in the agent's pid namespace; none when it was there before.
    pub writer: Option<u32>,
}

/// What has happened since it was last asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Drained {
    /// The markers, in the order in which they were written.
    pub events: Vec<MarkerEvent>,
    /// Markers that were written and not read.
    pub missing: Vec<(u32, Missing)>,
    /// The kernel's queue ran over, or a file could not be handed out: something may have been missed.
    pub lost: bool,
    /// There is more: drain again before waiting.
    pub more: bool,
}

/// Watches the directories of the markers of any number of targets.
#[derive(Debug)]
pub struct MarkerWatch {
    poll: OwnedFd,
    inotify: OwnedFd,
    fanotify: Fanotify,
    directories: Directories,
    places: Places,
    /// Files that may yet be renamed to a marker, oldest first.
    pending: Vec<(Written, Instant)>,
}

/// Files that are kept open for the rename that makes them markers, at most.
const PENDING_MAX: usize = 16;
/// How long they are kept.
const PENDING_FOR: Duration = Duration::from_secs(2);

impl MarkerWatch {
    /// Starts to watch, nothing yet.
    ///
    /// # Errors
    /// [`WatchError`]
    pub fn new() -> Result<MarkerWatch, WatchError> {
        let failed = |call| move |errno| WatchError::Kernel { call, errno };
        let fanotify = Fanotify::new()?;
        let inotify = directories::new_inotify().map_err(failed("inotify_init1"))?;
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed("epoll_create1"))?;
        for source in [fanotify.as_fd(), inotify.as_fd()] {
            let data = epoll::EventData::new_u64(0);
            epoll::add(&poll, source, data, epoll::EventFlags::IN).map_err(failed("epoll_ctl"))?;
        }
        let (directories, places) = (Directories::default(), Places::default());
        Ok(MarkerWatch { poll, inotify, fanotify, directories, places, pending: Vec::new() })
    }

    /// Watches for the markers of one more target, and yields those that exist already. A directory that does not exist
    /// yet is waited for in the nearest one that does.
    pub fn add(&mut self, dir: ProcDir, target: MarkerTarget, specs: &Arc<[MarkerSpec]>) -> Drained {
        self.remove(target.pid);
        let mut drained = Drained::default();
        self.places.add(dir, target, specs, &mut drained.missing);
        self.arm(&mut drained);
        drained
    }

    /// Watches for a target no more.
    pub fn remove(&mut self, pid: u32) {
        self.places.remove(pid);
        self.directories.keep_only(&self.places.used_directories(), &self.inotify, &self.fanotify);
    }

    /// What has happened. Never blocks; reads a bounded amount, see [`Drained::more`].
    pub fn drain(&mut self) -> Drained {
        let mut drained = Drained::default();
        self.forget_expired(Instant::now());
        // Renames first: the writes that led to them are then in the other queue already.
        let changes = read_changes(&self.inotify, &mut drained);
        for written in self.fanotify.read(&mut drained) {
            self.take_written(written, &mut drained);
        }
        let mut must_arm = false;
        for change in changes {
            match change {
                Change::Appeared { watch, name, is_rename } => {
                    must_arm |= self.places.is_waiting_for(watch, &name);
                    // What was just made is reported when its writer closes it.
                    if is_rename {
                        self.take_renamed(watch, &name, &mut drained);
                    }
                }
                Change::Gone { watch } => {
                    self.directories.forget(watch, &self.inotify, &self.fanotify);
                    must_arm |= self.places.disarm(watch);
                }
            }
        }
        if must_arm {
            self.arm(&mut drained);
        }
        drained
    }

    /// When [`MarkerWatch::drain`] should be called even though nothing has happened, so that no file is kept open
    /// longer than need be. None most of the time.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.pending.first().map(|(_, expires)| *expires)
    }

    /// Watches directories that are not watched yet, and reads the markers in those that came to be.
    fn arm(&mut self, drained: &mut Drained) {
        self.places.arm(&mut self.directories, &self.inotify, &self.fanotify, drained);
        self.directories.keep_only(&self.places.used_directories(), &self.inotify, &self.fanotify);
    }

    /// A file was written and closed: it is a marker, or may become one.
    fn take_written(&mut self, written: Written, drained: &mut Drained) {
        let Some(name) = written.name() else { return };
        if self.places.is_marker_name(&name) {
            self.places.report(&written, &name, &self.directories, drained);
        } else if written.is_small_file() {
            if self.pending.len() >= PENDING_MAX {
                self.pending.remove(0);
            }
            self.pending.push((written, Instant::now() + PENDING_FOR));
        }
    }

    /// A file was renamed into a watched directory, or within it.
    fn take_renamed(&mut self, watch: i32, name: &[u8], drained: &mut Drained) {
        if !self.places.is_marker_name(name) {
            return;
        }
        let became = |(written, _): &(Written, Instant)| written.name().as_deref() == Some(name);
        let mut became_markers = Vec::new();
        while let Some(index) = self.pending.iter().position(became) {
            became_markers.push(self.pending.remove(index).0);
        }
        for written in &became_markers {
            self.places.report(written, name, &self.directories, drained);
        }
        if became_markers.is_empty() {
            // It came from another directory, or has been reported by its writer's close.
            self.places.look(watch, name, drained);
        }
    }

    fn forget_expired(&mut self, now: Instant) {
        self.pending.retain(|(_, expires)| *expires > now);
    }
}

impl AsRawFd for MarkerWatch {
    fn as_raw_fd(&self) -> RawFd {
        self.poll.as_raw_fd()
    }
}

impl AsFd for MarkerWatch {
    /// Readable when [`MarkerWatch::drain`] has something to say.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poll.as_fd()
    }
}
