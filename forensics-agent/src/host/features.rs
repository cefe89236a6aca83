//! What the kernel and the host offer to the agent, as they say themselves.

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;
use std::process::Command;

use rustix::process::{Resource, getrlimit};

use super::hierarchy;
use crate::kernel::pins;

/// What was found. A field is `None` when the host does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Features {
    /// Size of the kernel's type information (`/sys/kernel/btf/vmlinux`), bytes.
    pub btf_bytes: Option<u64>,
    /// Lockdown mode: `none`, `integrity`, `confidentiality`.
    pub lockdown: Option<String>,
    /// `kernel.kptr_restrict`
    pub kptr_restrict: Option<u32>,
    /// `/proc/kallsyms` shows true addresses to this process.
    pub kernel_symbols: bool,
    /// Soft limit of locked memory, bytes.
    pub memlock: Limit,
    /// `net.core.bpf_jit_enable`
    pub bpf_jit: Option<u32>,
    /// `kernel.unprivileged_bpf_disabled`
    pub unprivileged_bpf_disabled: Option<u32>,
    /// `signal:signal_generate` stands in a mounted tracefs.
    pub tracefs: bool,
    /// A bpf file system is mounted at `/sys/fs/bpf`.
    pub bpf_fs: bool,
    /// Which cgroup hierarchies are mounted.
    pub cgroup: Cgroup,
    /// The process is in the initial cgroup namespace, so it sees the cgroups of the host.
    pub global_cgroups: bool,
    /// The process is in the initial pid namespace, so its pids are the kernel's.
    pub initial_pid_namespace: Option<bool>,
    /// Name of process 1.
    pub init: Option<String>,
    /// systemd is the manager (`/run/systemd/system` exists, see sd_booted(3)).
    pub systemd_booted: bool,
    /// Version of systemd, as systemctl says.
    pub systemd_version: Option<String>,
}

/// A resource limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Limit {
    /// No limit.
    #[default]
    Unlimited,
    /// So many bytes.
    Bytes(u64),
}

/// How cgroups are mounted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cgroup {
    /// Not at all.
    #[default]
    None,
    /// Version 1 only.
    V1,
    /// Version 2 only.
    V2,
    /// Both: the controllers may be in either.
    Hybrid,
}

/// Looks at everything. What cannot be read is left out.
pub fn read() -> Features {
    Features {
        btf_bytes: fs::File::open("/sys/kernel/btf/vmlinux").and_then(|f| f.metadata()).ok().map(|m| m.len()),
        lockdown: fs::read_to_string("/sys/kernel/security/lockdown").ok().and_then(|text| selected(&text)),
        kptr_restrict: number("/proc/sys/kernel/kptr_restrict"),
        kernel_symbols: kernel_symbols(),
        memlock: getrlimit(Resource::Memlock).current.map_or(Limit::Unlimited, Limit::Bytes),
        bpf_jit: number("/proc/sys/net/core/bpf_jit_enable"),
        unprivileged_bpf_disabled: number("/proc/sys/kernel/unprivileged_bpf_disabled"),
        tracefs: ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"]
            .iter()
            .any(|mount| Path::new(mount).join("events/signal/signal_generate/id").exists()),
        bpf_fs: pins::is_bpf_fs(Path::new("/sys/fs/bpf")).unwrap_or(false),
        cgroup: fs::read("/proc/self/mountinfo")
            .map_or(Cgroup::None, |text| cgroup(&String::from_utf8_lossy(&text))),
        global_cgroups: hierarchy::are_paths_global(),
        // PROC_PID_INIT_INO, include/linux/proc_ns.h.
        initial_pid_namespace: fs::read_link("/proc/self/ns/pid")
            .ok()
            .map(|link| link.as_os_str() == "pid:[4026531836]"),
        init: fs::read("/proc/1/comm")
            .ok()
            .map(|name| String::from_utf8_lossy(name.trim_ascii()).into_owned()),
        systemd_booted: Path::new("/run/systemd/system").is_dir(),
        systemd_version: systemd_version(),
    }
}

fn number(path: &str) -> Option<u32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// `none [integrity] confidentiality`: the one in brackets.
fn selected(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('[')?;
    rest.split_once(']').map(|(mode, _)| mode.to_owned())
}

/// True when one of the first symbols has an address; where addresses are hidden, all are 0.
fn kernel_symbols() -> bool {
    let address = |line: io::Result<String>| {
        let line = line.ok()?;
        u64::from_str_radix(line.split(' ').next()?, 16).ok()
    };
    fs::File::open("/proc/kallsyms").is_ok_and(|file| {
        BufReader::new(file).lines().take(64).filter_map(address).any(|address| address != 0)
    })
}

/// The file system types of proc_pid_mountinfo(5): the field after the `-`.
fn cgroup(mountinfo: &str) -> Cgroup {
    let kinds: Vec<&str> = mountinfo
        .lines()
        .filter_map(|line| line.split_once(" - ")?.1.split(' ').next())
        .filter(|kind| kind.starts_with("cgroup"))
        .collect();
    match (kinds.contains(&"cgroup"), kinds.contains(&"cgroup2")) {
        (false, false) => Cgroup::None,
        (true, false) => Cgroup::V1,
        (false, true) => Cgroup::V2,
        (true, true) => Cgroup::Hybrid,
    }
}

/// `systemctl --version` asks nobody, it prints what it was built as.
fn systemd_version() -> Option<String> {
    let output = Command::new("systemctl").arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().next()?.strip_prefix("systemd ").map(|version| version.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lockdown_modes() {
        assert_eq!(selected("none [integrity] confidentiality\n").as_deref(), Some("integrity"));
        assert_eq!(selected("[none] integrity confidentiality\n").as_deref(), Some("none"));
        assert_eq!(selected(""), None);
        assert_eq!(selected("[none"), None);
    }

    #[test]
    fn cgroup_hierarchies() {
        let v1 = "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n";
        let v2 = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:4 - cgroup2 cgroup2 rw\n";
        assert_eq!(cgroup(v1), Cgroup::V1);
        assert_eq!(cgroup(v2), Cgroup::V2);
        assert_eq!(cgroup(&format!("{v1}{v2}")), Cgroup::Hybrid);
        assert_eq!(cgroup("22 1 0:20 / /proc rw - proc proc rw\n\njunk\n"), Cgroup::None);
    }

    #[test]
    fn this_host_has_an_init() {
        assert!(read().init.is_some());
    }
}
