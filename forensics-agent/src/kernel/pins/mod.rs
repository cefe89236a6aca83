//! Kernel programs that outlive the agent: pinned in the bpf file system, and gone on with by the next agent.
//!
//! See `docs/PERSISTENCE.md`. What is pinned stands in one directory: each map, each program and its link, and last of all the [`Manifest`], without which
//! the rest is taken for the remains of an agent that died while it pinned.

mod adopt;
mod lock;
mod manifest;
mod place;

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

pub use adopt::{Adopted, Earlier, Found};
use lock::{Lock, LockError};
pub use manifest::{Fit, MANIFEST_SIZE, Manifest, Wanted};
use place::{beside, is_own};

/// Where the programs are pinned unless it is said otherwise.
pub const DEFAULT_DIRECTORY: &str = "/sys/fs/bpf/forensics-agent";

/// `BPF_FS_MAGIC` of `include/uapi/linux/magic.h`.
const BPF_FS: i64 = 0xcafe_4a11;

/// The maps that are pinned, by their names in the object. The others are of use to the programs alone, which hold them.
pub(super) const MAPS: [&str; 10] =
    ["EVENTS", "TARGETS", "WATCHED", "CGROUPS", "FOLDS", "REACHES", "LEDGER", "LINEAGE", "COUNTERS", CONFIG];
/// The map of the configuration.
const CONFIG: &str = ".data";
const MANIFEST: &str = "manifest";
/// The directory below the one that is asked for. That one itself may be where a sandbox ends, and cannot be renamed then.
const CURRENT: &str = "current";
/// The one of those that are to take its place.
const NEXT: &str = "next";

/// Why programs cannot be pinned, or what is pinned cannot be removed.
#[derive(Debug, Error)]
pub enum PinError {
    /// There is no bpf file system.
    #[error(
        "{} is not in a bpf file system; mount one with `mount -t bpf -o mode=0700 bpf /sys/fs/bpf`", path.display()
    )]
    NoFileSystem {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Another agent has it.
    #[error("what is pinned in {} belongs to the agent with pid {pid}", path.display())]
    Held {
        /// The directory.
        path: PathBuf,
        /// The agent.
        pid: u32,
    },
    /// Somebody else may have put what is in it there.
    #[error("{} belongs to another user, or others may write to it", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{}: {why}", path.display())]
    Failed {
        /// The directory or file.
        path: PathBuf,
        /// What it said.
        why: io::Error,
    },
    /// A name that cannot be one of a directory of ours.
    #[error("{} does not end in the name of a directory", path.display())]
    NoName {
        /// The directory.
        path: PathBuf,
    },
}

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Programs that were attached.
    pub links: usize,
    /// Maps.
    pub maps: usize,
}

impl Removed {
    /// True when nothing was there.
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

/// A directory for what is pinned, which no other agent has while this is there.
#[derive(Debug, Clone)]
pub struct Pins {
    /// The directory that was asked for.
    root: PathBuf,
    /// Where things are pinned.
    directory: PathBuf,
    _lock: Arc<Lock>,
}

impl Pins {
    /// Takes a directory, which need not be there yet.
    ///
    /// # Errors
    /// It is in no bpf file system, is not our own, or another agent has it.
    pub fn take(directory: &Path) -> Result<Self, PinError> {
        let parent = directory.parent().unwrap_or(directory);
        let is_bpf_fs = is_bpf_fs(parent).map_err(|why| PinError::Failed { path: parent.to_owned(), why })?;
        if !is_bpf_fs {
            return Err(PinError::NoFileSystem { path: parent.to_owned() });
        }
        for directory in [directory, &directory.join(CURRENT), &directory.join(NEXT)] {
            if std::fs::symlink_metadata(directory).is_ok_and(|metadata| !is_own(&metadata)) {
                return Err(PinError::Foreign { path: directory.to_owned() });
            }
        }
        let path = beside(directory, "lock")?;
        let lock = Lock::take(&path).map_err(|error| match error {
            LockError::Held(pid) => PinError::Held { path: directory.to_owned(), pid },
            LockError::Failed(why) => PinError::Failed { path, why },
        })?;
        Ok(Self { root: directory.to_owned(), directory: directory.join(CURRENT), _lock: Arc::new(lock) })
    }

    /// Where it is.
    pub fn place(&self) -> &Path {
        &self.root
    }

    /// Where the records are kept that were taken off the ring, and not done with.
    ///
    /// # Errors
    /// The directory has no name.
    pub fn journal(&self) -> Result<PathBuf, PinError> {
        beside(&self.root, "records")
    }

    /// Removes the directory that was asked for, the records that were kept, and the lock. To be called last.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn forget(&self) -> Result<(), PinError> {
        // In a sandbox it may be a mount, which stays.
        let _ = std::fs::remove_dir(&self.root);
        for kind in ["records", "records-new", "lock"] {
            let path = beside(&self.root, kind)?;
            match std::fs::remove_file(&path) {
                Err(why) if why.kind() != io::ErrorKind::NotFound => {
                    return Err(PinError::Failed { path, why });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes everything that is pinned: programs that nobody else holds are detached.
    ///
    /// # Errors
    /// A file cannot be removed; the others are.
    pub fn remove(&self) -> Result<Removed, PinError> {
        let failed = |path: &Path, why| PinError::Failed { path: path.to_owned(), why };
        let (mut removed, mut stays) = (Removed::default(), None);
        // Whoever finds the rest without it knows what it is.
        let mut names = vec![MANIFEST.to_owned()];
        match std::fs::read_dir(&self.directory) {
            Ok(entries) => names.extend(
                entries
                    .flatten()
                    .filter_map(|entry| entry.file_name().into_string().ok())
                    .filter(|name| is_ours(name)),
            ),
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(removed),
            Err(why) => return Err(failed(&self.directory, why)),
        }
        for name in names {
            let path = self.directory.join(&name);
            match std::fs::remove_file(&path) {
                Ok(()) if name.starts_with("link_") => removed.links += 1,
                Ok(()) if name.starts_with("map_") => removed.maps += 1,
                Ok(()) => {}
                Err(why) if why.kind() == io::ErrorKind::NotFound => {}
                Err(why) => stays = stays.or(Some(failed(&path, why))),
            }
        }
        if let Some(why) = stays {
            return Err(why);
        }
        std::fs::remove_dir(&self.directory).map_err(|why| failed(&self.directory, why))?;
        Ok(removed)
    }

    /// Where programs are pinned that are to replace those that are here.
    #[must_use]
    pub fn next(&self) -> Self {
        Self { directory: self.root.join(NEXT), ..self.clone() }
    }

    /// Puts those in the place of these, which are detached.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn replace(&self) -> Result<(), PinError> {
        self.remove()?;
        let next = self.next().directory;
        std::fs::rename(&next, &self.directory).map_err(|why| PinError::Failed { path: next, why })
    }

    /// Ends a replacement that an agent died in: where the earlier programs are gone, the next ones take their place.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn settle(&self) -> Result<(), PinError> {
        let next = self.next();
        if next.manifest().exists() && !self.manifest().exists() {
            return self.replace();
        }
        next.remove().map(drop)
    }

    fn make(&self) -> Result<(), PinError> {
        for directory in [&self.root, &self.directory] {
            let failed = |why| PinError::Failed { path: directory.clone(), why };
            match std::fs::DirBuilder::new().mode(0o700).create(directory) {
                Err(why) if why.kind() != io::ErrorKind::AlreadyExists => return Err(failed(why)),
                _ => {}
            }
            // Somebody may have made it since it was looked at.
            if !is_own(&std::fs::symlink_metadata(directory).map_err(failed)?) {
                return Err(PinError::Foreign { path: directory.clone() });
            }
        }
        Ok(())
    }

    fn map(&self, name: &str) -> PathBuf {
        // The file system takes no dot in a name.
        self.directory.join(format!("map_{}", name.trim_start_matches('.')))
    }

    fn link(&self, program: &str) -> PathBuf {
        self.directory.join(format!("link_{program}"))
    }

    fn program(&self, program: &str) -> PathBuf {
        self.directory.join(format!("program_{program}"))
    }

    fn manifest(&self) -> PathBuf {
        self.directory.join(MANIFEST)
    }
}

/// True for a directory in a bpf file system.
///
/// # Errors
/// As `statfs(2)`.
pub fn is_bpf_fs(directory: &Path) -> io::Result<bool> {
    Ok(rustix::fs::statfs(directory)?.f_type == BPF_FS)
}

fn is_ours(name: &str) -> bool {
    ["map_", "link_", "program_"].iter().any(|kind| name.starts_with(kind))
}
