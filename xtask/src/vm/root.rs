//! The system that a machine runs: a small Debian, made once for each release.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::directory;
use crate::command;

/// What the tests need there.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,procps,psmisc,python3";
/// What only people need.
const USELESS: [&str; 6] = [
    "var/cache/apt",
    "var/lib/apt/lists",
    "usr/share/doc",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/info",
];

/// The initial file system of a machine: the release's tree with the payload over it.
pub(super) fn initrd(release: &str, payload: &Path) -> Result<PathBuf> {
    let base = base(release)?;
    let initrd = directory()?.join(format!("{release}.initrd"));
    let mut whole = File::create(&initrd).with_context(|| format!("cannot write {}", initrd.display()))?;
    // The kernel unpacks one archive after the other.
    for part in [&base, payload] {
        let mut part = File::open(part).with_context(|| format!("cannot read {}", part.display()))?;
        io::copy(&mut part, &mut whole)?;
    }
    Ok(initrd)
}

/// The release's tree as an archive, made unless it is there from before.
fn base(release: &str) -> Result<PathBuf> {
    let directory = directory()?;
    let archive = directory.join(format!("{release}.cpio"));
    if archive.is_file() {
        return Ok(archive);
    }
    let tree = directory.join(release);
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.args(["--variant=minbase", &format!("--include={PACKAGES}"), release]).arg(&tree);
    command::run(debootstrap.stdout(Stdio::null()))?;
    for useless in USELESS {
        let _ = fs::remove_dir_all(tree.join(useless));
    }
    archive_tree(&tree, &archive)?;
    fs::remove_dir_all(tree)?;
    Ok(archive)
}

/// Packs a directory as the kernel unpacks it.
pub(super) fn archive_tree(tree: &Path, archive: &Path) -> Result<()> {
    let partial = archive.with_extension("partial");
    let output = File::create(&partial).with_context(|| format!("cannot write {}", partial.display()))?;
    let mut find =
        Command::new("find").current_dir(tree).args([".", "-print0"]).stdout(Stdio::piped()).spawn()?;
    let names = find.stdout.take().context("find has no output")?;
    let mut cpio = Command::new("cpio");
    cpio.current_dir(tree).args(["--null", "--create", "--format=newc", "--quiet"]);
    let packed = cpio.stdin(names).stdout(output).status().context("cannot start cpio")?;
    ensure!(find.wait()?.success() && packed.success(), "cannot pack {}", tree.display());
    fs::rename(&partial, archive)?;
    Ok(())
}
