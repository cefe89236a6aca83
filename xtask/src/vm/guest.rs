//! What a machine does once it runs: it mounts its other disks, boots systemd, runs the tests, and powers itself off.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use anyhow::{Context as _, Result};

/// Where the disk with the tests is mounted there.
pub(super) const TESTS: &str = "/opt/forensics";
/// On that disk, what is copied to the root before the tests: the boot empties `/tmp`, where the workspace may be.
pub(super) const LATE: &str = "late";
/// On that disk, what is copied to the root before systemd starts.
const EARLY: &str = "early";
/// Process 1 of the root's disk.
pub(super) const INIT: &str = "/sbin/vm-init";
/// The last line of a machine whose work is done.
pub(super) const DONE: &str = "== all is done";
/// A machine that says this switches itself off, and is to be switched on again (`tests/shutdown.rs`).
pub(super) const OFF_AND_ON: &str = "== to be switched on again";
/// A machine that says this is to be cut off at once, and switched on again (`tests/shutdown.rs`).
pub(super) const PULL_THE_PLUG: &str = "== to be cut off";
/// The power button of a machine that says this is to be pressed, and it is to be switched on again (`tests/shutdown.rs`).
pub(super) const PRESS_THE_BUTTON: &str = "== the power button is to be pressed";

/// Label of the disk with the tests.
pub(super) const TESTS_LABEL: &str = "tests";
/// Label of the disk with the kernel's modules.
pub(super) const MODULES_LABEL: &str = "modules";

/// The one file of the root's disk that knows where it is; the rest comes with the tests.
pub(super) const STUB: &str = "\
#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mountpoint -q /dev || mount -t devtmpfs devtmpfs /dev
until mount -o ro LABEL=tests /opt/forensics; do sleep 0.2; done
until mount -o ro LABEL=modules /usr/lib/modules; do sleep 0.2; done
cp -a /opt/forensics/early/. /
exec /lib/systemd/systemd
";

/// What runs the tests.
const UNIT: &str = "\
[Unit]
Description=Tests against the real kernel
After=multi-user.target
IgnoreOnIsolate=yes

[Service]
Type=exec
ExecStart=/opt/forensics/run
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS1
Environment=HOME=/root RUST_BACKTRACE=0 FORENSICS_TESTS_EXPENDABLE_MACHINE=1 TERM=dumb SYSTEMD_COLORS=0 SYSTEMD_PAGER=

[Install]
WantedBy=multi-user.target
";

/// Units of every boot that no test asks for. Emulated, each costs half a second.
const UNNEEDED: [&str; 28] = [
    "auditd.service",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "getty@tty1.service",
    "kmod-static-nodes.service",
    "modprobe@configfs.service",
    "modprobe@dm_mod.service",
    "modprobe@drm.service",
    "modprobe@efi_pstore.service",
    "modprobe@fuse.service",
    "modprobe@loop.service",
    "proc-sys-fs-binfmt_misc.automount",
    "serial-getty@ttyS0.service",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "systemd-binfmt.service",
    "systemd-hwdb-update.service",
    "systemd-modules-load.service",
    "systemd-random-seed.service",
    "systemd-remount-fs.service",
    "systemd-tmpfiles-setup-dev-early.service",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-udev-trigger.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-udevd-varlink.socket",
    "systemd-udevd.service",
    "systemd-update-utmp.service",
];

/// How the work begins. It is done by processes of no unit, as from a terminal, and ends the machine whatever becomes of it.
/// For the tests of its end there are five boots.
const PROLOGUE: &str = r#"#!/bin/bash
trap 'systemctl poweroff --force --force' EXIT
modprobe --quiet fuse
unset INVOCATION_ID JOURNAL_STREAM
export FORENSICS_TESTS_EXPENDABLE_MACHINE=1
echo $$ > /sys/fs/cgroup/cgroup.procs
echo +cpu > /sys/fs/cgroup/cgroup.subtree_control
cp --recursive /opt/forensics/late/. /
echo "== $(uname -r), $(systemctl --version | head -n 1), up after $(cut -d. -f1 /proc/uptime) s"
echo boot >> /var/lib/forensics-boots
sync /var/lib/forensics-boots
boots=$(wc -l < /var/lib/forensics-boots)
if [ $boots -le 4 ] && [ -e /opt/forensics/deps/shutdown ]; then
    # Its end ends this script, which must not power it off in another way.
    trap - EXIT
    FORENSICS_TESTS_BEFORE_SHUTDOWN=$boots /opt/forensics/deps/shutdown 2>&1 && exec sleep infinity
    trap 'systemctl poweroff --force --force' EXIT
elif [ $boots -gt 5 ]; then
    echo '== the machine was booted too often'
    exit 1
fi
"#;

/// Runs every test program as Cargo does, and announces each as Cargo does. When one fails, the journal goes to the console's
/// log.
const RUN_TESTS: &str = r#"
failed=0
for test in /opt/forensics/deps/*; do
    echo "     Running $(basename "$test").rs ($test-0)"
    "$test" --test-threads=2 --color=never $(cat /opt/forensics/filter) 2>&1 || failed=1
done
if [ $failed = 1 ]; then
    { echo '== the journal'; journalctl --boot --no-pager --lines 3000; } > /dev/ttyS0
fi
"#;

/// Adds the stub to a system's tree.
pub(super) fn install_stub(tree: &Path) -> Result<()> {
    fs::create_dir_all(tree.join(TESTS.trim_start_matches('/')))?;
    fs::create_dir_all(tree.join("usr/lib/modules"))?;
    script(&tree.join(INIT.trim_start_matches('/')), STUB)?;
    fs::write(tree.join("etc/hostname"), "vm\n")?;
    // Without one the boot is a first boot, which enables every service.
    fs::write(tree.join("etc/machine-id"), "0123456789abcdef0123456789abcdef\n")?;
    Ok(())
}

/// Makes the tree of the disk with the tests. `work` is a shell script, the tests when there is none.
pub(super) fn prepare(tree: &Path, work: Option<&str>) -> Result<()> {
    let units = tree.join(EARLY).join("etc/systemd/system");
    let wanted = units.join("multi-user.target.wants");
    fs::create_dir_all(&wanted)?;
    fs::create_dir_all(tree.join(LATE))?;
    fs::create_dir_all(tree.join("deps"))?;
    fs::write(units.join("forensics-tests.service"), UNIT)?;
    symlink("../forensics-tests.service", wanted.join("forensics-tests.service"))?;
    for unit in UNNEEDED {
        symlink("/dev/null", units.join(unit))?;
    }
    symlink("/lib/systemd/system/multi-user.target", units.join("default.target"))?;
    // Newer than the system, so that nothing is brought up to date.
    for updated in ["etc/.updated", "var/.updated"] {
        let path = tree.join(EARLY).join(updated);
        fs::create_dir_all(path.parent().unwrap_or(tree))?;
        fs::write(path, "")?;
    }
    let work = match work {
        Some(work) => {
            script(&tree.join("work"), &format!("#!/bin/bash\n{work}\n"))?;
            "/opt/forensics/work 2>&1\necho \"== it ended with $?\"\n"
        }
        None => RUN_TESTS,
    };
    script(&tree.join("run"), &format!("{PROLOGUE}{work}echo '{DONE}'\n"))
}

fn script(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}
