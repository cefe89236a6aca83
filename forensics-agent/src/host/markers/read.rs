use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use forensics_incident::model::Missing;
use rustix::io::Errno;

use super::MarkerSpec;
use super::file::{FileError, FileImage, MARKER_CAP, is_known_absent, open_root, read_file};
use super::judge::MarkerTarget;
use super::paths::{HomeError, Paths, Root};
use crate::host::deadline::run_within;
use crate::host::proc::ProcDir;

/// How long the markers of one target may take together.
const DEADLINE: Duration = Duration::from_millis(200);

/// A marker file as it was found.
#[derive(Debug, Clone, PartialEq)]
pub struct MarkerFile {
    /// Which of the known ones.
    pub spec: MarkerSpec,
    /// Its path as the target sees it.
    pub path: Vec<u8>,
    /// Where the Hermes files of its target are, as the target sees it, when that is known.
    pub hermes_home: Option<Vec<u8>>,
    /// What it held.
    pub image: FileImage,
}

/// What was found of a target's markers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// Those that exist.
    pub files: Vec<MarkerFile>,
    /// Those that may exist and were not read.
    pub missing: Vec<Missing>,
}

/// Looks for the markers of a target, for 200 ms at most. `dir` pins the process that `target` describes.
pub fn read_files(dir: &ProcDir, target: &MarkerTarget, specs: &Arc<[MarkerSpec]>) -> Found {
    if is_in_own_root(dir) && is_nothing_there(target, specs) {
        return Found::default();
    }
    let result = dir.as_fd().try_clone_to_owned().map_err(|error| error.to_string()).and_then(|dir| {
        let (target, specs) = (target.clone(), Arc::clone(specs));
        run_within(DEADLINE, move || look(&dir, &target, &specs)).map_err(|overdue| overdue.to_string())
    });
    result.unwrap_or_else(|why| {
        let missing = specs.iter().map(|spec| missing(spec, format!("the target's file system {why}")));
        Found { missing: missing.collect(), ..Found::default() }
    })
}

/// Where the markers of a target are expected.
#[derive(Debug, Default)]
pub(super) struct Located {
    /// Those that have a path.
    pub(super) places: Vec<(MarkerSpec, Vec<u8>)>,
    /// As in [`MarkerFile`].
    pub(super) hermes_home: Option<Vec<u8>>,
    /// Those whose path cannot be told.
    pub(super) missing: Vec<Missing>,
}

/// Tells the paths of a target's markers, within 200 ms.
pub(super) fn locate(dir: &ProcDir, target: &MarkerTarget, specs: &Arc<[MarkerSpec]>) -> Located {
    let all_missing = |why: String| Located {
        missing: specs.iter().map(|spec| missing(spec, why.clone())).collect(),
        ..Located::default()
    };
    let dir = match dir.as_fd().try_clone_to_owned() {
        Ok(dir) => dir,
        Err(error) => return all_missing(error.to_string()),
    };
    let work = {
        let (target, specs) = (target.clone(), Arc::clone(specs));
        move || -> Result<_, Errno> {
            let root = open_root(&dir, c"root")?;
            let mut paths = paths(Root::Of(root.as_fd()), &target);
            let mut located = Located { hermes_home: paths.hermes_home().ok(), ..Located::default() };
            for spec in specs.iter() {
                match paths.path_of(spec) {
                    Ok(path) => located.places.push((spec.clone(), path)),
                    Err(HomeError::NoHome(_)) => {}
                    Err(error) => located.missing.push(missing(spec, error.to_string())),
                }
            }
            Ok(located)
        }
    };
    match run_within(DEADLINE, work) {
        Ok(Ok(located)) => located,
        Ok(Err(errno)) => all_missing(format!("/proc/{}/root cannot be opened: {errno}", target.pid)),
        Err(overdue) => all_missing(format!("the target's file system {overdue}")),
    }
}

/// The common case, answered from the kernel's memory alone and so without a helper thread: no marker exists.
fn is_nothing_there(target: &MarkerTarget, specs: &[MarkerSpec]) -> bool {
    // /etc/passwd is read here only because this is the agent's own root, which it could not live without.
    let mut paths = paths(Root::Own, target);
    specs.iter().all(|spec| match paths.path_of(spec) {
        Ok(path) => is_known_absent(&path),
        Err(_) => false,
    })
}

fn paths<'a>(root: Root<'a>, target: &'a MarkerTarget) -> Paths<'a> {
    Paths { root, uid: target.uid, hermes_home: target.hermes_home.as_deref(), home: None }
}

/// Looks for the markers beneath the root of the process; may hang.
fn look(dir: &OwnedFd, target: &MarkerTarget, specs: &[MarkerSpec]) -> Found {
    let root = match open_root(dir, c"root") {
        Ok(root) => root,
        Err(errno) => {
            let why = format!("/proc/{}/root cannot be opened: {errno}", target.pid);
            return Found {
                missing: specs.iter().map(|s| missing(s, why.clone())).collect(),
                ..Found::default()
            };
        }
    };
    let mut paths = paths(Root::Of(root.as_fd()), target);
    let hermes_home = paths.hermes_home().ok();
    let mut found = Found::default();
    for spec in specs {
        let path = match paths.path_of(spec) {
            Ok(path) => path,
            Err(HomeError::NoHome(_)) => continue,
            Err(error) => {
                found.missing.push(missing(spec, error.to_string()));
                continue;
            }
        };
        match read_file(root.as_fd(), &path, &target.owners(), MARKER_CAP) {
            Ok(image) => {
                let hermes_home = hermes_home.clone();
                found.files.push(MarkerFile { spec: spec.clone(), path, hermes_home, image });
            }
            Err(FileError::Absent) => {}
            Err(error) => {
                found.missing.push(missing(spec, format!("{} {error}", String::from_utf8_lossy(&path))));
            }
        }
    }
    found
}

pub(super) fn missing(spec: &MarkerSpec, why: String) -> Missing {
    Missing { field: format!("markers.{}", spec.name), why }
}

/// True when the process sees the very root directory that the agent sees.
fn is_in_own_root(dir: &ProcDir) -> bool {
    static OWN: OnceLock<Option<Vec<u8>>> = OnceLock::new();
    let own = OWN.get_or_init(|| ProcDir::open(std::process::id()).ok()?.link(c"ns/mnt").ok());
    // The path of the root is printed as seen from the agent's own root.
    own.as_ref().is_some_and(|own| dir.is_link_to(c"ns/mnt", own) && dir.is_link_to(c"root", b"/"))
}
