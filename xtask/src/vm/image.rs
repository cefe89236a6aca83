//! Disks of a machine.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::command;

/// Makes an ext4 file system of a directory's files, as a sparse file of `mebibytes` MiB.
pub(super) fn of_tree(tree: &Path, image: &Path, mebibytes: u32) -> Result<()> {
    let partial = image.with_extension("partial");
    // mke2fs would ask before it overwrites what an earlier run left.
    let _ = fs::remove_file(&partial);
    let mut mkfs = Command::new("mkfs.ext4");
    // Without a journal, since nothing on it outlives the machine, and without what Linux 5.10 does not know.
    mkfs.args(["-q", "-F", "-O", "^has_journal,^metadata_csum_seed,^orphan_file", "-m", "0"]);
    mkfs.arg("-d").arg(tree).arg(&partial).arg(format!("{mebibytes}M"));
    command::output(&mut mkfs)?;
    fs::rename(&partial, image).with_context(|| format!("cannot rename {}", partial.display()))
}
