//! Cgroups as targets, by path.

use std::fmt;
use std::path::Path;

use crate::commands::failure::Failure;
use crate::host::hierarchy::{Hierarchy, Kind};

/// Where hierarchies are mounted.
const MOUNTS: &str = "/sys/fs/cgroup";

/// A cgroup and all below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupSelector {
    /// Its directory, or its path in the hierarchies that systemd goes by, as `/proc/PID/cgroup` has it.
    path: String,
}

impl CgroupSelector {
    /// Reads a path.
    ///
    /// # Errors
    /// Usage, when no cgroup can be there.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let refuse = |why: &str| Err(Failure::usage(format!("--cgroup {text:?}: {why}")));
        let path = text.trim_end_matches('/');
        if !text.starts_with('/') {
            return refuse("the path must begin with /, as in /proc/PID/cgroup or under /sys/fs/cgroup");
        }
        if path.is_empty() || path == MOUNTS {
            return refuse("this is every process; say --all");
        }
        if path.contains('\0') || path.split('/').skip(1).any(|part| matches!(part, "" | "." | "..")) {
            return refuse("no cgroup has such a path");
        }
        Ok(Self { path: path.to_owned() })
    }

    /// True when there is a hierarchy that can have it.
    pub fn can_be_in(&self, mounted: &[Hierarchy]) -> bool {
        mounted.iter().any(|hierarchy| self.within(hierarchy).is_some())
    }

    /// True when a hierarchy is meant by the path of its directory.
    pub fn is_directory_of(&self, hierarchy: &Hierarchy) -> bool {
        hierarchy.path_of_directory(Path::new(&self.path)).is_some()
    }

    /// True when a cgroup is the selected one, or below it.
    pub fn selects(&self, hierarchy: &Hierarchy, path: &str) -> bool {
        self.within(hierarchy).is_some_and(|own| is_at_or_below(&own, path))
    }

    /// True when the selected cgroup is below another one, or is that.
    pub fn is_below(&self, hierarchy: &Hierarchy, path: &str) -> bool {
        self.within(hierarchy).is_some_and(|own| is_at_or_below(path, &own))
    }

    /// The path in a hierarchy, when it has one there.
    fn within(&self, hierarchy: &Hierarchy) -> Option<String> {
        match hierarchy.path_of_directory(Path::new(&self.path)) {
            Some(path) => Some(path),
            None if Path::new(&self.path).starts_with(MOUNTS) => None,
            None => matches!(hierarchy.kind, Kind::Unified | Kind::Systemd).then(|| self.path.clone()),
        }
    }
}

fn is_at_or_below(above: &str, path: &str) -> bool {
    let above = above.trim_end_matches('/');
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The option that it was given by.
impl fmt::Display for CgroupSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--cgroup {}", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_path_of_a_cgroup() {
        for bad in
            ["", "a/b", "/", "//", "/sys/fs/cgroup", "/sys/fs/cgroup/", "/a/../b", "/a//b", "/./a", "/a\0"]
        {
            let failure = CgroupSelector::parse(bad).expect_err(bad);
            assert_eq!((failure.code, failure.message.lines().count()), (2, 1), "{failure:?}");
        }
    }

    #[test]
    fn a_cgroup_has_those_below_it() {
        for (above, path, is) in [
            ("/a", "/a", true),
            ("/a", "/a/b", true),
            ("/a", "/ab", false),
            ("/a/b", "/a", false),
            ("/", "/a", true),
        ] {
            assert_eq!(is_at_or_below(above, path), is, "{above} {path}");
        }
    }
}
