//! Reading pidfiles and scripts that somebody else chose the names of.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::{Found, words};
use crate::host::markers::{FileError, FileImage, read_file};
use crate::host::pidfile;

/// A pidfile may hold more than a number: postmaster.pid has eight lines.
const PIDFILE_CAP: usize = 4096;
/// How much of a script is looked at, bytes; a larger one is not.
const SCRIPT_CAP: usize = 64 << 10;
/// Directories in `/run` that are looked into, and files in all.
const MAX_ENTRIES: usize = 512;

/// Where somebody sees files: the root of its file system, and the directory in which it is.
pub(super) struct Place {
    pub(super) root: OwnedFd,
    /// As seen from the root.
    pub(super) cwd: Option<Vec<u8>>,
}

impl Place {
    /// A path as seen from the root.
    fn absolute(&self, name: &str) -> Option<Vec<u8>> {
        if name.starts_with('/') {
            return Some(name.as_bytes().to_vec());
        }
        let cwd = self.cwd.as_ref().filter(|cwd| cwd.starts_with(b"/"))?;
        Some([cwd, &b"/"[..], name.as_bytes()].concat())
    }

    fn read(&self, path: &[u8], owners: &[u32], cap: usize) -> Result<FileImage, FileError> {
        match (read_file(self.root.as_fd(), path, owners, cap), path.strip_prefix(b"/var/run/")) {
            // A link to /run since Debian 7 and Fedora 15; it is the only one that is trusted.
            (Err(FileError::SymbolicLink), Some(rest)) => {
                read_file(self.root.as_fd(), &[b"/run/", rest].concat(), owners, cap)
            }
            (result, _) => result,
        }
    }

    /// The pidfile of this name, when it is one.
    pub(super) fn pidfile(&self, name: &str, owners: &[u32]) -> Option<Found> {
        let path = self.absolute(name)?;
        let FileImage { bytes, modified } = self.read(&path, owners, PIDFILE_CAP).ok()?;
        let pid = pidfile::pid_of(&bytes)?;
        Some(Found { path: String::from_utf8_lossy(&path).into_owned(), pid, modified, owner: None })
    }

    /// The path of a script, and the names of pidfiles in it.
    pub(super) fn script(&self, name: &str, owners: &[u32]) -> Option<(String, Vec<String>)> {
        let path = self.absolute(name)?;
        let FileImage { bytes, .. } = self.read(&path, owners, SCRIPT_CAP).ok()?;
        Some((String::from_utf8_lossy(&path).into_owned(), words::in_text(&String::from_utf8_lossy(&bytes))))
    }
}

/// The agent's own root.
pub(super) fn own_root() -> Result<OwnedFd, Errno> {
    rustix::fs::openat(CWD, c"/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// All pidfiles in `/run` and one level below, whatever they hold. Other file systems that are mounted there are left
/// alone: they may be slow, or somebody's own.
pub(super) fn in_run() -> Vec<Found> {
    let mut found = Vec::new();
    let Ok(run) = open_below(CWD, "/run", OFlags::DIRECTORY) else { return found };
    let (mut directories, mut looked_at) = (Vec::new(), 0);
    collect(run.as_fd(), "/run", &mut found, &mut looked_at, Some(&mut directories));
    for name in directories {
        if let Ok(directory) = open_below(&run, &name, OFlags::DIRECTORY) {
            collect(directory.as_fd(), &format!("/run/{name}"), &mut found, &mut looked_at, None);
        }
    }
    found
}

fn collect(
    directory: BorrowedFd<'_>,
    path: &str,
    found: &mut Vec<Found>,
    looked_at: &mut usize,
    mut below: Option<&mut Vec<String>>,
) {
    let Ok(entries) = Dir::read_from(directory) else { return };
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().to_str() else { continue };
        let kind = entry.file_type();
        if kind == FileType::Directory && !name.starts_with('.') {
            if let Some(below) = below.as_deref_mut().filter(|below| below.len() < MAX_ENTRIES) {
                below.push(name.to_owned());
            }
        } else if kind == FileType::RegularFile && name.ends_with(".pid") && *looked_at < MAX_ENTRIES {
            *looked_at += 1;
            found.extend(read_known(directory, name, format!("{path}/{name}")));
        }
    }
}

fn read_known(directory: BorrowedFd<'_>, name: &str, path: String) -> Option<Found> {
    let file = open_below(directory, name, OFlags::NONBLOCK | OFlags::NOCTTY).ok()?;
    let stat = rustix::fs::fstat(&file).ok()?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink > 1 {
        return None;
    }
    let mut text = [0; 64];
    let (text, _) = rustix::io::pread(&file, &mut text[..], 0).ok().map(|read| text.split_at(read))?;
    let modified = stat.st_mtime as f64 + stat.st_mtime_nsec as f64 / 1e9;
    Some(Found { path, pid: pidfile::pid_of(text)?, modified, owner: Some(stat.st_uid) })
}

/// Opens for reading what is there itself: no link, no other file system.
fn open_below(directory: impl std::os::fd::AsFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let resolve =
        if path.starts_with('/') { resolve } else { resolve | ResolveFlags::NO_XDEV | ResolveFlags::BENEATH };
    rustix::fs::openat2(directory, path, OFlags::RDONLY | OFlags::CLOEXEC | flags, Mode::empty(), resolve)
}
