//! Hierarchies of cgroups: where they are mounted, and what is in them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Levels of cgroups that are looked through.
const MAX_DEPTH: usize = 32;
/// Cgroups that are looked through for the one that this namespace begins with.
const MAX_SEARCHED: usize = 10_000;
/// The number of the root of every hierarchy (`kernfs_create_root()` in fs/kernfs/dir.c).
const ROOT_ID: u64 = 1;
/// `cgroup.procs` of a cgroup with this many processes is read no further, bytes.
const MAX_PROCS: u64 = 4 << 20;
/// `PROC_CGROUP_INIT_INO` of `include/linux/proc_ns.h`: the namespace in which paths are what the kernel says.
const INITIAL_NAMESPACE: u64 = 0xEFFF_FFFB;

/// What a hierarchy is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// cgroup v2.
    Unified,
    /// The v1 hierarchy that systemd goes by where the unified one is not in use, or beside it.
    Systemd,
    /// Another one of v1, with these controllers.
    Controllers(String),
}

/// A hierarchy, as this process sees it.
#[derive(Debug)]
pub struct Hierarchy {
    /// The kernel's number of it; 0 is the unified one.
    pub id: u32,
    /// What it is for.
    pub kind: Kind,
    /// Where it is mounted.
    pub mount: PathBuf,
    /// Which of its cgroups is mounted there, `/` mostly.
    root: String,
    directory: File,
}

/// A cgroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    /// Its number, unique in its hierarchy.
    pub id: u64,
    /// Its path, as `/proc/PID/cgroup` has it.
    pub path: String,
}

/// The hierarchies that are mounted where this process can see them, the unified one first.
///
/// # Errors
/// `/proc` cannot be read.
pub fn mounted() -> io::Result<Vec<Hierarchy>> {
    let mounts = std::fs::read("/proc/self/mountinfo")?;
    let numbers = std::fs::read_to_string("/proc/self/cgroup")?;
    let mut found: Vec<Hierarchy> = Vec::new();
    for mount in String::from_utf8_lossy(&mounts).lines().filter_map(Mount::parse) {
        let Some((id, kind)) = mount.identify(&numbers) else { continue };
        // One that shows more takes the place of one that shows less.
        let known = found.iter().position(|other| other.id == id);
        if known
            .is_some_and(|known| found.get(known).is_some_and(|other| other.root.len() <= mount.root.len()))
        {
            continue;
        }
        let Ok(directory) = File::open(&mount.at) else { continue };
        let hierarchy = Hierarchy { id, kind, mount: mount.at, root: mount.root, directory };
        match known.and_then(|known| found.get_mut(known)) {
            Some(other) => *other = hierarchy,
            None => found.push(hierarchy),
        }
    }
    found.sort_by_key(|hierarchy| hierarchy.id);
    Ok(found)
}

/// True where the paths that the kernel's tracepoints give are those that this process sees: in the initial namespace of cgroups,
/// as all are where the kernel has no others.
pub fn are_paths_global() -> bool {
    match std::fs::metadata("/proc/self/ns/cgroup") {
        Ok(namespace) => namespace.ino() == INITIAL_NAMESPACE,
        Err(why) => why.kind() == io::ErrorKind::NotFound,
    }
}

/// A line of `/proc/self/mountinfo` that is about cgroups (proc_pid_mountinfo(5)).
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    root: String,
    at: PathBuf,
    unified: bool,
    options: String,
}

impl Mount {
    fn parse(line: &str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(3);
        let (root, at) = (unescape(before.next()?), unescape(before.next()?));
        let mut after = after.split(' ');
        let unified = match after.next()? {
            "cgroup2" => true,
            "cgroup" => false,
            _ => return None,
        };
        let options = after.nth(1)?.to_owned();
        let root = String::from_utf8_lossy(&root).into_owned();
        // Beyond the namespace of this process, where it has no paths.
        let is_outside = root == "/.." || root.starts_with("/../");
        let at = PathBuf::from(std::ffi::OsString::from_vec(at));
        (!is_outside).then(|| Self { root: root.trim_end_matches('/').to_owned(), at, unified, options })
    }

    /// The kernel's number of the hierarchy, which `/proc/self/cgroup` gives for its controllers.
    fn identify(&self, numbers: &str) -> Option<(u32, Kind)> {
        if self.unified {
            return Some((0, Kind::Unified));
        }
        let options: BTreeSet<&str> = self.options.split(',').collect();
        numbers.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (id, controllers) = (fields.next()?.parse().ok()?, fields.next()?);
            let is_it = !controllers.is_empty() && controllers.split(',').all(|name| options.contains(name));
            let kind = if controllers == "name=systemd" {
                Kind::Systemd
            } else {
                Kind::Controllers(controllers.to_owned())
            };
            is_it.then_some((id, kind))
        })
    }
}

/// Undoes the octal escapes of the kernel's tables of mounts (`mangle()` in fs/seq_file.c).
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let octal = match rest {
            [b'\\', digits @ ..] => digits.get(..3).and_then(|digits| std::str::from_utf8(digits).ok()),
            _ => None,
        };
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = rest.get(4..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

impl Hierarchy {
    /// The directory of a cgroup, when it is in sight.
    pub fn directory(&self, path: &str) -> Option<PathBuf> {
        let inside = path.strip_prefix(self.root.as_str())?;
        let is_below = inside.is_empty() || inside.starts_with('/');
        let has_dots = inside.split('/').any(|part| part == "..");
        (is_below && !has_dots).then(|| self.mount.join(inside.trim_start_matches('/')))
    }

    /// A cgroup by its path.
    pub fn find(&self, path: &str) -> Option<Cgroup> {
        let id = std::fs::metadata(self.directory(path)?).ok().filter(std::fs::Metadata::is_dir)?.ino();
        Some(Cgroup { id, path: path.to_owned() })
    }

    /// A cgroup by its number. None for one that is gone or out of sight.
    pub fn find_by_id(&self, id: u64) -> Option<Cgroup> {
        let directory = self.open_by_id(id, libc::O_PATH)?;
        let at = std::fs::read_link(format!("/proc/self/fd/{}", directory.as_raw_fd())).ok()?;
        self.path_of_directory(&at).map(|path| Cgroup { id, path })
    }

    /// What the kernel's own paths have in front of those that this process sees, in a namespace of cgroups: the path from the
    /// root of the hierarchy to the one that is mounted here. None when it cannot be found.
    pub fn prefix(&self) -> Option<String> {
        let own = std::fs::metadata(&self.mount).ok()?.ino();
        let top = self.open_by_id(ROOT_ID, libc::O_RDONLY | libc::O_DIRECTORY)?;
        // Through a descriptor, since the root is mounted nowhere in this namespace.
        let top = PathBuf::from(format!("/proc/self/fd/{}", top.as_raw_fd()));
        let mut open = std::collections::VecDeque::from([String::new()]);
        for _ in 0..MAX_SEARCHED {
            let path = open.pop_front()?;
            let directory = top.join(path.trim_start_matches('/'));
            if std::fs::metadata(&directory).is_ok_and(|found| found.ino() == own) {
                return Some(path);
            }
            for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    open.push_back(format!("{path}/{}", entry.file_name().to_string_lossy()));
                }
            }
        }
        None
    }

    fn open_by_id(&self, id: u64, flags: i32) -> Option<OwnedFd> {
        // `name_to_handle_at(2)` of a cgroup gives its number, so the number opens it (kernfs_fh_to_dentry(),
        // fs/kernfs/mount.c).
        let mut handle = Handle { bytes: size_of::<u64>() as u32, kind: FILEID_KERNFS, id };
        // SAFETY: the handle is as long as it says, and lives until the call returns.
        let fd = unsafe {
            libc::open_by_handle_at(
                self.directory.as_raw_fd(),
                (&raw mut handle).cast(),
                flags | libc::O_CLOEXEC,
            )
        };
        // SAFETY: a new descriptor, which nobody else has.
        (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
    }

    /// The path of a cgroup from that of its directory.
    pub fn path_of_directory(&self, directory: &Path) -> Option<String> {
        let inside = directory.strip_prefix(&self.mount).ok()?.to_string_lossy().into_owned();
        let path = if inside.is_empty() { self.root.clone() } else { format!("{}/{inside}", self.root) };
        Some(if path.is_empty() { "/".to_owned() } else { path })
    }

    /// All cgroups in sight that `wanted` wants, with all below those; others are looked into where `enter` says so. Both are
    /// given paths.
    pub fn search(&self, wanted: impl Fn(&str) -> bool, enter: impl Fn(&str) -> bool) -> Vec<Cgroup> {
        let top = if self.root.is_empty() { "/" } else { self.root.as_str() };
        let mut found = Vec::new();
        let mut open = vec![(self.mount.clone(), top.to_owned(), false, 0)];
        while let Some((directory, path, above_is_wanted, depth)) = open.pop() {
            let is_wanted = above_is_wanted || wanted(&path);
            if is_wanted && let Ok(data) = std::fs::metadata(&directory) {
                found.push(Cgroup { id: data.ino(), path: path.clone() });
            }
            if depth == MAX_DEPTH || !(is_wanted || depth == 0 || enter(&path)) {
                continue;
            }
            // One that is removed meanwhile has nothing in it.
            for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    let name = entry.file_name().to_string_lossy().into_owned();
                    let below = format!("{}/{name}", path.trim_end_matches('/'));
                    open.push((entry.path(), below, is_wanted, depth + 1));
                }
            }
        }
        found
    }

    /// The processes in a cgroup, not those in cgroups below it; only those that this process's pid namespace knows.
    pub fn processes(&self, path: &str) -> Vec<u32> {
        use std::io::Read as _;
        let Some(file) = self.directory(path).and_then(|at| File::open(at.join("cgroup.procs")).ok()) else {
            return Vec::new();
        };
        let mut text = String::new();
        // What came before an error is as good as what there is.
        let _ = file.take(MAX_PROCS).read_to_string(&mut text);
        text.lines().filter_map(|line| line.parse().ok()).filter(|&pid| pid != 0).collect()
    }
}

/// `enum fid_type` of `include/linux/exportfs.h`.
const FILEID_KERNFS: i32 = 0xfe;

/// `struct file_handle` of `include/linux/fs.h`, with a cgroup's number in it.
#[repr(C, packed(4))]
struct Handle {
    bytes: u32,
    kind: i32,
    id: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBERS: &str = "9:name=systemd:/\n3:cpuset:/\n2:cpu,cpuacct:/a\n0::/\n";

    #[test]
    fn lines_of_mountinfo() {
        for (line, root, at, known) in [
            (
                "35 24 0:30 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw",
                "",
                "/sys/fs/cgroup/unified",
                Some((0, Kind::Unified)),
            ),
            (
                "36 24 0:31 /docker/x /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd",
                "/docker/x",
                "/sys/fs/cgroup/systemd",
                Some((9, Kind::Systemd)),
            ),
            (
                "37 24 0:32 / /sys/fs/cgroup/cpu\\040acct rw - cgroup none rw,cpu,cpuacct",
                "",
                "/sys/fs/cgroup/cpu acct",
                Some((2, Kind::Controllers("cpu,cpuacct".to_owned()))),
            ),
            ("38 24 0:33 / /sys/fs/cgroup/pids rw - cgroup none rw,pids", "", "/sys/fs/cgroup/pids", None),
        ] {
            let mount = Mount::parse(line).expect(line);
            assert_eq!((mount.root.as_str(), mount.at.as_path()), (root, Path::new(at)), "{line}");
            assert_eq!(mount.identify(NUMBERS), known, "{line}");
        }
        for other in ["1 2 0:3 / / rw - ext4 /dev/vda rw", "1 2 0:3 /.. /x rw - cgroup2 none rw", "", "a - b"]
        {
            assert_eq!(Mount::parse(other), None, "{other}");
        }
    }

    fn hierarchy(root: &str) -> Hierarchy {
        let directory = File::open("/").expect("the root");
        Hierarchy { id: 0, kind: Kind::Unified, mount: "/m".into(), root: root.to_owned(), directory }
    }

    #[test]
    fn paths_and_directories() {
        let whole = hierarchy("");
        assert_eq!(whole.directory("/a/b"), Some("/m/a/b".into()));
        assert_eq!(whole.path_of_directory(Path::new("/m/a/b")), Some("/a/b".to_owned()));
        assert_eq!(whole.path_of_directory(Path::new("/m")), Some("/".to_owned()));
        assert_eq!(whole.directory("/a/../b"), None);
        let part = hierarchy("/x");
        assert_eq!(part.directory("/x/a"), Some("/m/a".into()));
        assert_eq!(part.directory("/xa"), None);
        assert_eq!(part.path_of_directory(Path::new("/m/a")), Some("/x/a".to_owned()));
        assert_eq!(part.path_of_directory(Path::new("/other/a")), None);
    }

    #[test]
    fn escapes() {
        assert_eq!(unescape("a\\040b\\134\\9\\"), b"a b\\\\9\\");
    }

    /// Whatever is mounted here.
    #[test]
    fn this_host() {
        for hierarchy in mounted().expect("/proc") {
            assert_eq!(hierarchy.search(|_| false, |_| false), [], "nobody wanted anything");
            let top = hierarchy.search(|path| path.matches('/').count() == 1 && path != "/", |_| false);
            for found in top {
                let again = hierarchy.find(&found.path);
                assert!(again.is_none_or(|again| again == found), "{found:?}");
                // Only root may open it by its number.
                let by_number = hierarchy.find_by_id(found.id);
                assert!(by_number.is_none_or(|again| again == found), "{found:?}");
            }
            assert_eq!(hierarchy.find_by_id(u64::MAX), None);
        }
    }
}
