//! Where the hierarchies of cgroups are mounted, and where in them a process stands.

use std::path::PathBuf;

/// Where the root of a hierarchy is mounted, see `proc_pid_mountinfo(5)`: that of these controllers (`memory`,
/// `cpu,cpuacct`), or with none the unified one. None where the mount shows a part of the hierarchy only, as in a
/// container: its paths are not those of `/proc/PID/cgroup`.
pub fn root_of(controllers: &str, mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (root, point) = (mount.next()?, mount.next()?);
        let mut file_system = file_system.split(' ');
        let kind = file_system.next()?;
        let options = file_system.nth(1)?;
        let is_it = match kind {
            "cgroup2" => controllers.is_empty(),
            "cgroup" => {
                !controllers.is_empty()
                    && controllers.split(',').all(|one| options.split(',').any(|o| o == one))
            }
            _ => false,
        };
        // A space in the path is written as \040; no cgroup mount has one.
        (is_it && root == "/").then(|| PathBuf::from(point))
    })
}

/// Controllers and path of each line of `/proc/PID/cgroup`, see cgroups(7); the unified hierarchy has no controllers.
pub fn paths(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        // The path may hold colons of its own.
        let mut parts = line.splitn(3, ':').skip(1);
        Some((parts.next()?, parts.next()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTINFO: &str = "\
30 23 0:26 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw
31 23 0:27 / /sys/fs/cgroup/systemd rw shared:10 - cgroup cgroup rw,name=systemd
32 23 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
33 23 0:29 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory
";

    #[test]
    fn roots_of_hierarchies() {
        let root = |controllers| root_of(controllers, MOUNTINFO);
        assert_eq!(root(""), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(root("name=systemd"), Some("/sys/fs/cgroup/systemd".into()));
        assert_eq!(root("cpu,cpuacct"), Some("/sys/fs/cgroup/cpu,cpuacct".into()));
        assert_eq!(root("cpu"), Some("/sys/fs/cgroup/cpu,cpuacct".into()));
        assert_eq!(root("memory"), None);
        assert_eq!(root("pids"), None);
    }

    #[test]
    fn lines_of_a_process() {
        let found: Vec<_> = paths("4:memory:/m\n1:name=systemd:/y:z\n0::/u\njunk\n").collect();
        assert_eq!(found, [("memory", "/m"), ("name=systemd", "/y:z"), ("", "/u")]);
    }
}
