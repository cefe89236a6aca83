//! Debian's cloud kernels, fetched without touching the sources of this machine.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::apt::Apt;
use super::{directory, guest, image};
use crate::command;

/// A line of kernels that is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Series {
    /// Debian 11
    V5_10,
    /// Debian 12
    V6_1,
    /// Debian 13
    V6_12,
    /// The newest
    V7_2,
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.version())
    }
}

impl Series {
    /// All of them, the oldest first.
    pub(super) const ALL: [Self; 4] = [Self::V5_10, Self::V6_1, Self::V6_12, Self::V7_2];

    fn version(self) -> &'static str {
        match self {
            Self::V5_10 => "5.10",
            Self::V6_1 => "6.1",
            Self::V6_12 => "6.12",
            Self::V7_2 => "7.2",
        }
    }

    /// Where the archive has it: mirror and suite.
    pub(super) fn suite(self) -> (&'static str, &'static str) {
        match self {
            Self::V5_10 => ("http://deb.debian.org/debian-security", "bullseye-security"),
            Self::V6_1 => ("http://deb.debian.org/debian", "bookworm"),
            Self::V6_12 => ("http://deb.debian.org/debian", "trixie"),
            Self::V7_2 => ("http://deb.debian.org/debian", "sid"),
        }
    }

    /// The Debian release whose systemd runs on it: 252 of bookworm signals with kill(2), 257 of trixie through pidfds.
    pub(super) fn release(self) -> &'static str {
        match self {
            Self::V5_10 | Self::V6_1 => "bookworm",
            Self::V6_12 | Self::V7_2 => "trixie",
        }
    }

    /// Where everything of it is kept.
    pub(super) fn directory(self) -> Result<PathBuf> {
        Ok(directory()?.join(format!("linux-{self}")))
    }

    /// The newest kernel of the series, fetched unless one is there from before.
    pub(super) fn fetch(self) -> Result<Kernel> {
        let directory = self.directory()?;
        let kernel = Kernel { image: directory.join("vmlinuz"), modules: directory.join("modules.ext4") };
        // Its modules come before its image.
        if kernel.image.is_file() && kernel.modules.is_file() {
            return Ok(kernel);
        }
        let suite = self.suite();
        let apt = Apt::of(&directory, suite)?;
        apt.update()?;
        // Since 7.2 the image and the modules come in packages of their own.
        let pattern = format!("^linux-(image|binary)-{}[.][^ ]*cloud-amd64$", self.version());
        let found = command::output(apt.command("apt-cache").args(["search", "--names-only", &pattern]))?;
        let package = found.lines().filter_map(|line| line.split(' ').next()).max_by_key(|name| rank(name));
        let package = package.with_context(|| format!("{} has no cloud kernel {self}", suite.1))?;
        let modules = package.contains("-binary-").then(|| package.replace("-binary-", "-modules-"));
        for old in files(&directory, |name| name.ends_with(".deb"))? {
            fs::remove_file(old)?;
        }
        let packages: Vec<&str> = std::iter::once(package).chain(modules.as_deref()).collect();
        apt.download(&packages, &directory)?;
        let tree = directory.join("tree");
        if tree.exists() {
            fs::remove_dir_all(&tree)?;
        }
        extract(&directory, &tree)?;
        kernel.take_from(&tree)?;
        fs::remove_dir_all(tree)?;
        Ok(kernel)
    }
}

/// A kernel that can be booted.
#[derive(Debug)]
pub(super) struct Kernel {
    /// What QEMU loads.
    pub(super) image: PathBuf,
    /// A disk for `/usr/lib/modules`.
    pub(super) modules: PathBuf,
}

impl Kernel {
    /// Makes both of the tree of its packages.
    fn take_from(&self, tree: &Path) -> Result<()> {
        let old = tree.join("lib/modules");
        let modules = if old.is_dir() { old } else { tree.join("usr/lib/modules") };
        let [version] = &files(&modules, |_| true)?[..] else {
            bail!("it has modules of several versions");
        };
        let mut places = vec![version.join("vmlinuz")];
        places.extend(files(&tree.join("boot"), |name| name.starts_with("vmlinuz-")).unwrap_or_default());
        let found = places.into_iter().find(|place| place.is_file()).context("it has no image")?;
        let name = version.file_name().context("its modules have no name")?;
        // The packages leave this to their installation. depmod looks for them in `lib`.
        if !tree.join("lib").exists() {
            std::os::unix::fs::symlink("usr/lib", tree.join("lib"))?;
        }
        command::run(Command::new("depmod").arg("--basedir").arg(tree).arg(name))?;
        image::of_tree(&modules, &self.modules, guest::MODULES_LABEL, 256)?;
        fs::copy(&found, &self.image).with_context(|| format!("cannot copy {}", found.display()))?;
        Ok(())
    }
}

/// What `--kernel` says.
pub(crate) fn choice(word: &str) -> Result<Vec<Series>, String> {
    let series = Series::ALL.into_iter().find(|series| series.version() == word);
    match (word, series) {
        ("all", _) => Ok(Series::ALL.to_vec()),
        (_, Some(series)) => Ok(vec![series]),
        _ => Err(format!("it is one of {}, or all", Series::ALL.map(Series::version).join(", "))),
    }
}

/// Unpacks the packages of a directory.
pub(super) fn extract(directory: &Path, tree: &Path) -> Result<()> {
    for deb in files(directory, |name| name.ends_with(".deb"))? {
        command::run(Command::new("dpkg-deb").arg("--extract").arg(deb).arg(tree))?;
    }
    Ok(())
}

/// The files of a directory whose names are wanted.
pub(super) fn files(directory: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let paths = entries.flatten().map(|entry| entry.path());
    Ok(paths.filter(|path| path.file_name().is_some_and(|name| wanted(&name.to_string_lossy()))).collect())
}

/// What a package is preferred by: that it holds the image, that it is of this release, and its version.
fn rank(name: &str) -> (bool, bool, Vec<u64>) {
    let numbers = name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok());
    (name.contains("-binary-"), !name.contains("0.deb"), numbers.collect())
}

#[cfg(test)]
mod tests {
    use super::rank;

    #[test]
    fn the_newest_kernel_is_taken() {
        let names = [
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-50-cloud-amd64",
            "linux-image-6.1.0-47-cloud-amd64",
            "linux-image-6.1.0-0.deb11.52-cloud-amd64",
        ];
        assert_eq!(names.iter().max_by_key(|name| rank(name)), Some(&"linux-image-6.1.0-50-cloud-amd64"));
    }
}
