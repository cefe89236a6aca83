//! Packages of another suite, fetched without touching the sources of this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::command;

/// The keys that Debian signs its archive with.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// apt with lists and a cache of its own, in a directory.
#[derive(Debug)]
pub(super) struct Apt {
    directory: PathBuf,
}

impl Apt {
    /// Of a suite: its mirror and its name.
    pub(super) fn of(directory: &Path, (mirror, suite): (&str, &str)) -> Result<Self> {
        for part in ["lists/partial", "cache/archives/partial", "parts"] {
            fs::create_dir_all(directory.join(part)).context("cannot make the directories of apt")?;
        }
        let apt = Self { directory: directory.to_owned() };
        fs::write(apt.sources(), format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n"))?;
        Ok(apt)
    }

    fn sources(&self) -> PathBuf {
        self.directory.join("sources.list")
    }

    /// A program of apt, in the directory.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut apt = Command::new(program);
        let at = |option: &str, path: &Path| format!("{option}={}", path.display());
        apt.current_dir(&self.directory).arg("-o").arg(at("Dir::Etc::SourceList", &self.sources()));
        apt.arg("-o").arg(at("Dir::Etc::SourceParts", &self.directory.join("parts")));
        apt.arg("-o").arg(at("Dir::State::Lists", &self.directory.join("lists")));
        apt.arg("-o").arg(at("Dir::Cache", &self.directory.join("cache")));
        apt.args(["-o", "Acquire::Languages=none", "-o", "APT::Sandbox::User=root"]);
        apt
    }

    /// Fetches the lists.
    pub(super) fn update(&self) -> Result<()> {
        command::run(self.command("apt-get").args(["update", "--quiet=2"]))
    }

    /// Fetches packages into a directory.
    pub(super) fn download(&self, packages: &[&str], to: &Path) -> Result<()> {
        command::run(self.command("apt-get").current_dir(to).args(["download", "--quiet=2"]).args(packages))
    }
}
