//! What is tested: the agent as it is shipped, and the test programs, with what runs them, as an archive over the system's
//! tree.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{directory, guest, root};
use crate::{command, workspace};

/// Where the scripts of tests are, from the root of the workspace.
const SCRIPTS: [&str; 2] = ["tests/programs", "xtask/src/bench"];

/// Builds everything and packs it.
pub(super) fn build(filter: Option<&str>) -> Result<PathBuf> {
    let tree = directory()?.join("payload");
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }
    guest::prepare(&tree)?;
    let tests = tree.join(guest::TESTS);
    fs::create_dir_all(tests.join("deps"))?;
    fs::write(tests.join("filter"), filter.unwrap_or_default())?;

    command::run(cargo().args(["build", "--quiet", "--release", "--package", "forensics-agent"]))?;
    install(&workspace::target().join("release/forensics-agent"), &tests.join("forensics-agent"))?;
    let mut build = cargo();
    build.args([
        "build",
        "--quiet",
        "--package",
        "forensics-tests",
        "--bins",
        "--tests",
        "--message-format=json",
    ]);
    let built = command::output(&mut build)?;
    let mut programs = 0;
    for (name, is_test, executable) in built.lines().filter_map(executable) {
        let to = if is_test { tests.join("deps").join(&name) } else { tests.join(&name) };
        install(&executable, &to)?;
        programs += usize::from(is_test);
    }
    ensure!(programs > 0, "Cargo built no test program");

    for scripts in SCRIPTS {
        copy_scripts(&workspace::root().join(scripts), &tests.join(guest::LATE))?;
    }
    let archive = directory()?.join("payload.cpio");
    root::archive_tree(&tree, &archive)?;
    Ok(archive)
}

/// Copies the Python files of a directory to the same place in the tree, where the tests look for them.
fn copy_scripts(directory: &Path, tree: &Path) -> Result<()> {
    let there = tree.join(directory.strip_prefix("/").unwrap_or(directory));
    fs::create_dir_all(&there)?;
    let entries = fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    for script in entries.flatten().filter(|entry| entry.path().extension().is_some_and(|e| e == "py")) {
        fs::copy(script.path(), there.join(script.file_name()))?;
    }
    Ok(())
}

/// Copies a program without its debug information.
fn install(from: &Path, to: &Path) -> Result<()> {
    command::output(Command::new("strip").arg("--strip-debug").arg("-o").arg(to).arg(from)).map(drop)
}

fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace::root());
    cargo
}

/// Name, whether it is a test, and path of a program, from a line of Cargo's messages.
fn executable(line: &str) -> Option<(String, bool, PathBuf)> {
    let message: Value = serde_json::from_str(line).ok()?;
    let path = PathBuf::from(message.get("executable")?.as_str()?);
    let target = message.get("target")?;
    let is_test = target.get("kind")?.as_array()?.iter().any(|kind| kind == "test");
    Some((target.get("name")?.as_str()?.to_owned(), is_test, path))
}
