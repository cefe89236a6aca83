use serde::Serialize;

use crate::host::features::{Cgroup, Features, Limit};
use crate::host::privileges::{Capability, Privileges};

/// One thing that the host offers, or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) status: Status,
    /// What was found.
    pub(super) found: String,
    /// What the agent cannot do without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lost: Option<&'static str>,
    /// How to get it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fix: Option<&'static str>,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// All is there.
    Ok,
    /// Nothing to judge.
    Note,
    /// Something is lost, and the agent works.
    Limited,
    /// The agent cannot work.
    Missing,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, status: Status::Ok, found: found.into(), lost: None, fix: None }
    }

    fn note(name: &'static str, found: impl Into<String>) -> Self {
        Self { status: Status::Note, ..Self::ok(name, found) }
    }

    fn limited(name: &'static str, found: impl Into<String>, lost: &'static str, fix: &'static str) -> Self {
        Self { status: Status::Limited, lost: Some(lost), fix: Some(fix), ..Self::ok(name, found) }
    }

    fn missing(name: &'static str, found: impl Into<String>, lost: &'static str, fix: &'static str) -> Self {
        Self { status: Status::Missing, ..Self::limited(name, found, lost, fix) }
    }
}

/// Judges what was found, the indispensable first.
pub(super) fn all(features: &Features, privileges: Privileges) -> Vec<Check> {
    let mut checks = vec![btf(features), lockdown(features), loading(privileges), namespace(privileges)];
    checks.extend(USEFUL.iter().map(|useful| useful.check(privileges)));
    checks.extend([
        symbols(features),
        memlock(features, privileges),
        jit(features),
        pinning(features),
        pids(features),
        cgroups(features),
        manager(features),
        tracefs(features),
        unprivileged(features),
    ]);
    checks
}

fn btf(features: &Features) -> Check {
    let name = "kernel types (BTF)";
    match features.btf_bytes {
        Some(bytes) => Check::ok(name, format!("/sys/kernel/btf/vmlinux, {:.1} MB", bytes as f64 / 1e6)),
        None => Check::missing(
            name,
            "no /sys/kernel/btf/vmlinux",
            "everything: where the kernel keeps what is to be recorded is not known",
            "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y, or mount /sys",
        ),
    }
}

fn lockdown(features: &Features) -> Check {
    let name = "lockdown";
    match features.lockdown.as_deref() {
        Some("confidentiality") => Check::missing(
            name,
            "confidentiality",
            "everything: no kernel program may read kernel memory",
            "boot with lockdown=integrity, or without",
        ),
        Some(mode) => Check::ok(name, mode),
        None => Check::note(name, "the kernel does not say (no /sys/kernel/security/lockdown)"),
    }
}

fn loading(privileges: Privileges) -> Check {
    let name = "CAP_BPF and CAP_PERFMON";
    let both = [Capability::Bpf, Capability::Perfmon].map(|capability| privileges.has(capability));
    match both {
        [true, true] => Check::ok(name, "held"),
        _ if privileges.has(Capability::SysAdmin) => Check::ok(name, "CAP_SYS_ADMIN, which includes them"),
        [bpf, _] => Check::missing(
            name,
            if bpf { "no CAP_PERFMON" } else { "not held" },
            "everything: the kernel loads no program of ours",
            "run as root, or in a service with AmbientCapabilities=CAP_BPF CAP_PERFMON",
        ),
    }
}

fn namespace(privileges: Privileges) -> Check {
    let name = "user namespace";
    if privileges.initial_user_namespace {
        return Check::ok(name, "the initial one");
    }
    Check::missing(
        name,
        "not the initial one",
        "everything: capabilities of this namespace do not count for kernel programs",
        "run as root of the host, or in a container without user namespaces",
    )
}

/// A capability without which the agent still works.
struct Useful {
    name: &'static str,
    capability: Capability,
    lost: &'static str,
}

const USEFUL: [Useful; 4] = [
    Useful {
        name: "CAP_SYS_PTRACE",
        capability: Capability::SysPtrace,
        lost: "executables, environments and markers of other users' processes",
    },
    Useful {
        name: "CAP_DAC_READ_SEARCH",
        capability: Capability::DacReadSearch,
        lost: "pidfiles and markers in directories of other users",
    },
    Useful { name: "CAP_SYSLOG", capability: Capability::Syslog, lost: "the kernel log as evidence" },
    Useful { name: "CAP_SETUID", capability: Capability::SetUid, lost: "run --uid" },
];

impl Useful {
    fn check(&self, privileges: Privileges) -> Check {
        if privileges.has(self.capability) {
            return Check::ok(self.name, "held");
        }
        Check::limited(
            self.name,
            "not held",
            self.lost,
            "run as root, or add it to the service's capabilities",
        )
    }
}

fn symbols(features: &Features) -> Check {
    let name = "kernel symbols";
    let setting =
        features.kptr_restrict.map_or_else(String::new, |n| format!(", kernel.kptr_restrict is {n}"));
    if features.kernel_symbols {
        return Check::ok(name, format!("/proc/kallsyms has addresses{setting}"));
    }
    Check::limited(
        name,
        format!("/proc/kallsyms shows no addresses{setting}"),
        "how a signal came to be, where no system call sent it (out of memory, timer, terminal)",
        "set kernel.kptr_restrict to 1 or less, and run with CAP_SYSLOG",
    )
}

fn memlock(features: &Features, privileges: Privileges) -> Check {
    let name = "locked memory";
    match features.memlock {
        Limit::Unlimited => Check::ok(name, "not limited"),
        Limit::Bytes(bytes) if privileges.has(Capability::SysResource) => {
            Check::ok(name, format!("limited to {} KiB, can be raised", bytes / 1024))
        }
        Limit::Bytes(bytes) => Check::limited(
            name,
            format!("limited to {} KiB, cannot be raised without CAP_SYS_RESOURCE", bytes / 1024),
            "on kernels before 5.11, room for the kernel programs' maps; nothing on later ones",
            "run with CAP_SYS_RESOURCE or LimitMEMLOCK=infinity",
        ),
    }
}

fn jit(features: &Features) -> Check {
    let name = "BPF compiler";
    match features.bpf_jit {
        Some(0) => Check::limited(
            name,
            "off (net.core.bpf_jit_enable is 0)",
            "speed: every signal on this host costs several times more",
            "sysctl net.core.bpf_jit_enable=1",
        ),
        Some(_) => Check::ok(name, "on"),
        None => Check::note(name, "the kernel does not say (no net.core.bpf_jit_enable)"),
    }
}

fn pinning(features: &Features) -> Check {
    let name = "bpf file system";
    if features.bpf_fs {
        return Check::ok(name, "mounted at /sys/fs/bpf");
    }
    Check::limited(
        name,
        "none at /sys/fs/bpf",
        "--persist: the kernel programs end with the agent",
        "mount -t bpf -o mode=0700 bpf /sys/fs/bpf",
    )
}

fn pids(features: &Features) -> Check {
    let name = "pid namespace";
    match features.initial_pid_namespace {
        Some(true) => Check::ok(name, "the initial one"),
        Some(false) => Check::limited(
            name,
            "not the initial one",
            "--pid and --pidfile: the pids here are not those that the kernel records",
            "run on the host, or in a container with the host's pids (docker run --pid=host)",
        ),
        None => Check::note(name, "the kernel does not say (no /proc/self/ns/pid)"),
    }
}

fn cgroups(features: &Features) -> Check {
    let name = "cgroups";
    if features.cgroup != Cgroup::None && !features.global_cgroups {
        return Check::limited(
            name,
            "a namespace of its own",
            "-u, --user-unit and --cgroup: units and cgroups of the host are not seen here",
            "run on the host, or in a container with the host's cgroups (docker run --cgroupns=host)",
        );
    }
    match features.cgroup {
        Cgroup::V2 => Check::ok(name, "version 2"),
        Cgroup::Hybrid => Check::ok(name, "versions 1 and 2 (hybrid)"),
        Cgroup::V1 => Check::limited(
            name,
            "version 1 only",
            "the cgroup of a process as its record names it: units and containers come from /proc, too late for the short-lived",
            "boot with systemd.unified_cgroup_hierarchy=1, or mount cgroup2 somewhere",
        ),
        Cgroup::None => {
            Check::limited(name, "not mounted", "units and containers", "mount cgroup2 at /sys/fs/cgroup")
        }
    }
}

fn manager(features: &Features) -> Check {
    let version = features.systemd_version.as_deref().unwrap_or("of unknown version");
    let init = features.init.as_deref().unwrap_or("unknown");
    if features.systemd_booted {
        return Check::ok("systemd", format!("{version}, manager of this host"));
    }
    Check::note("systemd", format!("not the manager of this host (process 1 is {init})"))
}

fn tracefs(features: &Features) -> Check {
    let found = if features.tracefs { "mounted" } else { "not mounted, and not needed" };
    Check::note("tracefs", found)
}

fn unprivileged(features: &Features) -> Check {
    let found = match features.unprivileged_bpf_disabled {
        Some(0) => "allowed to everyone (kernel.unprivileged_bpf_disabled is 0)".to_owned(),
        Some(n) => format!("for the privileged only (kernel.unprivileged_bpf_disabled is {n})"),
        None => "the kernel does not say".to_owned(),
    };
    Check::note("bpf(2)", found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Features {
        Features {
            btf_bytes: Some(5_515_236),
            lockdown: Some("integrity".to_owned()),
            kernel_symbols: true,
            initial_pid_namespace: Some(true),
            bpf_jit: Some(1),
            bpf_fs: true,
            cgroup: Cgroup::V2,
            global_cgroups: true,
            ..Features::default()
        }
    }

    fn worst(features: &Features) -> Vec<(&'static str, Status)> {
        let privileges = Privileges::of_root();
        let found =
            all(features, privileges).into_iter().filter(|c| !matches!(c.status, Status::Ok | Status::Note));
        found.map(|check| (check.name, check.status)).collect()
    }

    #[test]
    fn each_lack_is_named_once() {
        assert_eq!(worst(&good()), []);
        for (features, lack) in [
            (Features { btf_bytes: None, ..good() }, ("kernel types (BTF)", Status::Missing)),
            (
                Features { lockdown: Some("confidentiality".to_owned()), ..good() },
                ("lockdown", Status::Missing),
            ),
            (Features { kernel_symbols: false, ..good() }, ("kernel symbols", Status::Limited)),
            (Features { bpf_jit: Some(0), ..good() }, ("BPF compiler", Status::Limited)),
            (Features { bpf_fs: false, ..good() }, ("bpf file system", Status::Limited)),
            (Features { initial_pid_namespace: Some(false), ..good() }, ("pid namespace", Status::Limited)),
            (Features { cgroup: Cgroup::V1, ..good() }, ("cgroups", Status::Limited)),
            (Features { global_cgroups: false, ..good() }, ("cgroups", Status::Limited)),
        ] {
            assert_eq!(worst(&features), [lack]);
        }
    }

    #[test]
    fn what_is_not_ok_says_what_is_lost_and_how_to_get_it() {
        for privileges in [Privileges::of_root(), Privileges::of_nobody()] {
            for check in all(&Features { memlock: Limit::Bytes(65_536), ..Features::default() }, privileges) {
                let explained = check.lost.is_some() && check.fix.is_some();
                assert_eq!(explained, matches!(check.status, Status::Limited | Status::Missing), "{check:?}");
            }
        }
    }
}
