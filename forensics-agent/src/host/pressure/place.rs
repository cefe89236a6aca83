//! Where a process stands in the hierarchies that account for memory and processor time.

use std::path::{Path, PathBuf};

use super::text;
use crate::host::cgroup_mounts::{paths, root_of};

/// Where the hierarchies are mounted. With version 1, memory and processor each have their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hierarchies {
    pub(super) unified: Option<PathBuf>,
    pub(super) memory: Option<PathBuf>,
    pub(super) cpu: Option<PathBuf>,
}

/// The cgroups of a process, each a path from the root of its hierarchy; none for the root, which has no limits, and
/// where the hierarchy is not mounted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Place {
    pub(super) unified: Option<String>,
    pub(super) memory: Option<String>,
    pub(super) cpu: Option<String>,
}

impl Hierarchies {
    /// Looks at what is mounted. Where nothing is, readings of cgroups are left out.
    pub fn find() -> Self {
        Self::of(&text(Path::new("/proc/self/mountinfo")).unwrap_or_default())
    }

    fn of(mountinfo: &str) -> Self {
        Self {
            unified: root_of("", mountinfo),
            memory: root_of("memory", mountinfo),
            cpu: root_of("cpu", mountinfo),
        }
    }

    /// Where a process stands now. None when it is gone, or stands in the roots.
    pub fn place_of(&self, pid: u32) -> Option<Place> {
        self.place_in(&text(Path::new(&format!("/proc/{pid}/cgroup")))?)
    }

    fn place_in(&self, cgroup: &str) -> Option<Place> {
        let path_of = |hierarchy: &Option<PathBuf>, controller: &str| {
            hierarchy.as_ref()?;
            let is_it = |controllers: &str| controllers.split(',').any(|one| one == controller);
            let (_, path) = paths(cgroup).find(|(controllers, _)| is_it(controllers))?;
            // The kernel writes this behind the path of a cgroup that was removed; `..` leads out of a namespace.
            let path = path.strip_suffix(" (deleted)").unwrap_or(path);
            let leads_inside = path.starts_with('/') && path.split('/').all(|name| name != "..");
            (leads_inside && path != "/").then(|| path.to_owned())
        };
        let place = Place {
            unified: path_of(&self.unified, ""),
            memory: path_of(&self.memory, "memory"),
            cpu: path_of(&self.cpu, "cpu"),
        };
        (place != Place::default()).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "32 23 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                      33 23 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
    const V2: &str = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";

    fn place(mountinfo: &str, cgroup: &str) -> Option<Place> {
        Hierarchies::of(mountinfo).place_in(cgroup)
    }

    #[test]
    fn unified() {
        let unified = Some("/system.slice/a.service".to_owned());
        let found = place(V2, "4:memory:/x\n0::/system.slice/a.service\n");
        assert_eq!(found, Some(Place { unified, ..Place::default() }));
    }

    #[test]
    fn version_1() {
        let found = place(V1, "4:memory:/m:1 (deleted)\n2:cpu,cpuacct:/c\n0::/u\n");
        let (memory, cpu) = (Some("/m:1".to_owned()), Some("/c".to_owned()));
        assert_eq!(found, Some(Place { unified: None, memory, cpu }));
    }

    #[test]
    fn roots_and_what_lies_outside_are_no_place() {
        for text in ["0::/\n", "0::/../other\n", "0::a\n", "junk", ""] {
            assert_eq!(place(V2, text), None, "{text}");
        }
    }
}
