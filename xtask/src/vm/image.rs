//! Disks of a machine.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::command;

/// What the kernel calls the partition of a root's disk. Disks have no names to rely on: newer kernels look for them side by
/// side.
pub(super) const ROOT: &str = "PARTUUID=f0e45105-01";
/// The same, as it stands on the disk.
const SIGNATURE: u32 = 0xf0e4_5105;
/// Where that partition begins, bytes.
const START: u64 = 1 << 20;
/// Bytes of a sector.
const SECTOR: u64 = 512;

/// Makes a disk of a directory's files, one ext4 file system of `mebibytes` MiB. It is sparse.
pub(super) fn of_tree(tree: &Path, image: &Path, label: &str, mebibytes: u32) -> Result<()> {
    make(tree, image, label, mebibytes, 0, |_| Ok(()))
}

/// The same, in a partition that a kernel finds by itself.
pub(super) fn of_root(tree: &Path, image: &Path, mebibytes: u32) -> Result<()> {
    make(tree, image, "root", mebibytes, START, |disk| write_partition_table(disk, mebibytes))
}

/// Copies a root's disk for a machine that is to find what it wrote there when it is switched on again. Unlike the original it
/// has a journal, since the machine may be cut off.
pub(super) fn lasting_copy(root: &Path, copy: &Path) -> Result<()> {
    command::output(Command::new("cp").arg("--sparse=always").arg(root).arg(copy))?;
    let partition = format!("{}?offset={START}", copy.display());
    command::output(Command::new("tune2fs").args(["-O", "has_journal"]).arg(partition)).map(drop)
}

fn make(
    tree: &Path,
    image: &Path,
    label: &str,
    mebibytes: u32,
    start: u64,
    finish: impl FnOnce(&File) -> Result<()>,
) -> Result<()> {
    let partial = image.with_extension("partial");
    let disk = File::create(&partial).with_context(|| format!("cannot make {}", partial.display()))?;
    disk.set_len(start + (u64::from(mebibytes) << 20))?;
    let mut mkfs = Command::new("mkfs.ext4");
    // Without a journal, since nothing on it outlives the machine, and without what Linux 5.10 does not know.
    mkfs.args(["-q", "-F", "-O", "^has_journal,^metadata_csum_seed,^orphan_file", "-m", "0", "-L", label]);
    mkfs.arg("-E").arg(format!("offset={start}")).arg("-d").arg(tree);
    command::output(mkfs.arg(&partial).arg(format!("{mebibytes}M")))?;
    finish(&disk)?;
    fs::rename(&partial, image).with_context(|| format!("cannot rename {}", partial.display()))
}

/// A partition table with one entry, in the way of the PC.
fn write_partition_table(disk: &File, mebibytes: u32) -> Result<()> {
    const LINUX: u8 = 0x83;
    let sectors = |bytes: u64| u32::try_from(bytes / SECTOR).map(u32::to_le_bytes);
    let length = sectors(u64::from(mebibytes) << 20)?;
    disk.write_all_at(&SIGNATURE.to_le_bytes(), 440)?;
    disk.write_all_at(&[LINUX], 446 + 4)?;
    disk.write_all_at(&sectors(START)?, 446 + 8)?;
    disk.write_all_at(&length, 446 + 12)?;
    disk.write_all_at(&[0x55, 0xaa], 510)?;
    Ok(())
}
