use std::collections::BTreeSet;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};
use rustix::io::Errno;

use super::fanotify::{Fanotify, Written};
use super::places::DEADLINE;
use crate::host::deadline::run_within;

/// The directories that are watched, each once however many targets share it.
///
/// None is kept open: a directory that is open is not gone for inotify when it is removed, and keeps its mount busy.
#[derive(Debug, Default)]
pub(super) struct Directories(Vec<Directory>);

/// A watched directory.
#[derive(Debug)]
struct Directory {
    /// Number of the inotify watch; directories are known by it.
    watch: i32,
    id: Identity,
    /// Its path in its mount, as the agent's root sees it.
    path: Vec<u8>,
    /// fanotify hands out its files.
    is_marked: bool,
}

/// Tells directories apart, and the mounts by which they are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: (u32, u32),
    inode: u64,
    mount: u64,
}

/// Makes an inotify queue.
///
/// # Errors
/// What `inotify_init1(2)` says.
pub(super) fn new_inotify() -> Result<OwnedFd, Errno> {
    inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
}

impl Directories {
    /// Watches a directory and yields the number by which it is known. Its files are handed out when `mark` is set.
    ///
    /// # Errors
    /// What `inotify_add_watch(2)` or `fanotify_mark(2)` says.
    pub(super) fn add(
        &mut self,
        fd: &OwnedFd,
        mark: bool,
        inotify: &OwnedFd,
        fanotify: &Fanotify,
    ) -> Result<i32, Errno> {
        let (id, path) = (identify(fd.as_fd())?, path_of(fd)?);
        let flags = WatchFlags::MOVED_TO | WatchFlags::CREATE | WatchFlags::MOVE_SELF | WatchFlags::ONLYDIR;
        let watch = inotify::add_watch(inotify, format!("/proc/self/fd/{}", fd.as_raw_fd()), flags)?;
        // inotify knows inodes: the same directory by another mount has the same number.
        if !self.0.iter().any(|directory| directory.watch == watch) {
            self.0.push(Directory { watch, id, path, is_marked: false });
        }
        let directory = self.0.iter_mut().find(|directory| directory.watch == watch);
        if let Some(directory) = directory.filter(|directory| mark && !directory.is_marked) {
            fanotify.mark(fd.as_fd())?;
            directory.is_marked = true;
        }
        Ok(watch)
    }

    /// Forgets a directory that is gone or elsewhere.
    pub(super) fn forget(&mut self, watch: i32, inotify: &OwnedFd, fanotify: &Fanotify) {
        let Some(index) = self.0.iter().position(|directory| directory.watch == watch) else { return };
        self.0.swap_remove(index).release(inotify, fanotify);
    }

    /// Stops watching all directories but these.
    pub(super) fn keep_only(&mut self, used: &BTreeSet<i32>, inotify: &OwnedFd, fanotify: &Fanotify) {
        let (kept, released) =
            std::mem::take(&mut self.0).into_iter().partition(|directory| used.contains(&directory.watch));
        self.0 = kept;
        for directory in released {
            directory.release(inotify, fanotify);
        }
    }

    /// True when nothing is watched.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The directory in which a file has, or last had, its name.
    ///
    /// The event does not say. A path means something together with a mount only, since containers use the same paths; so
    /// either both are those of the directory, or the path leads from the agent's own root to it. A file that was written
    /// by a third mount is counted for the one directory of its file system that is watched, when there is just one.
    pub(super) fn of(&self, written: &Written) -> Option<i32> {
        let parent = written.parent()?;
        let file = identify(written.file()).ok()?;
        let marked = || self.0.iter().filter(|directory| directory.is_marked);
        let by_mount = marked()
            .find(|directory| directory.id.mount == file.mount && is_same_path(&directory.path, &parent));
        if let Some(directory) = by_mount {
            return Some(directory.watch);
        }
        let seen = if parent.is_empty() { b"/".as_slice() } else { &parent };
        if let Ok(stat) = rustix::fs::lstat(seen)
            && let Some(directory) = marked().find(|directory| {
                let device = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
                (directory.id.device, directory.id.inode) == (device, stat.st_ino)
            })
        {
            return Some(directory.watch);
        }
        let mut same_device = marked().filter(|directory| directory.id.device == file.device);
        match (same_device.next(), same_device.next()) {
            (Some(directory), None) => Some(directory.watch),
            _ => None,
        }
    }
}

impl Directory {
    /// Stops watching it. A directory that is not found any more keeps its mark until its inode goes or the agent ends; its
    /// files are then handed out for nothing.
    fn release(self, inotify: &OwnedFd, fanotify: &Fanotify) {
        // Fails when the directory is gone, and then there is nothing to do.
        let _ = inotify::remove_watch(inotify, self.watch);
        if !self.is_marked {
            return;
        }
        let (id, path) = (self.id, self.path);
        let found = run_within(DEADLINE, move || {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let fd = rustix::fs::open(path, flags, Mode::empty()).ok()?;
            let found = identify(fd.as_fd()).ok()?;
            ((found.device, found.inode) == (id.device, id.inode)).then_some(fd)
        });
        if let Ok(Some(fd)) = found {
            fanotify.unmark(fd.as_fd());
        }
    }
}

fn is_same_path(directory: &[u8], parent: &[u8]) -> bool {
    directory == parent || (directory == b"/" && parent.is_empty())
}

fn path_of(fd: &OwnedFd) -> Result<Vec<u8>, Errno> {
    let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
    rustix::fs::readlink(link, Vec::new()).map(std::ffi::CString::into_bytes)
}

fn identify(fd: BorrowedFd<'_>) -> Result<Identity, Errno> {
    // STATX_MNT_ID since Linux 5.8; without it every mount is 0 and paths decide alone.
    let flags = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
    let stat = rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, flags)?;
    let device = (stat.stx_dev_major, stat.stx_dev_minor);
    Ok(Identity { device, inode: stat.stx_ino, mount: stat.stx_mnt_id })
}
