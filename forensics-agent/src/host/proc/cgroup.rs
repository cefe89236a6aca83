use crate::host::cgroup;

/// The cgroup path in `/proc/PID/cgroup`, by which managers know a process.
///
/// Lines are `ID:CONTROLLERS:PATH`, see `cgroups(7)`. The unified hierarchy (`0::`) counts; on a host where it
/// is mounted but not used for grouping (its path is `/`), systemd's own version 1 hierarchy (`name=systemd`) does.
pub fn cgroup_path(text: &[u8]) -> Option<String> {
    let path_of = |id: Option<&[u8]>, controllers: &[u8]| {
        text.split(|&b| b == b'\n').find_map(|line| {
            let mut parts = line.splitn(3, |&b| b == b':');
            let (line_id, line_controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            let is_wanted = id.is_none_or(|id| id == line_id) && line_controllers == controllers;
            (is_wanted && !path.is_empty()).then(|| String::from_utf8_lossy(path).into_owned())
        })
    };
    let unified = path_of(Some(b"0"), b"");
    match unified.as_deref() {
        None | Some("/") => path_of(None, b"name=systemd").or(unified),
        Some(_) => unified,
    }
}

/// The container that a process is in, from its `/proc/PID/cgroup`: by the path that managers know it by, else by that of any
/// other hierarchy, since on a hybrid host an engine may use those of version 1 alone.
pub(super) fn container_id(text: &[u8]) -> Option<String> {
    let by_any = || {
        text.split(|&b| b == b'\n').find_map(|line| {
            let path = line.splitn(3, |&b| b == b':').nth(2)?;
            cgroup::container_id(&String::from_utf8_lossy(path))
        })
    };
    cgroup_path(text).and_then(|path| cgroup::container_id(&path)).or_else(by_any)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unified_hybrid_and_legacy() {
        let path = |text: &str| cgroup_path(text.as_bytes());
        assert_eq!(path("0::/system.slice/x.service\n").as_deref(), Some("/system.slice/x.service"));
        assert_eq!(path("9:name=systemd:/system.slice\n0::/user.slice\n").as_deref(), Some("/user.slice"));
        assert_eq!(path("9:name=systemd:/docker/ab\n0::/\n").as_deref(), Some("/docker/ab"));
        assert_eq!(path("4:memory:/m\n9:name=systemd:/s:1\n").as_deref(), Some("/s:1"));
        assert_eq!(path("4:memory:/m\n0::/\n").as_deref(), Some("/"));
        assert_eq!(path("4:memory:/m\n"), None);
        assert_eq!(path(""), None);
    }

    #[test]
    fn a_container_of_any_hierarchy() {
        let id = |digit: &str| digit.repeat(64);
        let (one, other) = (id("a"), id("b"));
        for (text, found) in [
            (format!("1:name=systemd:/docker/{one}\n0::/system.slice/containerd.service\n"), Some(&one)),
            (format!("9:memory:/docker/{one}\n1:name=systemd:/x.service\n0::/\n"), Some(&one)),
            (format!("4:pids:/docker/{one}\n0::/system.slice/docker-{other}.scope\n"), Some(&other)),
            ("1:name=systemd:/system.slice/ssh.service\n0::/system.slice/ssh.service\n".to_owned(), None),
            ("junk\n".to_owned(), None),
        ] {
            assert_eq!(container_id(text.as_bytes()).as_ref(), found, "{text}");
        }
    }
}
