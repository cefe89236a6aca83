//! Debian's cloud kernels, fetched without touching the sources of this machine.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{directory, guest, image};
use crate::command;

/// The keys that Debian signs its archive with.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A line of kernels that is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Series {
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
    fn suite(self) -> (&'static str, &'static str) {
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

    /// The newest kernel of the series, fetched unless one is there from before.
    pub(super) fn fetch(self) -> Result<Kernel> {
        let directory = directory()?.join(format!("linux-{self}"));
        let kernel = Kernel { image: directory.join("vmlinuz"), modules: directory.join("modules.ext4") };
        // Its modules come before its image.
        if kernel.image.is_file() && kernel.modules.is_file() {
            return Ok(kernel);
        }
        for part in ["lists/partial", "cache/archives/partial", "parts"] {
            fs::create_dir_all(directory.join(part)).context("cannot make the directories of apt")?;
        }
        let (mirror, suite) = self.suite();
        let sources = directory.join("sources.list");
        fs::write(&sources, format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n"))?;
        let apt = |program: &str| {
            let mut apt = Command::new(program);
            let at = |option: &str, path: &Path| format!("{option}={}", path.display());
            apt.current_dir(&directory).arg("-o").arg(at("Dir::Etc::SourceList", &sources));
            apt.arg("-o").arg(at("Dir::Etc::SourceParts", &directory.join("parts")));
            apt.arg("-o").arg(at("Dir::State::Lists", &directory.join("lists")));
            apt.arg("-o").arg(at("Dir::Cache", &directory.join("cache")));
            apt.args(["-o", "Acquire::Languages=none", "-o", "APT::Sandbox::User=root"]);
            apt
        };
        command::run(apt("apt-get").args(["update", "--quiet=2"]))?;
        // Since 7.2 the image and the modules come in packages of their own.
        let pattern = format!("^linux-(image|binary)-{}[.][^ ]*cloud-amd64$", self.version());
        let found = command::output(apt("apt-cache").args(["search", "--names-only", &pattern]))?;
        let package = found.lines().filter_map(|line| line.split(' ').next()).max_by_key(|name| rank(name));
        let package = package.with_context(|| format!("{suite} has no cloud kernel {self}"))?;
        let modules = package.contains("-binary-").then(|| package.replace("-binary-", "-modules-"));
        for old in files(&directory, |name| name.ends_with(".deb"))? {
            fs::remove_file(old)?;
        }
        command::run(apt("apt-get").args(["download", "--quiet=2", package]).args(modules))?;
        let tree = directory.join("tree");
        if tree.exists() {
            fs::remove_dir_all(&tree)?;
        }
        for deb in files(&directory, |name| name.ends_with(".deb"))? {
            command::run(Command::new("dpkg-deb").arg("--extract").arg(deb).arg(&tree))?;
        }
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
pub(super) fn choice(word: &str) -> Result<Vec<Series>, String> {
    let series = Series::ALL.into_iter().find(|series| series.version() == word);
    match (word, series) {
        ("all", _) => Ok(Series::ALL.to_vec()),
        (_, Some(series)) => Ok(vec![series]),
        _ => Err(format!("it is one of {}, or all", Series::ALL.map(Series::version).join(", "))),
    }
}

fn files(directory: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
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
