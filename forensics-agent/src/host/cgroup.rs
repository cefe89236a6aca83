//! What the cgroup path of a process says: where it stands, and the container that it is in.

use std::{fs::DirEntry, path::PathBuf, sync::OnceLock};

use super::hierarchy::{self, Hierarchy, Kind};

/// The path that systemd goes by, from the text of `/proc/PID/cgroup`: that of the unified hierarchy, or of the
/// named v1 hierarchy where the unified one is not in use (cgroups(7)).
pub fn systemd_path(cgroup: &str) -> Option<&str> {
    let path_in = |wanted: fn(&str, &str) -> bool| {
        cgroup.lines().find_map(|line| {
            // The path may hold colons of its own.
            let mut fields = line.splitn(3, ':');
            let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            wanted(id, controllers).then_some(path)
        })
    };
    // A process whose cgroup was removed has this added by the kernel.
    let clean =
        |path: &'_ str| path.len() - path.strip_suffix(" (deleted)").map_or(0, |_| " (deleted)".len());
    let unified = path_in(|id, controllers| id == "0" && controllers.is_empty());
    let named = path_in(|_, controllers| controllers == "name=systemd");
    let path = unified.filter(|path| *path != "/").or(named).or(unified)?;
    path.get(..clean(path))
}

/// The path of a cgroup of the unified hierarchy that is known by its number alone, as the kernel programs record it. None
/// for the root, which tells nothing, and for one that is gone.
pub fn path_of_id(id: u64) -> Option<String> {
    static UNIFIED: OnceLock<Option<Hierarchy>> = OnceLock::new();
    let mounted = || hierarchy::mounted().ok()?.into_iter().find(|one| one.kind == Kind::Unified);
    let found = UNIFIED.get_or_init(mounted).as_ref()?.find_by_id(id)?;
    Some(found.path).filter(|path| path != "/")
}

/// Processes in a cgroup and below it, by pid: some of them when there are many. The path is as systemd counts.
pub fn processes(path: &str) -> Vec<u32> {
    const ROOTS: [&str; 3] = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
    let is_plain = path.starts_with('/') && !path.split('/').any(|part| part == "..");
    let root = ROOTS.iter().map(|root| PathBuf::from(format!("{root}{path}"))).find(|path| path.is_dir());
    let mut waiting: Vec<PathBuf> = root.into_iter().filter(|_| is_plain).collect();
    let (mut pids, mut looked) = (Vec::new(), 0);
    while let Some(directory) = waiting.pop()
        && looked < MAX_CGROUPS
        && pids.len() < MAX_PROCESSES
    {
        looked += 1;
        let procs = std::fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
        pids.extend(procs.lines().filter_map(|line| line.parse::<u32>().ok()).filter(|&pid| pid != 0));
        let below = std::fs::read_dir(&directory).into_iter().flatten().flatten();
        let is_directory = |entry: &DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        waiting.extend(below.filter(is_directory).take(MAX_CGROUPS).map(|entry| entry.path()));
    }
    pids.truncate(MAX_PROCESSES);
    pids
}

/// Cgroups that are looked into at most.
const MAX_CGROUPS: usize = 64;
/// Processes that are told at most.
const MAX_PROCESSES: usize = 32;

/// The container whose cgroup the path names: the id that Docker, Podman, containerd and CRI-O give, or the name
/// that LXC, systemd-nspawn and systemd-machined do. The innermost one counts. A virtual machine is none.
pub fn container_id(path: &str) -> Option<String> {
    let mut below = None;
    let mut parts = path.rsplit('/').peekable();
    while let Some(part) = parts.next() {
        if let Some(id) = container_of(part, parts.peek().copied(), below) {
            return Some(id);
        }
        below = Some(part);
    }
    None
}

/// The container of one part of a path, by the parts above and below it.
fn container_of(part: &str, above: Option<&str>, below: Option<&str>) -> Option<String> {
    let named = |name: &str| Some(unescape(name)).filter(|name| !name.is_empty());
    // `/lxc.payload.NAME`, `/lxc.payload/NAME`, `/lxc/NAME`, as versions of LXC have had it.
    if let Some(name) = part.strip_prefix("lxc.payload.") {
        return Some(name.to_owned()).filter(|name| !name.is_empty());
    }
    if matches!(above, Some("lxc" | "lxc.payload")) {
        return Some(part.to_owned()).filter(|name| !name.is_empty());
    }
    // The unit itself, and `supervisor` below it, are where systemd-nspawn runs.
    if let Some(instance) =
        part.strip_prefix("systemd-nspawn@").and_then(|rest| rest.strip_suffix(".service"))
    {
        return named(instance).filter(|_| below.is_some_and(|below| below != "supervisor"));
    }
    let bare = part.strip_suffix(".scope").unwrap_or(part);
    if let Some(machine) = bare.strip_prefix("machine-").filter(|_| part.ends_with(".scope")) {
        // Anybody may call a unit so; systemd-machined makes its own in this slice.
        let is_registered = above == Some("machine.slice") && below != Some("supervisor");
        return named(machine).filter(|name| is_registered && !is_virtual_machine(name));
    }
    // `docker-ID.scope`, `cri-containerd-ID.scope`, `libpod-ID.scope`, `libpod-conmon-ID.scope`, `/docker/ID`.
    let id = bare.rsplit(['-', ':']).next().unwrap_or(bare);
    let monitor = bare.starts_with("libpod-conmon-") || bare.starts_with("crio-conmon-");
    let hex = id.len() == 64 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (hex && !monitor).then(|| id.to_owned())
}

/// True for a machine that libvirt registers with systemd-machined under the name of an emulator of its own, as `qemu-1-web`
/// (`virDomainDriverGenerateMachineName()` of its `src/hypervisor/domain_driver.c`).
fn is_virtual_machine(name: &str) -> bool {
    const EMULATORS: [&str; 3] = ["qemu-", "libvirt-qemu", "ch-"];
    EMULATORS.iter().any(|emulator| name.starts_with(emulator))
}

/// Undoes the `\x2d` escapes of a unit name (systemd-escape(1)); what is no escape stays.
fn unescape(name: &str) -> String {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = match rest {
            [b'\\', b'x', high, low, ..] => {
                let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
                digit(*high).zip(digit(*low)).map(|(high, low)| high * 16 + low)
            }
            _ => None,
        };
        out.push(code.unwrap_or(*first));
        rest = if code.is_some() { rest.get(4..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_no_cgroup_has_no_path() {
        assert_eq!(path_of_id(0), None);
        assert_eq!(path_of_id(u64::MAX), None);
    }

    #[test]
    fn processes_of_a_cgroup() {
        let own = std::fs::read_to_string("/proc/self/cgroup").expect("it is there");
        let path = systemd_path(&own).expect("it is somewhere");
        // Whoever else is there may be many.
        let found = processes(path);
        assert!(found.contains(&std::process::id()) || found.len() == MAX_PROCESSES, "{path}: {found:?}");
        assert_eq!(processes("/../.."), [0_u32; 0]);
        assert_eq!(processes("/no-such-cgroup"), [0_u32; 0]);
    }

    const ID: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn the_hierarchy_that_systemd_uses() {
        for (text, path) in [
            ("0::/a.slice/b.service\n", Some("/a.slice/b.service")),
            ("4:pids:/x\n1:name=systemd:/y\n0::/\n", Some("/y")),
            ("1:name=systemd:/y\n0::/z\n", Some("/z")),
            ("3:cpu,cpuacct:/a:b\n", None),
            ("0::/a:b (deleted)", Some("/a:b")),
            ("0::/", Some("/")),
            ("", None),
            ("junk", None),
        ] {
            assert_eq!(systemd_path(text), path, "{text}");
        }
    }

    #[test]
    fn containers() {
        for (path, id) in [
            (format!("/system.slice/docker-{ID}.scope"), Some(ID)),
            (format!("/docker/{ID}"), Some(ID)),
            (format!("/docker/{ID}/init"), Some(ID)),
            (format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope"), Some(ID)),
            (format!("/system.slice/containerd.service/kubepods-pod1:cri-containerd:{ID}"), Some(ID)),
            (format!("/machine.slice/libpod-{ID}.scope/container"), Some(ID)),
            (format!("/machine.slice/libpod-conmon-{ID}.scope"), None),
            // LXC, of today and of before.
            ("/lxc.payload.web/system.slice/x.service".into(), Some("web")),
            ("/lxc.payload/web/init.scope".into(), Some("web")),
            ("/lxc/101/ns/system.slice/cron.service".into(), Some("101")),
            ("/lxc/web".into(), Some("web")),
            ("/lxc".into(), None),
            ("/lxc.monitor.web".into(), None),
            ("/lxc.monitor/101".into(), None),
            ("/system.slice/lxc.service".into(), None),
            // systemd-machined and systemd-nspawn.
            ("/machine.slice/machine-a\\x2db.scope".into(), Some("a-b")),
            ("/machine.slice/machine-web.scope/payload/system.slice/cron.service".into(), Some("web")),
            ("/machine.slice/machine-lxc\\x2d7\\x2dweb.scope".into(), Some("lxc-7-web")),
            ("/machine.slice/systemd-nspawn@a\\x2db.service/payload/init.scope".into(), Some("a-b")),
            ("/machine.slice/systemd-nspawn@web.service/payload".into(), Some("web")),
            ("/machine.slice/systemd-nspawn@web.service/init.scope".into(), Some("web")),
            ("/machine.slice/systemd-nspawn@web.service/supervisor".into(), None),
            ("/machine.slice/systemd-nspawn@web.service".into(), None),
            // Virtual machines.
            ("/machine.slice/machine-qemu\\x2d1\\x2dweb.scope".into(), None),
            ("/machine.slice/machine-qemu\\x2d1\\x2dweb.scope/libvirt/emulator".into(), None),
            ("/machine.slice/machine-ch\\x2d1\\x2dweb.scope".into(), None),
            ("/machine/qemu-1-web.libvirt-qemu/emulator".into(), None),
            // Units that are called so.
            ("/system.slice/machine-learning.scope".into(), None),
            ("/user.slice/user-7.slice/user@7.service/app.slice/machine-learning.scope".into(), None),
            ("/system.slice/machine-learning.service".into(), None),
            ("/system.slice/ssh.service".into(), None),
            ("/".into(), None),
        ] {
            assert_eq!(container_id(&path).as_deref(), id, "{path}");
        }
    }

    #[test]
    fn escapes() {
        assert_eq!(unescape("a\\x2db\\xzz\\x"), "a-b\\xzz\\x");
    }
}
