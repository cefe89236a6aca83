//! What a machine does once it runs: the unit that runs the tests, and then powers it off.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use anyhow::Result;

/// Where the tests are there.
pub(super) const TESTS: &str = "opt/forensics";
/// Below that, what is copied to the root before the tests: the boot empties `/tmp`, where the workspace may be.
pub(super) const LATE: &str = "late";
/// The last line of a machine whose tests all ran.
pub(super) const DONE: &str = "== all test programs have run";

/// Ends the machine whatever becomes of the tests.
const UNIT: &str = "\
[Unit]
Description=Tests against the real kernel
After=multi-user.target
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=oneshot
ExecStart=/opt/forensics/run
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
Environment=HOME=/root RUST_BACKTRACE=0

[Install]
WantedBy=multi-user.target
";

/// Runs every test program as Cargo does, and announces each as Cargo does.
///
/// They run as processes of no unit, as they do from a terminal.
const RUN: &str = r#"#!/bin/bash
unset INVOCATION_ID JOURNAL_STREAM
echo $$ > /sys/fs/cgroup/cgroup.procs
cp --recursive /opt/forensics/late/. /
echo "== $(uname -r), $(systemctl --version | head -n 1)"
for test in /opt/forensics/deps/*; do
    echo "     Running $(basename "$test").rs ($test-0)"
    "$test" --test-threads=2 --color=never $(cat /opt/forensics/filter) 2>&1
done
"#;

/// Adds to a tree what makes the system under it boot from memory and run the tests.
pub(super) fn prepare(tree: &Path) -> Result<()> {
    let units = tree.join("etc/systemd/system");
    let wanted = units.join("multi-user.target.wants");
    let tests = tree.join(TESTS);
    fs::create_dir_all(&wanted)?;
    fs::create_dir_all(&tests)?;
    symlink("/lib/systemd/systemd", tree.join("init"))?;
    fs::write(tree.join("etc/hostname"), "vm\n")?;
    fs::write(units.join("forensics-tests.service"), UNIT)?;
    symlink("../forensics-tests.service", wanted.join("forensics-tests.service"))?;
    // The serial line belongs to the tests.
    symlink("/dev/null", units.join("serial-getty@ttyS0.service"))?;
    let run = tests.join("run");
    fs::write(&run, format!("{RUN}echo '{DONE}'\n"))?;
    fs::set_permissions(&run, fs::Permissions::from_mode(0o755))?;
    Ok(())
}
