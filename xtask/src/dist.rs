//! `cargo xtask dist`: the Debian package.
//!
//! The same binary, files and commit make the same package, bit for bit.

mod control;
mod licences;
mod scripts;
mod tree;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Result, ensure};

use crate::{command, debian, workspace};

/// What making a package takes.
const TOOLS: [&str; 4] = ["binutils", "coreutils", "dpkg", "gzip"];

/// Arguments of `cargo xtask dist`.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Runs the task, and says where the package is.
pub(crate) fn run(_: &Args) -> Result<ExitCode> {
    command::run(workspace::cargo().args(["build", "--release", "--package", "forensics-agent"]))?;
    println!("{}", package(&workspace::target().join("release/forensics-agent"))?.display());
    Ok(ExitCode::SUCCESS)
}

/// Builds the package of an agent, and says where it is.
///
/// # Errors
/// A tool is missing or fails.
pub(crate) fn package(agent: &Path) -> Result<PathBuf> {
    let missing = debian::missing(&TOOLS);
    ensure!(missing.is_empty(), "install what is missing: {}", missing.join(" "));
    let directory = workspace::target().join("dist");
    let tree = directory.join("tree");
    tree::make(&tree, agent)?;
    control::write(&tree)?;
    scripts::write(&tree)?;
    let package =
        directory.join(format!("forensics-agent_{}_{}.deb", control::VERSION, control::architecture()));
    let mut build = Command::new("dpkg-deb");
    // Debian's oldest release that the agent runs on has no dpkg that reads zstd.
    build.args(["--root-owner-group", "-Zxz", "--build"]).arg(&tree).arg(&package);
    build.env("SOURCE_DATE_EPOCH", source_date()?);
    command::output(&mut build)?;
    Ok(package)
}

/// When the sources were last changed, seconds: no file of the package is newer than that.
fn source_date() -> Result<String> {
    if let Ok(set) = std::env::var("SOURCE_DATE_EPOCH") {
        return Ok(set);
    }
    let mut git = Command::new("git");
    git.current_dir(workspace::root()).args(["log", "--max-count=1", "--format=%ct"]);
    Ok(command::output(&mut git)?.trim().to_owned())
}
