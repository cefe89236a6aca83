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
}
