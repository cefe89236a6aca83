use std::collections::BTreeSet;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::StatFs;
use rustix::io::Errno;

use super::super::file::{FileError, FileImage, MARKER_CAP, open_path, open_root, read_file};
use super::super::read::{Located, locate, missing};
use super::super::{MarkerFile, MarkerSpec, MarkerTarget};
use super::directories::Directories;
use super::fanotify::{Fanotify, Written};
use super::{Drained, MarkerEvent};
use crate::host::deadline::run_within;
use crate::host::proc::ProcDir;

/// How long it may take to find a directory.
pub(super) const DEADLINE: Duration = Duration::from_millis(200);

/// Where the markers of all targets are expected.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<Place>);

/// Where one marker of one target is expected.
#[derive(Debug)]
struct Place {
    dir: Arc<ProcDir>,
    target: Arc<MarkerTarget>,
    spec: MarkerSpec,
    path: Vec<u8>,
    hermes_home: Option<Vec<u8>>,
    state: State,
    /// What was reported last, so that one write is one event.
    last: Option<FileImage>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Nothing is watched yet.
    New,
    /// Its directory does not exist; this name in that directory leads to it.
    Waiting { watch: i32, name: Vec<u8> },
    /// Its directory is watched.
    Watched { watch: i32 },
    /// Its directory cannot be watched, which was reported.
    Refused,
}

impl Place {
    fn name(&self) -> &[u8] {
        self.path.rsplit(|&b| b == b'/').next().unwrap_or_default()
    }

    fn event(&self, image: FileImage, writer: Option<u32>) -> MarkerEvent {
        let (spec, path, hermes_home) = (self.spec.clone(), self.path.clone(), self.hermes_home.clone());
        let file = MarkerFile { spec, path, hermes_home, image };
        MarkerEvent { target: self.target.pid, file, writer }
    }

    fn report(&mut self, image: Result<FileImage, FileError>, writer: Option<u32>, drained: &mut Drained) {
        match image {
            // Seen by its writer's close already, and now by the rename.
            Ok(image) if writer.is_none() && self.last.as_ref() == Some(&image) => {}
            Ok(image) => {
                drained.events.push(self.event(image.clone(), writer));
                self.last = Some(image);
            }
            Err(FileError::Absent) => {}
            Err(error) => self.note(error.to_string(), drained),
        }
    }

    /// Reads the marker by its path.
    fn look(&mut self, drained: &mut Drained) {
        let (dir, path, owners) = (Arc::clone(&self.dir), self.path.clone(), self.target.owners());
        let read = run_within(DEADLINE, move || {
            read_file(open_root(&*dir, c"root")?.as_fd(), &path, &owners, MARKER_CAP)
        });
        match read {
            Ok(image) => self.report(image, None, drained),
            Err(overdue) => self.note(overdue.to_string(), drained),
        }
    }

    fn note(&self, why: String, drained: &mut Drained) {
        let path = String::from_utf8_lossy(&self.path);
        drained.missing.push((self.target.pid, missing(&self.spec, format!("{path} {why}"))));
    }
}

impl Places {
    /// Adds the places of a target, none of them watched yet.
    pub(super) fn add(
        &mut self,
        dir: ProcDir,
        target: MarkerTarget,
        specs: &Arc<[MarkerSpec]>,
        notes: &mut Vec<(u32, forensics_incident::model::Missing)>,
    ) {
        let Located { places, hermes_home, missing } = locate(&dir, &target, specs);
        notes.extend(missing.into_iter().map(|missing| (target.pid, missing)));
        let (dir, target) = (Arc::new(dir), Arc::new(target));
        self.0.extend(places.into_iter().map(|(spec, path)| Place {
            dir: Arc::clone(&dir),
            target: Arc::clone(&target),
            spec,
            path,
            hermes_home: hermes_home.clone(),
            state: State::New,
            last: None,
        }));
    }

    /// Takes the places of a target away.
    pub(super) fn remove(&mut self, pid: u32) {
        self.0.retain(|place| place.target.pid != pid);
    }

    /// The directories that are needed.
    pub(super) fn used_directories(&self) -> BTreeSet<i32> {
        let watch = |place: &Place| match place.state {
            State::Waiting { watch, .. } | State::Watched { watch } => Some(watch),
            State::New | State::Refused => None,
        };
        self.0.iter().filter_map(watch).collect()
    }

    /// True for the name of any marker.
    pub(super) fn is_marker_name(&self, name: &[u8]) -> bool {
        self.0.iter().any(|place| place.name() == name)
    }

    /// True when a place waits for that name to appear there; it is then to be armed.
    pub(super) fn is_waiting_for(&mut self, watch: i32, name: &[u8]) -> bool {
        let is_it =
            |state: &State| matches!(state, State::Waiting { watch: w, name: n } if *w == watch && n == name);
        self.reset(is_it)
    }

    /// Tells that a directory is gone. True when a place was in it or waited in it; it is then to be armed.
    pub(super) fn disarm(&mut self, watch: i32) -> bool {
        self.reset(|state| {
            matches!(state, State::Waiting { watch: w, .. } | State::Watched { watch: w } if *w == watch)
        })
    }

    fn reset(&mut self, is_it: impl Fn(&State) -> bool) -> bool {
        let mut any = false;
        for place in self.0.iter_mut().filter(|place| is_it(&place.state)) {
            (place.state, any) = (State::New, true);
        }
        any
    }

    /// Watches the directories of new places, and reads the markers that are there already.
    pub(super) fn arm(
        &mut self,
        directories: &mut Directories,
        inotify: &OwnedFd,
        fanotify: &Fanotify,
        drained: &mut Drained,
    ) {
        for place in self.0.iter_mut().filter(|place| place.state == State::New) {
            match arm(place, directories, inotify, fanotify) {
                Ok(state) => place.state = state,
                Err(why) => {
                    place.state = State::Refused;
                    if let Some(why) = why {
                        place.note(why, drained);
                    }
                }
            }
            // Read only now that nothing which comes later can be missed.
            if matches!(place.state, State::Watched { .. }) {
                place.look(drained);
            }
        }
    }

    /// Reports a file that was written to each target whose marker it is.
    pub(super) fn report(
        &mut self,
        written: &Written,
        name: &[u8],
        directories: &Directories,
        drained: &mut Drained,
    ) {
        let Some(watch) = directories.of(written) else {
            drained.lost = true;
            return;
        };
        let writer = Some(written.pid).filter(|&pid| pid != 0);
        for place in self.in_directory(watch, name) {
            let image = written.image(&place.target.owners());
            place.report(image, writer, drained);
        }
    }

    /// Reports what is found under the name of a marker, unless it was reported already.
    pub(super) fn look(&mut self, watch: i32, name: &[u8], drained: &mut Drained) {
        for place in self.in_directory(watch, name) {
            place.look(drained);
        }
    }

    fn in_directory(&mut self, watch: i32, name: &[u8]) -> impl Iterator<Item = &mut Place> {
        let state = State::Watched { watch };
        self.0.iter_mut().filter(move |place| place.state == state && place.name() == name)
    }
}

/// Watches the directory of a place, or the nearest one above it that exists.
///
/// # Errors
/// Why not, in words that continue a sentence about the marker's path; none when its target is gone.
fn arm(
    place: &Place,
    directories: &mut Directories,
    inotify: &OwnedFd,
    fanotify: &Fanotify,
) -> Result<State, Option<String>> {
    let unwatched = |why: &dyn std::fmt::Display| Some(format!("cannot be watched for: {why}"));
    // A directory that is made while we look for it is found by the next look.
    for _ in 0..8 {
        let (dir, path) = (Arc::clone(&place.dir), place.path.clone());
        let nearest = run_within(DEADLINE, move || nearest_directory(&dir, &path))
            .map_err(|overdue| unwatched(&overdue))?
            .map_err(|error| if error == FileError::Absent { None } else { unwatched(&error) })?;
        let Nearest { fd, next, file_system } = nearest;
        if is_remote(&file_system) {
            return Err(unwatched(&"it is on a network or user-space file system"));
        }
        let watch =
            directories.add(&fd, next.is_none(), inotify, fanotify).map_err(|errno| unwatched(&errno))?;
        let Some(name) = next else { return Ok(State::Watched { watch }) };
        if open_path(fd.as_fd(), &name).is_err() {
            return Ok(State::Waiting { watch, name });
        }
    }
    Err(unwatched(&"its directory comes and goes"))
}

/// A directory on the way to a marker.
struct Nearest {
    fd: OwnedFd,
    /// The part of the path that does not exist in it; none when it is the marker's directory.
    next: Option<Vec<u8>>,
    file_system: StatFs,
}

/// Opens the directory of a path beneath the root of a process, or the nearest one above that exists. May hang.
fn nearest_directory(dir: &ProcDir, path: &[u8]) -> Result<Nearest, FileError> {
    let root = open_root(dir, c"root")?;
    let mut parts: Vec<&[u8]> = path.split(|&b| b == b'/').filter(|part| !part.is_empty()).collect();
    parts.pop();
    let mut next = None;
    loop {
        let parent = [b"/".as_slice(), &parts.join(b"/".as_slice())].concat();
        match open_path(root.as_fd(), &parent) {
            Ok(fd) => {
                let file_system = rustix::fs::fstatfs(&fd)?;
                return Ok(Nearest { fd, next, file_system });
            }
            Err(Errno::NOENT) => next = parts.pop().map(<[u8]>::to_vec),
            Err(errno) => return Err(errno.into()),
        }
        if next.is_none() {
            return Err(FileError::Absent);
        }
    }
}

/// True where opening a file may wait for another machine or for a program: `include/uapi/linux/magic.h` and the
/// file systems' own headers.
fn is_remote(file_system: &StatFs) -> bool {
    const NFS: u32 = 0x6969;
    const FUSE: u32 = 0x6573_5546;
    const CIFS: u32 = 0xFF53_4D42;
    const SMB2: u32 = 0xFE53_4D42;
    const V9FS: u32 = 0x0102_1997;
    const CEPH: u32 = 0x00C3_6400;
    const AFS: u32 = 0x5346_414F;
    const KAFS: u32 = 0x6B41_4653;
    const CODA: u32 = 0x7375_7245;
    const LUSTRE: u32 = 0x0BD0_0BD0;
    const GPFS: u32 = 0x4750_4653;
    let kind = file_system.f_type as u32;
    matches!(kind, NFS | FUSE | CIFS | SMB2 | V9FS | CEPH | AFS | KAFS | CODA | LUSTRE | GPFS)
}
