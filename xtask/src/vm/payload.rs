//! What is tested: the agent and the test programs, with what runs them, as a disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::{guest, image, scratch};
use crate::{command, dist, workspace};

/// Where the scripts of tests are, and what they test, from the root of the workspace.
const SCRIPTS: [&str; 3] = ["tests/programs", "xtask/src/bench", "clients/python"];
/// The test programs that need docker and podman.
const WITH_CONTAINERS: [&str; 1] = ["containers"];
/// The test program whose tests take several boots.
const WITH_BOOTS: &str = "shutdown";
/// The test program that needs the Debian package.
const WITH_PACKAGE: &str = "package";
/// Room on the disk, MiB. It is sparse.
pub(super) const SIZE: u32 = 1024;

/// What a machine is to do.
#[derive(Debug)]
pub(super) enum Work {
    /// Tests: those whose name contains the filter, of these programs or of all.
    Tests { filter: Option<String>, programs: Vec<String> },
    /// A shell script; the agent, its package and the programs of tests are there.
    Script(String),
}

/// The disk with the work.
#[derive(Debug)]
pub(super) struct Payload {
    pub(super) image: PathBuf,
    /// One of its test programs needs docker and podman.
    pub(super) needs_containers: bool,
    /// One of them has the machine switched off and on again.
    pub(super) is_booted_again: bool,
}

/// Builds everything, the agent as it is shipped or in the way that is quick after a change, and packs it.
pub(super) fn build(work: &Work, as_shipped: bool) -> Result<Payload> {
    let scratch = scratch()?;
    let tree = scratch.join("payload");
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }
    let (filter, programs) = match work {
        Work::Tests { filter, programs } => {
            guest::prepare(&tree, None)?;
            (filter.as_deref(), programs.as_slice())
        }
        Work::Script(script) => {
            guest::prepare(&tree, Some(script))?;
            (None, Default::default())
        }
    };
    fs::write(tree.join("filter"), filter.unwrap_or_default())?;
    install(&agent(as_shipped)?, &tree.join("forensics-agent"))?;

    let mut needs_containers = false;
    let mut tests = Vec::new();
    for (name, is_test, executable) in built()? {
        if !is_test {
            install(&executable, &tree.join(&name))?;
            continue;
        }
        let is_asked_for = programs.is_empty() || programs.contains(&name);
        if matches!(work, Work::Tests { .. }) && is_asked_for && has_tests(&executable, filter)? {
            install(&executable, &tree.join("deps").join(&name))?;
            needs_containers |= WITH_CONTAINERS.contains(&name.as_str());
        }
        tests.push(name);
    }
    if let Some(unknown) = programs.iter().find(|name| !tests.contains(name)) {
        bail!("there is no test program {unknown}; there are {}", tests.join(", "));
    }
    if tree.join("deps").join(WITH_PACKAGE).exists() || matches!(work, Work::Script(_)) {
        let package = dist::package(&tree.join("forensics-agent"))?;
        fs::copy(package, tree.join("forensics-agent.deb"))?;
    }
    let packed = fs::read_dir(tree.join("deps"))?.count();
    let is_booted_again = tree.join("deps").join(WITH_BOOTS).exists();
    ensure!(packed > 0 || matches!(work, Work::Script(_)), "no test has such a name");

    for scripts in SCRIPTS {
        copy_scripts(&workspace::root().join(scripts), &tree.join(guest::LATE))?;
    }
    let image = scratch.join("payload.ext4");
    image::of_tree(&tree, &image, guest::TESTS_LABEL, SIZE)?;
    fs::remove_dir_all(&tree)?;
    Ok(Payload { image, needs_containers, is_booted_again })
}

/// Builds the agent.
fn agent(as_shipped: bool) -> Result<PathBuf> {
    let mut build = workspace::cargo();
    build.args(["build", "--quiet", "--package", "forensics-agent"]);
    let profile = if as_shipped {
        build.arg("--release");
        "release"
    } else {
        "debug"
    };
    command::run(&mut build)?;
    Ok(workspace::target().join(profile).join("forensics-agent"))
}

/// Builds the tests and their programs: name, whether it is a test, and path of each.
fn built() -> Result<Vec<(String, bool, PathBuf)>> {
    let mut build = workspace::cargo();
    build.args(["build", "--quiet", "--package", "forensics-tests", "--bins", "--tests"]);
    let output = command::output(build.arg("--message-format=json"))?;
    let programs: Vec<_> = output.lines().filter_map(executable).collect();
    ensure!(programs.iter().any(|(_, is_test, _)| *is_test), "Cargo built no test program");
    Ok(programs)
}

/// True when a test program has tests whose name contains the filter.
fn has_tests(program: &Path, filter: Option<&str>) -> Result<bool> {
    let mut list = Command::new(program);
    let listed = command::output(list.arg("--list").args(filter))?;
    Ok(listed.lines().any(|line| line.ends_with(": test")))
}

/// Copies the Python files of a directory to the same place in the tree, where the tests look for them.
pub(super) fn copy_scripts(directory: &Path, tree: &Path) -> Result<()> {
    let there = tree.join(directory.strip_prefix("/").unwrap_or(directory));
    fs::create_dir_all(&there)?;
    let entries = fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    for script in entries.flatten().filter(|entry| entry.path().extension().is_some_and(|e| e == "py")) {
        fs::copy(script.path(), there.join(script.file_name()))?;
    }
    Ok(())
}

/// Copies a program without its debug information.
pub(super) fn install(from: &Path, to: &Path) -> Result<()> {
    command::output(Command::new("strip").arg("--strip-debug").arg("-o").arg(to).arg(from)).map(drop)
}

/// Name, whether it is a test, and path of a program, from a line of Cargo's messages.
fn executable(line: &str) -> Option<(String, bool, PathBuf)> {
    let message: Value = serde_json::from_str(line).ok()?;
    let path = PathBuf::from(message.get("executable")?.as_str()?);
    let target = message.get("target")?;
    let is_test = target.get("kind")?.as_array()?.iter().any(|kind| kind == "test");
    Some((target.get("name")?.as_str()?.to_owned(), is_test, path))
}
