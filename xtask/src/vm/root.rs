//! The system that a machine runs: a small Debian, made once for each release and set of packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use super::{directory, guest, image};
use crate::command;

/// What the tests need there.
const PACKAGES: [&str; 28] = [
    "bash",
    "bpftrace",
    "cron",
    "dbus",
    "dbus-user-session",
    "earlyoom",
    "gdb",
    "iproute2",
    "kmod",
    "libpam-systemd",
    "locales",
    "login",
    "logrotate",
    "lsof",
    "polkitd",
    "procps",
    "psmisc",
    "python3",
    "python3-dbus",
    "python3-gi",
    "strace",
    "sudo",
    "supervisor",
    "systemd",
    "systemd-oomd",
    "systemd-sysv",
    "tini",
    "udev",
];
/// What tests of containers need besides: a third of the disk, and a minute more to make.
const CONTAINERS: [&str; 6] = ["containerd", "crun", "docker.io", "iptables", "podman", "runc"];
/// The client of Docker, from Debian 13 on; before, it is in docker.io.
const DOCKER_CLIENT: &str = "docker-cli";
/// What the benchmarks compare with. Most of it is the compiler of BCC.
const PEERS: [&str; 3] = ["auditd", "bpfcc-tools", "libbpf-tools"];
/// What only people need.
const USELESS: [&str; 4] =
    ["/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*"];
/// Done in the system once it is made. Its services wait until a test starts them, and nothing happens by the clock.
const SETUP: &str = "
set -e
cd /lib/systemd/system
for unit in containerd cron docker earlyoom e2scrub_reap getty@tty1 podman podman-auto-update podman-restart \
    podman-clean-transient remote-fs.target supervisor systemd-oomd systemd-oomd.socket systemd-pstore \
    docker.socket podman.socket; do
    systemctl disable --quiet $unit 2>/dev/null || true
done
systemctl mask --quiet *.timer 2>/dev/null
systemctl unmask --quiet systemd-tmpfiles-clean.timer
useradd --create-home --shell /bin/bash alice
echo 'alice ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/alice
";
/// Room on the disk, MiB. It is sparse.
const SIZE: u32 = 6144;

/// What is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    Plain,
    Containers,
    Peers,
}

impl Root {
    /// The disk of a release, made unless it is there from before.
    pub(super) fn image(self, release: &str) -> Result<PathBuf> {
        let directory = directory()?;
        let packages = self.packages(release);
        let kind = match self {
            Self::Plain => "plain",
            Self::Containers => "containers",
            Self::Peers => "peers",
        };
        let image = directory.join(format!("{release}-{kind}-{}.ext4", recipe(&packages)));
        if image.is_file() {
            return Ok(image);
        }
        eprintln!("making a Debian {release} with {} packages; it is kept", packages.len());
        let tree = directory.join(format!("{release}-{kind}.tree"));
        if tree.exists() {
            fs::remove_dir_all(&tree)?;
        }
        make(release, &packages, &tree)?;
        image::of_root(&tree, &image, SIZE)?;
        fs::remove_dir_all(&tree).with_context(|| format!("cannot remove {}", tree.display()))?;
        Ok(image)
    }

    fn packages(self, release: &str) -> Vec<&'static str> {
        let more: &[&str] = match self {
            Self::Plain => &[],
            Self::Containers => &CONTAINERS,
            Self::Peers => &PEERS,
        };
        let client = (self == Self::Containers && release != "bookworm").then_some(DOCKER_CLIENT);
        PACKAGES.iter().chain(more).copied().chain(client).collect()
    }
}

/// A name for what it is made of: when that changes, it is made anew.
fn recipe(packages: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in packages.iter().chain(&USELESS).chain(&[SETUP, guest::STUB]) {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

fn make(release: &str, packages: &[&str], tree: &Path) -> Result<()> {
    let mut make = Command::new("mmdebstrap");
    make.args(["--quiet", "--variant=minbase", "--aptopt=Acquire::Languages \"none\""]);
    for useless in USELESS {
        make.arg(format!("--dpkgopt=path-exclude={useless}"));
    }
    make.arg(format!("--include={}", packages.join(",")));
    make.arg(release).arg(tree).arg("http://deb.debian.org/debian");
    command::run(&mut make)?;
    guest::install_stub(tree)?;
    // systemctl wants to see processes.
    let script = "mount -t proc proc \"$0/proc\" && exec chroot \"$0\" /bin/sh -c \"$1\"";
    let mut setup = Command::new("unshare");
    command::output(setup.args(["--mount", "/bin/sh", "-c", script]).arg(tree).arg(SETUP)).map(drop)
}
